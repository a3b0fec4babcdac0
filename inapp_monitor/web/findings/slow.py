"""The slowest requests of a route as a chart: each a mark that leads to its issue or its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inapp_monitor.web import human
from inapp_monitor.web.frame import drawing
from inapp_monitor.web.frame.links import address
from inapp_monitor.web.frame.visit import Visit

#: Seconds back: as long as slow requests are kept.
_SPAN_S = 3_600


def chart(visit: Visit, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The chart's data; None when there is no such request. Row n stands at `#slow-n`, from 1."""
    if not rows:
        return None
    end = max(visit.backend.now(), int(max(float(row["started"]) for row in rows)) + 1)
    longest = max(float(row["ms"]) for row in rows)
    return drawing.chart(
        "Slowest requests", "ms", end - _SPAN_S, end, [],
        summary="of the last hour, each a link",
        description=f"Single requests of the last hour by duration, the longest took "
        f"{human.value(longest, 'ms')}; the table below lists them",
        change=("", False),
        points=[_point(visit, row, number) for number, row in enumerate(rows, 1)],
    )  # fmt: skip


def _point(visit: Visit, row: Mapping[str, Any], number: int) -> dict[str, Any]:
    status = str(row.get("status") or "")
    issue = row.get("issue")
    href = f"#slow-{number}"
    if issue:
        query = [(name, value) for name, value in visit.view.query() if value]
        href = address(visit.request.root, f"/errors/{issue}", query)
    label = (
        f"{row['method']} {row['path']} took {human.value(float(row['ms']), 'ms')}, "
        f"{status or 'no answer'}, at {human.moment(float(row['started']), visit.view.zone.tz)}"
    )
    return {
        "timestamp": float(row["started"]),
        "value": float(row["ms"]),
        "kind": {"4": "warn", "5": "crit", "": "dim"}.get(status[:1], "ok"),
        "label": label,
        "href": href,
    }
