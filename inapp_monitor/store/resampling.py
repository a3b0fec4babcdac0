"""The rows of a group at the steps of another archive list: what a conversion writes.

A stored value belongs to the new interval in which its own interval starts: nothing is lost and
nothing counts twice, whether the new steps are finer, coarser, or no multiples of the old ones.
Each time is taken from the finest archive that still holds it. Where that one knows nothing of a
series, or too little for its xFilesFactor, the next coarser one is asked: files that were imported
or damaged have such holes. An archive whose step stays keeps its own values where it was asked.

Only reads; which columns the rows go into is `maintenance`'s business.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from inapp_monitor.store.groups import Group, StoredSeries
from inapp_monitor.store.retention import Archive, Retention
from inapp_monitor.store.rollup import HEAD, NAN, PAIRED, Column, WeightedCell, aggregate_weighted

_Row: TypeAlias = "array[float]"
_NOTHING: frozenset[int] = frozenset()


class _Point(NamedTuple):
    """A stored row, at the start of its interval.

    Attributes:
        step: Seconds that it stands for.
        absent: First columns of series for which another archive is asked here instead.
    """

    start: int
    step: int
    row: _Row | None
    absent: frozenset[int] = _NOTHING


class Resampler:
    """The values of some series of a group, at the steps of another archive list."""

    def __init__(
        self, group: Group, series: Sequence[StoredSeries], target: Retention, now: int
    ) -> None:
        self._group = group
        self._series = [Column(s.column, s.method, s.entry.x_files_factor) for s in series]
        self._columns = [c for s in series for c in range(s.column, s.column + s.entry.columns)]
        self._all = frozenset(column.first for column in self._series)
        self._target = target
        self._now = now
        self._plan = group.plan({}, now)
        self._latest: tuple[int, list[_Point]] = (-1, [])

    def __call__(self, archive: int, start: int, count: int) -> Sequence[array[float]]:
        """Per column, the values of `count` new intervals."""
        step = self._target.archives[archive].step
        result = [array("d", [NAN]) * count for _ in self._columns]
        cells: dict[int, list[_Point]] = {}
        for point in self._points_between(start, start + count * step):
            cells.setdefault((point.start - start) // step, []).append(point)
        same = next((n for n, ring in enumerate(self._archives) if ring.step == step), None)
        for at, points in cells.items():
            row = self._summary(points)
            if same is not None:
                row = self._kept(same, start + at * step, points, row)
            if row is not None:
                for values, column in zip(result, self._columns, strict=True):
                    values[at] = row[column + HEAD]
        return result

    @property
    def _archives(self) -> tuple[Archive, ...]:
        return self._group.retention.archives

    def _points_between(self, start: int, end: int) -> Iterable[_Point]:
        coarsest = self._archives[-1]
        for at in range(coarsest.floor(start), end, coarsest.step):
            if self._latest[0] != at:
                self._latest = at, self._points(len(self._archives) - 1, at)
            for point in self._latest[1]:
                if start <= point.start < end:
                    yield point

    def _points(self, number: int, start: int) -> list[_Point]:
        """What is known of one interval of an archive, in the finest steps there are."""
        ring = self._archives[number]
        row = self._current(number, start)
        whole = [_Point(start, ring.step, row)]
        if number == 0:
            return whole
        fine = self._archives[number - 1]
        oldest = fine.oldest(self._now)
        if start + ring.step <= oldest:
            return whole
        times = range(max(start, oldest), start + ring.step, fine.step)
        finer = [point for at in times for point in self._points(number - 1, at)]
        if row is None:
            return finer
        rolled = self._summary(finer) if start >= oldest else None
        asked = self._known_only_by(row, rolled)
        if not asked:
            return finer
        return [
            _Point(start, ring.step, row, self._all - asked),
            *(point._replace(absent=point.absent | asked) for point in finer),
        ]

    def _known_only_by(self, row: _Row, other: _Row | None) -> frozenset[int]:
        """First columns of the series of which one row has a value and another one has none."""
        known = (c.first for c in self._series if row[c.first + HEAD] == row[c.first + HEAD])
        if other is None:
            return frozenset(known)
        return frozenset(first for first in known if other[first + HEAD] != other[first + HEAD])

    def _kept(
        self, number: int, start: int, points: Sequence[_Point], row: _Row | None
    ) -> _Row | None:
        """The row of an archive, and what only `row`, the summary of an interval, knows.

        Series for which a coarser archive is asked there get nothing of it: that would count twice.
        """
        kept = self._current(number, start)
        if kept is None:
            return row
        kept = kept[:]
        step = self._archives[number].step
        own = [point for point in points if point.step <= step]
        for column in self._series if not own or any(p.absent for p in own) else ():
            if all(column.first in point.absent for point in own):
                kept[column.first + HEAD] = NAN
                if column.method in PAIRED:
                    kept[column.first + 1 + HEAD] = NAN
        return self._group.filled(kept, row)

    def _current(self, number: int, start: int) -> _Row | None:
        return self._plan.current(number, start) if start <= self._now else None

    def _summary(self, points: Sequence[_Point]) -> _Row | None:
        """One row for all points of an interval."""
        first = points[0]
        if all(p.step == first.step and not p.absent for p in points):
            rows = [point.row for point in points]
            return rows[0] if len(rows) == 1 else self._group.rolled_up(rows)
        result = self._group.layout.empty()
        for column in self._series:
            at = column.first + HEAD
            cells = [
                WeightedCell(p.step, NAN, NAN)
                if p.row is None
                else WeightedCell(p.step, p.row[at], p.row[at + 1] if at + 1 < len(p.row) else NAN)
                for p in points
                if column.first not in p.absent
            ]
            result[at], count = aggregate_weighted(column, cells)
            if count == count:
                result[at + 1] = count
        return result
