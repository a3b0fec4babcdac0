"""Moving windows (Graphite's group Calculate): each looks back over its window before the start."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from inapp_monitor.query.aggregation import aggregate, aggregate_rows
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.rounding import round_half_even
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.query.timespec import parse_offset

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Calculate"
_WINDOW = Param(
    "windowSize",
    "intOrInterval",
    required=True,
    suggestions=(5, 7, 10, "1min", "5min", "10min", "30min", "1hour"),
)
_X_FILES_FACTOR = Param("xFilesFactor", "float")
#: Cells of the matrix of windows that is made at once.
_CHUNK = 1_000_000
#: Windows up to this many points are summed point by point, as exactly as Python would.
_DIRECT = 512
#: Points after which the time limit is asked for again.
_CHECK_EVERY = 1_000
#: Windows up to this many points are sorted by a network of comparisons.
_NETWORK = 24


@function(
    "movingWindow",
    _GROUP,
    series_list(),
    _WINDOW,
    Param("func", "aggFunc", default="average"),
    _X_FILES_FACTOR,
)
def moving_window(
    context: Context,
    series: list[Series],
    window: int | str,
    func: str = "average",
    x_files_factor: float | None = None,
) -> list[Series]:
    """An aggregate of the values of the window before each point."""
    if not series:
        return []
    preview = preview_seconds(series, window)
    label = "moving" + func.capitalize()
    made = []
    for s in context.again(start=context.request.start - preview):
        points = int(preview // s.step) if isinstance(window, str) else window
        shown = f'"{window}"' if isinstance(window, str) else str(window)
        factor = s.x_files_factor if x_files_factor is None else x_files_factor
        context.budget.spend(len(s))
        made.append(
            s.derive(
                f"{label}({s.name},{shown})",
                windowed(func, s.values, points, factor, context.budget.check_time),
                start=s.start + preview,
                tags={label: window},
                whole=func == "count",
            )
        )
    return made


def preview_seconds(series: list[Series], window: int | str) -> int:
    """How far back a window reaches."""
    if isinstance(window, str):
        return abs(parse_offset(window))
    return int(max(s.step for s in series)) * window


def windowed(
    func: str,
    values: Floats,
    points: int,
    x_files_factor: float,
    check_time: Callable[[], None],
) -> Floats:
    """`func` of `values[i - points:i]` for each i from points + 1 on.

    The time limit is asked for within one series as well: windows of half of a million points each
    are a lot of work.
    """
    count = len(values) - points
    if count <= 0:
        return np.empty(0)
    if points <= 0:
        return np.full(len(values), np.nan)
    values = values[1:]
    known = ~np.isnan(values)
    running = np.concatenate([[0], np.cumsum(known)])
    counts = running[points:] - running[:-points]
    kind = _SPECIAL.get(func)
    with np.errstate(all="ignore"):
        if func == "median":
            result = _medians(values, known, points, counts, check_time)
        elif kind is not None:
            result = kind(values, known, points, counts)
        else:
            result = _generic(func, values, points, check_time)
    result[(counts == 0) | (counts / points < x_files_factor)] = np.nan
    return result


def _sums(values: Floats, known: np.ndarray, points: int, _counts: np.ndarray) -> Floats:
    filled = np.where(known, values, 0.0)
    count = len(values) - points + 1
    if points <= _DIRECT or not np.isfinite(filled).all():
        total = filled[:count].copy()
        for i in range(1, points):
            total += filled[i : i + count]
        return np.asarray(total, dtype=np.float64)
    running = np.concatenate([[np.longdouble(0)], np.cumsum(filled, dtype=np.longdouble)])
    return np.asarray(running[points:] - running[:-points], dtype=np.float64)


def _averages(values: Floats, known: np.ndarray, points: int, counts: np.ndarray) -> Floats:
    return np.asarray(_sums(values, known, points, counts) / counts)


def _extremes(values: Floats, points: int, pick: Callable[..., Floats]) -> Floats:
    """Extremes of all windows by doubling the width: log2(points) passes."""
    width = 1
    while width * 2 <= points:
        values = pick(values[:-width], values[width:])
        width *= 2
    rest = points - width
    return pick(values[: len(values) - rest], values[rest:]) if rest else values.copy()


def _maxima(values: Floats, known: np.ndarray, points: int, _counts: np.ndarray) -> Floats:
    return _extremes(np.where(known, values, -np.inf), points, np.maximum)


def _minima(values: Floats, known: np.ndarray, points: int, _counts: np.ndarray) -> Floats:
    return _extremes(np.where(known, values, np.inf), points, np.minimum)


def _medians(
    values: Floats,
    known: np.ndarray,
    points: int,
    counts: np.ndarray,
    check_time: Callable[[], None],
) -> Floats:
    if points > 64:
        return _medians_by_insertion(values, points, check_time)
    if points <= _NETWORK and known.all():
        return _middles(values, points)
    if points <= _NETWORK:
        columns = _sorted_columns(np.where(known, values, np.inf), points)
        places = np.arange(columns.shape[1])
        low = columns[np.maximum((counts - 1) // 2, 0), places]
        high = columns[np.minimum(counts // 2, points - 1), places]
        return np.asarray((low + high) / 2)
    ordered = np.sort(sliding_window_view(np.where(known, values, np.inf), points), axis=1)
    rows = np.arange(len(ordered))
    lower = ordered[rows, np.maximum((counts - 1) // 2, 0)]
    upper = ordered[rows, np.minimum(counts // 2, points - 1)]
    return np.asarray(np.where(counts % 2 == 1, lower, (lower + upper) / 2))


@lru_cache(maxsize=_NETWORK)
def _network(size: int) -> tuple[tuple[int, int], ...]:
    """Batcher's sorting network: which two of `size` places to compare, in order."""
    pairs = []
    width = 1
    while width < size:
        distance = width
        while distance:
            for start in range(distance % width, size - distance, 2 * distance):
                for i in range(start, start + min(distance, size - start - distance)):
                    if i // (2 * width) == (i + distance) // (2 * width):
                        pairs.append((i, i + distance))
            distance //= 2
        width *= 2
    return tuple(pairs)


