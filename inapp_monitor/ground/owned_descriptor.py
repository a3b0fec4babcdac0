"""A descriptor that is kept open, and that is used only while it is still of the file it was of.

The app may close descriptors that it never opened: a program that becomes a daemon closes all, and
the files that it opens next get the same numbers. Code that remembers a number would then write to
the app's file, or close it. So the file is remembered beside the number, and compared.

It knows nothing of paths, modes and contents: `private_files` opens.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path

#: Which file it is: device and inode.
Identity = tuple[int, int]


def identity_of(descriptor: int) -> Identity | None:
    """Which file a descriptor is of, None when it is closed."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def identity_at(path: Path) -> Identity | None:
    """Which file is at a path, None when there is none to be seen."""
    try:
        found = os.stat(path)  # noqa: PTH116  # half the cost of Path.stat
    except OSError:
        return None
    return found.st_dev, found.st_ino


def close_if_same(descriptor: int, identity: Identity | None) -> None:
    """Close a descriptor unless its number belongs to another file by now."""
    if identity is not None and identity_of(descriptor) == identity:
        try:
            os.close(descriptor)
        except OSError:
            pass  # the descriptor is gone in any case


class OwnedDescriptor:
    """An open descriptor; closed when nobody refers to it any more.

    Args:
        number: What `os.open` returned.

    Attributes:
        identity: Which file it is of.
        number: The descriptor; -1 once it is closed.
    """

    __slots__ = ("__weakref__", "identity", "number")

    number: int

    def __init__(self, number: int) -> None:
        earlier = _owners.get(number)
        if earlier is not None:  # somebody closed it, or it would not have been given again
            earlier.number = -1
        self.number = number
        self.identity = identity_of(number)
        _owners[number] = self

    def is_intact(self) -> bool:
        """Whether the number still belongs to the file that was opened."""
        return self.number >= 0 and identity_of(self.number) == self.identity

    def is_at(self, path: Path) -> bool:
        """Whether it is intact, and the file is what one finds under a path."""
        return self.is_intact() and identity_at(path) == self.identity

    def close(self) -> None:
        """Close it, unless the number belongs to another file by now."""
        number, self.number = self.number, -1
        if number >= 0:
            close_if_same(number, self.identity)

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # noqa: BLE001, S110  # while the interpreter ends modules may be gone
            pass


#: Who has a number. The same file may be opened again under a number that the app has closed:
#: device and inode do not tell the two apart.
_owners: weakref.WeakValueDictionary[int, OwnedDescriptor] = weakref.WeakValueDictionary()
