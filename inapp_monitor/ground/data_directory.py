"""The data directory: made on first need, private to its owner, ignored by version control."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from inapp_monitor.ground import private_files

_GITIGNORE = b"# Written by inapp-monitor: recorded data does not belong in version control.\n*\n"

_REMEDY = "set data_dir (INAPP_MONITOR_DATA_DIR) to a directory that the application can write"

#: Directories below one that was there: a test's, removed with all around it, must not come back.
_seen: set[Path] = set()
_MAX_SEEN = 1_000


def prepare(data_dir: Path) -> None:
    """Make the directory (0700) unless it is there, and a `.gitignore` inside where it is missing.

    The mode of a directory that is there is left alone, see `exposure`.

    Raises:
        OSError: it cannot be made or written, is not a directory, or other users may write to it;
            the message says what to do.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=data_dir not in _seen)
        data_dir.chmod(0o700)  # whatever the umask
    except FileExistsError:
        pass
    except FileNotFoundError:
        why = "the directory above data_dir was removed: it is not made again"
        raise FileNotFoundError(errno.ENOENT, why, str(data_dir)) from None
    except OSError as error:
        why = f"{error.strerror}: user id {os.geteuid()} cannot make it; {_REMEDY}"
        raise OSError(error.errno, why, str(data_dir)) from None
    try:
        found = data_dir.stat()
    except FileNotFoundError:
        raise NotADirectoryError(20, "data_dir is a link to nothing", str(data_dir)) from None
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "data_dir is not a directory", str(data_dir))
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise PermissionError(errno.EACCES, "data_dir is writable by everybody", str(data_dir))
    if not os.access(data_dir, os.W_OK | os.X_OK, effective_ids=True):
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        why = (
            f"user id {os.geteuid()} cannot write to it: it belongs to {found.st_uid} (mode {mode})"
        )
        if os.statvfs(data_dir).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, f"read-only file system; {_REMEDY}", str(data_dir))
        remedy = f"chown -R {os.geteuid()} {data_dir}, or {_REMEDY}"
        raise PermissionError(errno.EACCES, f"{why}; {remedy}", str(data_dir))
    _remember(data_dir)
    if found.st_uid == os.geteuid() and not found.st_mode & stat.S_IWOTH:
        try:
            _ignore(data_dir)
        except OSError:
            pass  # a full disk: the caller will notice it; the next call writes the file


def note_parent(data_dir: Path) -> None:
    """Remember the directory above, if it is there: should it be removed, it is not made again."""
    if data_dir.parent.is_dir():
        _remember(data_dir)


def _remember(data_dir: Path) -> None:
    if len(_seen) >= _MAX_SEEN:
        _seen.clear()
    _seen.add(data_dir)


def exposure(data_dir: Path) -> str:
    """What other users can do with the directory, and the remedy; "" when it is private."""
    try:
        mode = stat.S_IMODE(data_dir.stat().st_mode)
    except OSError:
        return ""
    if not mode & 0o077:
        return ""
    what = "change" if mode & 0o022 else "look into"
    return f"other users can {what} the data directory (mode {mode:04o}): chmod 700 {data_dir}"


def _ignore(data_dir: Path) -> None:
    """Write `.gitignore`, or leave the one with contents; none at the top of a repository."""
    path = data_dir / ".gitignore"
    try:
        if path.lstat().st_size:
            return
    except FileNotFoundError:
        if (data_dir / ".git").exists():  # it would hide the whole project from git
            return
    private_files.replace(path, _GITIGNORE)
