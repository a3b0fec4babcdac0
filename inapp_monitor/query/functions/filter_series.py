"""Functions that drop series (Graphite's group Filter Series)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.aggregation import aggregate, percentile_rows
from inapp_monitor.query.patterns import Pattern
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Floats, Series

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Filter Series"
_N = Param("n", "float", required=True)
_COUNT = Param("n", "integer", required=True)
_PATTERN = Param("pattern", "string", required=True)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda value, n: value == n,
    "!=": lambda value, n: value != n,
    ">": lambda value, n: value > n,
    ">=": lambda value, n: value >= n,
    "<": lambda value, n: not value >= n,  # a null is less than anything
    "<=": lambda value, n: not value > n,
}


def filtered(series: Sequence[Series], func: str, operator: str, n: float) -> list[Series]:
    """The series whose aggregate compares true; a null aggregate is unequal and below."""
    compare = _OPERATORS[operator]
    return [s for s in series if compare(aggregate(func, s.values), n)]


@function(
    "filterSeries",
    _GROUP,
    series_list(),
    Param("func", "aggFunc", required=True),
    Param("operator", "string", required=True, options=tuple(sorted(_OPERATORS)), strict=True),
    Param("threshold", "float", required=True),
)
def filter_series(series: list[Series], func: str, operator: str, threshold: float) -> list[Series]:
    """Keep the series whose aggregate compares true with a number."""
    return filtered(series, func, operator, threshold)


def _register_filters() -> None:
    def make(func: str, operator: str, description: str) -> Callable[..., list[Series]]:
        def call(series: list[Series], n: float) -> list[Series]:
            return filtered(series, func, operator, n)

        call.__doc__ = description
        return call

    for label, func, noun in (
        ("maximum", "max", "largest value"),
        ("minimum", "min", "smallest value"),
        ("current", "last", "last value"),
        ("average", "average", "average"),
    ):
        for side, operator, word in (("Above", ">", "above"), ("Below", "<=", "at most")):
            description = f"Keep the series whose {noun} is {word} a number."
            register = function(label + side, _GROUP, series_list(), _N)
            register(make(func, operator, description))


_register_filters()


def ranked(series: Sequence[Series], func: str, *, reverse: bool) -> list[Series]:
    """Sorted by an aggregate; series without one count as lowest; equal ones keep their order."""

    def key(s: Series) -> float:
        value = aggregate(func, s.values)
        return value if value == value else -np.inf

    return sorted(series, key=key, reverse=reverse)


_FUNC = Param("func", "aggFunc", default="average")
_SOME = Param("n", "integer", default=1, fractions=True)


@function("highest", _GROUP, series_list(), _SOME, _FUNC)
def highest(series: list[Series], n: float = 1, func: str = "average") -> list[Series]:
    """The n series with the highest aggregate."""
    return ranked(series, func, reverse=True)[: int(n)]


@function("lowest", _GROUP, series_list(), _SOME, _FUNC)
def lowest(series: list[Series], n: float = 1, func: str = "average") -> list[Series]:
    """The n series with the lowest aggregate."""
    return ranked(series, func, reverse=False)[: int(n)]


def _register_ranks() -> None:
    def make(func: str, reverse: bool, description: str) -> Callable[..., list[Series]]:
        def call(series: list[Series], n: float) -> list[Series]:
            return ranked(series, func, reverse=reverse)[: int(n)]

        call.__doc__ = description
        return call

    for name, func, reverse, noun in (
        ("highestAverage", "average", True, "highest average"),
        ("highestCurrent", "last", True, "highest last value"),
        ("highestMax", "max", True, "highest maximum"),
        ("lowestAverage", "average", False, "lowest average"),
        ("lowestCurrent", "last", False, "lowest last value"),
    ):
        param = Param("n", "integer", required=True, fractions=True)
        register = function(name, _GROUP, series_list(), param)
        register(make(func, reverse, f"The n series with the {noun}."))


_register_ranks()


@function("limit", _GROUP, series_list(), _COUNT)
def limit(series: list[Series], n: int) -> list[Series]:
    """The first n series; a negative n leaves out the last ones."""
    return series[:n]


@function("mostDeviant", _GROUP, series_list(), _COUNT)
def most_deviant(series: list[Series], n: int) -> list[Series]:
    """The n series whose values vary most."""
    deviants = []
    for s in series:
        known = s.values[s.values == s.values]
        count = len(known)
        if count:
            distances = known - np.add.reduce(known) / count
            variance = float(np.dot(distances, distances)) / count
            deviants.append((variance if variance == variance else -np.inf, s))
    deviants.sort(key=lambda pair: pair[0], reverse=True)
    return [s for _, s in deviants][:n]


@function("exclude", _GROUP, series_list(), _PATTERN)
def exclude(series: list[Series], pattern: str) -> list[Series]:
    """Drop the series in whose name a regular expression is found."""
    compiled = Pattern(pattern)
    return [s for s in series if not compiled.search(s.name)]


@function("grep", _GROUP, series_list(), _PATTERN)
def grep(series: list[Series], pattern: str) -> list[Series]:
    """Keep the series in whose name a regular expression is found."""
    compiled = Pattern(pattern)
    return [s for s in series if compiled.search(s.name)]


@function("unique", _GROUP, series_list("seriesLists", multiple=True))
def unique(*lists: list[Series]) -> list[Series]:
    """Keep one series of each name."""
    seen: dict[str, Series] = {}
    for each in lists:
        for s in each:
            seen.setdefault(s.name, s)
    return list(seen.values())


@function("removeEmptySeries", _GROUP, series_list(), Param("xFilesFactor", "float"))
def remove_empty_series(series: list[Series], x_files_factor: float | None = None) -> list[Series]:
    """Drop series without values, or with a smaller share of them than xFilesFactor."""
    kept = []
    for s in series:
        known = int((~np.isnan(s.values)).sum())
        if known and known / len(s) >= (x_files_factor or 0):
            kept.append(s)
    return kept


def _bounds(rows: Floats, n: float) -> tuple[Floats, Floats]:
    n = 100 - n if n < 50 else n
    return percentile_rows(rows.copy(), 100 - n), percentile_rows(rows.copy(), n)


@function("averageOutsidePercentile", _GROUP, series_list(), _N)
def average_outside_percentile(series: list[Series], n: float) -> list[Series]:
    """Keep the series whose average is outside of the middle n percent."""
    if not series:
        return []
    averages = np.array([aggregate("average", s.values) for s in series])
    if np.isnan(averages).any():
        empty = series[int(np.isnan(averages).argmax())]
        raise QueryError(f"series {empty.name[:80]!r} has no values; use removeEmptySeries() first")
    low, high = _bounds(averages[:, None], n)
    return [s for s, mean in zip(series, averages, strict=True) if not low[0] < mean < high[0]]


@function("removeBetweenPercentile", _GROUP, series_list(), _N)
def remove_between_percentile(series: list[Series], n: float) -> list[Series]:
    """Keep the series with a value outside of the middle n percent of its step."""
    if not series:
        return []
    width = min(len(s) for s in series)
    rows = np.array([s.values[:width] for s in series])
    for s in series:
        if np.isnan(s.values).any() or len(s) > width:
            raise QueryError(f"series {s.name[:80]!r} has nulls; use transformNull() first")
    low, high = _bounds(rows, n)
    outside = ~((low < rows) & (rows < high))
    return [s for s, steps in zip(series, outside, strict=True) if steps.any()]


@function(
    "useSeriesAbove",
    _GROUP,
    series_list(),
    Param("value", "float", required=True),
    Param("search", "string", required=True),
    Param("replace", "string", required=True),
)
def use_series_above(
    context: Context, series: list[Series], value: float, search: str, replace: str
) -> list[Series]:
    """For each series whose maximum is above a number, the series that its changed name selects."""
    pattern = Pattern(search)
    names = [pattern.sub(replace, s.name) for s in series if aggregate("max", s.values) > value]
    if not names:
        return []
    found = context.evaluate_text(f"group({','.join(names)})")
    return [s for s in found if len(s)]
