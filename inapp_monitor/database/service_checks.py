"""The latest state and message of each service check that clients report.

The series `checks.NAME` has the states over time; what a client said about the last one is here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from inapp_monitor.database.file import Connection, Database

#: Checks that are kept; then those not reported for longest are forgotten.
MAX_CHECKS = 1_000
#: Seconds after which a check that nobody reports any more is forgotten.
VALID_S = 7 * 86_400
_SCRIPT = """
    create table service_checks (
        path text primary key, status int not null, message text not null, at int not null,
        since int not null
    ) without rowid
"""


class ServiceCheck(NamedTuple):
    """One check.

    Attributes:
        path: Its series.
        status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
        message: What the client said with it.
        at: When it was reported last, seconds since the epoch.
        since: Since when it has that status.
    """

    path: str
    status: int
    message: str
    at: int
    since: int


class ServiceChecks:
    """Checks by path, of all workers. *Threads:* any."""

    def __init__(self, database: Database | None) -> None:
        """No I/O."""
        self._database = database
        if database is not None:
            database.declare("service_checks", [_SCRIPT])

    def put(self, checks: Iterable[ServiceCheck], now: int) -> None:
        """Keep what was reported, unless something later is kept already."""
        rows = [check for check in checks if check.at > now - VALID_S]
        if self._database is None or not rows:
            return

        def change(connection: Connection) -> None:
            for row in rows:
                connection.execute(
                    "insert into service_checks (path, status, message, at, since)"
                    " values (?, ?, ?, ?, ?) on conflict (path) do update set since ="
                    " case when status = excluded.status then since else excluded.since end,"
                    " status = excluded.status, message = excluded.message, at = excluded.at"
                    " where excluded.at >= at",
                    row,
                )
            connection.execute(
                "delete from service_checks where at <= ? or path in (select path from"
                " service_checks order by at desc limit -1 offset ?)",
                (now - VALID_S, MAX_CHECKS),
            )

        self._database.submit(change, sum(len(row.path) + len(row.message) + 40 for row in rows))

    def all(self, now: int) -> list[ServiceCheck]:
        """Those reported not too long ago, by path."""
        if self._database is None:
            return []
        rows = self._database.read(
            "select path, status, message, at, since from service_checks where at > ?"
            " order by path limit ?",
            (now - VALID_S, MAX_CHECKS),
        )
        return [ServiceCheck(**row) for row in rows]