@lru_cache(maxsize=_NETWORK)
def _selection(size: int) -> tuple[tuple[int, int, bool, bool], ...]:
    """What of the network the middle needs: two places, and whose outcome is used."""
    needed = {(size - 1) // 2, size // 2}
    steps = []
    for low, high in reversed(_network(size)):
        if low in needed or high in needed:
            steps.append((low, high, low in needed, high in needed))
            needed |= {low, high}
    return tuple(reversed(steps))


def _middles(values: Floats, points: int) -> Floats:
    """The medians of all windows at once, where each value is known."""
    count = len(values) - points + 1
    rows = [values[i : i + count] for i in range(points)]
    for low, high, keeps_low, keeps_high in _selection(points):
        a, b = rows[low], rows[high]
        if keeps_low:
            rows[low] = np.minimum(a, b)
        if keeps_high:
            rows[high] = np.maximum(a, b)
    return np.asarray((rows[(points - 1) // 2] + rows[points // 2]) / 2)


def _sorted_columns(values: Floats, points: int) -> Floats:
    """Each window sorted from top to bottom: all windows at once, comparison by comparison."""
    count = len(values) - points + 1
    rows = [values[i : i + count] for i in range(points)]
    for low, high in _network(points):
        a, b = rows[low], rows[high]
        rows[low], rows[high] = np.minimum(a, b), np.maximum(a, b)
    return np.array(rows)


def _medians_by_insertion(values: Floats, points: int, check_time: Callable[[], None]) -> Floats:
    """A sorted list from which the oldest value leaves and into which the newest comes."""
    items = values.tolist()
    window: list[float] = sorted(v for v in items[: points - 1] if v == v)
    result = np.full(len(items) - points + 1, np.nan)
    for i in range(points - 1, len(items)):
        if not i % _CHECK_EVERY:
            check_time()
        if items[i] == items[i]:
            bisect.insort(window, items[i])
        size = len(window)
        if size:
            middle = size // 2
            result[i - points + 1] = (
                window[middle] if size % 2 else (window[middle - 1] + window[middle]) / 2
            )
        oldest = items[i - points + 1]
        if oldest == oldest:
            del window[bisect.bisect_left(window, oldest)]
    return result


def _generic(func: str, values: Floats, points: int, check_time: Callable[[], None]) -> Floats:
    """Any aggregation, over a matrix of windows made in pieces."""
    windows = sliding_window_view(values, points)
    size = max(1, _CHUNK // points)
    pieces = []
    for i in range(0, len(windows), size):
        check_time()
        rows = np.ascontiguousarray(windows[i : i + size].T)
        pieces.append(aggregate_rows(func, rows, ~np.isnan(rows)))
    return np.concatenate(pieces)


_SPECIAL = {
    "average": _averages,
    "avg": _averages,
    "avg_zero": _averages,
    "sum": _sums,
    "total": _sums,
    "max": _maxima,
    "min": _minima,
}


def _register_named() -> None:
    def make(func: str, noun: str) -> Callable[..., list[Series]]:
        def call(
            context: Context,
            series: list[Series],
            window: int | str,
            x_files_factor: float | None = None,
        ) -> list[Series]:
            return moving_window(context, series, window, func, x_files_factor)

        call.__doc__ = f"The {noun} of the values of the window before each point."
        return call

    for name, func, noun in (
        ("movingAverage", "average", "average"),
        ("movingMedian", "median", "median"),
        ("movingSum", "sum", "sum"),
        ("movingMin", "min", "smallest"),
        ("movingMax", "max", "largest"),
    ):
        function(name, _GROUP, series_list(), _WINDOW, _X_FILES_FACTOR)(make(func, noun))


_register_named()


@function("exponentialMovingAverage", _GROUP, series_list(), _WINDOW)
def exponential_moving_average(
    context: Context, series: list[Series], window: int | str
) -> list[Series]:
    """A moving average in which old values fade; it starts from the average of one window."""
    if not series:
        return []
    preview = preview_seconds(series, window)
    constant = 2.0 / ((preview if isinstance(window, str) else window) + 1)
    made = []
    for s in context.again(start=context.request.start - preview):
        points = int(preview // s.step) if isinstance(window, str) else window
        shown = f'"{window}"' if isinstance(window, str) else str(window)
        context.budget.spend(len(s))
        made.append(
            s.derive(
                f"exponentialMovingAverage({s.name},{shown})",
                _exponential(s.values, points, constant),
                start=s.start + preview,
                tags={"exponentialMovingAverage": window},
            )
        )
    return made


def _exponential(values: Floats, points: int, constant: float) -> Floats:
    average = aggregate("average", values[:points])
    average = average if average == average else 0.0
    result = [average]
    for value in values[points:].tolist():
        if value == value:
            average = constant * value + (1 - constant) * average
            result.append(average)
        else:
            result.append(np.nan)
    return round_half_even(np.array(result), 6)
