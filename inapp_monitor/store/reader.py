"""Reading: stored rows, and laid over them what is buffered and what is not rolled up yet."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from inapp_monitor.ground.ranges import DistributionRange, ScalarRange
from inapp_monitor.ground.stored_slots import StoredSlots
from inapp_monitor.store.averages import averages
from inapp_monitor.store.buffer import Buffer
from inapp_monitor.store.distributions import DistributionFile
from inapp_monitor.store.flush_plan import Delta, Plan, Row
from inapp_monitor.store.groups import Group, StoredSeries
from inapp_monitor.store.kept_columns import KeptColumns, Settled
from inapp_monitor.store.retention import ArchiveWindow, Retention
from inapp_monitor.store.ring_file import RingFile
from inapp_monitor.store.rollup import HEAD
from inapp_monitor.store.tiles import Tiles

#: Fewer rows are not worth tiles.
_FEW_ROWS = 64
#: What a read asks for: its start, its end, and what time it is.
_Asked = tuple[int, int, int]


class Reader:
    """Answers from the files and the buffer.

    *Threads:* needs the store's I/O lock.

    Attributes:
        settled: What does not change of the past; None where nobody can tell.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self.settled: Settled | None = None
        self._tiles = Tiles()
        self._kept = KeptColumns()
        self._room: Any = None
        self._left = 0

    def fetch(
        self, paths: Sequence[str], start: int, end: int, now: int
    ) -> tuple[dict[str, ScalarRange], OSError | None]:
        """The known ones among some series, and what the disk had against it."""
        with self._buffer.lock:
            known = [self._buffer.series[p] for p in paths if p in self._buffer.series]
        by_group: dict[int, list[StoredSeries]] = {}
        for series in known:
            by_group.setdefault(id(series.group), []).append(series)
        result: dict[str, ScalarRange] = {}
        problem: OSError | None = None
        self._room, self._left = None, sum(1 + series.paired for series in known)
        for members in by_group.values():
            group = members[0].group
            window = group.retention.window(start, end, now)
            if window is None:
                continue
            asked = start, end, now
            try:
                result.update(self._fetch_group(group, members, window, asked))
            except OSError as error:
                problem = error
                result.update(self._fetch_group(group.detached(), members, window, asked))
        self._room = None
        return result, problem

    def fetch_distribution(
        self, distribution: DistributionFile, start: int, end: int, now: int, max_step_s: int
    ) -> tuple[DistributionRange | None, OSError | None]:
        """One distribution, and what the disk had against it."""
        window = distribution.retention.window(start, end, now, max_step_s)
        if window is None:
            return None, None
        asked = start, end, now
        try:
            return self._fetch_slots(distribution, window, asked), None
        except OSError as error:
            return self._fetch_slots(distribution.detached(), window, asked), error

    def _fetch_group(
        self, group: Group, members: list[StoredSeries], window: ArchiveWindow, asked: _Asked
    ) -> dict[str, ScalarRange]:
        columns: list[int] = []
        for series in members:
            columns += [series.column, series.column + 1] if series.paired else [series.column]
        with self._buffer.lock:
            deltas = {at: dict(cells) for at, cells in group.unwritten().items()}
        now = asked[2]
        plan, window = visible(group, deltas, window, asked)
        values = self._columns(group, window, columns, now)
        for timestamp, row in overlay(plan, window, now).items():
            at = (timestamp - window.start) // window.step
            for column, series_values in zip(columns, values, strict=True):
                series_values[at] = row[column + HEAD]
        result = {}
        rest = iter(values)
        _, begin, end, step = window
        for series, first in zip(members, rest, strict=False):
            method = series.method
            known = averages(first, next(rest)) if series.paired else first
            result[series.path] = ScalarRange(
                series.path, begin, end, step, known, method, series.entry.x_files_factor
            )
        return result

    def _columns(
        self, group: Group, window: ArchiveWindow, columns: Sequence[int], now: int
    ) -> Sequence[array[float] | memoryview[float]]:
        """The stored values of some columns; in a part of one array for all that is asked for."""
        some, self._left = len(columns), self._left - len(columns)
        if group.file is not None:
            if self._room is None or len(self._room) < some or self._room.shape[1] != window.length:
                self._room = self._tiles.room(max(self._left, 0) + some, window.length)
            if self._room is not None:
                room, self._room = self._room[:some], self._room[some:]
                self._fill(group, window, columns, room, now)
                return [memoryview(row) for row in room]
        return group.columns_between(window.archive, window.start, window.end, columns)

    def _fill(
        self, group: Group, window: ArchiveWindow, columns: Sequence[int], room: Any, now: int
    ) -> None:
        """The same into an array, with what is kept of it."""

        def read(since: int, part: Any) -> None:
            if part.shape[1] >= _FEW_ROWS:
                self._tiles.fill(group, window.archive, since, columns, part)
                return
            values = group.columns_between(window.archive, since, window.end, columns)
            for row, known in zip(part, values, strict=True):
                row[:] = known

        settled = self.settled
        if settled is None or group.unfinished:
            read(window.start, room)
            return
        marks = group.stored_marks
        before = 0 if now < marks[0] else settled.before  # else the clock was set back
        if window.archive:  # what is not rolled up yet will be, with the past the same
            before = min(before, marks[window.archive])
        self._kept.fill(group, window, columns, settled._replace(before=before), room, read)

    def _fetch_slots(
        self, distribution: DistributionFile, window: ArchiveWindow, asked: _Asked
    ) -> DistributionRange:
        with self._buffer.lock:
            deltas = {at: h.copy() for at, h in distribution.unwritten().items()}
        now = asked[2]
        plan, window = visible(distribution, deltas, window, asked)
        slots = distribution.slots_between(window.archive, window.start, window.end)
        newer = slots.known if isinstance(slots, StoredSlots) else slots
        for timestamp, histogram in overlay(plan, window, now).items():
            newer[(timestamp - window.start) // window.step] = histogram
        return DistributionRange(distribution.path, window.start, window.end, window.step, slots)


def visible(
    stored: RingFile[Row, Delta], deltas: Mapping[int, Delta], window: ArchiveWindow, asked: _Asked
) -> tuple[Plan[Row, Delta], ArchiveWindow]:
    """The plan and the window that answer: no rollup is computed that the window does not show."""
    plan = stored.plan(deltas, asked[2], window.archive, window.end)
    seen = unhidden(plan, stored.retention, window, asked)
    if seen.archive > window.archive:
        plan = stored.plan(deltas, asked[2], seen.archive)
    return plan, seen


def unhidden(
    plan: Plan[Row, Delta], retention: Retention, window: ArchiveWindow, asked: _Asked
) -> ArchiveWindow:
    """The window, or that of a coarser archive where rows of a future time have slots of it.

    The clock was set back: what has been recorded since then is only in the coarser archive.
    """
    archives = retention.archives
    while window.archive + 1 < len(archives) and plan.hides(
        window.archive, window.start, window.end
    ):
        coarser = retention.window(*asked, archives[window.archive + 1].step)
        if coarser is None or coarser.archive <= window.archive:
            break
        window = coarser
    return window


def overlay(plan: Plan[Row, Delta], window: ArchiveWindow, now: int) -> dict[int, Row]:
    """The rows of a window that a plan changes, and those of intervals that are still open."""
    archive = window.archive
    result = {
        at: row
        for (number, at), row in plan.rows.items()
        if number == archive and window.start <= at < window.end
    }
    if archive:
        first = max(plan.marks[archive], window.start)
        for at in range(first, min(window.end, now + 1), window.step):
            row = plan.current(archive, at)
            if row is not None:
                result[at] = row
    return result
