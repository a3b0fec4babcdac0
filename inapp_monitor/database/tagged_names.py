"""Names of tagged series that were registered, so that `seriesByTag` finds them.

Graphite names the file of a tagged series by a hash of its name, which cannot be read back: Carbon
registers the name with the web instead. Series of our own carry their tags in their name and need
no registration.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.tagged import canonical

if TYPE_CHECKING:
    from inapp_monitor.database.file import Connection, Database

MAX_NAMES = 10_000
MAX_LENGTH = 1_000

_SCRIPT = "create table tagged_series (path text primary key) without rowid"


class TagRegistry:
    """Registered names. *Threads:* all methods may be called from any thread."""

    def __init__(self, database: Database | None) -> None:
        """No I/O."""
        self._database = database
        self._lock = threading.Lock()
        self._names: set[str] | None = None
        if database is not None:
            database.declare("tagged_series", [_SCRIPT])

    def paths(self) -> list[str]:
        """All registered names, sorted."""
        with self._lock:
            return sorted(self._load())

    def add(self, paths: Iterable[str]) -> list[str]:
        """Register names; returns their canonical forms.

        Raises:
            QueryError: one of them is no tagged name, or there are too many.
        """
        names = [canonical(path) for path in paths]
        with self._lock:
            known = self._load()
            new = list(dict.fromkeys(name for name in names if name not in known))
            if any(len(name) > MAX_LENGTH for name in new):
                raise QueryError(f"a tagged series may have at most {MAX_LENGTH} characters")
            if len(known) + len(new) > MAX_NAMES:
                raise QueryError(f"at most {MAX_NAMES} tagged series can be registered")
            known.update(new)
        self._write("insert or ignore into tagged_series (path) values (?)", new)
        return names

    def remove(self, paths: Iterable[str]) -> None:
        """Forget names."""
        names = [canonical(path) for path in paths]
        with self._lock:
            self._load().difference_update(names)
        self._write("delete from tagged_series where path = ?", names)

    def _load(self) -> set[str]:
        if self._names is None:
            rows = [] if self._database is None else self._database.read(
                "select path from tagged_series limit ?", (MAX_NAMES,)
            )  # fmt: skip
            self._names = {row["path"] for row in rows}
        return self._names

    def _write(self, sql: str, names: list[str]) -> None:
        if self._database is None or not names:
            return

        def change(connection: Connection) -> None:
            for name in names:
                connection.execute(sql, (name,))

        self._database.submit(change, 100 + sum(map(len, names)))
        self._database.write_pending()
