"""Files of the data directory: how they are opened, written, appended to and replaced.

All of them belong to one user (mode 0600), are not inherited by programs that the app starts, and
are regular files: a link is not followed, a pipe is not waited for. A full disk accepts a part of
what it is given; here that is an OSError that names the file, never a shorter file. Nothing here
knows what the bytes mean, and nothing locks: that is for the modules that own the files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODE = 0o600
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def open_file(path: Path, flags: int) -> int:
    """A descriptor of a regular file.

    Args:
        path: Where it is; a link is refused.
        flags: As for `os.open`; with `O_CREAT` a missing file is made, for its owner only.

    Raises:
        OSError: it cannot be opened.
        IsADirectoryError: it is a directory, a pipe, a device or a socket.
    """
    descriptor = os.open(path, flags | _SAFE, MODE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, "not a regular file", str(path))
    return descriptor


def open_for_update(path: Path) -> int:
    """A descriptor for reading and writing; a missing file is made.

    Raises:
        OSError: as for `open_file`.
    """
    return open_file(path, os.O_RDWR | os.O_CREAT)


def read(path: Path, max_bytes: int) -> bytes:
    """The contents, at most `max_bytes` of them.

    Raises:
        OSError: as for `open_file`.
    """
    descriptor = open_file(path, os.O_RDONLY)
    try:
        return _read(descriptor, max_bytes)
    finally:
        os.close(descriptor)


def read_secret(path: Path, max_bytes: int) -> bytes:
    """As `read`, of a file that nobody else may read.

    Raises:
        OSError: as for `open_file`.
        PermissionError: other users may read or write it.
    """
    descriptor = open_file(path, os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            why = f"{path.name} is open to other users: chmod 600"
            raise PermissionError(errno.EACCES, why, str(path))
        return _read(descriptor, max_bytes)
    finally:
        os.close(descriptor)


def close(descriptor: int) -> None:
    """Close it; an error is of no use to anybody, because the descriptor is gone in any case."""
    try:
        os.close(descriptor)
    except OSError:
        pass


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data`.

    Raises:
        OSError: a part is not written; what the disk accepted is.
    """
    view = memoryview(data)
    done = 0
    while done < len(view):
        done += os.pwrite(descriptor, view[done:], offset + done)


def append_lines(path: Path, lines: bytes) -> None:
    """Append whole lines by one write, so that those of several processes do not mix.

    When the last line has no end, because somebody was killed or the disk was full, these begin
    on a line of their own.

    Raises:
        OSError: as for `open_file`, or the disk accepted a part only, which stays in the file.
    """
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            lines = b"\n" + lines
        if os.write(descriptor, lines) != len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)


def replace(path: Path, data: bytes) -> None:
    """Make `data` the contents: readers see the old ones or the new ones, never a part.

    Raises:
        OSError: it cannot be written; the old file stays.
    """
    with replacement(path) as descriptor:
        write_at(descriptor, data, 0)


@contextmanager
def replacement(path: Path) -> Iterator[int]:
    """A descriptor of an empty file that takes the place of `path` at the end of the block.

    For one writer at a time: it is `<name>.new` until then, so that a process that is killed
    leaves at most one of them.

    Raises:
        OSError: it cannot be made or written; the old file stays, and nothing else is left.
    """
    draft = path.with_name(f"{path.name}.new")
    try:
        descriptor = open_file(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        draft.replace(path)
    except OSError:
        try:
            draft.unlink()
        except OSError:
            pass
        raise


def create_once(path: Path, data: bytes) -> bool:
    """Make a file with contents, unless there is one: of several processes one succeeds.

    Returns:
        Whether it was this call; False when the file was there, however it came.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    draft = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    descriptor = open_file(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            write_at(descriptor, data, 0)
        finally:
            os.close(descriptor)
        os.link(draft, path)  # unlike a rename, it cannot overwrite
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _read(descriptor: int, max_bytes: int) -> bytes:
    """`os.read` may return less than there is."""
    pieces = []
    while max_bytes > 0 and (piece := os.read(descriptor, max_bytes)):
        pieces.append(piece)
        max_bytes -= len(piece)
    return b"".join(pieces)
