"""Events that people and deploy scripts post, in Graphite's sense: when, what, tags, data.

They are kept in the database; what is not written yet (or cannot be) is kept in memory, bounded,
and seen by every read. Without a database everything stays in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from inapp_monitor.database.file import Connection, Database

#: Events kept; the oldest go first.
MAX_EVENTS = 10_000
#: Events of one answer, and bytes of their texts: the newest ones.
MAX_FOUND, MAX_FOUND_BYTES = 5_000, 4 * 2**20
#: Rows that are read at once.
_ROWS = 500

_SCRIPT = """
create table posted_events (
    id integer primary key,
    moment integer not null,
    what text not null,
    tags text not null,
    data text not null
);
create index posted_events_moment on posted_events (moment)
"""


def tags_of(text: str) -> tuple[str, ...]:
    """The words of a text, separated by commas or blanks."""
    return tuple(text.replace(",", " ").split())


class PostedEvent(NamedTuple):
    """One event; `id` is 0 until it is written, unless events are kept in memory only."""

    moment: int
    what: str
    tags: tuple[str, ...]
    data: str
    id: int = 0


class PostedEvents:
    """The log of events. *Threads:* all methods may be called from any thread."""

    def __init__(self, database: Database | None) -> None:
        """No I/O."""
        self._database = database
        self._lock = threading.Lock()
        self._waiting: list[PostedEvent] = []
        self._number = 0
        if database is not None:
            database.declare("posted_events", [_SCRIPT], _forget_oldest)

    def add(self, event: PostedEvent) -> None:
        """Keep an event; it is written before this returns if the disk accepts it.

        An event that is there already is not kept twice: scripts without an answer post again.
        """
        in_memory = self._database is None or self._database.read_only
        stored = self._stored_number() if in_memory else 0
        with self._lock:
            if any(waiting[:4] == event[:4] for waiting in self._waiting):  # all but the number
                return
            if in_memory:
                self._number = max(self._number, stored) + 1
                event = event._replace(id=self._number)
            self._waiting.append(event)
            del self._waiting[:-MAX_EVENTS]
        if self._database is None or in_memory:
            return

        def insert(connection: Connection) -> None:
            row = (event.moment, event.what, " ".join(event.tags), event.data)
            connection.execute(
                "insert into posted_events (moment, what, tags, data) select ?, ?, ?, ? "
                "where not exists (select 1 from posted_events "
                "where moment = ? and what = ? and tags = ? and data = ?)",
                row + row,
            )
            connection.execute(
                "delete from posted_events where id <= (select max(id) from posted_events) - ?",
                (MAX_EVENTS,),
            )

        def done(written: bool) -> None:
            if written:
                self._forget_waiting(event)

        size = 200 + len(event.what) + len(event.data) + sum(map(len, event.tags))
        self._database.submit(insert, size, done)
        self._database.write_pending()

    def _stored_number(self) -> int:
        """The number of the latest event in a database that is only read."""
        if self._database is None:
            return 0
        rows = self._database.read("select max(id) as number from posted_events")
        return int((rows and rows[0]["number"]) or 0)

    def _forget_waiting(self, event: PostedEvent) -> None:
        with self._lock:
            self._waiting = [waiting for waiting in self._waiting if waiting is not event]

    def find(
        self, start: int, end: int, tags: Sequence[str] | None = None, *, any_of: bool = False
    ) -> list[PostedEvent]:
        """Events from `start` to `end` (both included) with all, or any, of the tags; by time.

        The newest `MAX_FOUND` of them, as far as they have `MAX_FOUND_BYTES` together.
        """
        wanted = None if tags is None else set(tags)
        with self._lock:
            found: list[tuple[int, int, int, PostedEvent | None]] = [
                (event.moment, event.id, _size(event), event)
                for event in self._waiting
                if start <= event.moment <= end and _has(event.tags, wanted, any_of)
            ]
        if self._database is not None:
            rows = self._database.read(
                "select id, moment, tags, length(what) + length(tags) + length(data) as size "
                "from posted_events where moment between ? and ? order by moment desc limit ?",
                (start, end, MAX_EVENTS),
            )
            found += [
                (row["moment"], row["id"], row["size"], None)
                for row in rows
                if _has(tags_of(row["tags"]), wanted, any_of)
            ]
        found.sort(key=lambda entry: entry[:2], reverse=True)
        sizes = accumulate(size for _, _, size, _ in found)
        count = sum(1 for size in sizes if size <= MAX_FOUND_BYTES)
        kept = found[: min(count, MAX_FOUND)]
        events = [event for *_, event in kept if event is not None]
        numbers = [number for _, number, _, event in kept if event is None]
        for first in range(0, len(numbers), _ROWS):
            events += self._written(numbers[first : first + _ROWS])
        return sorted(events, key=lambda event: (event.moment, event.id))

    def _written(self, numbers: Sequence[int]) -> list[PostedEvent]:
        """The written events of these numbers."""
        if self._database is None:
            return []
        marks = ", ".join("?" * len(numbers))
        sql = f"select id, moment, what, tags, data from posted_events where id in ({marks})"  # noqa: S608
        rows = self._database.read(sql, tuple(numbers))
        return [
            PostedEvent(row["moment"], row["what"], tags_of(row["tags"]), row["data"], row["id"])
            for row in rows
        ]

    def get(self, event_id: int) -> PostedEvent | None:
        """The event of that number."""
        with self._lock:
            for event in self._waiting:
                if event.id == event_id and event.id:
                    return event
        return next(iter(self._written([event_id])), None)

    def times(self, start: int, end: int, tags: Sequence[str] | None) -> list[int]:
        """When events happened: for the function `events()`."""
        return [event.moment for event in self.find(start, end, tags)]


def _size(event: PostedEvent) -> int:
    return len(event.what) + len(event.data) + sum(map(len, event.tags))


def _has(tags: Sequence[str], wanted: set[str] | None, any_of: bool) -> bool:
    """Whether an event with some tags is asked for."""
    if wanted is None:
        return True
    return bool(wanted.intersection(tags)) if any_of else bool(wanted) and wanted <= set(tags)


def _forget_oldest(connection: Connection) -> None:
    connection.execute(
        "delete from posted_events where id in "
        "(select id from posted_events order by id limit (select count(*) / 4 from posted_events))"
    )
