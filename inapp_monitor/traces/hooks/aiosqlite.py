"""aiosqlite: each connection has a thread of its own, which runs what tasks send it.

That thread knows no request, so what it runs for a task is run in the context of that task:
statements belong to its request, and one that SQLAlchemy runs is counted by its hook alone. The
statements themselves are timed by the hook of sqlite3.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from inapp_monitor.traces.patches import Patches


class Hook:
    """What sends a call to the thread."""

    def __init__(self, module: Any) -> None:
        self._connection = module.Connection
        self._patches = Patches()

    def attach(self) -> None:
        """Replace it once."""
        if not self._patches.has(self._connection, "_execute"):
            self._patches.replace(self._connection, "_execute", _in_context_of_task)

    def detach(self) -> None:
        """Put it back."""
        self._patches.undo()


def _in_context_of_task(original: Any) -> Any:
    async def execute(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        return await original(self, copy_context().run, function, *args, **kwargs)

    return execute
