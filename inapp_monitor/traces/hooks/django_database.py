"""Django's database: the cursors that it hands out, whatever lies below.

The class's own `execute` and `executemany` are replaced rather than a wrapper added to each
connection: connections that were opened before, and those of other threads, are seen, and
`connection.execute_wrappers` stays the application's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.statement_calls import text_of, timed_execute

_SYSTEM = "_inapp_monitor_system"


class Hook:
    """`CursorWrapper`, from which the one of debugging inherits."""

    def __init__(self, module: Any) -> None:
        self._wrapper = module.CursorWrapper
        self._patches = Patches()

    def attach(self) -> None:
        """Replace its methods once."""
        if self._patches.has(self._wrapper, "execute"):
            return
        self._patches.replace(self._wrapper, "execute", timed_execute(_system_of, _text))
        many = timed_execute(_system_of, _text, many=True)
        self._patches.replace(self._wrapper, "executemany", many)
        self._patches.replace(
            self._wrapper, "callproc", timed_execute(_system_of, is_procedure=True)
        )

    def detach(self) -> None:
        """Put them back."""
        self._patches.undo()


def _text(_cursor: Any, statement: Any) -> str:
    """Lazy and composed statements too."""
    return text_of(statement) or str(statement)


def _system_of(cursor: Any) -> str:
    """Dialect and database, remembered with the connection's settings, which are plain."""
    connection = cursor.db
    known = connection.__dict__.get(_SYSTEM)
    if known is None:
        name = connection.settings_dict.get("NAME")
        database = Path(str(name)).name if name else ""
        known = f"{connection.vendor} {database}".strip()
        setattr(connection, _SYSTEM, known)
    return str(known)
