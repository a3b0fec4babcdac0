"""The slowest requests of each route, with path and time; bounded in number and age. No I/O."""

from __future__ import annotations

from typing import NamedTuple

#: Requests kept of each route.
KEPT = 4
#: Older ones make room, so that the table tells of now.
MAX_AGE_S = 3600.0


class Slow(NamedTuple):
    """One slow request.

    Attributes:
        method: One of HTTP's, or OTHER.
        ms: Duration in milliseconds.
        path: What was asked for, without the query.
        started: Epoch seconds.
        status: Status line, or None.
    """

    method: str
    ms: float
    path: str
    started: float
    status: str | None


class Slowest:
    """The slowest requests by slug, slowest first.

    *Threads:* used under the recorder's lock only.
    """

    def __init__(self) -> None:
        self._tables: dict[str, list[Slow]] = {}

    def floor(self, slug: str, now: float) -> float:
        """The duration in ms above which a request belongs into the table; -1 while it has room."""
        table = self._tables.get(slug)
        if table is None or len(table) < KEPT:
            return -1.0
        if min(entry.started for entry in table) < now - MAX_AGE_S:
            table[:] = [entry for entry in table if entry.started >= now - MAX_AGE_S]
            return -1.0
        return table[-1].ms

    def offer(self, slug: str, slow: Slow) -> None:
        """Take a request that is above the floor."""
        table = self._tables.setdefault(slug, [])
        table.append(slow)
        table.sort(key=_ms, reverse=True)
        del table[KEPT:]

    def rows(self, now: float) -> list[dict[str, object]]:
        """All of the last hour as plain data, slowest first."""
        found = [
            {"slug": slug, **entry._asdict()}
            for slug, table in list(self._tables.items())
            for entry in list(table)
            if entry.started >= now - MAX_AGE_S
        ]
        found.sort(key=lambda row: -float(str(row["ms"])))
        return found


def _ms(slow: Slow) -> float:
    return slow.ms
