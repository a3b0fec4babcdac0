"""Which descriptors SQLite has open, and what to do when they are not its own any more.

SQLite remembers numbers, and would write to whatever file of the app's has one of them by now (see
`ground.owned_descriptor`), or close it. So before a connection is used its numbers are looked at;
one that lost them, and one that a forked child inherited, is neither used nor closed again, not
even when the interpreter ends.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from inapp_monitor.ground.owned_descriptor import Identity, identity_at, identity_of

#: What SQLite keeps beside a file.
SIDE_FILES = ("-wal", "-shm")
_DESCRIPTORS = Path("/proc/self/fd")
_abandoned: list[object] = []


class OpenFiles:
    """The descriptors of one database in this process, of all its connections together.

    *Threads:* any.
    """

    _of_process: weakref.WeakValueDictionary[tuple[int, Path], OpenFiles] = (
        weakref.WeakValueDictionary()
    )

    @classmethod
    def of(cls, path: Path) -> OpenFiles:
        """Those of a path in this process: the same object for all callers."""
        return cls._of_process.setdefault((os.getpid(), path), cls(path))

    def __init__(self, path: Path) -> None:
        self._paths = [path.with_name(path.name + suffix) for suffix in ("", *SIDE_FILES)]
        self._lock = threading.Lock()
        self._known: dict[int, Identity] = {}
        self._losses = 0

    def changed(self) -> int:
        """A connection was opened or closed. Returns what `are_intact` wants to know."""
        with self._lock:
            self._known = self._look()
            return self._losses

    def are_intact(self, losses: int) -> bool:
        """Whether no descriptor was lost since `changed` returned this."""
        with self._lock:
            if any(identity_of(number) != known for number, known in self._known.items()):
                self._losses += 1
                self._known = self._look()
            return losses == self._losses

    def are_usable(self, losses: int) -> bool:
        """Whether they are intact, and others find the same files under their paths: a log that
        was deleted is read by nobody."""
        if not self.are_intact(losses):
            return False
        with self._lock:
            known = set(self._known.values())
        return known <= {identity_at(path) for path in self._paths}

    def close(self, connection: sqlite3.Connection, losses: int) -> None:
        """Close a connection, unless that would close files of the app's."""
        if self.are_intact(losses):
            connection.close()
            self.changed()
        else:
            abandon(connection)

    def _look(self) -> dict[int, Identity]:
        wanted = {identity_at(path) for path in self._paths} - {None}
        try:
            numbers = [int(path.name) for path in _DESCRIPTORS.iterdir()]
        except OSError:
            return {}  # no Linux
        found = ((number, identity_of(number)) for number in numbers)
        return {number: known for number, known in found if known is not None and known in wanted}


def abandon(connection: object) -> None:
    """Have a connection never be closed: the numbers that it would close are not its own."""
    _abandoned.append(connection)
    keep = _keeper()
    if keep is not None:
        keep(connection)


def _keeper() -> Callable[[object], object] | None:
    """Adds a reference that nobody takes away: a list is emptied when the interpreter ends."""
    try:
        import ctypes
    except ImportError:
        return None
    return lambda thing: ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
