"""Functions of one value at a time, and of neighbouring values (Graphite's group Transform)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.rounding import round_half_even
from inapp_monitor.query.series import Floats, Series

_GROUP = "Transform"
_FACTOR = Param("factor", "float", required=True)


def _each(
    series: list[Series], label: str, change: Callable[[Floats], Floats], tag: object = 1
) -> list[Series]:
    """Apply an elementwise change; `label` names the function in name and tag."""
    made = []
    for s in series:
        with np.errstate(all="ignore"):
            values = change(s.values)
        made.append(s.derive(f"{label}({s.name})", values, tags={label: tag}))
    return made


def _power(values: Floats, factor: float) -> Floats:
    """As `math.pow`, with null where that raises."""
    result = np.power(values, factor)
    finite = np.isfinite(values)
    overflow = np.isinf(result) & finite & math.isfinite(factor)
    domain = (values == 0) & (factor < 0)
    return np.where(overflow | domain | np.isnan(values), np.nan, result)


@function("absolute", _GROUP, series_list())
def absolute(series: list[Series]) -> list[Series]:
    """Drop the sign of every value."""
    return _each(series, "absolute", np.abs)


@function("add", _GROUP, series_list(), Param("constant", "float", required=True))
def add(series: list[Series], constant: float) -> list[Series]:
    """Add a constant to every value."""
    shown = "%d" % constant  # noqa: UP031 - truncates, as the reference implementation does
    return [
        s.derive(f"add({s.name},{shown})", s.values + constant, tags={"add": constant})
        for s in series
    ]


@function("offset", _GROUP, series_list(), _FACTOR)
def offset(series: list[Series], factor: float) -> list[Series]:
    """Shift every value up (or down, when negative) by a constant; nulls stay nulls."""
    return [
        s.derive(f"offset({s.name},{factor:g})", s.values + factor, tags={"offset": factor})
        for s in series
    ]


@function("offsetToZero", _GROUP, series_list())
def offset_to_zero(series: list[Series]) -> list[Series]:
    """Shift each series so that its smallest value becomes zero."""
    made = []
    for s in series:
        known = s.values[~np.isnan(s.values)]
        lowest = float(known.min()) if len(known) else None
        values = s.values if lowest is None else s.values - lowest
        shown = int(lowest) if s.whole and lowest is not None else lowest
        tags: dict[str, object] = {"offsetToZero": shown}
        made.append(s.derive(f"offsetToZero({s.name})", values, tags=tags, whole=s.whole))
    return made


@function("scale", _GROUP, series_list(), _FACTOR)
def scale(series: list[Series], factor: float) -> list[Series]:
    """Multiply every value by a constant."""
    return [
        s.derive(f"scale({s.name},{factor:g})", s.values * factor, tags={"scale": factor})
        for s in series
    ]


@function("scaleToSeconds", _GROUP, series_list(), Param("seconds", "float", required=True))
def scale_to_seconds(series: list[Series], seconds: float) -> list[Series]:
    """Turn values per step into values per this many seconds."""
    shown = "%d" % seconds  # noqa: UP031 - truncates, as the reference implementation does
    return [
        s.derive(
            f"scaleToSeconds({s.name},{shown})",
            round_half_even(s.values * (seconds / s.step), 6),
            tags={"scaleToSeconds": seconds},
        )
        for s in series
    ]


@function("exp", _GROUP, series_list())
def exp(series: list[Series]) -> list[Series]:
    """Raise e to the power of every value; null where that is too large to be a number."""

    def change(values: Floats) -> Floats:
        result = np.exp(values)
        return np.where(np.isinf(result) & np.isfinite(values), np.nan, result)

    return _each(series, "exp", change, "e")


@function("sigmoid", _GROUP, series_list())
def sigmoid(series: list[Series]) -> list[Series]:
    """Squeeze values into 0..1 with the logistic function."""
    return _each(series, "sigmoid", lambda v: 1 / (1 + np.exp(-v)), "sigmoid")


@function("logit", _GROUP, series_list())
def logit(series: list[Series]) -> list[Series]:
    """The inverse of sigmoid: log(x / (1 - x)), null outside of 0..1."""

    def change(values: Floats) -> Floats:
        return np.where((values > 0) & (values < 1), np.log(values / (1 - values)), np.nan)

    return _each(series, "logit", change, "logit")


@function("log", _GROUP, series_list(), Param("base", "integer", default=10, fractions=True))
def log(series: list[Series], base: float = 10) -> list[Series]:
    """The logarithm of every value to a base; null for values that have none."""
    if base <= 0 or base == 1:
        raise ZeroDivisionError(f"parameter 'base' must be positive and not 1, got {base}")
    made = []
    for s in series:
        with np.errstate(all="ignore"):
            values = np.where(s.values > 0, np.log(s.values) / math.log(base), np.nan)
        made.append(s.derive(f"log({s.name}, {base})", values, tags={"log": base}))
    return made


@function("pow", _GROUP, series_list(), _FACTOR)
def pow_(series: list[Series], factor: float) -> list[Series]:
    """Raise every value to a power."""
    made = []
    for s in series:
        with np.errstate(all="ignore"):
            values = _power(s.values, factor)
        made.append(s.derive(f"pow({s.name},{factor:g})", values, tags={"pow": factor}))
    return made


@function("squareRoot", _GROUP, series_list())
def square_root(series: list[Series]) -> list[Series]:
    """The square root of every value; null for negative ones."""
    return _each(series, "squareRoot", lambda v: _power(v, 0.5))


@function("invert", _GROUP, series_list())
def invert(series: list[Series]) -> list[Series]:
    """One divided by every value; null where that is zero."""
    return _each(series, "invert", lambda v: _power(v, -1))


@function("round", _GROUP, series_list(), Param("precision", "integer"))
def round_(series: list[Series], precision: int | None = None) -> list[Series]:
    """Round every value to a number of decimals, halves to the even neighbour."""
    shown = "" if precision is None else f",{precision:g}"
    return [
        s.derive(
            f"round({s.name}{shown})",
            round_half_even(s.values, precision or 0),
            tags={"round": precision or 0},
        )
        for s in series
    ]


@function("minMax", _GROUP, series_list())
def min_max(series: list[Series]) -> list[Series]:
    """Scale each series to 0..1 between its extremes."""
    made = []
    for s in series:
        known = s.values[~np.isnan(s.values)]
        values = s.values
        if len(known):
            low, high = known.min(), known.max()
            with np.errstate(all="ignore"):
                width = high - low
                values = (values - low) / width if width else np.where(np.isnan(values), values, 0)
        made.append(s.derive(f"minMax({s.name})", values))
    return made


@function("isNonNull", _GROUP, series_list())
def is_non_null(series: list[Series]) -> list[Series]:
    """1 where there is a value, 0 where there is none."""
    return [
        s.derive(
            f"isNonNull({s.name})",
            (~np.isnan(s.values)).astype(np.float64),
            tags={"isNonNull": 1},
            whole=True,
        )
        for s in series
    ]


@function(
    "transformNull",
    _GROUP,
    series_list(),
    Param("default", "float", default=0),
    series_list("referenceSeries", required=False),
)
def transform_null(
    series: list[Series], default: float = 0, reference: list[Series] | None = None
) -> list[Series]:
    """Replace nulls by a number; with reference series only where one of them has a value."""
    suffix = ",referenceSeries" if reference else ""
    tags: dict[str, object] = {"transformNull": default}
    if reference:
        tags["referenceSeries"] = 1
    made = []
    for s in series:
        null = np.isnan(s.values)
        replaced = null & _any_known(reference, s) if reference else null
        values = np.where(replaced, float(default), s.values)
        whole = isinstance(default, int) and bool(null.all())  # nothing but the default
        name = f"transformNull({s.name},{default:g}{suffix})"
        made.append(s.derive(name, values, tags=tags, whole=whole))
    return made


def _any_known(reference: list[Series], series: Series) -> np.ndarray:
    """For each value of a series, whether one of the reference series has one at its time."""
    times = series.start + np.arange(len(series)) * series.step
    known = np.zeros(len(series), dtype=bool)
    for s in reference:
        at = (times - s.start) // s.step if s.step else times - s.start
        inside = (at >= 0) & (at < len(s))
        known[inside] |= ~np.isnan(s.values[at[inside].astype(int)])
    return known


_LIMIT = Param("limit", "intOrInf", default=math.inf)


def _gaps(values: Floats) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each value: index of the last and next known one (-1, n: none), length of its gap."""
    n = len(values)
    index = np.arange(n)
    known = ~np.isnan(values)
    before = np.maximum.accumulate(np.where(known, index, -1))
    after = np.minimum.accumulate(np.where(known, index, n)[::-1])[::-1]
    return before, after, after - before - 1


