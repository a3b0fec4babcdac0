"""What the judge has learned, and what it finds right now, in SQLite: it outlives a restart, and
all workers see it.

Each route's past is a row of its own, so that one that has not changed is not written again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from inapp_monitor.alerts.detector import Detector

if TYPE_CHECKING:
    from inapp_monitor.database.file import Connection, Database

PART = "judge"
_SCRIPT = """
create table judge_memory (route text primary key, moment real not null, document blob not null)
without rowid;
create table judge_findings (
    id integer primary key check (id = 1), moment real not null, document text not null
)
"""
#: The row of what is not a route's.
_CORE = ""
#: Bytes of one row that are believed.
_MOST = 4 * 2**20


class Memory:
    """The tables of the judge."""

    def __init__(self, database: Database | None) -> None:
        """No I/O."""
        self._database = database
        if database is not None:
            database.declare(PART, [_SCRIPT])

    def load(self, detector: Detector) -> bool:
        """Fill a new detector with what was saved. Returns whether there was anything."""
        if self._database is None:
            return False
        core: dict[str, Any] | None = None
        routes: dict[str, Mapping[str, Any]] = {}
        for row in self._database.read("select route, document from judge_memory"):
            document = _unpacked(row["document"])
            if row["route"] == _CORE:
                core = document
            else:
                routes[row["route"]] = document
        if core is None:
            return False
        detector.load(core, routes)
        return True

    def save(self, detector: Detector, routes: Iterable[str], now: float) -> None:
        """Have the core and some routes written."""
        if self._database is None:
            return
        rows = [(_CORE, now, _packed(detector.dump()))]
        rows += [
            (route, now, _packed(detector.routes[route].dump()))
            for route in routes
            if route in detector.routes
        ]

        def write(connection: Connection) -> None:
            for row in rows:
                connection.execute("insert or replace into judge_memory values (?, ?, ?)", row)

        self._database.submit(write, sum(len(row[2]) + 100 for row in rows))

    def forget(self, routes: Iterable[str]) -> None:
        """Routes that are not stored any more."""
        gone = list(routes)

        def write(connection: Connection) -> None:
            for route in gone:
                connection.execute("delete from judge_memory where route = ?", (route,))

        if self._database is not None and gone:
            self._database.submit(write, 100 * len(gone))

    # -- what is wrong right now

    def publish(self, findings: list[dict[str, Any]], now: float) -> None:
        """Show the other workers what is wrong."""
        if self._database is None:
            return
        document = json.dumps(findings)

        def write(connection: Connection) -> None:
            connection.execute(
                "insert or replace into judge_findings values (1, ?, ?)", (now, document)
            )

        self._database.submit(write, len(document) + 100)

    def published(self) -> tuple[float, list[dict[str, Any]]]:
        """When, and what, the leader last showed."""
        if self._database is None:
            return 0.0, []
        rows = self._database.read("select moment, document from judge_findings where id = 1")
        if not rows:
            return 0.0, []
        return float(rows[0]["moment"]), list(json.loads(rows[0]["document"]))


def _packed(document: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(document).encode(), 1)


def _unpacked(data: bytes) -> dict[str, Any]:
    found = json.loads(zlib.decompressobj().decompress(data, _MOST))
    return dict(found)
