"""PyMySQL and mysqlclient used bare: their cursors are written in Python; those that exist are
seen. `executemany` calls `execute`, which is silent within it."""

from __future__ import annotations

from typing import Any

from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.statement_calls import timed_execute


class Hook:
    """The class from which all cursors of the module inherit."""

    def __init__(self, module: Any) -> None:
        self._base = getattr(module, "BaseCursor", None) or module.Cursor
        self._patches = Patches()

    def attach(self) -> None:
        """Replace its methods once."""
        if self._patches.has(self._base, "execute"):
            return
        self._patches.replace(self._base, "execute", timed_execute(_system_of))
        self._patches.replace(self._base, "executemany", timed_execute(_system_of, many=True))
        procedure = timed_execute(_system_of, is_procedure=True)
        self._patches.replace(self._base, "callproc", procedure)

    def detach(self) -> None:
        """Put them back."""
        self._patches.undo()


def _system_of(cursor: Any) -> str:
    """`mysql` and the database's name, where the connection says it."""
    name = getattr(cursor.connection, "db", None)
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    return f"mysql {name}" if isinstance(name, str) and name else "mysql"
