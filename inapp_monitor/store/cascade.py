"""What a flush changes in a set of rings: which rows, in which archives, and to what. Pure.

Points go into the finest archive that still holds their interval. A coarser interval is computed
from the finer rows once, when time has passed its end, and again when a late point arrives; until
then readers compute it on the fly. `marks` remember up to where each archive has been rolled up,
and since a rollup is computed from what is stored, doing it twice (after a crash, or by two
processes) changes nothing. Where the finer rows are gone, a late point merges into the coarser row.

The same plan serves the writer, which stores the rows, and readers, which lay them over what is
stored: what is still buffered looks as if it had been written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from inapp_monitor.store.retention import Retention

Row = TypeVar("Row")
Delta_contra = TypeVar("Delta_contra", contravariant=True)
Delta = TypeVar("Delta")


class Rings(Protocol[Row, Delta_contra]):
    """What a plan asks of the rows, whatever they hold."""

    @property
    def retention(self) -> Retention: ...

    def load(self, archive: int, timestamp: int) -> Row | None:
        """The stored row of an interval, None when there is none or it is damaged."""

    def merged(self, row: Row | None, delta: Delta_contra) -> Row:
        """A new row."""

    def rolled_up(self, rows: Sequence[Row | None]) -> Row | None:
        """The row of a coarser interval."""

    def filled(self, row: Row | None, older: Row | None) -> Row | None:
        """`row`, with what only `older` knows."""


class Plan(Generic[Row, Delta]):
    """The rows that a set of deltas leads to.

    Attributes:
        rows: New rows by (archive, start of the interval), in the order to write them.
        base: Where the delta of a time went: its time to (archive, start).
        too_old: Times that no archive holds any more.
        marks: Per archive, up to where it is rolled up; the finest has none (0).
    """

    __slots__ = ("_now", "_rings", "base", "marks", "rows", "too_old")

    def __init__(
        self,
        rings: Rings[Row, Delta],
        deltas: Mapping[int, Delta],
        marks: Sequence[int],
        now: int,
        again: Sequence[tuple[int, int]] = (),
    ) -> None:
        """
        Args:
            rings: Where the rows are.
            deltas: What to add, by start of its finest interval.
            marks: As stored.
            now: Intervals that end at or before it are closed.
            again: (archive, interval) of rows whose rollup an earlier flush could not write.
        """
        self.rows: dict[tuple[int, int], Row] = {}
        self.base: dict[int, tuple[int, int]] = {}
        self.too_old: list[int] = []
        self.marks = list(marks)
        self._rings = rings
        self._now = now
        archives = rings.retention.archives
        changed: list[set[int]] = [set() for _ in archives]
        for archive, timestamp in again:
            changed[archive].add(timestamp)
        self._place(deltas, changed)
        for number in range(1, len(archives)):
            self._roll_up(number, deltas, changed)

    def row(self, archive: int, timestamp: int) -> Row | None:
        """The row of an interval as it will be once the plan is carried out."""
        row = self.rows.get((archive, timestamp))
        return self._rings.load(archive, timestamp) if row is None else row

    def current(self, archive: int, timestamp: int) -> Row | None:
        """The row of an interval, also of one that is not closed yet."""
        if archive == 0 or timestamp < self.marks[archive]:
            return self.row(archive, timestamp)
        archives = self._rings.retention.archives
        step, finer = archives[archive].step, archives[archive - 1].step
        rows = [
            self.current(archive - 1, at)
            for at in range(timestamp, timestamp + step, finer)
            if at <= self._now
        ]
        rows += [None] * (step // finer - len(rows))
        rolled = self._rings.rolled_up(rows)
        return self._rings.filled(rolled, self.row(archive, timestamp))

    def _place(self, deltas: Mapping[int, Delta], changed: list[set[int]]) -> None:
        retention, rings, rows = self._rings.retention, self._rings, self.rows
        for timestamp in sorted(deltas):
            number = retention.archive_for(timestamp, self._now)
            if number is None:
                self.too_old.append(timestamp)
                continue
            start = retention.archives[number].floor(timestamp)
            key = self.base[timestamp] = number, start
            rows[key] = rings.merged(self.row(*key), deltas[timestamp])
            changed[number].add(start)

    def _roll_up(self, number: int, deltas: Mapping[int, Delta], changed: list[set[int]]) -> None:
        """Bring one archive up to date with the finer one."""
        archives = self._rings.retention.archives
        coarse, fine = archives[number], archives[number - 1]
        closed = coarse.floor(self._now)
        held = fine.oldest(self._now)
        mark = min(self.marks[number], closed)
        first = max(mark, coarse.floor(max(held, 0)))
        due = set(range(first, closed, coarse.step))
        for timestamp in changed[number - 1]:
            start = coarse.floor(timestamp)
            if start < closed and (start >= held or start >= mark):
                due.add(start)
        self._merge_beyond(number, held, mark, deltas, changed)
        for start in sorted(due):
            finer = [
                self.row(number - 1, at) for at in range(start, start + coarse.step, fine.step)
            ]
            rolled = self._rings.rolled_up(finer)
            if rolled is None:
                continue
            row = self._rings.filled(rolled, self.row(number, start))
            if row is not None:
                self.rows[number, start] = row
                changed[number].add(start)
        self.marks[number] = closed

    def _merge_beyond(
        self,
        number: int,
        held: int,
        mark: int,
        deltas: Mapping[int, Delta],
        changed: list[set[int]],
    ) -> None:
        """Late points of intervals that the finer archive holds only in part: add them here too."""
        coarse = self._rings.retention.archives[number]
        for timestamp, (archive, _) in self.base.items():
            start = coarse.floor(timestamp)
            if archive < number and start < held and start < mark:
                row = self._rings.merged(self.row(number, start), deltas[timestamp])
                self.rows[number, start] = row
                changed[number].add(start)
