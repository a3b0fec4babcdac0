"""What stands at a path that was set, before it is opened: others may write to its directory.

Opening a device can do something, and a link that somebody else has put there could lead to a file
that only this process may read.
"""

from __future__ import annotations

import os
import stat


def mode_of(path: str) -> int:
    """Type and permissions of what a path leads to.

    Raises:
        PermissionError: it is a symbolic link that neither root nor this process's user has made.
        OSError: nothing is there, or it cannot be looked at.
    """
    link = os.lstat(path)
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in (0, os.geteuid()):
        raise PermissionError(f"{path} is a symbolic link of another user")
    return os.stat(path).st_mode  # noqa: PTH116  # a string, as everywhere here
