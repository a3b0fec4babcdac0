"""A group: series of one retention that share a file, a column (or two) each.

Knows columns and rows; which series lives in which group is the catalog's business.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from inapp_monitor.ground.points import Method
from inapp_monitor.store import group_format
from inapp_monitor.store.checked_rows import CheckedRows
from inapp_monitor.store.files import DiskFile
from inapp_monitor.store.group_format import Entry, Geometry, State
from inapp_monitor.store.retention import Retention
from inapp_monitor.store.ring_file import MOST_KEPT, RingFile
from inapp_monitor.store.rollup import COMBINE, HEAD, NAN, PAIRED, Column, Layout
from inapp_monitor.store.run import Run

if TYPE_CHECKING:
    Row = array[float]
else:
    Row = array  # subscripted at run time from Python 3.12 on only
Cells = dict[int, float]


#: Bytes of rows that a reader handles at a time, for few columns: a piece that stays in the
#: processor's cache; and for many: a day of minutes at once, so that a column is one slice.
_PIECE: Final = 2**18
_LARGE_PIECE: Final = 2**22
#: Rows at the end of a range whose checksums are computed each time: somebody may be writing them.
_YOUNG: Final = 3


class StoredSeries:
    """Where a series is, and how its values combine.

    Attributes:
        path: Its name.
        method: Stored when it was made, whatever later points say.
        group: The group that it lives in.
        column: Its (first) column there.
        combine: How two values of one interval become one.
        paired: Whether it has a count column as well.
        entry: As in the column table.
    """

    __slots__ = ("column", "combine", "entry", "group", "method", "paired", "path")

    def __init__(self, entry: Entry, group: Group) -> None:
        self.entry = entry
        self.path = entry.path
        self.method = entry.method
        self.column = entry.column
        self.group = group
        self.combine: Callable[[float, float], float] = COMBINE[entry.method]
        self.paired = entry.method in PAIRED


class Group(RingFile[Row, Cells]):
    """The columns of some series, with or without a file.

    Attributes:
        geometry: Where everything is; None without a file.
        entries: Columns in use, by column number.
        table_version: Of the table as it was read last.
    """

    def __init__(
        self, retention: Retention, file: DiskFile | None, geometry: Geometry | None
    ) -> None:
        super().__init__(retention, file)
        self.geometry = geometry
        self.entries: dict[int, Entry] = {}
        self.table_version = -1
        self.checked_rows = [CheckedRows(archive.points) for archive in retention.archives]
        self._width = 0 if geometry is None else geometry.width
        self._layout: Layout | None = None
        self._run: Run | None = None  # pending too: what came in one piece, and nothing after it
        self._taken: Run | None = None  # writing too
        steps = [archive.step for archive in retention.archives]
        self._kept_rows = min(steps[1] // steps[0], MOST_KEPT) if len(steps) > 1 else 1

    @property
    def kept_rows(self) -> int:
        return self._kept_rows

    # -- waiting values: a run while there is only one, else cells

    @property
    def pending(self) -> dict[int, Cells]:
        """Cells by start of their interval. Guarded by the buffer's lock."""
        if self._run is not None:
            run, self._run = self._run, None
            self._pending[run.timestamp] = run.cells()
        return self._pending

    @pending.setter
    def pending(self, cells: dict[int, Cells]) -> None:
        self._pending, self._run = cells, None

    @property
    def idle(self) -> bool:
        """Whether nothing is pending, so that a run may be."""
        return self._run is None and not self._pending

    def put_run(self, run: Run) -> None:
        """Make a run pending in an idle group. Needs the buffer's lock."""
        self._run = run

    @property
    def waits(self) -> bool:
        return not self.idle or self._taken is not None or bool(self._writing)

    @property
    def writing(self) -> dict[int, Cells]:
        """Cells that a flush is just writing."""
        if self._taken is not None:
            run, self._taken = self._taken, None
            self._writing[run.timestamp] = run.cells()
        return self._writing

    @writing.setter
    def writing(self, cells: dict[int, Cells]) -> None:
        self._writing, self._taken = cells, None

    @property
    def oldest_pending(self) -> int | None:
        return min(self._pending, default=None) if self._run is None else self._run.timestamp

    @property
    def oldest_taken(self) -> int | None:
        return min(self._writing, default=None) if self._taken is None else self._taken.timestamp

    def take(self) -> None:
        if self._run is None or self._writing or self._taken is not None:
            super().take()
        else:
            self._taken, self._run = self._run, None

    def flush(self, now: int, epoch: int) -> list[int]:
        if self._taken is None:
            return super().flush(now, epoch)
        deltas: dict[int, Any] = {self._taken.timestamp: self._taken}
        try:
            return self.carry_out(deltas, self.state_within(epoch), now)
        finally:
            if not deltas:
                self._taken = None

    # -- columns

    @property
    def layout(self) -> Layout:
        """How rows combine; made anew after the columns changed."""
        if self._layout is None:
            self._layout = Layout(
                self._width,
                [Column(e.column, e.method, e.x_files_factor) for e in self.entries.values()],
            )
        return self._layout

    def taken(self) -> bytearray:
        """One byte a column: 1 when it is in use."""
        taken = bytearray(self._width)
        for entry in self.entries.values():
            for column in range(entry.column, entry.column + entry.columns):
                taken[column] = 1
        return taken

    def free_count(self) -> int:
        """How many columns are free."""
        return self.taken().count(0)

    def append(self, path: str, method: Method, x_files_factor: float) -> StoredSeries:
        """Give a series the next column of a group without a file, which is as wide as needed."""
        entry = Entry(self._width, path, method, x_files_factor, 0)
        self._width += entry.columns
        return self.put(entry)

    def put(self, entry: Entry) -> StoredSeries:
        """Note that a column is in use."""
        self.entries[entry.column] = entry
        self._layout = None
        return StoredSeries(entry, self)

    def store_entries(self, entries: Sequence[Entry]) -> None:
        """Write table entries and tell other processes. Needs the store's lock."""
        assert self.file is not None
        for entry in entries:
            offset = group_format.TABLE_OFFSET + entry.column * group_format.ENTRY_SIZE
            self.file.write(group_format.pack_entry(entry), offset)
        self._new_version()
        for entry in entries:
            self.put(entry)

    def _new_version(self) -> None:
        state = self.read_state()
        marks = (0,) * len(self.retention.archives) if state is None else state.marks
        version = (self.table_version if state is None else state.table_version) + 1
        self.write_state(State(version, marks))
        self.table_version = version

    def erase_entry(self, column: int) -> None:
        """Free a column whose entry is damaged. Needs the store's lock."""
        assert self.file is not None
        offset = group_format.TABLE_OFFSET + column * group_format.ENTRY_SIZE
        self.file.write(bytes(group_format.ENTRY_SIZE), offset)

    def erase_entries(self, entries: Sequence[Entry]) -> None:
        """Free the columns of some series and tell other processes. Needs the store's lock."""
        for entry in entries:
            self.erase_entry(entry.column)
            del self.entries[entry.column]
        self._layout = None
        self._new_version()

    def clear(self) -> None:
        """Free all columns and blank all rows. Needs the store's lock."""
        assert self.file is not None and self.geometry is not None
        self.erase_entries(list(self.entries.values()))
        self.file.empty(self.geometry.offsets[0])
        self.forget()

    def load_table(self) -> list[int]:
        """Read the column table when it has changed; returns the numbers of damaged entries."""
        assert self.file is not None and self.geometry is not None
        state = self.read_state()
        if state is not None and state.table_version == self.table_version:
            return []
        size = self.geometry.width * group_format.ENTRY_SIZE
        entries, damaged = group_format.unpack_table(
            self.file.read(size, group_format.TABLE_OFFSET)
        )
        self.entries = {entry.column: entry for entry in entries}
        self._layout = None
        self.table_version = -1 if state is None else state.table_version
        return damaged

    # -- rows

    def offset(self, archive: int, timestamp: int) -> int:
        assert self.geometry is not None
        return self.geometry.row_offset(archive, timestamp)

    def peek(self, archive: int, timestamp: int) -> tuple[array[float] | None, bool]:
        if self.file is None or self.geometry is None:
            return None, False
        data = self.file.read(self.geometry.pitch, self.geometry.row_offset(archive, timestamp))
        claimed = len(data) >= group_format.ROW_HEAD and group_format.row_time(data) == timestamp
        return (group_format.open_row(data, timestamp), True) if claimed else (None, False)

    def stored_time(self, archive: int, timestamp: int) -> int:
        if self.file is None or self.geometry is None:
            return 0
        data = self.file.read(self.geometry.pitch, self.geometry.row_offset(archive, timestamp))
        if len(data) < self.geometry.pitch or not group_format.row_is_intact(data):
            return 0
        return group_format.row_time(data)

    def times(self, archive: int) -> Sequence[int]:
        if self.file is None or self.geometry is None:
            return []
        pitch = self.geometry.pitch
        data = self.file.read(
            self.retention.archives[archive].points * pitch, self.geometry.offsets[archive]
        )
        return group_format.row_times(memoryview(data)[: len(data) // pitch * pitch], pitch)

    def merged(self, row: array[float] | None, delta: Cells | Run) -> array[float]:
        if isinstance(delta, dict):
            return self.layout.merged(row, delta)
        joined = self.layout.joined(row, delta.first, delta.values)
        return self.layout.merged(row, delta.cells()) if joined is None else joined

    def rolled_up(self, rows: Sequence[array[float] | None]) -> array[float] | None:
        return self.layout.rolled_up(rows)

    def filled(self, row: array[float] | None, older: array[float] | None) -> array[float] | None:
        return self.layout.filled(row, older)

    def sealed(self, _archive: int, timestamp: int, row: array[float], /) -> memoryview:
        return memoryview(group_format.seal_row(row, timestamp)).cast("B")

    def joined(self, older: Cells, newer: Cells) -> Cells:
        combine = self.layout.combine
        result = dict(older)
        for column, value in newer.items():
            result[column] = combine[column](result[column], value) if column in result else value
        return result

    def detached(self) -> Group:
        """The same columns and what waits for them, without the file: when the disk refuses."""
        twin = Group(self.retention, None, None)
        twin.entries, twin._width = self.entries, self._width
        twin.pending, twin.writing = self.pending, self.writing
        return twin

    def weigh(self, delta: Cells) -> int:
        return len(delta)

    def columns_between(
        self, archive: int, start: int, end: int, columns: Sequence[int]
    ) -> list[array[float]]:
        """The stored values of some columns, for the intervals from `start` up to `end`.

        *Cost:* reads all columns' rows once, however many are asked for.
        """
        ring = self.retention.archives[archive]
        count = (end - start) // ring.step
        if self.file is None or self.geometry is None:
            return [array("d", [NAN]) * count for _ in columns]
        width = self.geometry.pitch // 8
        rows = max((_PIECE if len(columns) < 16 else _LARGE_PIECE) // self.geometry.pitch, 1)
        piece = self.file.scratch(rows * self.geometry.pitch)
        young = end - _YOUNG * ring.step
        result: list[array[float]] = []
        for first in range(start, end, rows * ring.step):
            some = min(rows, (end - first) // ring.step)
            self._read_rows(archive, first, memoryview(piece)[: some * width], young)
            stop = some * width
            if some == count:  # one slice a column is the answer
                result = [piece[column + HEAD : stop : width] for column in columns]
                break
            result = result or [array("d") for _ in columns]
            for values, column in zip(result, columns, strict=True):
                values.extend(piece[column + HEAD : stop : width])
        if group_format.SWAP:
            for values in result:
                values.byteswap()
        return result

    def _read_rows(self, archive: int, start: int, view: memoryview, young: int) -> None:
        """Fill a buffer with rows; those that are missing or damaged hold NaN only."""
        assert self.geometry is not None
        ring, width = self.retention.archives[archive], self.geometry.pitch // 8
        done, count = 0, len(view) // width
        while done < count:  # twice where the ring wraps
            time = start + done * ring.step
            some = min(count - done, ring.points - ring.slot(time))
            self._read_slots(archive, time, view[done * width : (done + some) * width], young)
            done += some

    def _read_slots(self, archive: int, start: int, view: memoryview, young: int) -> None:
        """The same for rows that lie one after the other."""
        assert self.file is not None and self.geometry is not None
        pitch, ring = self.geometry.pitch, self.retention.archives[archive]
        data = view.cast("B")
        done = self.file.read_into(data, self.geometry.row_offset(archive, start))
        if done < len(data):
            data[done:] = bytes(len(data) - done)
        bad = self.checked_rows[archive].bad_rows(data, pitch, ring, start, young)
        if bad:
            nothing = memoryview(self.layout.empty()).cast("B")
            for number in bad:
                row = data[number * pitch : (number + 1) * pitch]
                time = start + number * ring.step
                known = self.load(archive, time) if group_format.row_time(row) == time else None
                if known is not None and group_format.SWAP:
                    known.byteswap()
                row[:] = nothing if known is None else memoryview(known).cast("B")
