"""How series are drawn (Graphite's group Graph): options that only pictures look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.functions.special import constant
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Series
from inapp_monitor.query.timespec import parse_time

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Graph"
_LABEL = Param("label", "string")
_COLOR = Param("color", "string")
_DEFAULT_STACK = "__DEFAULT__"


@function("alpha", _GROUP, series_list(), Param("alpha", "float", required=True))
def alpha(series: list[Series], opacity: float) -> list[Series]:
    """Draw with this opacity, 0 to 1."""
    return [s.derive(options={"alpha": opacity}) for s in series]


@function("color", _GROUP, series_list(), Param("theColor", "string", required=True))
def color(series: list[Series], name: str) -> list[Series]:
    """Draw in a colour: a name or a hexadecimal number such as ff8800."""
    return [s.derive(options={"color": name}) for s in series]


@function(
    "dashed", _GROUP, series_list(), Param("dashLength", "integer", default=5, fractions=True)
)
def dashed(series: list[Series], length: float = 5) -> list[Series]:
    """Draw as a dashed line."""
    return [
        s.derive(
            f"dashed({s.name}, {length:g})",
            path_expression=s.path_expression,
            tags={"dashed": length},
            options={"dashed": length},
        )
        for s in series
    ]


@function("drawAsInfinite", _GROUP, series_list())
def draw_as_infinite(series: list[Series]) -> list[Series]:
    """Draw a vertical line wherever the value is above zero."""
    return _marked(series, "drawAsInfinite")


@function("secondYAxis", _GROUP, series_list())
def second_y_axis(series: list[Series]) -> list[Series]:
    """Draw against a second scale at the right."""
    return _marked(series, "secondYAxis")


def _marked(series: list[Series], label: str) -> list[Series]:
    return [
        s.derive(
            f"{label}({s.name})",
            path_expression=s.path_expression,
            tags={label: 1},
            options={label: True},
        )
        for s in series
    ]


@function("lineWidth", _GROUP, series_list(), Param("width", "float", required=True))
def line_width(series: list[Series], width: float) -> list[Series]:
    """Draw the line this many pixels wide."""
    return [s.derive(options={"lineWidth": width}) for s in series]


@function(
    "stacked",
    _GROUP,
    series_list(),
    Param("stack", "string", default=_DEFAULT_STACK, also=("stackName",)),
)
def stacked(context: Context, series: list[Series], stack: str = _DEFAULT_STACK) -> list[Series]:
    """Draw the series on top of each other; totals go on through all targets of a request."""
    total = context.stacks.get(stack, np.zeros(0))
    made = []
    for s in series:
        if len(total) < len(s):
            total = np.concatenate([total, np.zeros(len(s) - len(total))])
        sums = total.copy()
        known = ~np.isnan(s.values)
        with np.errstate(all="ignore"):
            sums[: len(s)][known] += s.values[known]
        total = sums
        values = np.where(known, total[: len(s)], np.nan)
        default = stack == _DEFAULT_STACK
        name = f"stacked({s.name})" if default else s.name
        tags: dict[str, object] = {"stacked": stack} if default else {}
        made.append(s.derive(name, values, tags=tags, options={"stacked": True}))
    context.stacks[stack] = total
    return made


@function("areaBetween", _GROUP, series_list())
def area_between(series: list[Series]) -> list[Series]:
    """Draw the area between exactly two series."""
    return band(series, "areaBetween")


def band(series: list[Series], label: str) -> list[Series]:
    """Two series as the edges of an area, both under one name.

    Raises:
        QueryError: there are more or fewer than two.
    """
    if len(series) != 2:
        raise QueryError(f"exactly 2 series are needed, got {len(series)}")
    lower, upper = series
    name = f"{label}({upper.path_expression})"
    tags = {**upper.tags, label: "1"}
    made = [
        s.derive(name, path_expression=s.path_expression, options={"stacked": True, **more})
        for s, more in ((lower, {"invisible": True}), (upper, {"areaBetween": True}))
    ]
    for s in made:
        s.tags = tags
    return made


@function("threshold", _GROUP, Param("value", "float", required=True), _LABEL, _COLOR)
def threshold(
    context: Context, value: float, label: str | None = None, color: str | None = None
) -> list[Series]:
    """A horizontal line with a label and a colour."""
    line = constant(context, value)
    return [
        line.derive(
            label or line.name,
            path_expression=line.path_expression,
            options={"color": color} if color else None,
        )
    ]


@function("verticalLine", _GROUP, Param("ts", "date", required=True), _LABEL, _COLOR)
def vertical_line(
    context: Context, when: str, label: str | None = None, color: str | None = None
) -> list[Series]:
    """A vertical line at a moment inside the window."""
    request = context.request
    moment = parse_time(when, context.request.now, request.tz)
    if not request.start <= moment <= request.end:
        side = "before the start" if moment < request.start else "after the end"
        raise QueryError(f"parameter 'ts': {when[:40]!r} is {side} of the window")
    options: dict[str, object] = {"drawAsInfinite": True}
    if label is None:
        options["unnamed"] = True
    if color:
        options["color"] = color
    series = Series(
        label or "",
        moment,
        moment,
        1,
        np.ones(2),
        x_files_factor=context.x_files_factor,
        tags={"name": str(label)},
        options=options,
    )
    return [series]
