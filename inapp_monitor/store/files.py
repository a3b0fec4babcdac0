"""Files of a fixed size: opened on need, few at a time, read with pread, written with pwrite.

Never mapped into memory: on a full disk or a truncated file a mapping kills the process with SIGBUS
where pwrite raises OSError and pread returns less. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import errno
import os
from array import array
from collections import deque
from pathlib import Path
from typing import Final

from inapp_monitor.ground import private_files
from inapp_monitor.ground.owned_descriptor import Identity, close_if_same, identity_of

#: Descriptors kept open by one store; far below the usual limit of 1,024 a process.
MAX_OPEN: Final = 96
#: What the system reads and writes at least.
PAGE: Final = 4096
#: Blocks are reserved in pieces of this many bytes, so that a reserved row can always be written.
RESERVE: Final = 64 * 1024
#: A file that may not be written can still be read.
_READABLE = frozenset((errno.EROFS, errno.EACCES, errno.EPERM))
_UNSUPPORTED = frozenset((errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL))


class Descriptors:
    """The open files of one store; past the bound, the one opened first is closed."""

    __slots__ = ("_limit", "_open", "_scratch", "use")

    def __init__(self, limit: int = MAX_OPEN) -> None:
        self._limit = limit
        self.use = 0
        self._scratch: array[float] = array("d")
        self._open: deque[DiskFile] = deque()

    def __len__(self) -> int:
        return len(self._open)

    def scratch(self, size: int) -> array[float]:
        """A buffer of at least `size` bytes for the next read: what it held is gone after that.

        Kept, because fresh memory costs a page fault every 4 KB.
        """
        if len(self._scratch) * 8 < size:
            self._scratch = array("d", bytes(size))
        return self._scratch

    def admit(self, file: DiskFile) -> None:
        """Note that a file has been opened."""
        while len(self._open) >= self._limit:
            self._open[0].close()
        self._open.append(file)

    def forget(self, file: DiskFile) -> None:
        """Note that a file has been closed."""
        self._open.remove(file)

    def abandon(self) -> None:
        """Close everything in a forked child, whatever the parent's threads were just doing."""
        for file in list(self._open):
            close_if_same(file.descriptor, file.identity)
        self._open.clear()

    def begin_use(self) -> None:
        """Have each file make sure, before it is used next, that its descriptor is still its own.

        The app may have closed it meanwhile. Once a flush or a read is often enough: looking costs
        as much as a small read.
        """
        self.use += 1

    def close_all(self) -> None:
        """Close every file; they open again on need."""
        while self._open:
            self._open[0].close()


