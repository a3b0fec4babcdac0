"""Differences of neighbours and running totals (Graphite's group Transform)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.rounding import round_half_even
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.query.timespec import parse_offset

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Transform"
_MAXIMUM = Param("maxValue", "float")
_MINIMUM = Param("minValue", "float")


@function("derivative", _GROUP, series_list())
def derivative(series: list[Series]) -> list[Series]:
    """The difference of each value to the one before."""
    made = []
    for s in series:
        values = np.full(len(s), np.nan)
        with np.errstate(all="ignore"):
            values[1:] = s.values[1:] - s.values[:-1]
        made.append(s.derive(f"derivative({s.name})", values, tags={"derivative": 1}))
    return made


def growth(values: Floats, maximum: float | None, minimum: float | None) -> Floats:
    """Differences of a counter; where it fell it has wrapped at `maximum` or been reset.

    Values above `maximum` or below `minimum` are taken as nulls.
    """
    result = np.full(len(values), np.nan)
    if maximum is None and minimum is None:
        delta = result[1:]
        with np.errstate(invalid="ignore"):
            np.subtract(values[1:], values[:-1], out=delta)
            np.putmask(delta, delta < 0, np.nan)
        return result
    with np.errstate(all="ignore"):
        if maximum is not None:
            values = np.where(values > maximum, np.nan, values)
        if minimum is not None:
            values = np.where(values < minimum, np.nan, values)
        now, before = values[1:], values[:-1]
        delta = now - before
        fell = now < before
        if maximum is not None:
            delta = np.where(fell, maximum + 1 + now - before - (minimum or 0), delta)
        elif minimum is not None:
            delta = np.where(fell, now - minimum, delta)
    if len(values):
        result[1:] = delta
    return result


@function("nonNegativeDerivative", _GROUP, series_list(), _MAXIMUM, _MINIMUM)
def non_negative_derivative(
    series: list[Series], maximum: float | None = None, minimum: float | None = None
) -> list[Series]:
    """The growth of a counter from point to point; null where it fell, unless it may wrap."""
    return [
        s.derive(
            f"nonNegativeDerivative({s.name})",
            growth(s.values, maximum, minimum),
            tags={"nonNegativeDerivative": 1},
        )
        for s in series
    ]


@function("perSecond", _GROUP, series_list(), _MAXIMUM, _MINIMUM)
def per_second(
    series: list[Series], maximum: float | None = None, minimum: float | None = None
) -> list[Series]:
    """The growth of a counter, per second."""
    return [
        s.derive(
            f"perSecond({s.name})",
            round_half_even(growth(s.values, maximum, minimum) / s.step, 6),
            tags={"perSecond": 1},
        )
        for s in series
    ]


@function("integral", _GROUP, series_list())
def integral(series: list[Series]) -> list[Series]:
    """The running total; nulls stay nulls."""
    made = []
    for s in series:
        null = np.isnan(s.values)
        with np.errstate(all="ignore"):
            values = np.where(null, np.nan, np.add.accumulate(np.where(null, 0.0, s.values)))
        made.append(s.derive(f"integral({s.name})", values, tags={"integral": 1}))
    return made


@function(
    "integralByInterval", _GROUP, series_list(), Param("intervalUnit", "interval", required=True)
)
def integral_by_interval(context: Context, series: list[Series], interval: str) -> list[Series]:
    """The running total, starting again from zero at each interval; nulls count as zero."""
    duration = abs(parse_offset(interval))
    if not duration:
        raise QueryError(f"parameter 'intervalUnit' must not be zero, got {interval!r}")
    made = []
    for s in series:
        passed = s.start - context.request.start + np.arange(len(s), dtype=np.int64) * int(s.step)
        resets = passed // duration != (passed - int(s.step)) // duration
        result = _restarted_totals(np.where(np.isnan(s.values), 0.0, s.values), resets)
        name = f"integralByInterval({s.name},'{interval}')"
        made.append(s.derive(name, result, tags={"integralByInterval": interval}))
    return made


def _restarted_totals(values: Floats, resets: NDArray[np.bool_]) -> Floats:
    """Running totals that begin again wherever `resets` says so, and at the first value.

    The intervals are as long as each other, but for the first and last: they are the rows of a
    table, in which all totals run at once.
    """
    if not len(values):
        return values
    begins = np.flatnonzero(resets[1:]) + 1
    starts = np.concatenate([[0], begins])
    lengths = np.diff(np.append(starts, len(values)))
    row = np.repeat(np.arange(len(starts)), lengths)
    column = np.arange(len(values)) - starts[row]
    table = np.zeros((len(starts), int(lengths.max())))
    table[row, column] = values
    with np.errstate(all="ignore"):
        totals = np.add.accumulate(table, axis=1)
    return np.asarray(totals[row, column], dtype=np.float64)
