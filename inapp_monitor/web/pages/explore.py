"""`/explore`: any series, any function: find it, draw it, share it as an address.

The form's fields are the page's whole state: `target` (several), `function` (put around the last
target), `shape` and `path`, the branch of the tree that is open. Works without script.
"""

from __future__ import annotations

import re
from typing import Any

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.registry import FUNCTIONS
from inapp_monitor.query.request import RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.web.dashboards.format import SHAPES
from inapp_monitor.web.findings import deploys, described
from inapp_monitor.web.frame import columns, drawing, templating, work_time
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.graphite.render import limits_of
from inapp_monitor.web.kept.chart_series import evaluated
from inapp_monitor.web.kept.process_state import process_state

_TARGETS = 10
_NODES = 300
#: Series drawn: more cannot be distinguished, and the page stays small.
_SERIES = 40
#: What to begin with for a parameter of a type, where the function suggests nothing.
_LIKELY: dict[str, Any] = {
    "integer": 5,
    "node": 1,
    "nodeOrTag": 1,
    "float": 1,
    "interval": "5min",
    "intOrInterval": "5min",
    "intOrInf": 10,
    "aggFunc": "sum",
    "date": "-1d",
    "boolean": True,
}
_MILLISECONDS = re.compile(r"\.time\.(p\d+|mean|min|max|sum|stddev)\b")
_RATE = re.compile(r"\.time\.rate\b|perSecond\(")


def gather(visit: Visit) -> dict[str, Any]:
    """The tree's open branch, the targets and their chart."""
    backend, request, view = visit
    targets = [text.strip() for text in request.args.getlist("target") if text.strip()]
    if len(targets) > _TARGETS:
        raise QueryError(f"at most {_TARGETS} targets are drawn here, got {len(targets)}")
    function = request.args.get("function", "")
    if function and function not in FUNCTIONS:
        raise QueryError(f"there is no function {function[:40]!r}")
    if function and targets:
        targets[-1] = _wrapped(function, targets[-1])
    shape = request.args.get("shape", "line")
    if shape not in SHAPES:
        raise QueryError(f"shape {shape[:40]!r} must be one of {', '.join(SHAPES)}")
    problem, series = "", []
    try:
        series = _evaluate(visit, targets) if targets else []
    except QueryError as error:
        problem = str(error)
    path = request.args.get("path", "")[:200]
    marks = deploys.between(backend, view.start, view.end)
    return {
        "targets": targets,
        "problem": problem,
        "shape": shape,
        "shapes": SHAPES,
        "path": path,
        "branches": _branches(path),
        "nodes": _nodes(visit, path),
        "functions": _functions(),
        "count": len(series),
        "chart": _chart(visit, series[:_SERIES], targets, shape, marks) if series else None,
        "summary": _summaries(visit, series[:_SERIES]),
    }


def _wrapped(function: str, target: str) -> str:
    """A call around the target, with a likely value for whatever else must be given."""
    arguments = [target]
    for param in FUNCTIONS[function].params[1:]:
        if not param.required or param.lenient:
            break
        likely = [*param.suggestions, *param.options, _LIKELY.get(param.type, "")]
        arguments.append(_literal(likely[0]))
    return f"{function}({','.join(arguments)})"


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, (int, float)) else f"'{value}'"


def picture(visit: Visit, targets: list[str], shape: str) -> dict[str, Any] | None:
    """The chart of some targets as data; None when there is nothing to draw.

    Raises:
        QueryError: a target that cannot be evaluated.
    """
    series = _evaluate(visit, targets)[:_SERIES]
    marks = deploys.between(visit.backend, visit.view.start, visit.view.end)
    return _chart(visit, series, targets, shape, marks) if series else None


def _evaluate(visit: Visit, targets: list[str]) -> list[Series]:
    backend, _, view = visit
    asked = RenderRequest(
        start=view.start,
        end=view.end,
        now=view.now,
        max_points=columns.COLUMNS,
        own_consolidation=True,
        limits=limits_of(backend.loaded.settings),
        events=process_state(backend).events,
        elapsed=work_time.stopwatch(backend.clock),
    )
    return evaluated(backend, targets, asked)


def _chart(
    visit: Visit, series: list[Series], targets: list[str], shape: str, marks: list[dict[str, Any]]
) -> dict[str, Any]:
    drawn = [
        {
            "name": s.name,
            "start": s.start,
            "step": s.step,
            "values": s.values.tolist(),
            "shape": "line" if shape == "stacked" else shape,
            "colour": f"c{number % 8 + 1}",
        }
        for number, s in enumerate(series)
    ]
    text = " ".join(targets)
    unit = "ms" if _MILLISECONDS.search(text) else "rate" if _RATE.search(text) else ""
    return drawing.chart(
        "Chart", unit, visit.view.start, visit.view.end, drawn, marks,
        summary=f"{len(series)} series" if len(series) > 1 else "",
        change=("", False), stacked=shape == "stacked",
        description=f"Chart of {', '.join(targets)}",
    )  # fmt: skip


def _summaries(visit: Visit, series: list[Series]) -> list[dict[str, Any]]:
    """A row a series, with what is known of it."""
    rows = [_summary(entry) for entry in series]
    known = described.of(visit.backend, [row["name"] for row in rows])
    for row in rows:
        row["described"] = known.get(row["name"])
    return rows


def _summary(series: Series) -> dict[str, Any]:
    """Latest, smallest, largest and mean value, for the table below the chart."""
    known = series.values[series.values == series.values]
    if not len(known):
        return {"name": series.name, "last": None, "min": None, "max": None, "mean": None}
    return {
        "name": series.name,
        "last": float(known[-1]),
        "min": float(known.min()),
        "max": float(known.max()),
        "mean": float(known.mean()),
    }


def _branches(path: str) -> list[dict[str, str]]:
    """The way down to a branch, for links back up."""
    parts = path.split(".") if path else []
    return [{"name": part, "path": ".".join(parts[: i + 1])} for i, part in enumerate(parts)]


def _nodes(visit: Visit, path: str) -> list[dict[str, Any]]:
    """What is below a branch: branches to open and series to draw."""
    try:
        found = visit.backend.source.find(f"{path}.*" if path else "*")
    except QueryError:
        return []
    nodes: dict[str, dict[str, Any]] = {}
    for node in found[: 2 * _NODES]:
        entry = nodes.setdefault(node.path, {"path": node.path, "name": node.name})
        entry["leaf" if node.is_leaf else "branch"] = True
    return list(nodes.values())[:_NODES]


def _functions() -> dict[str, list[str]]:
    """Names by group."""
    groups: dict[str, list[str]] = {}
    for name, function in sorted(FUNCTIONS.items()):
        groups.setdefault(function.to_json()["group"], []).append(name)
    return groups


ROUTES = templating.page("/explore", "/explore.json", gather, "explore.html")
