"""Functions that drop values (Graphite's group Filter Data)."""

from __future__ import annotations

import math

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.aggregation import percentile
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Series

_GROUP = "Filter Data"
_N = Param("n", "float", required=True)


def _check(n: float) -> None:
    if not n:
        raise QueryError("parameter 'n' must be greater than 0, got 0")


def _limit(series: Series, n: float) -> float:
    """The percentile; NaN, so that nothing is dropped, where n is out of range."""
    try:
        return percentile(series.values, n)
    except QueryError:
        return math.nan


def _tags(limit: float, n: float) -> dict[str, object] | None:
    """The limit was found by nPercentile, which leaves its tag where it found one."""
    return {"nPercentile": n} if limit == limit else None


@function("removeAbovePercentile", _GROUP, series_list(), _N)
def remove_above_percentile(series: list[Series], n: float) -> list[Series]:
    """Drop the values above the n-th percentile of each series."""
    _check(n)
    made = []
    for s in series:
        limit = _limit(s, n)
        values = np.where(s.values > limit, np.nan, s.values)
        made.append(
            s.derive(f"removeAbovePercentile({s.name}, {n:g})", values, tags=_tags(limit, n))
        )
    return made


@function("removeBelowPercentile", _GROUP, series_list(), _N)
def remove_below_percentile(series: list[Series], n: float) -> list[Series]:
    """Drop the values below the n-th percentile of each series."""
    _check(n)
    made = []
    for s in series:
        limit = _limit(s, n)
        values = np.where(s.values < limit, np.nan, s.values)
        made.append(
            s.derive(f"removeBelowPercentile({s.name}, {n:g})", values, tags=_tags(limit, n))
        )
    return made


@function("removeAboveValue", _GROUP, series_list(), _N)
def remove_above_value(series: list[Series], n: float) -> list[Series]:
    """Drop the values above a number."""
    return [
        s.derive(f"removeAboveValue({s.name}, {n:g})", np.where(s.values > n, np.nan, s.values))
        for s in series
    ]


@function("removeBelowValue", _GROUP, series_list(), _N)
def remove_below_value(series: list[Series], n: float) -> list[Series]:
    """Drop the values below a number."""
    return [
        s.derive(f"removeBelowValue({s.name}, {n:g})", np.where(s.values < n, np.nan, s.values))
        for s in series
    ]
