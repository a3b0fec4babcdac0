"""`/routes`: every route of the window, sortable; `/routes/<slug>`: one of them in detail."""

from __future__ import annotations

import math
from typing import Any

from werkzeug.exceptions import NotFound

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.web.findings import (
    cause,
    comparison,
    deploys,
    issue_list,
    judged,
    repeated_statements,
    route_table,
    slow,
    time_breakdown,
    traffic,
)
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import profile, runtime

#: Slow requests of one route that are shown.
_SLOWEST = 50
#: Columns that the table can be sorted by, and whether large comes first.
SORTS = {
    "share": True,
    "route": False,
    "per_min": True,
    "p50": True,
    "p95": True,
    "p99": True,
    "error_rate": True,
    "apdex": False,
}


def gather(visit: Visit) -> dict[str, Any]:
    """The table, with the compared period's p95 beside each row."""
    backend, request, view = visit
    facts = visit.facts
    sort = request.args.get("sort", "share")
    if sort not in SORTS:
        raise QueryError(f"sort {sort[:40]!r} must be one of {', '.join(SORTS)}")
    rows = [dict(row) for row in route_table.rows(backend, visit.facts, view)]
    earlier = comparison.view_before(backend, view)
    if earlier is not None:
        past = {(r["slug"], r["method"]): r for r in route_table.rows(backend, facts, earlier)}
        for row in rows:
            before = past.get((row["slug"], row["method"]))
            row["p95_before"] = before["p95"] if before else None
    rows.sort(key=lambda row: _order(row[sort], SORTS[sort]))
    return {
        "rows": rows,
        "sort": sort,
        "compared": traffic.ghost_name(view) if earlier else "",
        "target_ms": backend.loaded.settings.apdex_target_s * 1_000,
    }


def gather_one(visit: Visit, slug: str) -> dict[str, Any]:
    """One route: charts of one method (`?method=`, default the busiest), its row and issues."""
    backend, request, view = visit
    methods = route_table.names(backend).get(slug)
    if not methods:
        raise NotFound("no request of such a route has been recorded")
    rows = [row for row in route_table.rows(backend, visit.facts, view) if row["slug"] == slug]
    busiest = max(rows, key=lambda row: row["count"])["method"] if rows else methods[0]
    method = request.args.get("method", busiest)
    if method not in methods:
        raise QueryError(f"method {method[:20]!r} must be one of {', '.join(methods)}")
    scope = traffic.Scope(f"routes.{slug}.{method}")
    current = traffic.read(backend, view, scope)
    earlier = comparison.view_before(backend, view)
    before = traffic.read(backend, earlier, scope) if earlier else None
    route = visit.facts.of(RouteFacts).routes.get(slug) or slug
    issues = [entry for entry in issue_list.newest(backend, 200) if entry.get("route") == route]
    marks = deploys.between(backend, view.start, view.end) + judged.marks(backend, view)
    slowest = runtime.slowest(visit.facts, slug, method)[:_SLOWEST]
    why = cause.cause_of(backend, slug, method, view.end)
    return {
        "slug": slug,
        "route": route,
        "method": method,
        "methods": sorted(methods),
        "row": next((row for row in rows if row["method"] == method), None),
        "totals": current.totals(backend.loaded.settings.apdex_target_s * 1_000),
        "charts": {
            **traffic.charts(current, before, marks),
            "breakdown": time_breakdown.chart(
                *(backend, view, f"routes.{slug}"),
                [f"routes.{slug}.{each}" for each in methods],
                *(marks, current.axis_start),
            ),
        },
        "repeats": repeated_statements.of_route(backend, visit.facts, route, view.now),
        "issues": issues[:20],
        "cause": None if why is None else why.as_json(),
        "slowest": slowest,
        "slow_chart": slow.chart(visit, slowest),
    }


def _order(value: Any, descending: bool) -> Any:
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return math.inf
    return -value if descending else value


ROUTES = [
    *templating.page("/routes", "/routes.json", gather, "routes.html"),
    *templating.page("/routes/<name:slug>", "/routes/<name:slug>.json", gather_one, "route.html"),
    *profile.ROUTES,
]
