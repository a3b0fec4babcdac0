"""Lines, fallbacks, names and consolidation (Graphite's group Special)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.aggregation import aggregate
from inapp_monitor.query.functions.alias import cut_name
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import CONSOLIDATIONS, Floats, Series
from inapp_monitor.query.units import SYSTEMS, format_units

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Special"
_STEP = Param("step", "integer", default=60)


def constant(context: Context, value: float) -> Series:
    """Three points: at the start, in the middle and at the end of the window."""
    request = context.request
    step = (request.end - request.start) // 2
    return Series(
        repr(value),
        request.start,
        request.end,
        step,
        np.full(3, value),
        path_expression=f"constantLine({value!r})",
        x_files_factor=context.x_files_factor,
    )


@function("constantLine", _GROUP, Param("value", "float", required=True))
def constant_line(context: Context, value: float) -> list[Series]:
    """A horizontal line."""
    return [constant(context, value)]


def grid(context: Context, step: int) -> Floats:
    """The times of the window, one a step.

    Raises:
        QueryError: the step is not positive, or there are too many points.
    """
    if step <= 0:
        raise QueryError(f"parameter 'step' must be greater than 0, got {step}")
    request = context.request
    context.budget.spend((request.end - request.start) // step)
    return np.arange(request.start, request.end, step, dtype=np.float64)


def generated(context: Context, name: str, step: int, values: Floats) -> Series:
    """A series of computed values over the window."""
    request = context.request
    return Series(
        name, request.start, request.end, step, values, x_files_factor=context.x_files_factor
    )


@function(
    "randomWalkFunction",
    _GROUP,
    Param("name", "string", required=True),
    _STEP,
    also=("randomWalk",),
)
def random_walk(context: Context, name: str, step: int = 60) -> list[Series]:
    """A series for trying things out: each value differs from the last by at most a half."""
    count = len(grid(context, step))
    steps = [0.0, *(random.random() - 0.5 for _ in range(count - 1))]  # noqa: S311
    return [generated(context, name, step, np.cumsum(steps)[:count])]


@function("changed", _GROUP, series_list())
def changed(series: list[Series]) -> list[Series]:
    """1 where a value differs from the last known one, else 0."""
    made = []
    for s in series:
        values = np.zeros(len(s))
        known = np.flatnonzero(~np.isnan(s.values))
        if len(known) > 1:
            values[known[1:]] = s.values[known[1:]] != s.values[known[:-1]]
        made.append(s.derive(f"changed({s.name})", values, whole=True))
    return made


@function("cumulative", _GROUP, series_list())
def cumulative(series: list[Series]) -> list[Series]:
    """Consolidate by sum: another name of consolidateBy(seriesList, 'sum')."""
    return consolidate_by(series, "sum")


@function(
    "consolidateBy",
    _GROUP,
    series_list(),
    Param("consolidationFunc", "string", required=True, options=CONSOLIDATIONS, strict=True),
)
def consolidate_by(series: list[Series], how: str) -> list[Series]:
    """Choose how points are joined when there are more than can be shown."""
    made = []
    for s in series:
        result = s.derive(f'consolidateBy({s.name},"{how}")', tags={"consolidateBy": how})
        result.consolidation = how
        made.append(result)
    return made


@function(
    "setXFilesFactor",
    _GROUP,
    series_list(),
    Param("xFilesFactor", "float", required=True),
    also=("xFilesFactor",),
)
def set_x_files_factor(context: Context, series: list[Series], factor: float) -> list[Series]:
    """Set the share of known values that joined values need, from here on."""
    context.x_files_factor = factor
    made = [s.derive(tags={"xFilesFactor": factor}) for s in series]
    for s in made:
        s.x_files_factor = factor
    return made


@function("fallbackSeries", _GROUP, series_list(), series_list("fallback"))
def fallback_series(series: list[Series], fallback: list[Series]) -> list[Series]:
    """The first list, or the second one when the first is empty."""
    return series or fallback


@function(
    "substr",
    _GROUP,
    series_list(),
    Param("start", "node", default=0),
    Param("stop", "node", default=0),
)
def substr(series: list[Series], start: int = 0, stop: int = 0) -> list[Series]:
    """Name each series by some nodes of its path, as a slice."""
    return [s.renamed(cut_name(s.name, start, stop)) for s in series]


@function("seriesByTag", _GROUP, Param("tagExpressions", "string", required=True, multiple=True))
def series_by_tag(context: Context, *expressions: str) -> list[Series]:
    """The series whose tags fulfil all expressions: tag=value, !=, =~regex, !=~regex."""
    shown = ", ".join(f"'{expression}'" for expression in expressions)
    return context.fetch_tagged(list(expressions), f"seriesByTag({shown})")


@function("events", _GROUP, Param("tags", "string", required=True, multiple=True, lenient=True))
def events(context: Context, *tags: str) -> list[Series]:
    """How many events with all these tags (`*`: any) happened in each second."""
    request = context.request
    points = request.end - request.start
    context.budget.spend(points)
    values = np.full(points, np.nan)
    wanted = None if tags == ("*",) else tags
    found = request.events.times(request.start, request.end, wanted) if request.events else ()
    for moment in found:
        index = moment - request.start
        if 0 <= index < points:
            values[index] = 1 if np.isnan(values[index]) else values[index] + 1
    shown = '", "'.join(tags)
    series = generated(context, f'events("{shown}")', 1, values)
    series.consolidation = "sum"
    series.whole = True
    return [series]


@function(
    "cactiStyle",
    _GROUP,
    series_list(),
    Param("system", "string", options=tuple(SYSTEMS)),
    Param("units", "string"),
)
def cacti_style(
    series: list[Series], system: str | None = None, units: str | None = None
) -> list[Series]:
    """Append the last, largest and smallest value to each name, in columns."""
    if system and system not in SYSTEMS:
        raise QueryError(f"parameter 'system' must be one of {', '.join(SYSTEMS)}, got {system!r}")

    def shown(value: float) -> str:
        if system:
            number, unit = format_units(value, system, units or "")
            return f"{number:.2f} {unit}" if units else f"{number:.2f}{unit}"
        return f"{value:.2f} {units}" if units else f"{value:.2f}"

    if not series:
        return []
    columns = []
    for label, func in (("Current", "last"), ("Max", "max"), ("Min", "min")):
        values = [aggregate(func, s.values) for s in series]
        # Wide enough for whole numbers; an infinite one has no digits to count.
        widths = [len(shown(int(v) if np.isfinite(v) and v != 0 else 3)) for v in values]
        texts = ["nan" if v != v else shown(v) for v in values]
        columns.append([f"{label}:{text:<{max(widths) + 3}}" for text in texts])
    width = max(len(s.name) for s in series)
    return [
        s.renamed(f"{s.name:<{width}} {' '.join(cells)} ")
        for s, cells in zip(series, zip(*columns, strict=True), strict=True)
    ]
