"""The log file `DATA_DIR/logs`: fixed in size, shared by all workers, the oldest rows overwritten.

Who writes has the lock for that moment; who finds it taken tries at the next tick. Readers take
none: a row that is being written fails its checksum and is not there yet. What rows mean is not
known here; the bytes are described in `ring_format`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from inapp_monitor.ground import data_directory, private_files
from inapp_monitor.ground.file_lock import LockFile
from inapp_monitor.logs import ring_format
from inapp_monitor.logs.ring_format import BLOCK_BYTES, END, HEADER_BYTES

FILE_NAME = "logs"


class Row(NamedTuple):
    """A row and the place where it ends: later rows have higher ones, in all workers."""

    cursor: int
    data: bytes


class LogFile:
    """The log file of one data directory.

    Args:
        data_dir: Its directory.
        size_bytes: Its size; at least two blocks are made.

    *Threads:* `append` is for one thread at a time, reading for any.
    """

    def __init__(self, data_dir: Path, size_bytes: int) -> None:
        self._path = data_dir / FILE_NAME
        self._blocks = max(size_bytes // BLOCK_BYTES, 2)
        self._number, self._end = 0, 0  # where this process wrote last

    def append(self, rows: Sequence[bytes]) -> bool:
        """Write rows, each of at most `ring_format.MAX_ROW_BYTES`.

        Returns:
            False when another process is writing: nothing is written.

        Raises:
            OSError: they cannot be written.
        """
        data_directory.prepare(self._path.parent)
        with self._locked() as descriptor:
            if descriptor is None:
                return False
            self._append(descriptor, rows)
            return True

    def clear(self) -> bool:
        """Forget all rows; cursors go on rising.

        Returns:
            False when another process is writing: nothing is forgotten.

        Raises:
            OSError: the file cannot be written.
        """
        if not self._path.exists():
            return True
        with self._locked() as descriptor:
            if descriptor is None:
                return False
            size = os.fstat(descriptor).st_size
            number = self._find_end(descriptor)[0] + 1
            os.ftruncate(descriptor, 0)
            os.ftruncate(descriptor, size)
            beginning = ring_format.header(number) + END
            private_files.write_at(descriptor, beginning, self._place(number))
            self._number, self._end = number, HEADER_BYTES
            return True

    @contextmanager
    def _locked(self) -> Iterator[int | None]:
        """The file, open for writing; None while another process writes."""
        lock = LockFile(self._path.with_suffix(".lock"))
        try:
            if not lock.acquire():
                yield None
                return
            descriptor = private_files.open_for_update(self._path)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        finally:
            lock.close()

    def _append(self, descriptor: int, rows: Sequence[bytes]) -> None:
        if os.fstat(descriptor).st_size != self._blocks * BLOCK_BYTES:
            os.ftruncate(descriptor, self._blocks * BLOCK_BYTES)
        number, end = self._find_end(descriptor)
        pieces: list[bytes] = []
        size = 0
        for row in rows:
            framed = ring_format.frame(number, row)
            if end + size + len(framed) > BLOCK_BYTES:
                self._put(descriptor, number, end, pieces)
                number, end, pieces, size = number + 1, 0, [ring_format.header(number + 1)], 0
                size = HEADER_BYTES
                framed = ring_format.frame(number, row)
            pieces.append(framed)
            size += len(framed)
        self._put(descriptor, number, end, pieces)
        self._number, self._end = number, end + size

    def _put(self, descriptor: int, number: int, offset: int, pieces: list[bytes]) -> None:
        data = b"".join(pieces)
        data = (data + END)[: BLOCK_BYTES - offset]
        private_files.write_at(descriptor, data, self._place(number) + offset)

    def _find_end(self, descriptor: int) -> tuple[int, int]:
        """The newest block and where its last frame ends; a first block where there is none."""
        number, start = self._number, self._end
        if not number or _number_at(descriptor, self._place(number)) != number:
            places = _places(descriptor)
            number, start = max(places, default=0), HEADER_BYTES
            if places.get(number, -1) != self._place(number):  # none, or of another size of file
                number += 1
                beginning = ring_format.header(number) + END
                private_files.write_at(descriptor, beginning, self._place(number))
        while _number_at(descriptor, self._place(number + 1)) == number + 1:
            number, start = number + 1, HEADER_BYTES
        block = os.pread(descriptor, BLOCK_BYTES, self._place(number))
        for end, _ in ring_format.frames(block, start):
            start = end
        return number, start

    def rows(self, *, after: int = 0) -> Iterator[Row]:
        """All rows, the newest first; with `after`, those beyond a row's cursor."""
        try:
            descriptor = private_files.open_file(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            for number, place in sorted(_places(descriptor).items(), reverse=True):
                if (number + 1) * BLOCK_BYTES <= after:
                    return
                yield from _rows_of(descriptor, number, place, after)
        finally:
            os.close(descriptor)

    def oldest(self) -> list[bytes]:
        """The rows of the oldest block, the oldest first."""
        try:
            descriptor = private_files.open_file(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return []
        try:
            for number, place in sorted(_places(descriptor).items()):
                found = [row.data for row in _rows_of(descriptor, number, place, 0)]
                if found:
                    return found[::-1]
            return []
        finally:
            os.close(descriptor)

    def _place(self, number: int) -> int:
        return (number - 1) % self._blocks * BLOCK_BYTES


def _rows_of(descriptor: int, number: int, place: int, after: int) -> Iterator[Row]:
    block = os.pread(descriptor, BLOCK_BYTES, place)
    if ring_format.number_of(block) != number:  # overwritten meanwhile
        return
    first = number * BLOCK_BYTES
    start = max(after - first, HEADER_BYTES)
    found = [Row(first + end, data) for end, data in ring_format.frames(block, start)]
    yield from reversed(found)


def _places(descriptor: int) -> dict[int, int]:
    """Where each block is, by its number."""
    places = range(0, os.fstat(descriptor).st_size, BLOCK_BYTES)
    found = {_number_at(descriptor, place): place for place in places}
    found.pop(0, None)
    return found


def _number_at(descriptor: int, place: int) -> int:
    return ring_format.number_of(os.pread(descriptor, HEADER_BYTES, place))
