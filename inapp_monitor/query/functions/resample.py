"""Functions that make series coarser (Graphite's group Transform)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.aggregation import aggregate_rows, resolve
from inapp_monitor.query.calendar import floor_to
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.query.timespec import parse_offset, unit_name

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Transform"
#: Values that are joined at once.
VALUES_AT_ONCE: Final = 2**15
_INTERVAL = Param("intervalString", "interval", required=True, suggestions=("10min", "1h", "1d"))
_FUNC = Param("func", "aggFunc", default="sum")
_ALIGN_OPTIONS = ("years", "months", "weeks", "days", "hours", "minutes", "seconds", True, False)


def interval_of(text: str) -> int:
    """Seconds of an interval that has to be longer than nothing."""
    interval = parse_offset(text)
    if interval <= 0:
        raise QueryError(f"parameter 'intervalString' must be greater than zero, got {text!r}")
    return interval


def buckets(
    context: Context | None, series: Series, func: str, interval: int, start: int, end: int
) -> Floats:
    """One value for each `interval` from `start` until `end` is reached."""
    values: Floats = _buckets_of(context, [series], func, interval, start, end)[0]
    return values


def _alike(series: Sequence[Series]) -> Iterator[list[Series]]:
    """Neighbours of one grid, some at a time: what is computed at once stays in the cache."""
    for _, every in groupby(series, lambda s: (s.start, s.end, s.step, len(s), s.x_files_factor)):
        alike = list(every)
        most = max(VALUES_AT_ONCE // max(len(alike[0]), 1), 1)
        for begin in range(0, len(alike), most):
            yield alike[begin : begin + most]


def _buckets_of(
    context: Context | None, alike: Sequence[Series], func: str, interval: int, start: int, end: int
) -> Floats:
    """The same of several series of one grid, a row each."""
    resolve(func)
    first, step = alike[0], int(alike[0].step)
    count = max(0, -(-(end - start) // interval))
    if context is not None:
        context.budget.spend(count * len(alike))
    if not len(first) or not count:
        return np.full((len(alike), count), np.nan)
    if count == 1 and len(alike) > 1:  # a single column is summed in another order
        return np.stack([buckets(None, s, func, interval, start, end) for s in alike])
    present: NDArray[np.bool_] | None
    if interval % first.step == 0 and (first.start - start) % first.step == 0:
        rows, present = _aligned(alike, interval // step, start, count)
    elif len(alike) > 1:
        return np.stack([buckets(None, s, func, interval, start, end) for s in alike])
    else:
        rows, present = _scattered(first, interval, start, count)
    result = aggregate_rows(func, rows, present)
    if first.x_files_factor:
        known = (rows == rows).sum(axis=0)
        result[known / (interval / first.step) < first.x_files_factor] = np.nan
    return result.reshape(len(alike), count)


def _aligned(
    alike: Sequence[Series], width: int, start: int, count: int
) -> tuple[Floats, NDArray[np.bool_] | None]:
    """Members by buckets when every bucket holds whole steps, those of each series after those of
    the one before it; None: every cell is a member.
    """
    first, step = alike[0], int(alike[0].step)
    skipped = max((start - first.start) // step, 0)
    lead = max((first.start - start) // step, 0)
    until = min(len(first), max(0, -(-(first.end - first.start) // step)))
    some = max(min(until - skipped, count * width - lead), 0)
    padded = np.empty((len(alike), count * width))
    padded[:, :lead] = padded[:, lead + some :] = np.nan
    for row, series in zip(padded, alike, strict=True):
        row[lead : lead + some] = series.values[skipped : skipped + some]
    rows = np.ascontiguousarray(padded.reshape(-1, width).T)
    if some == count * width:
        return rows, None
    present = np.zeros(padded.shape, dtype=bool)
    present[:, lead : lead + some] = True
    return rows, present.reshape(-1, width).T


def _scattered(
    series: Series, interval: int, start: int, count: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Members by buckets of any other kind."""
    times = series.timestamps()
    index = (times - start) // interval
    begin = int(np.searchsorted(index, 0))
    stop = int(np.searchsorted(index, count))
    values, index = series.values[begin:stop], index[begin:stop]
    if not len(values):
        return np.full((1, count), np.nan), np.zeros((1, count), dtype=bool)
    first = np.searchsorted(index, np.arange(count))
    sizes = np.diff(np.append(first, len(index)))
    width = int(sizes.max())
    rows = np.full((width, count), np.nan)
    position = np.arange(len(index)) - first[index]
    rows[position, index] = values
    return rows, np.arange(width)[:, None] < sizes


