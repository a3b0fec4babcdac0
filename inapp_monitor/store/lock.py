"""One writer at a time among all processes, and the numbers that tell them what has changed.

A POSIX lock (`lockf`) on a file of its own that is opened once: it is freed when its holder dies,
and a child does not inherit it. It would also be freed by closing *any* descriptor of that file in
this process, which is why nobody else opens it. Order: a thread takes the store's I/O lock first,
then this one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from inapp_monitor.clock import sleep

_NUMBER = struct.Struct("<Q")
#: Where they are in the file: the catalog's generation, and how often the past was changed.
_GENERATION, _PAST = 0, 8
_BUSY = frozenset((errno.EACCES, errno.EAGAIN))
#: Seconds between two tries, and in total. A flush holds the lock for about a millisecond; a
#: holder that was stopped must not stop us too.
_FIRST_WAIT_S: Final = 0.00005
_LONGEST_WAIT_S: Final = 0.001
PATIENCE_S: Final = 1.0


class LockBusyError(OSError):
    """Another process holds the lock for too long."""


class StoreLock:
    """The lock file of a store; its content is two numbers that only grow."""

    __slots__ = ("_fd", "path", "read_only")

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._fd = -1

    def acquire(self, patience_s: float = PATIENCE_S) -> bool:
        """Take the lock.

        Returns:
            True when the file was (re)opened: whatever is known of the directory may be stale.

        Raises:
            LockBusyError: somebody else kept it longer than `patience_s`.
            OSError: no lock is possible here.
        """
        fresh = self._ensure_open()
        waited, wait = 0.0, _FIRST_WAIT_S
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _BUSY:
                    raise
                if waited >= patience_s:
                    raise LockBusyError(error.errno, "lock is busy", str(self.path)) from None
            else:
                return fresh
            sleep(wait)
            waited += wait
            wait = min(wait * 1.5, _LONGEST_WAIT_S)

    def release(self) -> None:
        """Give the lock back."""
        if self._fd >= 0:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)
            except OSError:
                self.close()  # closing frees it in any case

    def generation(self) -> int:
        """The catalog's generation; 0 when there is no store yet."""
        return self._number(_GENERATION)

    def set_generation(self, generation: int) -> None:
        """Tell all processes that the catalog has changed. Needs the lock."""
        os.pwrite(self._fd, _NUMBER.pack(generation), _GENERATION)

    def past(self) -> int:
        """How often points came into intervals that were over long before."""
        return self._number(_PAST)

    def note_past(self) -> None:
        """Tell all processes that such points come, or have come. Needs the lock."""
        os.pwrite(self._fd, _NUMBER.pack(self._number(_PAST) + 1), _PAST)

    def _number(self, offset: int) -> int:
        if self._fd >= 0:
            data = os.pread(self._fd, _NUMBER.size, offset)
        else:
            try:
                with self.path.open("rb", buffering=0) as file:
                    file.seek(offset)
                    data = file.read(_NUMBER.size)
            except OSError:
                return 0
        return int(_NUMBER.unpack(data)[0]) if len(data) == _NUMBER.size else 0

    def close(self) -> None:
        """Close the file, which frees the lock."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.close(fd)
            except OSError:
                pass

    def _ensure_open(self) -> bool:
        """Open the file; open it again when it is not the one in the directory any more."""
        if self._fd >= 0:
            try:
                there = os.stat(self.path)  # noqa: PTH116  # half the cost of Path.stat
                here = os.fstat(self._fd)
                if (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev):
                    return False
            except OSError:
                pass
            self.close()
        if self.read_only:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        else:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(self.path, flags, 0o600)
        return True
