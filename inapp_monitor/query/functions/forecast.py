"""Holt-Winters forecasts: triple exponential smoothing with a season (Graphite's Calculate)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.functions.graph import band
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.query.timespec import parse_offset

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Calculate"
_ALPHA = _GAMMA = 0.1
_BETA = 0.0035
_DELTA = Param("delta", "integer", default=3, fractions=True)
_BOOTSTRAP = Param("bootstrapInterval", "interval", default="7d", suggestions=("7d", "30d"))
_SEASON = Param("seasonality", "interval", default="1d", suggestions=("1d", "7d"))
#: Points after which the time limit is asked for again.
_CHECK_EVERY = 1_000
#: So many series of one shape are computed together, as columns.
_TOGETHER = 4
#: Numbers from here on may overflow.
_LARGE = 1e100


class Forecast(NamedTuple):
    """What was expected at each point, and how far off that used to be; NaN is null."""

    predictions: Floats
    deviations: Floats


def analyse(rows: Floats, season: int, check_time: Callable[[], None]) -> list[Forecast]:
    """The forecast of each row, `season` points being one season."""
    if len(rows) < _TOGETHER:
        return [_analyse_one(row.tolist(), season, check_time) for row in rows]
    columns = np.ascontiguousarray(rows.T)
    predictions, deviations = _analyse_together(columns, season, check_time)
    return [Forecast(p, d) for p, d in zip(predictions.T, deviations.T, strict=True)]


def _analyse_one(values: list[float], season: int, check_time: Callable[[], None]) -> Forecast:
    n = len(values)
    predictions, deviations = [math.nan] * n, [0.0] * n
    seasonals = [0.0] * (n + 1)
    intercept, slope, following = math.nan, 0.0, math.nan
    for i, actual in enumerate(values):
        if not i % _CHECK_EVERY:
            check_time()
        prediction = following
        if actual != actual:
            predictions[i] = prediction
            intercept, slope, following = math.nan, 0.0, math.nan
            continue
        if i == 0:
            prediction, intercept = actual, actual
        if intercept != intercept:
            intercept = actual
        j = i - season
        last_seasonal = seasonals[j] if j >= 0 else 0.0
        last_deviation = deviations[j] if j >= 0 else 0.0
        before = intercept
        intercept = _ALPHA * (actual - last_seasonal) + (1 - _ALPHA) * (before + slope)
        slope = _BETA * (intercept - before) + (1 - _BETA) * slope
        # The season of the next point is looked up before this point's own is known.
        next_seasonal = seasonals[j + 1] if 0 <= j + 1 < i else 0.0
        seasonals[i] = _GAMMA * (actual - intercept) + (1 - _GAMMA) * last_seasonal
        following = intercept + slope + next_seasonal
        known = 0.0 if prediction != prediction else prediction
        deviations[i] = _GAMMA * abs(actual - known) + (1 - _GAMMA) * last_deviation
        predictions[i] = prediction
    return Forecast(np.array(predictions), np.array(deviations))


def _analyse_together(
    values: Floats, season: int, check_time: Callable[[], None]
) -> tuple[Floats, Floats]:
    """The same arithmetic on all columns at once.

    Only level and slope need the row before them; what else is said of a row needs rows that are
    nearly a season older, so that of fewer rows than a season all are computed together.
    """
    null = np.isnan(values)
    predictions = np.full(values.shape, np.nan)
    predictions[0] = values[0]
    seasonals, deviations = np.zeros(values.shape), np.zeros(values.shape)
    trend, n, many = _Trend(values), len(values), max(season - 1, 1)
    with np.errstate(all="ignore"):
        for begin in range(0, n, many):
            check_time()
            here = slice(begin, begin + many)
            actual = values[here]
            last_seasonals = _rows(seasonals, begin - season, len(actual))
            # The season of the next point is looked up before this point's own is known.
            next_seasonals = _rows(seasonals, begin - season + 1, len(actual))
            levels, slopes = trend.follow(begin, _ALPHA * (actual - last_seasonals))
            following = levels + slopes + next_seasonals  # NaN where the value is null
            predictions[begin + 1 : begin + 1 + many] = following[: n - 1 - begin]
            own = _GAMMA * (actual - levels) + (1 - _GAMMA) * last_seasonals
            seasonals[here] = np.where(null[here], 0.0, own)
            known = np.where(np.isnan(predictions[here]), 0.0, predictions[here])
            last_deviations = _rows(deviations, begin - season, len(actual))
            off = _GAMMA * np.abs(actual - known) + (1 - _GAMMA) * last_deviations
            deviations[here] = np.where(null[here], 0.0, off)
    return predictions, deviations


def _rows(every: Floats, begin: int, count: int) -> Floats:
    """Some rows; zeros in place of those before the first."""
    missing = min(max(-begin, 0), count)
    if not missing:
        return every[begin : begin + count]
    return np.concatenate([np.zeros((missing, every.shape[1])), every[: count - missing]])


class _Trend:
    """Level and slope of all columns, row by row."""

    def __init__(self, values: Floats) -> None:
        self._values = values
        self._null = np.isnan(values)
        # Where a level may be none: after nulls, and after numbers that differences overflow of.
        large = bool((np.abs(values) > _LARGE).any())
        odd = [large or bool(row.any()) for row in self._null]
        self._careful = [here or before for here, before in zip(odd, [True, *odd], strict=False)]
        self._level = np.full(values.shape[1], np.nan)
        self._slope = np.zeros(values.shape[1])

    def follow(self, begin: int, gains: Floats) -> tuple[Floats, Floats]:
        """Level and slope at the next rows; `gains` is what their values add to the level."""
        levels, slopes = np.empty(gains.shape), np.empty(gains.shape)
        before, slope, moved = self._level, self._slope, np.empty(gains.shape[1])
        add, subtract, multiply = np.add, np.subtract, np.multiply
        for i, (gain, level, next_slope) in enumerate(
            zip(gains, levels, slopes, strict=True), begin
        ):
            if self._careful[i]:
                before = np.where(np.isnan(before), self._values[i], before)
            add(before, slope, moved)
            multiply(moved, 1 - _ALPHA, moved)
            add(gain, moved, level)
            subtract(level, before, moved)
            multiply(moved, _BETA, moved)
            multiply(slope, 1 - _BETA, next_slope)
            add(moved, next_slope, next_slope)
            if self._careful[i]:
                np.copyto(next_slope, 0.0, where=self._null[i])
            before, slope = level, next_slope
        self._level, self._slope = before, slope
        return levels, slopes


class _Preview(NamedTuple):
    series: Series
    forecast: Forecast
    start: int


def _previews(context: Context, bootstrap: str, seasonality: str) -> list[_Preview]:
    """The first argument with the bootstrap time before it, and its forecast for the window."""
    preview, season = parse_offset(bootstrap), parse_offset(seasonality)
    if preview < 0 or season <= 0:
        raise QueryError("parameters 'bootstrapInterval' and 'seasonality' must be positive")
    found = context.again(start=context.request.start - preview)
    context.budget.spend(sum(map(len, found)))
    shapes: dict[tuple[int, int], list[int]] = {}
    for i, s in enumerate(found):
        shapes.setdefault((len(s), int(s.step)), []).append(i)
    forecasts: list[Any] = [None] * len(found)
    for (_, step), indices in shapes.items():
        length = season // step
        if not length:
            raise QueryError(f"parameter 'seasonality' must be at least one step ({step} s)")
        rows = np.array([found[i].values for i in indices])
        for i, forecast in zip(
            indices, analyse(rows, length, context.budget.check_time), strict=True
        ):
            forecasts[i] = forecast
    made = []
    for s, forecast in zip(found, forecasts, strict=True):
        skip = preview // int(s.step)
        cut = Forecast(forecast.predictions[skip:], forecast.deviations[skip:])
        made.append(_Preview(s, cut, s.start + preview))
    return made


def _drawn(preview: _Preview, name: str, values: Floats, tags: dict[str, str]) -> Series:
    s = preview.series
    return Series(
        name, preview.start, s.end, s.step, values, x_files_factor=s.x_files_factor, tags=tags
    )


@function("holtWintersForecast", _GROUP, series_list(), _BOOTSTRAP, _SEASON)
def holt_winters_forecast(
    context: Context, _series: list[Series], bootstrap: str = "7d", seasonality: str = "1d"
) -> list[Series]:
    """What the past lets expect at each point, from level, trend and season."""
    made = []
    for preview in _previews(context, bootstrap, seasonality):
        tags = {**preview.series.tags, **_ANALYSED}
        name = f"holtWintersForecast({preview.series.name})"
        made.append(_drawn(preview, name, preview.forecast.predictions, tags))
    return made


#: Tags that every forecast carries.
_ANALYSED = {"holtWintersForecast": "1", "holtWintersDeviation": "1"}


@function("holtWintersConfidenceBands", _GROUP, series_list(), _DELTA, _BOOTSTRAP, _SEASON)
def holt_winters_confidence_bands(
    context: Context,
    _series: list[Series],
    delta: float = 3,
    bootstrap: str = "7d",
    seasonality: str = "1d",
) -> list[Series]:
    """The lowest and highest value to expect at each point: forecast plus or minus deviations."""
    made = []
    for preview in _previews(context, bootstrap, seasonality):
        s = preview.series
        tags = {
            **s.tags,
            **_ANALYSED,
            "holtWintersConfidenceUpper": "1",
            "holtWintersConfidenceLower": "1",
        }
        margin = delta * preview.forecast.deviations
        for side, values in (
            ("Lower", preview.forecast.predictions - margin),
            ("Upper", preview.forecast.predictions + margin),
        ):
            edge = _drawn(preview, f"holtWintersConfidence{side}({s.name})", values, tags)
            edge.path_expression = s.path_expression
            made.append(edge)
    return made


@function("holtWintersAberration", _GROUP, series_list(), _DELTA, _BOOTSTRAP, _SEASON)
def holt_winters_aberration(
    context: Context,
    series: list[Series],
    delta: float = 3,
    bootstrap: str = "7d",
    seasonality: str = "1d",
) -> list[Series]:
    """How far each value lies outside of the confidence bands; 0 inside."""
    bands = {
        s.name: s
        for s in holt_winters_confidence_bands(context, series, delta, bootstrap, seasonality)
    }
    made = []
    for s in series:
        lower = _like(bands.get(f"holtWintersConfidenceLower({s.name})"), s)
        upper = _like(bands.get(f"holtWintersConfidenceUpper({s.name})"), s)
        with np.errstate(all="ignore"):
            above, below = s.values - upper, s.values - lower
            values = np.where(above > 0, above, np.where(below < 0, below, 0.0))
        tags = {**s.tags, "holtWintersAberration": "1"}
        name = f"holtWintersAberration({s.name})"
        made.append(
            Series(name, s.start, s.end, s.step, values, x_files_factor=s.x_files_factor, tags=tags)
        )
    return made


def _like(edge: Series | None, series: Series) -> Floats:
    """The values of an edge, as many as the series has."""
    values = np.full(len(series), np.nan)
    if edge is not None:
        count = min(len(edge), len(series))
        values[:count] = edge.values[:count]
    return values


@function("holtWintersConfidenceArea", _GROUP, series_list(), _DELTA, _BOOTSTRAP, _SEASON)
def holt_winters_confidence_area(
    context: Context,
    series: list[Series],
    delta: float = 3,
    bootstrap: str = "7d",
    seasonality: str = "1d",
) -> list[Series]:
    """The area between the confidence bands of one series."""
    bands = holt_winters_confidence_bands(context, series, delta, bootstrap, seasonality)
    return [s.derive(s.name) for s in band(bands, "holtWintersConfidenceArea")]