@function(
    "summarize",
    _GROUP,
    series_list(),
    _INTERVAL,
    _FUNC,
    Param("alignToFrom", "boolean", default=False),
)
def summarize(
    context: Context, series: list[Series], text: str, func: str = "sum", align: bool = False
) -> list[Series]:
    """Join the values of each interval; intervals start at multiples, or with the series."""
    interval = interval_of(text)
    suffix = ", true" if align else ""
    made = []
    for alike in _alike(series):
        begin, stop = alike[0].start, alike[0].end
        if align:
            start = begin
            end = begin + max(0, -(-(stop - begin) // interval)) * interval
        else:
            start, end = begin - begin % interval, stop - stop % interval + interval
        rows = _buckets_of(context, alike, func, interval, start, end)
        made += [
            s.derive(
                f'summarize({s.name}, "{text}", "{func}"{suffix})',
                values,
                start=start,
                end=end,
                step=interval,
                tags={"summarize": text, "summarizeFunction": func},
                whole=func == "count",
            )
            for s, values in zip(alike, rows, strict=True)
        ]
    return made


@function(
    "smartSummarize",
    _GROUP,
    series_list(),
    _INTERVAL,
    _FUNC,
    Param("alignTo", "string", options=(None, *_ALIGN_OPTIONS)),
)
def smart_summarize(
    context: Context,
    series: list[Series],
    text: str,
    func: str = "sum",
    align: str | bool | None = None,
) -> list[Series]:
    """Join the values of each interval, the first one starting at the window or a calendar unit."""
    interval = interval_of(text)
    if isinstance(align, str):
        day = int(align[-1]) if unit_name(align) == "weeks" and align[-1].isdecimal() else 1
        request = context.request
        start = floor_to(unit_name(align), request.start, request.tz, day)
        series = context.again(start=start)
    made = []
    for s in series:
        values = buckets(context, s, func, interval, s.start, s.end)
        made.append(
            s.derive(
                f'smartSummarize({s.name}, "{text}", "{func}")',
                values,
                end=s.start + len(values) * interval,
                step=interval,
                tags={"smartSummarize": text, "smartSummarizeFunction": func},
                whole=func == "count",
            )
        )
    return made


@function(
    "hitcount", _GROUP, series_list(), _INTERVAL, Param("alignToInterval", "boolean", default=False)
)
def hitcount(
    context: Context, series: list[Series], text: str, align: bool = False
) -> list[Series]:
    """Take values as rates per second and count the hits of each interval."""
    interval = interval_of(text)
    if align:
        request = context.request
        unit = next((u for u, s in (("days", 86_400), ("hours", 3600), ("minutes", 60))
                     if interval >= s), None)  # fmt: skip
        start = floor_to(unit, request.start, request.tz) if unit else request.start
        series = [
            s.derive(end=s.start + (s.end - s.start) // interval * interval + interval)
            for s in context.again(start=start)
        ]
    made = []
    for s in series:
        count = max(0, -(-(s.end - s.start) // interval))
        context.budget.spend(count)
        start = s.end - count * interval
        suffix = ", true" if align else ""
        made.append(
            s.derive(
                f'hitcount({s.name}, "{text}"{suffix})',
                _hits(s, interval, start, count),
                start=start,
                step=interval,
                tags={"hitcount": text},
            )
        )
    return made


def _hits(series: Series, interval: int, start: int, count: int) -> Floats:
    """Value times seconds, each point's seconds divided among the buckets they lie in."""
    step = int(series.step)
    known = np.flatnonzero(~np.isnan(series.values))
    known = known[(series.start - start + known * step) // interval < count]
    values = series.values[known]
    begin = series.start - start + known * step
    first, first_offset = begin // interval, begin % interval
    last, last_offset = (begin + step) // interval, (begin + step) % interval
    beyond = last >= count
    last = np.where(beyond, count - 1, last)
    last_offset = np.where(beyond, interval, last_offset)
    total, hit = np.zeros(count), np.zeros(count, dtype=bool)
    if not count:
        return total

    def put(where: np.ndarray, bucket: np.ndarray, amount: np.ndarray) -> None:
        np.add.at(total, bucket[where], amount[where])
        hit[bucket[where]] = True

    with np.errstate(all="ignore"):
        same = first == last
        put(same & (first >= 0), first, values * (last_offset - first_offset))
        put(~same & (first >= 0), first, values * (interval - first_offset))
        if step > interval:
            for i in np.flatnonzero(last - first > 1):
                between = slice(max(0, first[i] + 1), last[i])
                total[between] += values[i] * interval
                hit[between] = True
        put(~same & (last_offset > 0) & (last >= 0), last, values * last_offset)
    return np.where(hit, total, np.nan)


@function("compressPeriodicGaps", _GROUP, series_list())
def compress_periodic_gaps(series: list[Series]) -> list[Series]:
    """Give a series that has a value only every so many points the step it really has."""
    return [_compressed(s.derive(f"compressPeriodicGaps({s.name})")) for s in series]


def _compressed(series: Series) -> Series:
    known = ~np.isnan(series.values)
    seen = np.flatnonzero(known)
    if len(seen) < 2:
        return series
    first, distance = int(seen[0]), int(seen[1] - seen[0])
    third = int(seen[1]) + distance
    if distance < 2 or third > len(series) - 2:
        return series
    if not known[third] or known[third - 1] or known[third + 1]:
        return series
    interval = distance * int(series.step)
    start = series.start + first * int(series.step)
    values = buckets(None, series, "last", interval, start, series.end)
    end = start + interval * (len(values) - 1)
    return series.derive(values=values, start=start, end=end, step=interval)
