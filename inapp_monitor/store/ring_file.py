"""What group files and distribution files have in common: pending deltas, a plan, a flush.

A `RingFile` holds what was added and is not on disk yet, and writes it in one go. It has no file at
all as long as the disk gave it none. What its rows look like is up to its subclasses; who may call
`flush` and when is up to the writer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeVar

from inapp_monitor.ground.clock import sleep
from inapp_monitor.store import group_format
from inapp_monitor.store.files import DiskFile
from inapp_monitor.store.flush_plan import Plan
from inapp_monitor.store.retention import Retention

#: How long a row that does not match its checksum may be in the middle of being written.
_PAUSES_S = (0.0001, 0.0005, 0.002, 0.005, 0.01, 0.03, 0.05)
#: Rows of the finest archive that are kept for their rollup, at most.
MOST_KEPT: Final = 12
#: Damaged rows that are remembered, so as not to wait for them again.
_MOST_DAMAGED = 10_000

Row = TypeVar("Row")
Delta = TypeVar("Delta")


class RingFile(ABC, Generic[Row, Delta]):
    """A set of rings, and the deltas that wait for being written to it.

    Attributes:
        retention: Its archives.
        step: Seconds of the finest interval.
        file: On disk; None when there is none yet.
        pending: Deltas by start of their interval. Guarded by the buffer's lock.
        writing: Deltas that a flush is just writing: still to be seen by readers.
        stored_marks: Until when rollups are stored, by archive, as of the latest plan.

    What this process has written itself it need not read again, as long as nobody else has held
    the store's lock in between: an *epoch* of the lock. Readers, who hold no lock, never use that.
    """

    def __init__(self, retention: Retention, file: DiskFile | None) -> None:
        self.retention = retention
        self.step = retention.step
        self.file = file
        self.pending: dict[int, Delta] = {}
        self.writing: dict[int, Delta] = {}
        self.stored_marks: tuple[int, ...] = ()
        self._again: set[tuple[int, int]] = set()
        self._damaged: set[tuple[int, int]] = set()
        self._epoch = -1
        self._own_rows: dict[int, Row] = {}
        self._own_state: group_format.State | None = None

    @property
    def kept_rows(self) -> int:
        """How many rows of the finest archive are worth keeping within an epoch."""
        return 1

    @abstractmethod
    def offset(self, archive: int, timestamp: int) -> int:
        """Where the row of an interval is."""

    @abstractmethod
    def peek(self, archive: int, timestamp: int) -> tuple[Row | None, bool]:
        """The stored row of an interval, and whether the bytes claim to be one, sound or not."""

    def load(self, archive: int, timestamp: int) -> Row | None:
        """The stored row of an interval.

        Readers take no lock: a row that does not match its checksum may just be in the middle of
        being written, by a process that was interrupted there. So it gets a tenth of a second; then
        it counts as damaged.
        """
        row, claimed = self.peek(archive, timestamp)
        if row is not None or not claimed or (archive, timestamp) in self._damaged:
            return row
        for pause_s in _PAUSES_S:
            sleep(pause_s)
            row, claimed = self.peek(archive, timestamp)
            if row is not None or not claimed:
                return row
        if len(self._damaged) < _MOST_DAMAGED:
            self._damaged.add((archive, timestamp))
        return None

    @abstractmethod
    def stored_time(self, archive: int, timestamp: int) -> int:
        """The time of the intact row in the slot of an interval, whichever it is; 0 for none."""

    def newer(self, archive: int, timestamp: int, now: int) -> bool:
        """Whether the slot of an interval holds a row of the future, but for an absurd one."""
        time = self.stored_time(archive, timestamp)
        return max(timestamp, now) < time <= now + self.retention.longest

    def holds_later(self, archive: int, timestamp: int, now: int) -> bool:
        """Whether the slot of an interval holds a row of a later one, but for an absurd one."""
        return timestamp < self.stored_time(archive, timestamp) <= now + self.retention.longest

    @abstractmethod
    def times(self, archive: int) -> Sequence[int]:
        """The times that all stored rows of an archive claim, in any order."""

    @abstractmethod
    def merged(self, row: Row | None, delta: Delta) -> Row:
        """A new row: `row` with a delta combined into it."""

    @abstractmethod
    def rolled_up(self, rows: Sequence[Row | None]) -> Row | None:
        """The row of a coarser interval."""

    @abstractmethod
    def filled(self, row: Row | None, older: Row | None) -> Row | None:
        """`row`, with what only `older` knows."""

    @abstractmethod
    def sealed(self, archive: int, timestamp: int, row: Row, /) -> bytes | memoryview:
        """The bytes of a row."""

    @abstractmethod
    def joined(self, older: Delta, newer: Delta) -> Delta:
        """Two deltas of one interval as one."""

    @abstractmethod
    def weigh(self, delta: Delta) -> int:
        """Cells that a delta takes in memory."""

    def read_state(self) -> group_format.State | None:
        """Marks and table version as stored; None when damaged or when there is no file."""
        if self.file is None:
            return None
        for pause_s in (0.0, *_PAUSES_S[:3]):
            if pause_s:
                sleep(pause_s)
            data = self.file.read(group_format.STATE_SIZE, group_format.STATE_OFFSET)
            state = group_format.unpack_state(data, len(self.retention.archives))
            if state is not None:
                return state
        return None

    def unwritten(self) -> dict[int, Delta]:
        """All deltas that are not on disk. Needs the buffer's lock."""
        if not self.writing:
            return dict(self.pending)
        result = dict(self.writing)
        for timestamp, delta in self.pending.items():
            older = result.get(timestamp)
            result[timestamp] = delta if older is None else self.joined(older, delta)
        return result

    @property
    def waits(self) -> bool:
        """Whether there is anything that is not on disk. Needs the buffer's lock."""
        return bool(self.pending or self.writing)

    @property
    def oldest_pending(self) -> int | None:
        """Start of the first interval with something pending. Needs the buffer's lock."""
        return min(self.pending, default=None)

    @property
    def oldest_taken(self) -> int | None:
        """Start of the first interval that a flush is just writing."""
        return min(self.writing, default=None)

    def take(self) -> None:
        """Move what is pending to `writing`. Needs the buffer's lock."""
        self.writing, self.pending = self.unwritten(), {}

    def give_back(self) -> None:
        """After a failed flush: what was not written is pending again. Needs the buffer's lock."""
        self.pending, self.writing = self.unwritten(), {}

    def plan(
        self,
        deltas: Mapping[int, Delta],
        now: int,
        last: int | None = None,
        until: int | None = None,
    ) -> Plan[Row, Delta]:
        """What the rows will be with some deltas added.

        Args:
            last: Up to this archive, if not all.
            until: What begins at that time or later is not wanted: of a past that is rolled up
                there is nothing to plan.
        """
        marks, again = self._marks(self.read_state(), now), sorted(self._again)
        self.stored_marks = marks
        if until is not None and last and not (deltas or again):
            coarser = marks[1 : last + 1]
            if marks[0] <= now and all(until <= mark <= now for mark in coarser):
                last = 0
        return Plan(self, deltas, marks, now, again, last=last)

    @property
    def unfinished(self) -> bool:
        """Whether an earlier flush could not write all rollups."""
        return bool(self._again)

    @property
    def oldest_changing(self) -> int | None:
        """Start of the first interval that the next flush changes, but for those that it closes:
        of what `take` set apart, and of rows whose rollup an earlier flush could not write.
        """
        times = [at for _, at in self._again]
        if self.oldest_taken is not None:
            times.append(self.oldest_taken)
        return min(times, default=None)

    def flush(self, now: int, epoch: int) -> list[int]:
        """Write what `take` set apart. Needs the store's lock.

        Deltas leave `writing` one by one as they are written, so that a retry adds none twice.

        Args:
            now: Wall time.
            epoch: The lock's: the same as last time when nobody else has written since.

        Returns:
            Times that were too old for every archive.

        Raises:
            OSError: the disk refused; the rest is still in `writing`.
        """
        return self.carry_out(self.writing, self.state_within(epoch), now)

    def carry_out(
        self, deltas: dict[int, Delta], state: group_format.State | None, now: int
    ) -> list[int]:
        """Write some deltas and what follows from them, each leaving `deltas` once it is written.

        Returns, raises: as `flush`.
        """
        if len(deltas) == 1 and state is not None:
            ((timestamp, delta),) = deltas.items()
            due = self._due(timestamp, state.marks, now)
            if due >= 0:
                self.write_row(0, timestamp, self.merged(self.own_row(0, timestamp), delta))
                deltas.clear()
                if due:
                    self._close_one(state)
                return []
        marks = self._marks(state, now)
        plan = Plan(self, deltas, marks, now, sorted(self._again), self.own_row)
        for timestamp in plan.too_old:
            del deltas[timestamp]
        owners: dict[tuple[int, int], list[int]] = {}
        for timestamp, key in plan.base.items():
            owners.setdefault(key, []).append(timestamp)
        for key, row in plan.rows.items():
            try:
                self.write_row(*key, row)
            except OSError:
                self._remember(plan, key)
                raise
            for timestamp in owners.get(key, ()):
                del deltas[timestamp]
        self._again.clear()
        if state is None or state.marks != tuple(plan.marks):
            version = 0 if state is None else state.table_version
            self.write_state(group_format.State(version, tuple(plan.marks)))
        return plan.too_old

    def state_within(self, epoch: int) -> group_format.State | None:
        """The state; as it was written last when that was in the same epoch of the lock."""
        if epoch != self._epoch:
            self.forget()
            self._epoch = epoch
        if self._own_state is None:
            self._own_state = self.read_state()
        return self._own_state

    def own_row(self, archive: int, timestamp: int) -> Row | None:
        """The stored row of an interval, from memory within an epoch. Not to be changed."""
        row = None if archive else self._own_rows.get(timestamp)
        return self.load(archive, timestamp) if row is None else row

    def forget(self) -> None:
        """Know nothing of what is stored."""
        self._own_state = None
        self._own_rows.clear()

    def _due(self, timestamp: int, marks: Sequence[int], now: int) -> int:
        """What a delta alone leads to beside its row: the usual flush.

        Returns:
            0: nothing; 1: the last interval of the second archive, and no other, has just ended
            before it; -1: something else.
        """
        archives = self.retention.archives
        if now < marks[0] or len(archives) == 1:
            return -1  # the clock was set back, or nothing would tell
        if self._again or timestamp < archives[0].oldest(now):
            return -1
        due = 0
        for number in range(1, len(archives)):
            step, mark = archives[number].step, marks[number]
            closed = now - now % step
            if timestamp < closed:
                return -1
            if mark != closed:
                few = step <= MOST_KEPT * archives[0].step
                if number > 1 or mark != closed - step or not few:
                    return -1
                due = 1
        return due

    def _close_one(self, state: group_format.State) -> None:
        """Roll the first interval up that is not, into the second archive.

        When the disk refuses, the mark says that it is still to be done.
        """
        mark, step = state.marks[1], self.retention.archives[1].step
        rows = [self.own_row(0, at) for at in range(mark, mark + step, self.step)]
        row = self.rolled_up(rows)
        if row is not None:
            filled = self.filled(row, self.load(1, mark))
            assert filled is not None
            self.write_row(1, mark, filled)
        marks = (state.marks[0], mark + step, *state.marks[2:])
        self.write_state(group_format.State(state.table_version, marks))

    def _marks(self, state: group_format.State | None, now: int) -> tuple[int, ...]:
        """As stored; from the beginning when that is lost, so that all rollups are done again."""
        if state is not None:
            return state.marks
        if self.file is None:
            return tuple(archive.floor(now) for archive in self.retention.archives)
        return (0,) * len(self.retention.archives)

    def write_row(self, archive: int, timestamp: int, row: Row) -> None:
        """Store one row."""
        assert self.file is not None
        if archive:
            self.file.write(self.sealed(archive, timestamp, row), self.offset(archive, timestamp))
            return
        own = self._own_rows
        own.pop(timestamp, None)  # whatever becomes of the write
        self.file.write(self.sealed(archive, timestamp, row), self.offset(archive, timestamp))
        while len(own) >= self.kept_rows:
            del own[next(iter(own))]
        own[timestamp] = row

    def write_state(self, state: group_format.State) -> None:
        """Store marks and table version."""
        assert self.file is not None
        self._own_state = None
        self.file.write(group_format.pack_state(state), group_format.STATE_OFFSET)
        self._own_state = state

    def _remember(self, plan: Plan[Row, Delta], failed: tuple[int, int]) -> None:
        """Rollups that a failed flush leaves behind are done again by the next one."""
        reached = False
        for key in plan.rows:
            reached = reached or key == failed
            base = [at for at, where in plan.base.items() if where == key]
            if not reached and base:
                self._again.add(key)
