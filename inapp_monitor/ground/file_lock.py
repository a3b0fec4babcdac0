"""Locks on bytes of a file, between processes and between the monitors of one process.

Open-file-description locks where the system has them: they belong to what was opened, so that two
monitors in one process exclude each other, and the app may open and close the same file (a backup,
say) without freeing them. They conflict with POSIX locks, which earlier releases use, as those do
with each other. A forked child inherits what was opened, and with it the lock, for as long as it
keeps it open: it closes its copy at once, see `_after_fork`.

Elsewhere POSIX locks (`lockf`). They belong to the process: a table says what is locked within it,
and a file is not closed while another monitor of the process has locked something in it.

Nothing here waits, and nothing here knows what is locked for.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import struct
import sys
import threading
import weakref
from collections import deque
from pathlib import Path
from typing import Final

from inapp_monitor.ground import private_files
from inapp_monitor.ground.owned_descriptor import Identity, OwnedDescriptor
from inapp_monitor.ground.process.held_locks import is_held_here

#: `struct flock`: type, whence, start, length, pid, and the padding at its end.
_FLOCK: Final = struct.Struct("hhqqi0q")
#: Linux alone: elsewhere the structure looks different.
OFD_SETLK: Final[int | None] = (
    getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" else None
)
_BUSY: Final = frozenset((errno.EACCES, errno.EAGAIN))
#: What a kernel or file system says that has no such locks.
_UNKNOWN: Final = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))


class LockFile:
    """A lock file that is open.

    Args:
        path: The file; made when it is missing.

    Raises:
        OSError: it cannot be opened.

    *Fork:* a child has none of it: `is_at` is false there. *Threads:* for one at a time.
    """

    __slots__ = ("__weakref__", "_descriptor", "_held", "_pid")

    def __init__(self, path: Path) -> None:
        self._descriptor = OwnedDescriptor(private_files.open_for_update(path))
        self._held: set[tuple[int, int]] = set()
        self._pid = os.getpid()
        _watch_forks()
        _open_files.add(self)

    @property
    def descriptor(self) -> int:
        """For reading and writing what the file holds; -1 once it is closed."""
        return self._descriptor.number

    def is_intact(self) -> bool:
        """Whether it is open in this process, and the descriptor is still this file's."""
        return self._pid == os.getpid() and self._descriptor.is_intact()

    def is_at(self, path: Path) -> bool:
        """Whether it is intact, and the file is what others find under a path."""
        return self._pid == os.getpid() and self._descriptor.is_at(path)

    def acquire(self, start: int = 0, length: int = 0) -> bool:
        """Lock some bytes, or (without a length) all from `start` on.

        Returns:
            False when somebody else has locked some of them, in this process or another; True also
            when this object has locked them before.

        Raises:
            OSError: no lock is possible here, or the file has been closed.
        """
        if not self.is_intact():
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if (start, length) in self._held:
            return True
        try:
            _set(self._descriptor, fcntl.F_WRLCK, start, length)
        except OSError as error:
            if error.errno in _BUSY:
                return False
            raise
        self._held.add((start, length))
        return True

    def release(self, start: int = 0, length: int = 0) -> None:
        """Unlock what was locked.

        Raises:
            OSError: that is not possible; `close` unlocks in any case.
        """
        if (start, length) not in self._held:
            return
        self._held.discard((start, length))
        if self.is_intact():
            _set(self._descriptor, fcntl.F_UNLCK, start, length)
        elif self._pid == os.getpid():  # closing has freed it; a parent's is the parent's
            _posix.release(self._descriptor, start, length)

    def close(self) -> None:
        """Close the file, which frees all that this object has locked."""
        _open_files.discard(self)
        if self._pid == os.getpid():
            for start, length in list(self._held):
                try:
                    self.release(start, length)
                except OSError:
                    pass
        self._held.clear()
        _posix.close(self._descriptor)

    def abandon(self) -> None:
        """In a child process: close the copy, which frees nothing of the parent's."""
        self._held.clear()
        self._descriptor.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # noqa: BLE001, S110  # while the interpreter ends modules may be gone
            pass