@function("keepLastValue", _GROUP, series_list(), _LIMIT)
def keep_last_value(series: list[Series], limit: float = math.inf) -> list[Series]:
    """Fill gaps of at most `limit` points with the value before; longer gaps stay whole."""
    made = []
    for s in series:
        values = s.values
        if len(values):
            before, _, length = _gaps(values)
            fill = np.isnan(values) & (before >= 0) & (length <= limit)
            values = np.where(fill, values[before], values)
        made.append(s.derive(f"keepLastValue({s.name})", values))
    return made


@function("interpolate", _GROUP, series_list(), _LIMIT)
def interpolate(series: list[Series], limit: float = math.inf) -> list[Series]:
    """Draw a straight line across gaps of at most `limit` points."""
    made = []
    for s in series:
        values = s.values
        n = len(values)
        if n:
            before, after, length = _gaps(values)
            fill = np.isnan(values) & (before >= 0) & (after < n) & (length <= limit)
            left, right = values[before], values[np.minimum(after, n - 1)]
            with np.errstate(all="ignore"):
                line = left + (np.arange(n) - before) * (right - left) / (length + 1)
            values = np.where(fill, line, values)
        made.append(s.derive(f"interpolate({s.name})", values))
    return made


@function("delay", _GROUP, series_list(), Param("steps", "integer", required=True))
def delay(series: list[Series], steps: int) -> list[Series]:
    """Move values to the right by a number of points; nulls come in at the left."""
    made = []
    for s in series:
        n = len(s)
        values = np.full(n, np.nan)
        if 0 <= steps < n:
            values[steps:] = s.values[: n - steps]
        elif -n < steps < 0:
            values[:steps] = s.values[-steps:]
        made.append(s.derive(f"delay({s.name},{steps})", values, tags={"delay": steps}))
    return made
