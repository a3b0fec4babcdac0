"""Functions that put series in order (Graphite's group Sorting)."""

from __future__ import annotations

import re

from inapp_monitor.query.aggregation import aggregate
from inapp_monitor.query.functions.filter_series import ranked
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Series

_GROUP = "Sorting"
_REVERSE = Param("reverse", "boolean", default=False)
_DIGITS = re.compile(r"\d+")


@function("sortBy", _GROUP, series_list(), Param("func", "aggFunc", default="average"), _REVERSE)
def sort_by(series: list[Series], func: str = "average", reverse: bool = False) -> list[Series]:
    """Sort by an aggregate, lowest first."""
    return ranked(series, func, reverse=reverse)


@function("sortByTotal", _GROUP, series_list())
def sort_by_total(series: list[Series]) -> list[Series]:
    """Sort by the sum of the values, highest first."""
    return ranked(series, "sum", reverse=True)


@function("sortByMaxima", _GROUP, series_list())
def sort_by_maxima(series: list[Series]) -> list[Series]:
    """Sort by the largest value, highest first."""
    return ranked(series, "max", reverse=True)


@function("sortByMinima", _GROUP, series_list())
def sort_by_minima(series: list[Series]) -> list[Series]:
    """Sort by the smallest value, lowest first; series that are never above zero are dropped."""
    positive = [s for s in series if aggregate("max", s.values) > 0]
    return ranked(positive, "min", reverse=False)


@function("sortByName", _GROUP, series_list(), Param("natural", "boolean", default=False), _REVERSE)
def sort_by_name(
    series: list[Series], natural: bool = False, reverse: bool = False
) -> list[Series]:
    """Sort by name; `natural` puts web2 before web10."""

    def key(s: Series) -> str:
        return _DIGITS.sub(lambda m: m[0].zfill(10), s.name) if natural else s.name

    return sorted(series, key=key, reverse=reverse)
