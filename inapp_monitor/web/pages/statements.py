"""`/statements`: a window's statements by what they cost; `/statements/<id>`: one of them."""

from __future__ import annotations

import math
from typing import Any

from werkzeug.exceptions import NotFound

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web import human
from inapp_monitor.web.findings import repeated_statements, statement_list
from inapp_monitor.web.frame import drawing, templating
from inapp_monitor.web.frame.visit import Visit

#: Columns that the table can be sorted by.
SORTS = ("total_ms", "count", "mean", "p95", "max", "rows", "errors")
#: Statements that are listed.
_MOST = 200


def gather(visit: Visit) -> dict[str, Any]:
    """The table, the statement that took most time first unless asked otherwise."""
    backend, request, view = visit
    sort = request.args.get("sort", "total_ms")
    if sort not in SORTS:
        raise QueryError(f"sort {sort[:40]!r} must be one of {', '.join(SORTS)}")
    rows = statement_list.rows(backend, visit.facts, view)
    rows.sort(key=lambda row: -(row[sort] or 0.0))
    step = statement_list.grid(view)[0]
    for row in rows:
        del row["columns"]
    return {
        "rows": rows[:_MOST],
        "row_count": len(rows),
        "calls": sum(row["count"] for row in rows),
        "total_ms": math.fsum(row["total_ms"] for row in rows),
        "sort": sort,
        "step_s": step,
        "is_on": backend.loaded.settings.traces,
        "repeats": repeated_statements.costly(backend, visit.facts, view.start, view.now)[:10],
    }


def gather_one(visit: Visit, key: str) -> dict[str, Any]:
    """One statement: its figures over the window, its lines and routes, and where it repeats."""
    backend, _, view = visit
    tables = backend.statements
    known = None if tables is None else tables.statement(key)
    if tables is None or known is None:
        raise NotFound("no such statement is known")
    rows = statement_list.rows(backend, visit.facts, view)
    found = next((row for row in rows if row["id"] == key), None)
    if found is None:  # no call in this window
        found = {**statement_list.row(known, [], view, {}), "share": 0.0}
    cells = found.pop("columns")
    return {
        **found,
        "repeats": repeated_statements.of_statement(backend, visit.facts, key, view.now),
        "charts": _charts(found, cells, view.start, view.end),
        "has_series": f"statements.{key}.time" in {leaf.path for leaf in backend.store.leaves()},
    }


def _charts(row: dict[str, Any], cells: list[Any], start: int, end: int) -> dict[str, Any]:
    first, step = row["spark_start"], row["spark_step"]

    def series(name: str, values: list[float], shape: str, colour: str) -> dict[str, Any]:
        return {
            "name": name,
            "start": first,
            "step": step,
            "values": values,
            "shape": shape,
            "colour": colour,
        }

    nothing = math.nan
    means = [nothing if cell is None else cell.mean_ms for cell in cells]
    highs = [nothing if cell is None else cell.p95_ms or nothing for cell in cells]
    totals = [0.0 if cell is None else float(cell.count) for cell in cells]
    took = f"mean {human.value(row['mean'], 'ms')}" if row["count"] else ""
    return {
        "duration": drawing.chart(
            "Duration", "ms", start, end,
            [series("mean", means, "line", "c1"), series("p95", highs, "line", "c2")],
            summary=took, description=f"Milliseconds a call: {took}", change=("", False),
        ),
        "calls": drawing.chart(
            "Calls", "count", start, end, [series("calls", totals, "bar", "c1")],
            summary=human.count(row["count"]), description=f"Calls: {human.count(row['count'])}",
            change=("", False),
        ),
    }  # fmt: skip


ROUTES = [
    *templating.page("/statements", "/statements.json", gather, "statements.html"),
    *templating.page(
        "/statements/<name:key>", "/statements/<name:key>.json", gather_one, "statement.html"
    ),
]
