"""Files of the data directory: how they are opened, written, appended to and replaced.

All of them belong to one user (mode 0600, whatever the umask), are not inherited by programs that
the app starts, and are regular files: a link is not followed, a pipe is not waited for. What root
makes in the directory of another user belongs to that user, or his workers could not open it; only
secrets belong to the user who made them, because a stranger's are not believed. A full disk accepts
a part of what it is given; here that is an OSError that names the file, never a shorter file.
Nothing here knows what the bytes mean, and nothing locks: that is for the modules that own the
files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODE = 0o600
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def open_file(path: Path, flags: int) -> int:
    """A descriptor of a regular file.

    Args:
        path: Where it is; a link is refused.
        flags: As for `os.open`; with `O_CREAT` a missing file is made, for its owner only.

    Raises:
        OSError: it cannot be opened.
        PermissionError: it belongs to somebody else; the text says what to do.
        IsADirectoryError: it is a directory, a link, a pipe, a device or a socket.
    """
    try:
        descriptor = _open_or_make(path, flags)
    except OSError as error:
        raise _explained(error, path) from None
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            raise _not_regular(kind, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_or_make(path: Path, flags: int) -> int:
    """A file is made by exactly one call, which then gives it its owner and mode."""
    if flags & os.O_EXCL:
        return _make(path, flags)
    while True:
        try:
            return os.open(path, flags & ~os.O_CREAT | _SAFE)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
        try:
            return _make(path, flags | os.O_EXCL)
        except FileExistsError:
            continue  # somebody else has made it meanwhile


def _make(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | _SAFE, MODE)
    made = os.fstat(descriptor)
    if stat.S_IMODE(made.st_mode) != MODE:
        os.fchmod(descriptor, MODE)
    if made.st_uid == 0 and not os.geteuid():
        _give_to_owner_of_directory(path, descriptor)
    return descriptor


def _give_to_owner_of_directory(path: Path, descriptor: int) -> None:
    try:
        directory = path.parent.stat()
        if directory.st_uid:
            os.fchown(descriptor, directory.st_uid, directory.st_gid)
    except OSError:
        pass  # a user namespace or file system without it: the reader gets an error


def _explained(error: OSError, path: Path) -> OSError:
    """The error with what is in the way, and what to do about it."""
    try:
        found = path.lstat()
    except OSError:
        return error
    if not stat.S_ISREG(found.st_mode):
        return _not_regular(found.st_mode, path)
    if error.errno in (errno.EACCES, errno.EPERM):
        user, mode = os.geteuid(), stat.S_IMODE(found.st_mode)
        why = f"user id {user} may not open the file of user id {found.st_uid} (mode {mode:04o})"
        remedy = f"chmod 600 {path}" if found.st_uid == user else f"chown {user} {path}"
        return PermissionError(error.errno, f"{why}: {remedy}", str(path))
    return error


def _not_regular(mode: int, path: Path) -> IsADirectoryError:
    kind = next((name for has_kind, name in _KINDS if has_kind(mode)), "something else")
    why = f"not a regular file but {kind}: move it away"
    number = errno.ELOOP if stat.S_ISLNK(mode) else errno.EISDIR
    return IsADirectoryError(number, why, str(path))


def require_usable(path: Path, access: int) -> None:
    """For files that a library opens by their names: none is fine.

    Args:
        path: Where it is.
        access: As for `os.access`.

    Raises:
        IsADirectoryError: it is a directory, a link, a pipe, a device or a socket.
        PermissionError: it belongs to somebody else; the text says what to do.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise _not_regular(mode, path)
    if not os.access(path, access, effective_ids=True):
        raise _explained(PermissionError(errno.EACCES, os.strerror(errno.EACCES)), path)


def make_directory(path: Path) -> None:
    """Make a directory below the data directory (0700) unless it is there.

    Raises:
        OSError: it cannot be made, or something else is there.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():  # a link to one is fine: the disk may be another
            why = "not a directory: move it away"
            raise NotADirectoryError(errno.ENOTDIR, why, str(path)) from None
        return
    path.chmod(0o700)
    owner = path.parent.stat()
    if owner.st_uid and not os.geteuid():
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


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
    """As `read`, of a file that nobody else may read or can have put there.

    Raises:
        OSError: as for `open_file`.
        PermissionError: other users may read or write it, it belongs to one of them, or they
            decide what is in its directory; the message says what to do. For root as well.
    """
    refuse_shared_directory(path)
    descriptor = open_file(path, os.O_RDONLY)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            why = (
                f"{path.name} belongs to user id {found.st_uid}, not to {os.geteuid()}, who runs "
                "this: remove it, or chown it when you know what is in it"
            )
            raise PermissionError(errno.EACCES, why, str(path))
        if found.st_mode & 0o077:
            why = f"{path.name} is open to other users: chmod 600"
            raise PermissionError(errno.EACCES, why, str(path))
        return _read(descriptor, max_bytes)
    finally:
        os.close(descriptor)


def refuse_shared_directory(path: Path) -> None:
    """Refuse a secret's place when others can put their own file there.

    Raises:
        FileNotFoundError: there is no such directory.
        PermissionError: everybody may write to it; in a sticky one, its owner may.
    """
    found = path.parent.stat()
    is_sticky = found.st_mode & stat.S_ISVTX and found.st_uid in (0, os.geteuid())
    if found.st_mode & stat.S_IWOTH and not is_sticky:
        why = f"everybody can write to the directory of {path.name}: chmod 700, or set data_dir"
        raise PermissionError(errno.EACCES, why, str(path))


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


def replace_secret(path: Path, data: bytes) -> None:
    """As `replace`, of a file for `read_secret`.

    Raises:
        OSError: it cannot be written; the old file stays.
    """
    with replacement(path) as descriptor:
        _keep(descriptor)
        write_at(descriptor, data, 0)


def _keep(descriptor: int) -> None:
    """What root made in the directory of another user stays root's."""
    if os.fstat(descriptor).st_uid != os.geteuid():
        os.fchown(descriptor, os.geteuid(), os.getegid())


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
        draft.unlink(missing_ok=True)  # of a process that was killed
        descriptor = open_file(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL)
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


def set_aside(path: Path, now: float) -> Path | None:
    """Rename a damaged file to `<name>.bad-<time>`; None when that is not possible either."""
    target = path.with_name(f"{path.name}.bad-{int(now)}")
    try:
        path.rename(target)
    except OSError:
        return None
    return target


def create_once(path: Path, data: bytes) -> bool:
    """Make a file for `read_secret`, unless there is one: of several processes one succeeds.

    Returns:
        Whether it was this call; False when the file was there, however it came.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    draft = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    descriptor = open_file(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            _keep(descriptor)
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
