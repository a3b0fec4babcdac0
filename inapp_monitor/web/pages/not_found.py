"""`/not-found`: addresses that visitors asked for in vain, and who sent them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.web.findings import missing
from inapp_monitor.web.frame import columns, drawing, templating
from inapp_monitor.web.frame.visit import Visit

_MOST = 200
#: Spelling is compared for so many rows and routes: each pair costs some microseconds.
_COMPARED_ROWS, _COMPARED_ROUTES = 40, 300
#: The variable parts of a route's template, in any framework's way to write them.
_PARAMETER = re.compile(r"<[^<>]*>|\{[^{}]*\}|\*\w*|:\w+")


def gather(visit: Visit) -> dict[str, Any]:
    """The most frequent paths, and how many 404s the window had."""
    backend, request, view = visit
    found = columns.sums(backend, ["requests.not_found"], view.start, view.end).get(
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
    rows = missing.most_frequent(backend, request.host, _MOST)
    _add_nearest(rows, visit.facts.of(RouteFacts).routes)
    return {
        "not_found": rows,
        "most": backend.loaded.settings.max_not_found,
        "total": total,
        "chart": chart,
    }


def _add_nearest(rows: list[dict[str, Any]], known: Mapping[str, str]) -> None:
    """The existing route that is spelled most alike, for the most frequent rows."""
    routes = sorted(set(known.values()))
    plain = {_PARAMETER.sub("", route): route for route in routes if route.startswith("/")}
    candidates = list(plain)[:_COMPARED_ROUTES]
    for number, row in enumerate(rows):
        nearest: list[str] = []
        if number < _COMPARED_ROWS and row["guess"] != "scanner":
            path = str(row["path"]).partition("?")[0][:200]
            nearest = difflib.get_close_matches(path, candidates, 1, 0.6)
        row["nearest"] = plain[nearest[0]] if nearest else ""


ROUTES = templating.page("/not-found", "/not-found.json", gather, "not_found.html")
