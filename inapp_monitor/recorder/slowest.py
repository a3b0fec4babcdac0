"""The slowest requests of each route, with path and time; bounded in number and age. No I/O."""

from __future__ import annotations

from typing import NamedTuple

#: Requests kept of each route and method.
KEPT = 10
#: Older ones make room, so that the table shows the present.
MAX_AGE_S = 3600.0
#: Failures that are remembered until their request is folded.
MAX_FAILURES = 1_000

#: Slug and method.
Key = tuple[str, str]


class Slow(NamedTuple):
    """One slow request.

    Attributes:
        ms: Duration in milliseconds.
        path: What was asked for, without the query.
        started: Epoch seconds.
        status: Status line, or None.
        issue: What its failure was counted under, or None.
    """

    ms: float
    path: str
    started: float
    status: str | None
    issue: str | None = None


class Slowest:
    """The slowest requests by route and method, slowest first.

    *Threads:* used under the recorder's lock only, but for `note_issue`, `take_changed` and
    `tables`, which are for any.
    """

    def __init__(self) -> None:
        self._tables: dict[Key, list[Slow]] = {}
        self._issues: dict[float, str] = {}
        self._changed: set[Key] = set()

    def note_issue(self, start: float, issue: str | None) -> None:
        """The request that began at `start` (performance counter) has failed as this issue."""
        if issue is not None:
            if len(self._issues) >= MAX_FAILURES:  # of requests that were not slow
                self._issues.clear()
            self._issues[start] = issue

    def issue_of(self, start: float) -> str | None:
        """The issue of the request that began at `start`, if it failed; returned once."""
        return self._issues.pop(start, None)

    def floor(self, key: Key, now: float) -> float:
        """The duration in ms above which a request belongs into the table; -1 while it has room."""
        table = self._tables.get(key)
        if table is None or len(table) < KEPT:
            return -1.0
        if min(entry.started for entry in table) < now - MAX_AGE_S:
            table[:] = [entry for entry in table if entry.started >= now - MAX_AGE_S]
            return -1.0
        return table[-1].ms

    def offer(self, key: Key, slow: Slow) -> None:
        """Keep a request that is above the floor."""
        table = self._tables.setdefault(key, [])
        table.append(slow)
        table.sort(key=_ms, reverse=True)
        del table[KEPT:]
        self._changed.add(key)

    def take_changed(self) -> set[Key]:
        """Whose tables have changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def tables(self) -> dict[Key, list[Slow]]:
        """A copy of all tables."""
        return {key: list(table) for key, table in list(self._tables.items())}


def _ms(slow: Slow) -> float:
    return slow.ms