class DiskFile:
    """One file of fixed size.

    Attributes:
        path: Where it is.
        size: Bytes it has for ever; 0 as long as unknown.
        dirty: Whether something was written since the last `sync`.
    """

    __slots__ = (
        "_descriptors",
        "_fd",
        "_last",
        "_read_only",
        "_reserved",
        "_use",
        "_writable",
        "dirty",
        "identity",
        "path",
        "size",
    )

    def __init__(
        self, path: Path, descriptors: Descriptors, *, size: int = 0, read_only: bool = False
    ) -> None:
        self.path = path
        self.size = size
        self.dirty = False
        self._last = 0
        self._fd = -1
        self._descriptors = descriptors
        self._read_only = read_only
        self._reserved: set[int] = set()
        self._writable = False
        self._use = -1
        self.identity: Identity | None = None

    def scratch(self, size: int) -> array[float]:
        """See `Descriptors.scratch`."""
        return self._descriptors.scratch(size)

    @property
    def descriptor(self) -> int:
        """The open descriptor, -1 when there is none."""
        return self._fd

    def read(self, size: int, offset: int) -> bytes:
        """Up to `size` bytes; fewer where the file has been cut."""
        fd = self._checked() if self._fd >= 0 else self._open()
        return os.pread(fd, size, offset)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer; returns how many bytes the file had."""
        fd = self._checked() if self._fd >= 0 else self._open()
        done = 0
        while done < len(buffer):
            count = os.preadv(fd, [buffer[done:]], offset + done)
            if not count:
                break
            done += count
        return done

    def read_rows(self, buffers: list[memoryview], offset: int) -> int:
        """Fill buffers of one size with what lies one after the other; as `read_into`."""
        fd = self._checked() if self._fd >= 0 else self._open()
        done, size = os.preadv(fd, buffers, offset), len(buffers[0])
        while done and done < size * len(buffers):
            rest = buffers[done // size][done % size :]
            count = os.preadv(fd, [rest], offset + done)
            if not count:
                break
            done += count
        return done

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write all of `data`, on blocks that were reserved before."""
        fd = self._checked() if self._fd >= 0 and self._writable else self._open_for_writing()
        if offset // RESERVE not in self._reserved:
            self._reserve(fd, offset // RESERVE)
        elif offset % RESERVE > RESERVE // 2 and offset // RESERVE + 1 not in self._reserved:
            self._reserve_next(fd, offset // RESERVE + 1)
        self.dirty = True
        self._last = offset
        done = os.pwrite(fd, data, offset)
        if done != len(data):
            view = memoryview(data)
            while done < len(view):
                done += os.pwrite(fd, view[done:], offset + done)

    def state(self) -> str:
        """`ok`, `gone` (deleted or replaced under us) or `cut` (not of its size any more)."""
        try:
            info = os.fstat(self._checked() if self._fd >= 0 else self._open())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return "gone"
        if not info.st_nlink:
            return "gone"
        return "ok" if info.st_size == self.size else "cut"

    def mend(self) -> None:
        """Give a cut file its size back; what is missing reads as zeros."""
        os.ftruncate(self._checked() if self._fd >= 0 else self._open(), self.size)
        self._reserved.clear()

    def empty(self, offset: int) -> None:
        """Blank the file from a place on, and give the disk what it took there."""
        fd = self._checked() if self._fd >= 0 and self._writable else self._open_for_writing()
        os.ftruncate(fd, offset)
        os.ftruncate(fd, self.size)
        self._reserved.clear()
        self.dirty = True

    def start_sync(self) -> None:
        """Have the page that was written to last sent to the disk, without waiting for it.

        POSIX_FADV_DONTNEED does that on Linux; it drops no page that is still to be written.
        """
        if self._fd >= 0:
            start = self._last // PAGE * PAGE
            os.posix_fadvise(self._checked(), start, PAGE, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Make what was written safe against a power cut."""
        self.dirty = False  # after a failure the kernel has dropped the pages: no use to retry
        os.fdatasync(self._checked() if self._fd >= 0 else self._open())

    def close(self) -> None:
        """Close the descriptor; the next use opens it again."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._descriptors.forget(self)
            close_if_same(fd, self.identity)

    def _checked(self) -> int:
        """The descriptor, opened again when the app has closed it; see `Descriptors.begin_use`."""
        if self._use != self._descriptors.use:
            if identity_of(self._fd) != self.identity:
                self.close()
                return self._open()
            self._use = self._descriptors.use
        return self._fd

    def _open_for_writing(self) -> int:
        """A file on a disk that was read-only was opened for reading; that has to be undone."""
        self.close()
        fd = self._open()
        if not self._writable:
            raise OSError(errno.EROFS, "file cannot be written", str(self.path))
        return fd

    def _open(self) -> int:
        mode = os.O_RDONLY if self._read_only else os.O_RDWR
        self._writable = not self._read_only
        try:
            fd = private_files.open_file(self.path, mode)
        except OSError as error:
            if error.errno not in _READABLE:
                raise
            fd = private_files.open_file(self.path, os.O_RDONLY)
            self._writable = False
        # Without this, reading ahead fills the cache with large folios, and each small write then
        # makes 64 KB and more dirty instead of a page. Large reads are one request anyway.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        self._descriptors.admit(self)
        self._fd = fd
        self.identity = identity_of(fd)
        self._use = self._descriptors.use
        return fd

    def _reserve(self, fd: int, piece: int) -> None:
        start = piece * RESERVE
        length = min(RESERVE, max(self.size - start, 1)) if self.size else RESERVE
        try:
            os.posix_fallocate(fd, start, length)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        self._reserved.add(piece)

    def _reserve_next(self, fd: int, piece: int) -> None:
        if piece * RESERVE >= self.size:
            return
        try:
            self._reserve(fd, piece)
        except OSError:
            pass  # asked again when it is needed, and then the write says so


def sync_all(files: list[DiskFile]) -> None:
    """Sync files, one after the other: side by side in threads has been measured to take longer.

    Raises:
        OSError: one of them failed; the others are done.
    """
    problem: OSError | None = None
    for file in files:
        try:
            file.sync()
        except OSError as error:
            problem = problem or error
    if problem is not None:
        raise problem


def sync_directory(directory: Path) -> None:
    """Make the names of new files safe against a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def create(path: Path, size: int, parts: list[tuple[int, bytes]]) -> None:
    """Make a file of full size with some first bytes; it appears complete or not at all.

    Raises:
        OSError: it could not be made; nothing is left behind.
    """
    with private_files.replacement(path) as descriptor:
        os.ftruncate(descriptor, size)
        for offset, data in parts:
            private_files.write_at(descriptor, data, offset)
