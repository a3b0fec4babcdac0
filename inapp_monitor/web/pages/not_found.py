"""`/not-found`: addresses that visitors asked for in vain, and who sent them."""

from __future__ import annotations

from typing import Any

from inapp_monitor.web.pages import drawing, missing, readings, templating
from inapp_monitor.web.pages.visit import Visit

_MOST = 200


def gather(visit: Visit) -> dict[str, Any]:
    """The most frequent paths, and how many 404s the window had."""
    backend, request, view = visit
    found = readings.sums(backend, ["requests.not_found"], view.start, view.end).get(
        "requests.not_found"
    )
    series = []
    if found is not None:
        entry = {"name": "404s", "start": found.start, "step": found.step}
        series = [{**entry, "values": found.values.tolist(), "shape": "bar", "colour": "warn"}]
    total = found.total if found is not None else 0.0
    chart = drawing.chart(
        "Not found", "count", view.start, view.end, series,
        summary=f"{total:,.0f} in this period", change=("", False),
        description=f"Requests answered 404: {total:,.0f} in this period",
    )  # fmt: skip
    return {
        "not_found": missing.most_frequent(backend, request.host, _MOST),
        "most": backend.loaded.settings.max_not_found,
        "total": total,
        "chart": chart,
    }


ROUTES = templating.page("/not-found", "/not-found.json", gather, "not_found.html")
