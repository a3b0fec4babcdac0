"""What each worker process is doing, readable by all of them, and which of them were killed.

The file `DATA_DIR/workers` has a fixed number of rows of fixed size; a process owns one for its
life by a POSIX lock on one byte of `workers.lock`, which the kernel frees however the process ends.
A row that is not empty and whose lock is free belongs to a process that was killed: what it was
answering when it last wrote is what may have killed it. A process that ends properly empties its
row. It must not know what the facts in a row mean.

`lockf` locks belong to the process and go when *any* descriptor of the file is closed, hence one
descriptor for all monitors of a directory in a process. Reading and writing rows is `pread` and
`pwrite`: a full disk is an OSError, a torn row fails its checksum.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inapp_monitor.ground import data_directory, private_files

FILE_NAME = "workers"
#: Processes that can have a row; further ones go without.
MAX_WORKERS = 128
ROW_BYTES = 16_384
_HEADER = struct.Struct("<II")  # length, crc32


class WorkerRows:
    """The rows of one data directory.

    Args:
        data_dir: The directory; made when the first row is written.

    *Threads:* for one thread at a time.
    """

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir
        self._lock_path = data_dir / f"{FILE_NAME}.lock"
        self._file = -1
        self._locks: _Locks | None = None
        self._row = -1
        self._written: bytes = b""
        self._pid = 0

    def write(self, facts: Mapping[str, Any]) -> bool:
        """Make `facts` (what JSON can hold, `pid` among them) this process's row.

        Nothing is written when they are what they were.

        Returns:
            False when they do not fit into a row.

        Raises:
            OSError: the files cannot be opened or written.
        """
        data = json.dumps(facts, separators=(",", ":")).encode()
        if len(data) > ROW_BYTES - _HEADER.size:
            return False
        self._open()
        if self._row < 0:
            self._find_row()
        if self._row >= 0 and data != self._written:
            self._put(self._row, data)
            self._written = data
        return True

    def others(self) -> list[dict[str, Any]]:
        """The rows of all other processes that live.

        Raises:
            OSError: the file cannot be read.
        """
        if self._pid != os.getpid():
            return []
        rows = (self._get(number) for number in self._used() if number != self._row)
        return [facts for facts in rows if facts]

    def claim_dead(self) -> list[dict[str, Any]]:
        """The rows of processes that died without emptying them; each is returned to one process.

        Raises:
            OSError: the files cannot be read or written.
        """
        if self._locks is None or self._pid != os.getpid():
            return []
        dead = []
        for number in self._used():
            if number != self._row and self._get(number) and self._locks.acquire(number):
                try:
                    facts = self._get(number)  # as it is under the lock
                    self._put(number, b"")
                finally:
                    self._locks.release(number)
                if facts:
                    dead.append(facts)
        return dead

    def leave(self) -> None:
        """Empty the row: this process ends properly."""
        if self._pid != os.getpid() or self._locks is None:
            return
        if self._row >= 0:
            self._put(self._row, b"")
            self._locks.release(self._row)
        self._locks.leave()
        os.close(self._file)
        self._forget()

    def forked(self) -> None:
        """In a child process: the row is the parent's."""
        if self._file >= 0 and self._pid != os.getpid():
            os.close(self._file)
            self._forget()

    def _forget(self) -> None:
        self._file = self._row = -1
        self._written = b""
        self._locks = None
        self._pid = 0

    def _reopen(self) -> None:
        """The files were deleted or replaced meanwhile: the row is where nobody looks."""
        if self._locks is not None:
            if self._row >= 0:
                if self._get(self._row) == json.loads(self._written or b"null"):
                    self._put(self._row, b"")
                self._locks.release(self._row)
            self._locks.leave()
        os.close(self._file)
        self._forget()

    def _open(self) -> None:
        if self._pid == os.getpid():
            if _same_file(self._file, self._directory / FILE_NAME) and (
                self._locks is None or self._locks.are_of(self._lock_path)
            ):
                return
            self._reopen()
        self.forked()
        data_directory.prepare(self._directory)
        self._file = private_files.open_for_update(self._directory / FILE_NAME)
        self._locks = _Locks.of(self._lock_path)
        self._pid = os.getpid()

    def _find_row(self) -> None:
        """Find a free row; while there is none, each write looks again."""
        assert self._locks is not None
        for number in range(MAX_WORKERS):
            # A row of a killed process is for `claim_dead` first.
            if not self._get(number) and self._locks.acquire(number):
                self._row = number
                break

    def _used(self) -> range:
        return range(min(MAX_WORKERS, -(-os.fstat(self._file).st_size // ROW_BYTES)))

    def _get(self, number: int) -> dict[str, Any] | None:
        """A row; None when it is empty or damaged."""
        head = os.pread(self._file, _HEADER.size, number * ROW_BYTES)
        if len(head) < _HEADER.size or head == bytes(_HEADER.size):
            return None
        length, checksum = _HEADER.unpack(head)
        data = os.pread(self._file, min(length, ROW_BYTES), number * ROW_BYTES + _HEADER.size)
        if len(data) != length or zlib.crc32(data) != checksum:
            return None
        facts = json.loads(data)
        return facts if isinstance(facts, dict) else None

    def _put(self, number: int, data: bytes) -> None:
        head = _HEADER.pack(len(data), zlib.crc32(data) if data else 0)
        private_files.write_at(self._file, head + data, number * ROW_BYTES)


class _Locks:
    """The lock file of a directory in this process: one descriptor for all who need it."""

    _of_process: dict[tuple[int, str], _Locks] = {}

    def __init__(self, path: Path) -> None:
        self._descriptor = private_files.open_for_update(path)
        self._held: set[int] = set()
        self._users = 0

    @classmethod
    def of(cls, path: Path) -> _Locks:
        """The locks of a path; those of a parent process are closed."""
        pid = os.getpid()
        for key in [key for key in cls._of_process if key[0] != pid]:
            os.close(cls._of_process.pop(key)._descriptor)
        key = (pid, os.path.realpath(path))
        locks = cls._of_process.get(key)
        if locks is None or not _same_file(locks._descriptor, path):
            locks = cls._of_process[key] = cls(path)
        locks._users += 1
        return locks

    def are_of(self, path: Path) -> bool:
        """Whether the lock file is still what one finds under a path."""
        return _same_file(self._descriptor, path)

    def leave(self) -> None:
        """One user less; the last one closes the file, which frees all that is locked."""
        self._users -= 1
        if not self._users:
            for key, locks in list(self._of_process.items()):
                if locks is self:
                    del self._of_process[key]
            os.close(self._descriptor)

    def acquire(self, number: int) -> bool:
        """Lock a row; False when it is locked, in this process too."""
        if number in self._held:
            return False
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return False
        self._held.add(number)
        return True

    def release(self, number: int) -> None:
        """Unlock a row."""
        self._held.discard(number)
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
