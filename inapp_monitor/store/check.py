"""Whether files are what they must be, and what can be mended.

The invariants: a header that fits its own numbers; the full size, for ever; a readable state and
column table; each row blank, or intact and in its own slot; each closed interval of a coarser
archive equal to the rollup of its finer rows, where these are all still there. `check_directory` is
what `inapp-monitor check` runs and what the property tests run after every step.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from inapp_monitor.ground import private_files
from inapp_monitor.ground.exceptions import FormatError
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.store import distribution_format, group_format, whisper_tree
from inapp_monitor.store.catalog import DIRECTORY, LOCK_NAME
from inapp_monitor.store.distributions import DistributionFile
from inapp_monitor.store.files import Descriptors, DiskFile
from inapp_monitor.store.group_format import State
from inapp_monitor.store.groups import Group
from inapp_monitor.store.lock import StoreLock
from inapp_monitor.store.ring_file import Delta, RingFile, Row
from inapp_monitor.store.rollup import HEAD

Kind = Literal["header", "size", "state", "table", "row", "rollup", "whisper"]
#: Sums of the same numbers in another order differ in the last digits.
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: Path below the data directory.
        kind: Which invariant is broken.
        detail: What was found.
        repaired: What was done about it; "" when nothing was.
    """

    file: str
    kind: Kind
    detail: str
    repaired: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        files: How many files were looked at.
        rows: How many rows with data they hold.
        problems: What is wrong, in the order found.
    """

    files: int
    rows: int
    problems: list[Problem]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check_directory(data_dir: Path, now: float, *, repair: bool = False) -> CheckReport:
    """Check every file of a store, Whisper files included.

    Args:
        data_dir: The data directory; a process may be using it.
        now: Wall time: later intervals than this are not closed.
        repair: Mend what can be mended. Damaged headers are moved aside, damaged rows blanked,
            rollups computed again from the finer rows.

    Raises:
        OSError: the directory or a file cannot be read, or (with `repair`) locked or written.
    """
    checker = _Checker(data_dir, int(now), repair)
    directory = data_dir / DIRECTORY
    lock = StoreLock(directory / LOCK_NAME)
    locked = repair and directory.is_dir()
    if locked:
        lock.acquire(patience_s=10.0)
    try:
        names = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
        for name in names:
            is_ours = name.startswith(("group-", "dist-"))
            # `.new` is being made, or was when its maker was killed: the next writer removes it.
            if is_ours and not name.endswith(".new") and ".bad-" not in name:
                checker.check_file(directory / name)
        if locked and checker.problems:
            lock.set_generation(lock.generation() + 1)
    finally:
        checker.descriptors.close_all()
        lock.close()
    checker.check_whisper(data_dir / whisper_tree.DIRECTORY)
    return CheckReport(checker.files, checker.rows, checker.problems)


class _Checker:
    """The findings of one run."""

    def __init__(self, data_dir: Path, now: int, repair: bool) -> None:
        self.files = self.rows = 0
        self.problems: list[Problem] = []
        self.descriptors = Descriptors()
        self._data_dir = data_dir
        self._now = now
        self._repair = repair

    def check_file(self, path: Path) -> None:
        """All invariants of one file."""
        self.files += 1
        file = DiskFile(path, self.descriptors, read_only=not self._repair)
        rings = self._open(path, file)
        if rings is None:
            return
        size = path.stat().st_size
        if size != file.size:
            done = self._mend(file.mend, "size restored")
            self._note(path, "size", f"{size} bytes instead of {file.size}", done)
        state = self._check_state(path, rings)
        if isinstance(rings, Group):
            self._check_table(path, rings)
        for number in range(len(rings.retention.archives)):
            self._check_rows(path, rings, number)
        if isinstance(rings, Group):
            self._check_rollups(path, rings, state)
        else:
            self._check_rollups(path, rings, state)
        file.close()

    def check_whisper(self, directory: Path) -> None:
        """Headers and sizes of Whisper files; they are never changed."""
        for path in sorted(whisper_tree.walk(directory)):
            self.files += 1
            try:
                header = whisper_tree.read_header(path)
            except (FormatError, OSError) as error:
                self._note(path, "whisper", str(error))
                continue
            size = path.stat().st_size
            if size < header.size:
                self._note(path, "whisper", f"{size} bytes instead of {header.size}")

    def _open(self, path: Path, file: DiskFile) -> Group | DistributionFile | None:
        try:
            page = file.read(group_format.PAGE, 0)
            if path.name.startswith("group-"):
                geometry = group_format.unpack_header(page)
                file.size = geometry.size
                return Group(geometry.retention, file, geometry)
            dist_geometry, name, _ = distribution_format.unpack_header(page)
            file.size = dist_geometry.size
            return DistributionFile(name, dist_geometry.retention, file, dist_geometry)
        except (FormatError, IsADirectoryError, PermissionError) as error:
            done = ""
            if self._repair and not isinstance(error, PermissionError):
                target = private_files.set_aside(path, self._now)
                done = "" if target is None else f"moved to {target.name}"
            self._note(path, "header", str(error), done)
            return None

    def _check_state(self, path: Path, rings: Group | DistributionFile) -> State:
        state = rings.read_state()
        archives = rings.retention.archives
        if state is None:
            state = State(1, (0,) * len(archives))
            fresh = State(self._now, state.marks)
            done = self._mend(partial(rings.write_state, fresh), "written anew")
            self._note(path, "state", "checksum does not match", done)
        for archive, mark in zip(archives[1:], state.marks[1:], strict=True):
            if mark % archive.step:
                self._note(path, "state", f"mark {mark} is not on a step of {archive.step} s")
        return state

    def _check_table(self, path: Path, group: Group) -> None:
        damaged = group.load_table()
        for column in damaged:
            done = self._mend(partial(group.erase_entry, column), "column freed")
            self._note(path, "table", f"entry {column} is damaged", done)
        taken: set[int] = set()
        names: set[str] = set()
        for entry in group.entries.values():
            columns = set(range(entry.column, entry.column + entry.columns))
            if columns & taken or max(columns) >= group.layout.width or entry.path in names:
                self._note(path, "table", f"entry {entry.column} ({entry.path}) overlaps another")
            taken |= columns
            names.add(entry.path)

    def _check_rows(self, path: Path, rings: Group | DistributionFile, archive: int) -> None:
        """Each row is blank, or intact and where it belongs."""
        ring = rings.retention.archives[archive]
        for slot, offset, data in _slots(rings, archive):
            if not any(data):
                continue
            self.rows += 1
            intact, time = _head(rings, data)
            if intact and time % ring.step == 0 and ring.slot(time) == slot:
                continue
            what = "checksum does not match" if not intact else f"holds time {time}"
            blank = bytes(len(data))
            done = self._mend(partial(_overwrite, rings, offset, blank), "blanked")
            self._note(path, "row", f"archive {archive} slot {slot}: {what}", done)

    def _check_rollups(self, path: Path, rings: RingFile[Row, Delta], state: State) -> None:
        """Closed intervals agree with their finer rows, where these are all still there."""
        for number in range(1, len(rings.retention.archives)):
            coarse, fine = rings.retention.archives[number], rings.retention.archives[number - 1]
            closed = min(coarse.floor(self._now), state.marks[number])
            held = fine.oldest(max(self._now, *rings.times(number - 1), 0))
            starts = {coarse.floor(at) for at in rings.times(number - 1)}
            for start in sorted(start for start in starts if held <= start < closed):
                self._check_rollup(path, rings, number, start)

    def _check_rollup(
        self, path: Path, rings: RingFile[Row, Delta], number: int, start: int
    ) -> None:
        coarse, fine = rings.retention.archives[number], rings.retention.archives[number - 1]
        times = range(start, start + coarse.step, fine.step)
        rolled = rings.rolled_up([rings.load(number - 1, at) for at in times])
        stored = rings.load(number, start)
        if isinstance(rings, Group) and isinstance(rolled, array):
            _forget_imported(rings, rolled, start)
        if rolled is None or _agree(rolled, stored):
            return
        row = rings.filled(rolled, stored)
        assert row is not None
        done = self._mend(partial(rings.write_row, number, start, row), "rolled up anew")
        self._note(path, "rollup", f"archive {number} at {start} differs", done)

    def _mend(self, action: Callable[[], object], what: str) -> str:
        if not self._repair:
            return ""
        action()
        return what

    def _note(self, path: Path, kind: Kind, detail: str, repaired: str = "") -> None:
        name = str(path.relative_to(self._data_dir))
        self.problems.append(Problem(name, kind, detail, repaired))


def _slots(rings: Group | DistributionFile, archive: int) -> Iterator[tuple[int, int, memoryview]]:
    """(slot, offset, bytes) of each slot of a ring, read in pieces."""
    assert rings.file is not None and rings.geometry is not None
    size = rings.geometry.slot_size(archive)
    points = rings.retention.archives[archive].points
    offsets = [rings.geometry.offset_of_slot(archive, slot) for slot in range(points)]
    piece = max(2**20 // size, 1)
    for first in range(0, points, piece):
        wanted = offsets[first : first + piece]
        data = memoryview(rings.file.read(wanted[-1] + size - wanted[0], wanted[0]))
        for slot, offset in enumerate(wanted, first):
            yield slot, offset, data[offset - wanted[0] : offset - wanted[0] + size]


def _head(rings: Group | DistributionFile, data: memoryview) -> tuple[bool, int]:
    if len(data) < group_format.ROW_HEAD:
        return False, 0
    if isinstance(rings, Group):
        return group_format.row_is_intact(data), group_format.row_time(data)
    if len(data) < distribution_format.SLOT_HEAD:
        return False, 0
    return distribution_format.slot_is_intact(data), distribution_format.slot_time(data)


def _overwrite(rings: Group | DistributionFile, offset: int, data: bytes) -> None:
    assert rings.file is not None
    rings.file.write(data, offset)


def _forget_imported(group: Group, rolled: array[float], start: int) -> None:
    """Take imported series out of a rollup: Whisper averages averages, and loses late points."""
    for entry in group.entries.values():
        if entry.flags & group_format.FOREIGN and start < entry.created:
            for column in range(entry.column, entry.column + entry.columns):
                rolled[column + HEAD] = math.nan


def _agree(rolled: object, stored: object) -> bool:
    """Whether a stored row holds everything that its finer rows say."""
    if stored is None:
        return False
    if isinstance(rolled, Histogram):
        assert isinstance(stored, Histogram)
        return rolled.count == stored.count and math.isclose(
            rolled.total, stored.total, rel_tol=_TOLERANCE
        )
    assert isinstance(rolled, array) and isinstance(stored, array)
    return all(
        value != value or math.isclose(value, stored[at], rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
        for at, value in enumerate(rolled[HEAD:], HEAD)
    )
