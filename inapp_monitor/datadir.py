"""The data directory: made on first need, private to its owner, never checked in by accident."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_GITIGNORE = b"# Written by inapp-monitor: recorded data does not belong into version control.\n*\n"


def prepare(data_dir: Path) -> None:
    """Make the directory (0700, with a `.gitignore` inside) unless it is there.

    Raises:
        OSError: it cannot be made, is no directory, or other users may write into it.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        mode = data_dir.stat().st_mode
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(20, "data_dir is not a directory", str(data_dir)) from None
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise PermissionError(13, "data_dir is writable for everybody", str(data_dir)) from None
        return
    descriptor = os.open(data_dir / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, _GITIGNORE)
    finally:
        os.close(descriptor)
