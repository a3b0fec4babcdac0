"""What each worker process is doing, readable by all of them, and which of them were killed.

The file `DATA_DIR/workers` has a fixed number of rows of fixed size; a monitor owns one for its
life by a lock on one byte of `workers.lock`, which the kernel frees however the process ends. A
row that is not empty and whose lock is free belongs to a process that was killed: what it was
answering when it last wrote is what may have killed it. A process that ends properly empties its
row. A row says which process wrote it (`process`, see `ground.process.identity`); where that one
certainly lives, a lock that was lost means nothing. It must not know what the other facts mean.

Reading and writing rows is `pread` and `pwrite`: a full disk is an OSError, a torn row fails its
checksum.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from inapp_monitor.ground import data_directory, private_files
from inapp_monitor.ground.file_lock import LockFile
from inapp_monitor.ground.owned_descriptor import OwnedDescriptor
from inapp_monitor.ground.process import identity

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
        self._path = data_dir / FILE_NAME
        self._lock_path = data_dir / f"{FILE_NAME}.lock"
        self._file: OwnedDescriptor | None = None
        self._locks: LockFile | None = None
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
        me = identity.current()
        named = {"process": [me.token, me.place, me.started], **facts}
        data = json.dumps(named, separators=(",", ":")).encode()
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
        if not self._is_open():
            return []
        rows = (self._get(number) for number in self._used() if number != self._row)
        return [facts for facts in rows if facts]

    def claim_dead(self) -> list[dict[str, Any]]:
        """The rows of processes that died without emptying them; each is returned to one process.

        Raises:
            OSError: the files cannot be read or written.
        """
        if not self._is_open() or self._locks is None or not self._locks.is_intact():
            return []
        rows = {number: self._get(number) for number in self._used()}
        dead = []
        for number, seen in rows.items():
            if number == self._row or not seen or _is_running(seen, rows.values()):
                continue
            if self._locks.acquire(number, 1):
                try:
                    facts = self._get(number)  # as it is under the lock
                    self._put(number, b"")
                finally:
                    self._locks.release(number, 1)
                if facts:
                    dead.append(facts)
        return dead

    def leave(self) -> None:
        """Empty the row: this process ends properly."""
        if self._pid != os.getpid():
            return
        try:
            if self._row >= 0 and self._is_open():
                self._put(self._row, b"")
        finally:
            self._close()

    def forked(self) -> None:
        """In a child process: the row is the parent's."""
        if self._pid != os.getpid():
            self._close()

    def __del__(self) -> None:
        try:
            self.leave()
        except Exception:  # noqa: BLE001, S110  # while the interpreter ends modules may be gone
            pass

    def _close(self) -> None:
        """Close the files, which frees the row's lock in the process that has it."""
        if self._file is not None:
            self._file.close()
        if self._locks is not None:
            self._locks.close()
        self._file = self._locks = None
        self._row, self._written = -1, b""
        self._pid = 0

    def _is_open(self) -> bool:
        return self._pid == os.getpid() and self._file is not None and self._file.is_intact()

    def _open(self) -> None:
        """Open the files, again where they were deleted, replaced or closed under us meanwhile."""
        row, written = -1, b""
        if self._pid == os.getpid() and self._file is not None and self._locks is not None:
            is_there = self._file.is_at(self._path)
            if is_there and self._locks.is_at(self._lock_path):
                return
            row, written = self._row, self._written
            if not is_there and self._file.is_intact() and row >= 0:
                with contextlib.suppress(OSError):  # its disk may be gone or read-only
                    if self._holds(row, written):
                        self._put(row, b"")  # of a file where nobody looks any more
                row = -1
        self._close()
        data_directory.prepare(self._directory)
        self._file = OwnedDescriptor(private_files.open_for_update(self._path))
        self._locks = LockFile(self._lock_path)
        self._pid = os.getpid()
        if row >= 0 and self._holds(row, written) and self._locks.acquire(row, 1):
            self._row, self._written = row, written

    def _holds(self, number: int, written: bytes) -> bool:
        """Whether a row is still what was written into it."""
        return bool(self._get(number) == json.loads(written or b"null"))

    def _find_row(self) -> None:
        """Find a free row; while there is none, each write looks again."""
        assert self._locks is not None
        for number in range(MAX_WORKERS):
            # A row of a killed process is for `claim_dead` first.
            if not self._get(number) and self._locks.acquire(number, 1):
                self._row = number
                break

    @property
    def _descriptor(self) -> int:
        return -1 if self._file is None else self._file.number

    def _used(self) -> range:
        return range(min(MAX_WORKERS, -(-os.fstat(self._descriptor).st_size // ROW_BYTES)))

    def _get(self, number: int) -> dict[str, Any] | None:
        """A row; None when it is empty or damaged."""
        file, start = self._descriptor, number * ROW_BYTES
        head = os.pread(file, _HEADER.size, start)
        if len(head) < _HEADER.size or head == bytes(_HEADER.size):
            return None
        length, checksum = _HEADER.unpack(head)
        data = os.pread(file, min(length, ROW_BYTES), start + _HEADER.size)
        if len(data) != length or zlib.crc32(data) != checksum:
            return None
        facts = json.loads(data)
        return facts if isinstance(facts, dict) else None

    def _put(self, number: int, data: bytes) -> None:
        head = _HEADER.pack(len(data), zlib.crc32(data) if data else 0)
        private_files.write_at(self._descriptor, head + data, number * ROW_BYTES)


def token_of(facts: Mapping[str, Any]) -> object:
    """What names the process that wrote a row; its id in the row of an earlier release."""
    process = facts.get("process")
    return process[0] if isinstance(process, list) and process else facts.get("pid")


def _is_running(facts: Mapping[str, Any], rows: Iterable[Mapping[str, Any] | None]) -> bool:
    """Whether the process that wrote a row certainly lives, and runs the same program still."""
    process = facts.get("process")
    if not isinstance(process, list) or len(process) != 3:
        return False
    token, *place = process
    if not identity.is_running(place[0], facts.get("pid"), place[1]):
        return False
    # After `exec` a process is another program: its new row has another token.
    same = (row for row in rows if row and row.get("pid") == facts.get("pid"))
    return not any(
        row["process"][0] != token and row["process"][1:] == place
        for row in same
        if isinstance(row.get("process"), list)
    )