class _PosixLocks:
    """What POSIX locks do not do themselves: exclude within a process, survive a `close`.

    The collector of garbage may close lock files in the middle of anything here, in the thread that
    holds the lock: that is done when the thread has done the rest.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held: dict[Identity | None, dict[tuple[int, int], OwnedDescriptor]] = {}
        self._unlocked_later: deque[tuple[OwnedDescriptor, int, int]] = deque()
        self._closed_later: list[OwnedDescriptor] = []

    def acquire(self, file: OwnedDescriptor, start: int, length: int) -> None:
        """As `_set`."""
        with self._lock:
            for (first, size), holder in list(self._held.get(file.identity, {}).items()):
                if _overlap(first, size, start, length) and holder.is_intact():
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            fcntl.lockf(file.number, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
            self._held.setdefault(file.identity, {})[start, length] = file
        self._do_what_waits()

    def release(self, file: OwnedDescriptor, start: int, length: int) -> None:
        """As `_set`; forget what the system has freed, because somebody closed the file."""
        self._unlocked_later.append((file, start, length))
        self._do_what_waits()

    def close(self, file: OwnedDescriptor) -> None:
        """Close a file, later where that would free the locks of others in this process."""
        self._closed_later.append(file)
        self._do_what_waits()

    def _do_what_waits(self) -> None:
        """Unlock and close what may be; without waiting for the lock: who holds it looks again
        afterwards."""
        while (
            (self._unlocked_later or self._may_close())
            and not is_held_here(self._lock)
            and self._lock.acquire(blocking=False)
        ):
            try:
                while self._unlocked_later:
                    self._unlock(*self._unlocked_later.popleft())
                closed = self._may_close()
                if closed is not None:
                    self._closed_later.remove(closed)
                    closed.close()
            finally:
                self._lock.release()

    def _unlock(self, file: OwnedDescriptor, start: int, length: int) -> None:
        held = self._held.get(file.identity, {})
        if held.get((start, length)) is not file:
            return
        del held[start, length]
        if not held:
            del self._held[file.identity]
        if file.is_intact():
            fcntl.lockf(file.number, fcntl.LOCK_UN, length, start)

    def _may_close(self) -> OwnedDescriptor | None:
        waiting = list(self._closed_later)  # may grow meanwhile
        return next((file for file in waiting if not self._held.get(file.identity)), None)


def _overlap(first: int, size: int, start: int, length: int) -> bool:
    """Whether two ranges of bytes have some in common; a length of 0 goes to the end."""
    return (not size or start < first + size) and (not length or first < start + length)


def read(path: Path, size_bytes: int) -> bytes:
    """The beginning of a lock file, without freeing what this process has locked in it.

    Raises:
        OSError: it cannot be read.
    """
    file = OwnedDescriptor(private_files.open_file(path, os.O_RDONLY))
    try:
        return os.pread(file.number, size_bytes, 0)
    finally:
        _posix.close(file)


def _set(file: OwnedDescriptor, kind: int, start: int, length: int) -> None:
    """Lock or unlock, at once or not at all.

    Raises:
        OSError: somebody else has locked it (`_BUSY`), or no lock is possible.
    """
    if OFD_SETLK is not None:
        flock = _FLOCK.pack(kind, os.SEEK_SET, start, length, 0)
        try:
            fcntl.fcntl(file.number, OFD_SETLK, flock)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
        else:
            return
    if kind == fcntl.F_UNLCK:
        _posix.release(file, start, length)
    else:
        _posix.acquire(file, start, length)


_posix = _PosixLocks()
#: Those of this process that are open.
_open_files: weakref.WeakSet[LockFile] = weakref.WeakSet()


@functools.cache
def _watch_forks() -> None:
    os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    """A copy in a child would keep the lock when the parent dies.

    A server that forks in C calls no such hook: its children close their copies at their first
    request, because the process is another one.
    """
    global _posix
    for file in list(_open_files):
        file.abandon()
    _open_files.clear()
    _posix = _PosixLocks()
