"""Functions that make one series of many (Graphite's group Combine)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.aggregation import aggregate_arrays, percentile_rows, resolve
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.query.series_names import grouped, joined_paths

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Combine"
#: Aggregations of counts that are counts.
_KEEP_WHOLE = ("sum", "total", "min", "max", "diff", "last", "current")
_LISTS = series_list("seriesLists", multiple=True)
_FUNC = Param("func", "aggFunc", required=True)
_X_FILES_FACTOR = Param("xFilesFactor", "float")
_POSITION = Param("position", "node", multiple=True)
_FIRST = series_list("seriesListFirstPos")
_SECOND = series_list("seriesListSecondPos")


def combined(
    context: Context, series: Sequence[Series], func: str, x_files_factor: float | None = None
) -> list[Series]:
    """One series: `func` over all values of a step; empty for no series."""
    func = func.removesuffix("Series")
    resolve(func)
    if not series:
        return []
    normalized = context.normalize(series)
    factor = context.x_files_factor if x_files_factor is None else x_files_factor
    values, known = aggregate_arrays(func, normalized.arrays())
    if factor:
        values[known / len(series) < factor] = np.nan
    name = f"{func}Series({joined_paths(normalized.series)})"
    tags = common_tags(normalized.series)
    tags.setdefault("name", name)
    tags["aggregatedBy"] = func
    made = Series(
        name,
        normalized.start,
        normalized.end,
        normalized.step,
        values,
        x_files_factor=factor,
        tags=tags,
        whole=func == "count" or (func in _KEEP_WHOLE and all(s.whole for s in series)),
    )
    return [made]


def common_tags(series: Sequence[Series]) -> dict[str, str]:
    """The tags that all series share."""
    tags = dict(series[0].tags)
    for s in series[1:]:
        if s.tags is not series[0].tags:
            tags = {k: v for k, v in tags.items() if s.tags.get(k) == v}
    return tags


def _flat(lists: Sequence[list[Series]]) -> list[Series]:
    return [s for each in lists for s in each]


def _register_aggregates() -> None:
    """`sumSeries` and its like differ in name, aggregation and description only."""
    table: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
        ("sumSeries", "sum", ("sum",), "Add up all series, step by step."),
        ("averageSeries", "average", ("avg",), "The average of all series, step by step."),
        ("diffSeries", "diff", (), "The first series minus all others."),
        ("stddevSeries", "stddev", (), "The standard deviation of all series, step by step."),
        ("minSeries", "min", (), "The smallest value of all series, step by step."),
        ("maxSeries", "max", (), "The largest value of all series, step by step."),
        ("rangeOfSeries", "rangeOf", (), "Largest minus smallest value of all series."),
    )

    def make(func: str, description: str) -> Callable[..., list[Series]]:
        def call(context: Context, *lists: list[Series]) -> list[Series]:
            return combined(context, _flat(lists), func)

        call.__doc__ = description
        return call

    for name, func, also, description in table:
        function(name, _GROUP, _LISTS, also=also, aggregator=True)(make(func, description))


_register_aggregates()


@function("multiplySeries", _GROUP, _LISTS, aggregator=True)
def multiply_series(context: Context, *lists: list[Series]) -> list[Series]:
    """Multiply all series, step by step; null where one is null."""
    flat = _flat(lists)
    return flat if len(lists) == 1 and len(flat) == 1 else combined(context, flat, "multiply")


@function("powSeries", _GROUP, _LISTS, aggregator=True)
def pow_series(context: Context, *lists: list[Series]) -> list[Series]:
    """The first series to the power of the second, that to the power of the third, and so on."""
    flat = _flat(lists)
    if not flat:
        return []
    normalized = context.normalize(flat)
    values, *others = normalized.arrays()
    with np.errstate(all="ignore"):
        for row in others:
            result = np.power(values, row)
            bad = np.isnan(values) | np.isnan(row) | ((values == 0) & (row < 0))
            bad |= np.isinf(result) & np.isfinite(values) & np.isfinite(row)
            values = np.where(bad, np.nan, result)
    name = f"powSeries({','.join(s.name for s in normalized.series)})"
    return [_made(context, name, normalized.start, normalized.end, normalized.step, values)]


def _made(
    context: Context, name: str, start: int, end: int, step: int, values: Floats, **more: Any
) -> Series:
    return Series(name, start, end, step, values, x_files_factor=context.x_files_factor, **more)


@function("countSeries", _GROUP, series_list("seriesLists", required=False, multiple=True),
          aggregator=True)  # fmt: skip
def count_series(context: Context, *lists: list[Series]) -> list[Series]:
    """How many series there are, nulls included."""
    if not lists:
        request = context.request
        step = (request.end - request.start) // 2
        zeros = np.zeros(3)
        return [
            _made(context, "0", request.start, request.end, step, zeros,
                  path_expression="countSeries()", whole=True)
        ]  # fmt: skip
    flat = _flat(lists)
    if not flat:
        return []
    normalized = context.normalize(flat)
    values = np.full(normalized.width, float(len(flat)))
    name = f"countSeries({joined_paths(normalized.series)})"
    return [
        _made(context, name, normalized.start, normalized.end, normalized.step, values, whole=True)
    ]


@function(
    "percentileOfSeries",
    _GROUP,
    series_list(),
    Param("n", "float", required=True),
    Param("interpolate", "boolean", default=False),
    aggregator=True,
)
def percentile_of_series(
    context: Context, series: list[Series], n: float, interpolate: bool = False
) -> list[Series]:
    """The n-th percentile of all series, step by step."""
    if n <= 0:
        raise QueryError(f"parameter 'n' must be greater than 0, got {n:g}")
    if not series:
        return []
    normalized = context.normalize(series)
    values = percentile_rows(normalized.rows, n, interpolate=interpolate)
    name = f"percentileOfSeries({series[0].path_expression},{n:g})"
    return [_made(context, name, normalized.start, normalized.end, normalized.step, values)]


@function("aggregate", _GROUP, series_list(), _FUNC, _X_FILES_FACTOR)
def aggregate(
    context: Context, series: list[Series], func: str, x_files_factor: float | None = None
) -> list[Series]:
    """Combine all series with the aggregation function of that name."""
    return combined(context, series, func, x_files_factor)


@function("aggregateWithWildcards", _GROUP, series_list(), _FUNC, _POSITION)
def aggregate_with_wildcards(
    context: Context, series: list[Series], func: str, *positions: int
) -> list[Series]:
    """Combine series whose names differ only in the nodes at some positions."""
    groups: dict[str, list[Series]] = {}
    for s in series:
        nodes = s.name.split(".")
        key = ".".join(node for i, node in enumerate(nodes) if i not in positions)
        groups.setdefault(key, []).append(s)
    return [combined(context, group, func)[0].renamed(key) for key, group in groups.items()]


def _register_wildcards() -> None:
    def make(func: str, description: str) -> Callable[..., list[Series]]:
        def call(context: Context, series: list[Series], *positions: int) -> list[Series]:
            return aggregate_with_wildcards(context, series, func, *positions)

        call.__doc__ = description
        return call

    for name, func, verb in (
        ("sumSeriesWithWildcards", "sum", "Add up"),
        ("averageSeriesWithWildcards", "average", "Average"),
        ("multiplySeriesWithWildcards", "multiply", "Multiply"),
    ):
        description = f"{verb} series whose names differ only in the nodes at some positions."
        function(name, _GROUP, series_list(), _POSITION, aggregator=True)(make(func, description))


_register_wildcards()


@function("aggregateSeriesLists", _GROUP, _FIRST, _SECOND, _FUNC, _X_FILES_FACTOR)
def aggregate_series_lists(
    context: Context,
    first: list[Series],
    second: list[Series],
    func: str,
    x_files_factor: float | None = None,
) -> list[Series]:
    """Combine two lists pair by pair."""
    if len(first) != len(second):
        raise QueryError(
            f"both series lists must have the same length, got {len(first)} and {len(second)}"
        )
    made = []
    for a, b in zip(first, second, strict=True):
        for result in combined(context, [a, b], func, x_files_factor):
            label = result.name[: result.name.find("Series(")]
            made.append(result.renamed(f"{label}Series({a.name},{b.name})"))
    return made


def _register_lists() -> None:
    def make(func: str, description: str) -> Callable[..., list[Series]]:
        def call(context: Context, first: list[Series], second: list[Series]) -> list[Series]:
            return aggregate_series_lists(context, first, second, func)

        call.__doc__ = description
        return call

    for name, func, verb in (
        ("sumSeriesLists", "sum", "Add"),
        ("diffSeriesLists", "diff", "Subtract"),
        ("multiplySeriesLists", "multiply", "Multiply"),
    ):
        description = f"{verb} two lists pair by pair."
        function(name, _GROUP, _FIRST, _SECOND, aggregator=True)(make(func, description))


_register_lists()


def quotient(context: Context, dividend: Series, divisor: Series) -> Series:
    """One series divided by another; null where the divisor is zero."""
    normalized = context.normalize([dividend, divisor])
    above, below = normalized.arrays()
    with np.errstate(all="ignore"):
        values = np.where(below == 0, np.nan, above / below)
    name = f"divideSeries({dividend.name},{divisor.name})"
    return _made(context, name, normalized.start, normalized.end, normalized.step, values)


@function("divideSeries", _GROUP, series_list("dividendSeriesList"), series_list("divisorSeries"))
def divide_series(
    context: Context, dividends: list[Series], divisors: list[Series]
) -> list[Series]:
    """Divide every series of a list by one other series."""
    if not divisors:
        return [
            s.derive(f"divideSeries({s.name},MISSING)", np.full(len(s), np.nan)) for s in dividends
        ]
    if len(divisors) > 1:
        raise QueryError(
            f"parameter 'divisorSeries' must be exactly one series, got {len(divisors)}"
        )
    return [quotient(context, dividend, divisors[0]) for dividend in dividends]


@function("divideSeriesLists", _GROUP, series_list("dividendSeriesList"),
          series_list("divisorSeriesList"))  # fmt: skip
def divide_series_lists(
    context: Context, dividends: list[Series], divisors: list[Series]
) -> list[Series]:
    """Divide one list by another, pair by pair."""
    if len(dividends) != len(divisors):
        raise QueryError(
            f"both series lists must have the same length, got {len(dividends)} and {len(divisors)}"
        )
    return [quotient(context, a, b) for a, b in zip(dividends, divisors, strict=True)]


@function(
    "weightedAverage",
    _GROUP,
    series_list("seriesListAvg"),
    series_list("seriesListWeight"),
    Param("nodes", "nodeOrTag", multiple=True),
)
def weighted_average(
    context: Context, averages: list[Series], weights: list[Series], *nodes: int | str
) -> list[Series]:
    """The average of some series weighted by others, matched by nodes of their names."""
    if len(averages) != len(weights):
        raise QueryError(
            f"both series lists must have the same length, got {len(averages)} and {len(weights)}"
        )
    by_key = {key: group[-1] for key, group in grouped(averages, nodes).items()}
    weight_of = {key: group[-1] for key, group in grouped(weights, nodes).items()}
    keys: dict[str, None] = {}
    for average, weight in zip(averages, weights, strict=True):
        for s in (average, weight):
            keys.update(dict.fromkeys(grouped([s], nodes)))
    products = []
    for key in keys:
        if key not in by_key or key not in weight_of:
            continue
        average, weight = by_key[key], weight_of[key]
        values = _padded_product(average.values, weight.values)
        name = f"product({weight.name},{average.name})"
        products.append(_made(context, name, average.start, average.end, average.step, values))
    if not products:
        return []
    total = combined(context, products, "sum")[0]
    weight_total = combined(context, weights, "sum")[0]
    width = max(len(total), len(weight_total))
    above, below = _padded(total.values, width), _padded(weight_total.values, width)
    with np.errstate(all="ignore"):
        values = np.where(below == 0, np.nan, above / below)
    parts = [",".join(sorted({s.path_expression for s in each})) for each in (averages, weights)]
    name = f"weightedAverage({parts[0]}, {parts[1]}, {','.join(map(str, nodes))})"
    return [_made(context, name, total.start, total.end, total.step, values)]


def _padded(values: Floats, width: int) -> Floats:
    if len(values) == width:
        return values
    return np.concatenate([values, np.full(width - len(values), np.nan)])


def _padded_product(a: Floats, b: Floats) -> Floats:
    width = max(len(a), len(b))
    return _padded(a, width) * _padded(b, width)


@function("group", _GROUP, series_list("seriesLists", required=False, multiple=True))
def group(*lists: list[Series]) -> list[Series]:
    """Put several lists together."""
    return _flat(lists)
