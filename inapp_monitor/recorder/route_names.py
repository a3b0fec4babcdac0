"""Which slug stands for which route, shared by all workers and kept for good.

Two routes can have the same slug; whoever stored it first keeps it, in every worker and after every
restart, so that one series never mixes two routes. The table lives in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from inapp_monitor.recorder.routes import RouteTable

_PART = "routes"
_SCRIPTS = ("CREATE TABLE IF NOT EXISTS routes (slug TEXT PRIMARY KEY, route TEXT NOT NULL)",)
#: Bytes that one queued row may hold on to.
_ROW_BYTES = 600


class RouteDatabase(Protocol):
    """What is needed of `database.Database`."""

    def declare(self, part: str, scripts: Any, make_room: Any = None) -> None: ...
    def submit(self, change: Callable[[Any], None], size: int) -> bool: ...
    def read(self, sql: str, parameters: Any = ()) -> list[dict[str, Any]]: ...


class RouteNames:
    """Keeps a process's `RouteTable` and the table in the database in step."""

    def __init__(self, database: RouteDatabase) -> None:
        self._database = database
        self._saved: set[str] = set()
        database.declare(_PART, _SCRIPTS)

    def load(self) -> dict[str, str]:
        """Slug to route, as stored by all workers so far."""
        rows = self._database.read("SELECT slug, route FROM routes")
        return {row["slug"]: row["route"] for row in rows}

    def save_new(self, table: RouteTable) -> None:
        """Queue what this process has named and not stored yet; a slug that is taken stays."""
        new = {slug: route for slug, route in table.slugs.items() if slug not in self._saved}
        if not new:
            return

        def insert(connection: Any) -> None:
            for slug, route in new.items():
                connection.execute(
                    "INSERT OR IGNORE INTO routes (slug, route) VALUES (?, ?)", (slug, route)
                )

        if self._database.submit(insert, _ROW_BYTES * len(new)):
            self._saved.update(new)

    def adopted(self, slugs: Mapping[str, str]) -> None:
        """Note slugs that came from the database."""
        self._saved.update(slugs)

    def forked(self) -> None:
        """In a child process: nothing of the parent's queue will be written here."""
        self._saved.clear()
