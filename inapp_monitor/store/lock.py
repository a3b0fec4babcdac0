"""One writer at a time among all processes, and the numbers that tell them what has changed.

A lock (`ground.file_lock`) on a file of its own: it is freed when its holder dies, and excludes the
other stores of this process as well as those of other processes. Order: a thread takes the store's
I/O lock first, then this one.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Final

from inapp_monitor.ground import file_lock
from inapp_monitor.ground.clock import sleep
from inapp_monitor.ground.file_lock import LockFile

_HEAD = struct.Struct("<QQQ")
_NUMBER = struct.Struct("<Q")
#: Where they are in the file: the catalog's generation, how often the past was changed, and how
#: often the lock was taken.
_GENERATION, _PAST, _HOLDS = 0, 8, 16
_NO_HOLD: Final = -1
#: Seconds between two tries, and in total. A flush holds the lock for about a millisecond; a
#: holder that was stopped must not stop us too.
_FIRST_WAIT_S: Final = 0.00005
_LONGEST_WAIT_S: Final = 0.001
PATIENCE_S: Final = 1.0


class LockBusyError(OSError):
    """Another process holds the lock for too long."""


class StoreLock:
    """The lock file of a store; its content is three numbers that only grow.

    Attributes:
        epoch: Grows when anybody else may have written since this process held the lock last:
            what it knows of rows and states holds within an epoch only.
    """

    __slots__ = ("_file", "_generation", "_held", "_holds", "epoch", "path", "read_only")

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self.epoch = 0
        self._file: LockFile | None = None
        self._holds = _NO_HOLD
        self._held = False
        self._generation = 0

    def acquire(self, patience_s: float = PATIENCE_S) -> bool:
        """Take the lock.

        Returns:
            True when the file was (re)opened: whatever is known of the directory may be stale.

        Raises:
            LockBusyError: somebody else kept it longer than `patience_s`.
            OSError: no lock is possible here.
        """
        fresh = self._ensure_open()
        assert self._file is not None
        waited, wait = 0.0, _FIRST_WAIT_S
        while not self._file.acquire():
            if waited >= patience_s:
                raise LockBusyError(errno.EAGAIN, "lock is busy", str(self.path))
            sleep(wait)
            waited += wait
            wait = min(wait * 1.5, _LONGEST_WAIT_S)
        self._count_hold()
        return fresh

    def _count_hold(self) -> None:
        """Count this hold before anything else is written; see whether the last one was its own."""
        try:
            data = os.pread(self._descriptor, _HEAD.size, 0)
            self._generation, _, holds = _HEAD.unpack(data.ljust(_HEAD.size, b"\0"))
            if holds != self._holds:
                self.epoch += 1
            self._holds = (holds + 1) % 2**64
            if not self.read_only:
                os.pwrite(self._descriptor, _NUMBER.pack(self._holds), _HOLDS)
        except BaseException:  # a signal's handler may raise here, too
            self._holds = _NO_HOLD
            self.release()
            raise
        self._held = True

    def release(self) -> None:
        """Give the lock back."""
        self._held = False
        if self._file is not None:
            try:
                self._file.release()
            except OSError:
                self.close()  # closing frees it in any case

    def generation(self) -> int:
        """The catalog's generation; 0 when there is no store yet."""
        return self._generation if self._held else self._number(_GENERATION)

    def set_generation(self, generation: int) -> None:
        """Tell all processes that the catalog has changed. Needs the lock."""
        os.pwrite(self._descriptor, _NUMBER.pack(generation), _GENERATION)
        self._generation = generation

    def past(self) -> int:
        """How often points came into intervals that were over long before."""
        return self._number(_PAST)

    def note_past(self) -> None:
        """Tell all processes that such points come, or have come. Needs the lock."""
        os.pwrite(self._descriptor, _NUMBER.pack(self._number(_PAST) + 1), _PAST)

    def _number(self, offset: int) -> int:
        if self._file is not None and self._file.is_intact():
            data = os.pread(self._descriptor, _NUMBER.size, offset)
        else:
            try:
                data = file_lock.read(self.path, _HEAD.size)[offset : offset + _NUMBER.size]
            except OSError:
                return 0
        return int(_NUMBER.unpack(data)[0]) if len(data) == _NUMBER.size else 0

    @property
    def _descriptor(self) -> int:
        return -1 if self._file is None else self._file.descriptor

    def close(self) -> None:
        """Close the file, which frees the lock."""
        self._held, self._holds = False, _NO_HOLD
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _ensure_open(self) -> bool:
        """Open the file; open it again when it is not the one in the directory any more."""
        if self._file is not None and self._file.is_at(self.path):
            return False
        self.close()
        self._file = LockFile(self.path)
        return True
