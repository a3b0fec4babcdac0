"""Functions that move series in time or cut them (Graphite's group Transform)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.functions.special import generated, grid
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Series
from inapp_monitor.query.timespec import parse_offset, parse_time

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Transform"
_SHIFTS = ("1h", "6h", "12h", "1d", "2d", "7d", "14d", "30d")
#: Most windows that one timeStack may ask for.
_MAX_STACK = 100


@function(
    "timeShift",
    _GROUP,
    series_list(),
    Param("timeShift", "interval", required=True, suggestions=_SHIFTS),
    Param("resetEnd", "boolean", default=True),
    Param("alignDst", "boolean", default=False, also=("alignDST",)),
)
def time_shift(
    context: Context,
    series: list[Series],
    shift: str,
    reset_end: bool = True,
    align_dst: bool = False,
) -> list[Series]:
    """Draw what the series were some time ago; a shift without a sign goes back."""
    shift = f"-{shift}" if shift[0].isdigit() else shift
    delta = parse_offset(shift)
    if not series:
        return []
    request = context.request
    start, end = request.start + delta, request.end + delta
    if align_dst:
        change = _summer_time(context, request.start, request.end, start, end)
        start, end = start + change, end + change
    first = series[0]
    made = []
    for s in context.again(start, end):
        stop = first.end if reset_end else s.end - s.start + first.start
        made.append(
            s.derive(
                f'timeShift({s.name}, "{shift}")',
                path_expression=s.path_expression,
                start=first.start,
                end=stop,
                tags={"timeShift": shift},
            )
        )
    return made


def _summer_time(context: Context, start: int, end: int, other_start: int, other_end: int) -> int:
    """An hour when one window lies in summer time and the other does not."""

    def summer(moment: int) -> bool:
        return bool(datetime.fromtimestamp(moment, context.request.tz).dst())

    here, there = (summer(start), summer(end)), (summer(other_start), summer(other_end))
    if all(here) and not any(there):
        return 3600
    return -3600 if not any(here) and all(there) else 0


@function(
    "timeStack",
    _GROUP,
    series_list(),
    Param("timeShiftUnit", "interval", default="1d", suggestions=_SHIFTS),
    Param("timeShiftStart", "integer", default=0, fractions=True),
    Param("timeShiftEnd", "integer", default=7, fractions=True),
)
def time_stack(
    context: Context, series: list[Series], unit: str = "1d", first: float = 0, last: float = 7
) -> list[Series]:
    """The series as they were 0, 1, 2, ... units of time ago."""
    unit = f"-{unit}" if unit[0].isdigit() else unit
    delta = parse_offset(unit)
    if last - first > _MAX_STACK:
        raise QueryError(f"at most {_MAX_STACK} shifts are allowed, got {last - first:g}")
    if not series:
        return []
    request = context.request
    made = []
    for shift in range(int(first), int(last)):
        window = request.start + delta * shift, request.end + delta * shift
        made += [
            s.derive(
                f"timeShift({s.name}, {unit}, {shift})",
                start=series[0].start,
                end=series[0].end,
                tags={"timeShiftUnit": unit, "timeShift": shift},
            )
            for s in context.again(*window)
        ]
    return made


@function(
    "timeSlice",
    _GROUP,
    series_list(),
    Param("startSliceAt", "date", required=True),
    Param("endSliceAt", "date", default="now"),
)
def time_slice(
    context: Context, series: list[Series], start_at: str, end_at: str = "now"
) -> list[Series]:
    """Drop the values before and after two moments."""
    start = parse_time(start_at, context.request.now, UTC)
    end = parse_time(end_at, context.request.now, UTC)
    made = []
    for s in series:
        times = context.request.start + np.arange(len(s)) * s.step
        values = np.where((times < start) | (times > end), np.nan, s.values)
        made.append(
            s.derive(
                f"timeSlice({s.name}, {start}, {end})",
                values,
                path_expression=s.path_expression,
                tags={"timeSliceStart": start, "timeSliceEnd": end},
            )
        )
    return made


_NAME = Param("name", "string", required=True)
_STEP = Param("step", "integer", default=60)


@function("timeFunction", _GROUP, _NAME, _STEP, also=("time",))
def time_function(context: Context, name: str, step: int = 60) -> list[Series]:
    """The time itself, in epoch seconds."""
    return [generated(context, name, step, grid(context, step))]


@function(
    "sinFunction",
    _GROUP,
    _NAME,
    Param("amplitude", "integer", default=1, fractions=True),
    _STEP,
    also=("sin",),
)
def sin_function(context: Context, name: str, amplitude: float = 1, step: int = 60) -> list[Series]:
    """The sine of the time in seconds, for trying things out."""
    values = np.array([math.sin(t) * amplitude for t in grid(context, step).tolist()])
    return [generated(context, name, step, values)]
