"""Statements of a window: what they cost, how that went over time, from which lines and routes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.traces.statement_tables import Figures, StatementRow, step_of
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.view import View

_KEPT_ROUTES = 3


def rows(backend: Backend, facts: Facts, view: View) -> list[dict[str, Any]]:
    """All statements with calls in the window, the one that took most time first.

    Each row: id, system, shape, is_write, count, per_min, total_ms, share, mean, p95, max, errors,
    rows, site, sites, routes (route, slug, count), first_seen, last_seen, and spark (milliseconds
    by column of `spark_step` seconds from `spark_start` on).
    """
    tables = backend.statements
    if tables is None:
        return []
    known, slugs = tables.statements(), _slugs(facts)
    found = tables.figures(view.start, view.end)
    made = [row(known[key], columns, view, slugs) for key, columns in found.items() if key in known]
    everything = math.fsum(each["total_ms"] for each in made) or 1.0
    for each in made:
        each["share"] = 100 * each["total_ms"] / everything
    made.sort(key=lambda each: (-each["total_ms"], each["id"]))
    return made


def row(
    known: StatementRow, columns: Sequence[Figures], view: View, slugs: Mapping[str, str]
) -> dict[str, Any]:
    """One statement as plain data, without its share."""
    whole = Figures()
    for each in columns:
        whole.merge(each)
    step, first, wanted = grid(view)
    by_start = {each.start: each for each in columns}
    cells = [by_start.get(first + step * i) for i in range(wanted)]
    routes = [
        {"route": route, "slug": slugs.get(route, ""), "count": count}
        for route, count in list(known.routes.items())[:_KEPT_ROUTES]
    ]
    return {
        "id": known.id,
        "system": known.system,
        "shape": known.shape,
        "is_write": known.is_write,
        "count": whole.count,
        "per_min": whole.count * 60 / view.span,
        "total_ms": whole.total_ms,
        "mean": whole.mean_ms,
        "p95": whole.p95_ms,
        "max": whole.max_ms if whole.durations.count else None,
        "errors": whole.errors,
        "rows": whole.rows,
        "site": known.sites[0] if known.sites else "",
        "sites": known.sites,
        "routes": routes,
        "first_seen": known.first_seen,
        "last_seen": known.last_seen,
        "spark": [0.0 if each is None else each.total_ms for each in cells],
        "spark_start": first,
        "spark_step": step,
        "columns": cells,
    }


def grid(view: View) -> tuple[int, int, int]:
    """Seconds of a column, the start of the first one, and how many a window has."""
    step = step_of(view.start, view.end, view.now)
    first = view.start // step * step
    return step, first, max(-(-(view.end - first) // step), 1)


def _slugs(facts: Facts) -> dict[str, str]:
    return {route: slug for slug, route in facts.of(RouteFacts).routes.items()}
