"""Percentiles, deviations, trends and lines (Graphite's group Calculate)."""

from __future__ import annotations

import math
from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.aggregation import aggregate, percentile, sequential_sum
from inapp_monitor.query.functions.special import constant, generated, grid
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.query.timespec import parse_time

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Calculate"


@function("nPercentile", _GROUP, series_list(), Param("n", "float", required=True))
def n_percentile(series: list[Series], n: float) -> list[Series]:
    """The n-th percentile of each series over the whole window, as a horizontal line."""
    if not n:
        raise QueryError("parameter 'n' must be greater than 0, got 0")
    made = []
    for s in series:
        value = percentile(s.values, n)
        if value == value:
            count = max(0, int((s.end - s.start) / s.step))
            name = f"nPercentile({s.name}, {n:g})"
            made.append(s.derive(name, np.full(count, value), tags={"nPercentile": n}))
    return made


@function(
    "aggregateLine",
    _GROUP,
    series_list(),
    Param("func", "aggFunc", default="average"),
    Param("keepStep", "boolean", default=False),
)
def aggregate_line(
    context: Context, series: list[Series], func: str = "average", keep_step: bool = False
) -> list[Series]:
    """An aggregate of each series over the whole window, as a horizontal line."""
    made = []
    for s in series:
        value = aggregate(func, s.values)
        shown = "None" if value != value else f"{value:g}"
        name = f"aggregateLine({s.name}, {shown})"
        if keep_step:
            made.append(s.derive(name, np.full(len(s), value)))
        else:
            line = constant(context, value)
            if value != value:
                line.tags = {"name": "None"}
            elif func == "count":
                line.tags, line.whole = {"name": f"{value:.0f}"}, True
            made.append(line.derive(name))
    return made


@function(
    "stdev",
    _GROUP,
    series_list(),
    Param("points", "integer", required=True),
    Param("windowTolerance", "float", default=0.1),
)
def stdev(series: list[Series], points: int, tolerance: float = 0.1) -> list[Series]:
    """The standard deviation of the last so many points, at each point."""
    if points <= 0:
        raise QueryError(f"parameter 'points' must be greater than 0, got {points}")
    return [
        s.derive(
            f"stdev({s.name},{points})",
            _running(s.values, points, tolerance),
            tags={"stdev": points},
        )
        for s in series
    ]


def _running(values: Floats, points: int, tolerance: float) -> Floats:
    """Running sums, each value leaving before the next one comes, as the reference does."""
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    n = len(values)

    def running(items: Floats) -> Floats:
        changes = np.zeros(2 * n)
        changes[1::2] = items
        changes[2 * points :: 2] = -items[: max(0, n - points)]
        return np.add.accumulate(changes)[1::2]

    with np.errstate(all="ignore"):
        count = running(known.astype(np.float64))
        total, squares = running(filled), running(filled**2)
        variance = count * squares - total**2
        result = np.where(variance >= 0, np.sqrt(variance) / count, np.nan)
    result[(count <= 0) | (count / points < tolerance)] = np.nan
    return result


@function(
    "linearRegression",
    _GROUP,
    series_list(),
    Param("startSourceAt", "date"),
    Param("endSourceAt", "date"),
)
def linear_regression(
    context: Context,
    series: list[Series],
    start_at: str | None = None,
    end_at: str | None = None,
) -> list[Series]:
    """The straight line that fits the values best, by least squares."""
    request = context.request
    start = request.start if start_at is None else parse_time(start_at, context.request.now, UTC)
    end = request.end if end_at is None else parse_time(end_at, context.request.now, UTC)
    made = []
    for source, s in zip(context.again(start, end), series, strict=False):
        fit = _fit(source)
        if fit is None:
            continue
        factor, offset = fit
        times = s.start + np.arange(len(s)) * s.step
        result = s.derive(
            f"linearRegression({s.name}, {start}, {end})",
            np.asarray(offset + times * factor, dtype=np.float64),
            tags={"linearRegressions": f"{start}, {end}"},
        )
        result.consolidation = "average"
        made.append(result)
    return made


def _fit(series: Series) -> tuple[float, float] | None:
    """Slope per second and value at the epoch."""
    index = np.flatnonzero(~np.isnan(series.values))
    values = series.values[index]
    n = len(index)
    places = index.tolist()
    sum_i, sum_ii = sum(places), sum(i * i for i in places)
    denominator = float(n * sum_ii - sum_i * sum_i)
    if not denominator:
        return None
    sum_v, sum_iv = sequential_sum(values), sequential_sum(index * values)
    factor = (n * sum_iv - sum_i * sum_v) / denominator / series.step
    offset = (sum_ii * sum_v - sum_iv * sum_i) / denominator - factor * series.start
    return (factor, offset) if math.isfinite(factor) else None


@function("identity", _GROUP, Param("name", "string", required=True))
def identity(context: Context, name: str) -> list[Series]:
    """The time itself in epoch seconds, one point a minute."""
    series = generated(context, name, 60, grid(context, 60))
    series.path_expression = f'identity("{name}")'
    series.whole = True
    return [series]
