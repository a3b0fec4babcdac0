"""What a flush changes in a set of rings: which rows, in which archives, and to what. Pure.

Points go into the finest archive that still holds their interval. A coarser interval is computed
from the finer rows once, when time has passed its end, and again when a late point arrives; until
then readers compute it on the fly. `marks` remember up to where each archive has been rolled up,
and since a rollup is computed from what is stored, doing it twice (after a crash, or by two
processes) changes nothing. Where the finer rows are gone, a late point merges into the coarser row.

A clock that was set back meets rows of the time that it has been through already. Where the slot
of an interval holds such a newer row, a delta goes into the next coarser archive, and coarser
intervals that would need that slot take their deltas directly. The mark of the finest archive
remembers until when there may be such rows. What has such a slot was recorded later and stays in
it, also when time has passed it: an interval that lacks it is never rolled up again over its row.

The same plan serves the writer, which stores the rows, and readers, which lay them over what is
stored: what is still buffered looks as if it had been written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

from inapp_monitor.store.retention import Retention

#: Finer rows that are tried one by one; for more it is cheaper to look which rows there are.
_FEW_ROWS: Final = 150

Row = TypeVar("Row")
Delta_contra = TypeVar("Delta_contra", contravariant=True)
Delta = TypeVar("Delta")


class StoredRows(Protocol[Row, Delta_contra]):
    """What a plan asks of the rings that it is for, whatever their rows hold."""

    @property
    def retention(self) -> Retention: ...

    def load(self, archive: int, timestamp: int) -> Row | None:
        """The stored row of an interval, None when there is none or it is damaged."""

    def times(self, archive: int) -> Sequence[int]:
        """The times that all stored rows of an archive claim, in any order."""

    def newer(self, archive: int, timestamp: int, now: int) -> bool:
        """Whether the slot of an interval holds a row of the future: the clock was set back."""

    def holds_later(self, archive: int, timestamp: int, now: int) -> bool:
        """Whether the slot of an interval holds a row of a later one, passed by now or not."""

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
        marks: Per archive, up to where it is rolled up; for the finest, until when there may be
            rows of the future.
    """

    __slots__ = (
        "_behind",
        "_blocked",
        "_changed",
        "_load",
        "_now",
        "_stored",
        "base",
        "marks",
        "rows",
        "too_old",
    )

    def __init__(
        self,
        stored: StoredRows[Row, Delta],
        deltas: Mapping[int, Delta],
        marks: Sequence[int],
        now: int,
        again: Sequence[tuple[int, int]] = (),
        load: Callable[[int, int], Row | None] | None = None,
        last: int | None = None,
    ) -> None:
        """
        Args:
            stored: Where the rows are.
            deltas: What to add, by start of its finest interval.
            marks: As stored.
            now: Intervals that end at or before it are closed.
            again: (archive, interval) of rows whose rollup an earlier flush could not write.
            load: Gives stored rows, if not `stored.load`.
            last: The coarsest archive that is planned for, if not all are: readers of a fine one
                need no rollups beyond it.
        """
        self.rows: dict[tuple[int, int], Row] = {}
        self.base: dict[int, tuple[int, int]] = {}
        self.too_old: list[int] = []
        self.marks = list(marks)
        self._stored = stored
        self._load = load or stored.load
        self._now = max(now, 0)  # before 1970 there is nothing to be late for
        archives = stored.retention.archives
        if len(archives) > 1 and self.marks[1] > archives[1].floor(self._now):
            ahead = self.marks[1] + archives[1].step + archives[0].step
            self.marks[0] = max(self.marks[0], ahead)
        # One archive alone has no marks that could tell.
        self._behind = self._now < self.marks[0] or len(archives) == 1
        self._blocked: dict[tuple[int, int], bool] = {}
        self._changed: list[set[int]] = [set() for _ in archives]
        for archive, timestamp in again:
            self._changed[archive].add(timestamp)
        self._place(deltas)
        for number in range(len(archives) if last is None else last + 1):
            rolled = self._roll_up(number) if number else set()
            self._merge(number, deltas, rolled)

    def row(self, archive: int, timestamp: int) -> Row | None:
        """The row of an interval as it will be once the plan is carried out."""
        row = self.rows.get((archive, timestamp))
        return self._load(archive, timestamp) if row is None else row

    def current(self, archive: int, timestamp: int) -> Row | None:
        """The row of an interval, also of one that is not closed yet."""
        if archive == 0 or timestamp < self.marks[archive] or self._is_blocked(archive, timestamp):
            return self.row(archive, timestamp)
        archives = self._stored.retention.archives
        step, finer = archives[archive].step, archives[archive - 1].step
        rows = [
            self.current(archive - 1, at)
            for at in range(timestamp, timestamp + step, finer)
            if at <= self._now
        ]
        rows += [None] * (step // finer - len(rows))
        rolled = self._stored.rolled_up(rows)
        return self._stored.filled(rolled, self.row(archive, timestamp))

    def _place(self, deltas: Mapping[int, Delta]) -> None:
        """Decide which archive each delta goes into."""
        retention = self._stored.retention
        for timestamp in sorted(deltas):
            number = retention.archive_for(timestamp, self._now)
            while number is not None:
                start = retention.archives[number].floor(timestamp)
                if not self._is_newer(number, start):
                    self.base[timestamp] = number, start
                    break
                number = number + 1 if number + 1 < len(retention.archives) else None
            else:
                self.too_old.append(timestamp)

    def _is_newer(self, number: int, start: int) -> bool:
        return self._behind and self._stored.newer(number, start, self._now)

    def hides(self, number: int, start: int, end: int) -> bool:
        """Whether rows of later intervals have slots that a window is to be read from."""
        archive = self._stored.retention.archives[number]
        first = max(start, archive.oldest(self._now))
        return self._may_be_taken(number, first) and self._has_taken(number, first, end)

    def _is_blocked(self, number: int, start: int) -> bool:
        """Whether later rows have slots that an interval would be rolled up from."""
        if not number:
            return False
        known = self._blocked.get((number, start))
        if known is None:
            end = start + self._stored.retention.archives[number].step
            known = self._may_be_taken(number - 1, start) and self._has_taken(
                number - 1, start, end
            )
            self._blocked[number, start] = known
        return known

    def _may_be_taken(self, number: int, start: int) -> bool:
        """Whether the slots from `start` on are worth looking at, which ordinary ones are not."""
        archive = self._stored.retention.archives[number]
        if start < archive.oldest(self._now):
            return True  # time went round the ring
        if len(self.marks) == 1 or not self.marks[1]:
            return True  # nothing would tell: one archive alone, or marks that were lost
        return start + archive.retention < self.marks[0]

    def _has_taken(self, number: int, start: int, end: int) -> bool:
        """Whether a later row has one of the slots of a time."""
        archive = self._stored.retention.archives[number]
        starts: Sequence[int]
        if end - start <= _FEW_ROWS * archive.step:
            starts = range(start, end, archive.step)
        else:  # where the rows that are there would be in the time
            held = self._stored.times(number)
            places = {start + (at - start) % archive.retention for at in held}
            starts = sorted(at for at in places if at < end)
        return any(self._stored.holds_later(number, at, self._now) for at in starts)

    def _merge(self, number: int, deltas: Mapping[int, Delta], rolled: set[int]) -> None:
        """Add deltas to the rows of one archive, where no rollup brings them in.

        These are the deltas that belong here, and those of intervals that the finer archive holds
        only in part: late ones, and those that newer rows block.
        """
        archives = self._stored.retention.archives
        held = archives[number - 1].oldest(self._now) if number else 0
        for timestamp, (archive, start) in self.base.items():
            if archive > number:
                continue
            if archive < number:
                start = archives[number].floor(timestamp)
                if start in rolled or self._is_newer(number, start):
                    continue
                if start >= held and not self._is_blocked(number, start):
                    continue
            self.rows[number, start] = self._stored.merged(
                self.row(number, start), deltas[timestamp]
            )
            self._changed[number].add(start)

    def _roll_up(self, number: int) -> set[int]:
        """Bring one archive up to date with the finer one; returns the intervals that changed."""
        archives = self._stored.retention.archives
        coarse, fine = archives[number], archives[number - 1]
        closed = coarse.floor(self._now)
        held = fine.oldest(self._now)
        due = self._gap(number, min(self.marks[number], closed), closed)
        for timestamp in self._changed[number - 1]:
            start = coarse.floor(timestamp)
            if held <= start < closed:
                due.add(start)
        rolled = set()
        for start in sorted(due):
            if self._is_newer(number, start) or self._is_complete(number, start):
                continue
            row = self._stored.rolled_up(
                [self.row(number - 1, at) for at in range(start, start + coarse.step, fine.step)]
            )
            row = None if row is None else self._stored.filled(row, self.row(number, start))
            if row is not None:
                self.rows[number, start] = row
                rolled.add(start)
        self._changed[number] |= rolled
        self.marks[number] = closed
        return rolled

    def _is_complete(self, number: int, start: int) -> bool:
        """Whether an interval has been rolled up, and its finer rows are not all there any more.

        Without a row of its own what is left of them is better than nothing.
        """
        if not self._is_blocked(number, start):
            return False
        return self._behind or self.row(number, start) is not None

    def _gap(self, number: int, mark: int, closed: int) -> set[int]:
        """Closed intervals that have not been rolled up."""
        archives = self._stored.retention.archives
        coarse, fine = archives[number], archives[number - 1]
        if closed - mark <= _FEW_ROWS * fine.step:
            return set(range(mark, closed, coarse.step))
        times = [at for at in self._stored.times(number - 1) if mark <= at < closed]
        times += [at for at in self._changed[number - 1] if mark <= at < closed]
        return {coarse.floor(at) for at in times}
