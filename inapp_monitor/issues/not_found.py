"""The 404s: which paths, how often, and which pages link to them. The most frequent are kept.

Any client can ask for any path, so both sides are bounded: in memory by dropping the rarer half
when the table is twice too long, on disk by dropping the least frequent. Under robots, which ask
for thousands of paths once, a broken link that somebody follows now and then must still be found:
a path that came before is worth more than one that did not, for which a Bloom filter remembers a
hundred thousand. And what nobody asks for any more is worth less from day to day.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from inapp_monitor.database.file import Connection, Database
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.guard import Guard
from inapp_monitor.issues.bloom_filter import AgingBloomFilter
from inapp_monitor.issues.safe_text import clean_text
from inapp_monitor.issues.scrub import Scrubber

PART = "not_found"
MAX_PATH, MAX_REFERER = 500, 500
MAX_REFERERS = 10
#: After so long without a hit, a path's count is worth half of what it was, then a third.
HALVED_AFTER_S = 86_400.0

SCHEMA = (
    """
    create table not_found (
        path text primary key, count int not null, first_seen real not null,
        last_seen real not null, referers text not null
    ) without rowid;
    create index not_found_by_count on not_found (count)
    """,
)


@dataclass(frozen=True, slots=True)
class NotFoundRow:
    """One path that was not found.

    Attributes:
        path: As asked for, cut and with control characters made visible.
        count: How often.
        last_seen, first_seen: Seconds since 1970 UTC.
        referers: Pages with links to it and how often each, most frequent first.
    """

    path: str
    count: int
    last_seen: float
    first_seen: float
    referers: list[tuple[str, int]]


@dataclass(slots=True)
class _Hits:
    count: int = 0
    first_seen: float = 0.0
    last_seen: float = 0.0
    referers: dict[str, int] = field(default_factory=dict)
    came_before: bool = False

    @property
    def worth(self) -> int:
        """Hits, with the one that came before."""
        return self.count + self.came_before

    def add(self, referer: str, wall: float) -> None:
        self.first_seen = min(self.first_seen, wall) if self.count else wall
        self.last_seen = max(self.last_seen, wall)
        self.count += 1
        if referer:
            self.referers[referer] = self.referers.get(referer, 0) + 1
            if len(self.referers) > 2 * MAX_REFERERS:
                self.referers = _most_frequent(self.referers)

    def absorb(self, other: _Hits) -> None:
        self.first_seen = min(self.first_seen, other.first_seen)
        self.last_seen = max(self.last_seen, other.last_seen)
        self.count += other.count
        self.came_before |= other.came_before
        for referer, count in other.referers.items():
            self.referers[referer] = self.referers.get(referer, 0) + count
        self.referers = _most_frequent(self.referers)


@dataclass(slots=True)
class _Pending:
    """What belongs to one process."""

    pid: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    hits: dict[str, _Hits] = field(default_factory=dict)
    in_flight: dict[str, _Hits] | None = None
    dropped: int = 0
    paths: int = 0
    earlier: AgingBloomFilter = field(default_factory=AgingBloomFilter)


class NotFoundTable:
    """The 404s of all processes.

    Args:
        settings: `max_not_found` and the scrubbing ones.
        guard: Counts our own failures.
        database: Where the table lives.
    """

    def __init__(
        self,
        settings: Settings,
        guard: Guard,
        database: Database,
    ) -> None:
        self._guard = guard
        self._most = settings.max_not_found
        self._database = database
        self._scrubber = Scrubber(settings.scrub_names, settings.scrub_patterns)
        self._states: dict[int, _Pending] = {}
        database.declare(PART, SCHEMA, self._make_room)

    def add(self, hits: Iterable[tuple[str, str, float]]) -> None:
        """Count (path, referer, wall time) of requests that were not found. Never raises."""
        state = self._state()
        try:
            with state.lock:
                for path, referer, wall in hits:
                    self._add(state, path[:MAX_PATH], referer[:MAX_REFERER], wall)
        except Exception as error:  # noqa: BLE001  # the fold goes on
            self._guard.failed("not found table", error)

    def _add(self, state: _Pending, path: str, referer: str, wall: float) -> None:
        hits = state.hits.get(path)
        if hits is None:
            if len(state.hits) >= 2 * self._most:
                rare = sorted(state.hits, key=lambda name: state.hits[name].worth)
                for name in rare[: self._most]:
                    state.dropped += state.hits.pop(name).count
            hits = state.hits[path] = _Hits()
            state.paths += 1
            if state.paths > self._most:  # until then, all of them are on disk
                hits.came_before = state.earlier.add(path)
        hits.add(referer, wall)

    def flush(self) -> None:
        """Queue what is new for the database."""
        state = self._state()
        with state.lock:
            if not state.hits or state.in_flight is not None:
                return
            batch = state.hits
            state.in_flight, state.hits = batch, {}

        def done(written: bool) -> None:
            with state.lock:
                if not written:
                    state.dropped += sum(hits.count for hits in batch.values())
                state.in_flight = None

        clean = self._clean(batch)
        most = self._most
        if not self._database.submit(
            lambda connection: _merge(connection, clean, most), 500 * len(clean), done
        ):
            with state.lock:
                later, state.hits, state.in_flight = state.hits, batch, None
                for path, hits in later.items():
                    if path in state.hits:
                        state.hits[path].absorb(hits)
                    elif len(state.hits) < 2 * self._most:
                        state.hits[path] = hits

    def top(self, limit: int = 50) -> list[NotFoundRow]:
        """The most frequent paths, what is not on disk yet included."""
        state = self._state()
        found: dict[str, _Hits] = {}
        for row in self._database.read("select * from not_found order by count desc"):
            found[row["path"]] = _Hits(
                row["count"], row["first_seen"], row["last_seen"], dict(json.loads(row["referers"]))
            )
        with state.lock:
            for batch in (state.in_flight, state.hits):
                for path, hits in self._clean(batch or {}).items():
                    if path in found:
                        found[path].absorb(hits)
                    else:
                        found[path] = hits
        rows = [
            NotFoundRow(
                path,
                hits.count,
                hits.last_seen,
                hits.first_seen,
                list(_most_frequent(hits.referers).items()),
            )
            for path, hits in found.items()
        ]
        rows.sort(key=lambda row: (-row.count, -row.last_seen))
        return rows[:limit]

    @property
    def dropped(self) -> int:
        """404s of this process whose path was not kept."""
        return self._state().dropped

    # -- inside

    def _state(self) -> _Pending:
        pid = os.getpid()
        state = self._states.get(pid)
        return state if state is not None else self._states.setdefault(pid, _Pending(pid))

    def _clean(self, batch: dict[str, _Hits]) -> dict[str, _Hits]:
        """The same hits under texts that may be stored and shown."""
        clean: dict[str, _Hits] = {}
        for path, hits in batch.items():
            name = self._scrub_url(path)
            referers: dict[str, int] = {}
            for referer, count in hits.referers.items():
                page = self._scrub_url(referer)
                referers[page] = referers.get(page, 0) + count
            copy = _Hits(hits.count, hits.first_seen, hits.last_seen, referers, hits.came_before)
            if name in clean:
                clean[name].absorb(copy)
            else:
                clean[name] = copy
        return clean

    def _scrub_url(self, url: str) -> str:
        place, mark, query = url.partition("?")
        return clean_text(self._scrubber.text(place) + mark + self._scrubber.query(query))

    def _make_room(self, connection: Connection) -> None:
        (count,) = connection.execute("select count(*) from not_found").fetchone()
        (latest,) = connection.execute("select max(last_seen) from not_found").fetchone()
        _keep(connection, count * 3 // 4, latest or 0.0)


def _merge(connection: Connection, batch: dict[str, _Hits], most: int) -> None:
    for path, hits in batch.items():
        row = connection.execute(
            "select referers from not_found where path = ?", (path,)
        ).fetchone()
        referers = dict(json.loads(row[0])) if row is not None else {}
        for referer, count in hits.referers.items():
            referers[referer] = referers.get(referer, 0) + count
        connection.execute(
            "insert into not_found values (?, ?, ?, ?, ?) on conflict (path) do update set"
            " count = count + excluded.count, first_seen = min(first_seen, excluded.first_seen),"
            " last_seen = max(last_seen, excluded.last_seen), referers = excluded.referers",
            (
                path,
                hits.count if row is not None else hits.worth,  # the earlier one was dropped
                hits.first_seen,
                hits.last_seen,
                json.dumps(list(_most_frequent(referers).items())),
            ),
        )
    if batch:
        _keep(connection, most, max(hits.last_seen for hits in batch.values()))


def _keep(connection: Connection, most: int, now: float) -> None:
    """Delete all but the most frequent; a hit of yesterday is worth half of one of today."""
    connection.execute(
        "delete from not_found where path in (select path from not_found"
        " order by count / (1.0 + max(? - last_seen, 0) / ?) desc, last_seen desc"
        " limit -1 offset ?)",
        (now, HALVED_AFTER_S, most),
    )


def _most_frequent(referers: dict[str, int]) -> dict[str, int]:
    ordered = sorted(referers.items(), key=lambda pair: -pair[1])
    return dict(ordered[:MAX_REFERERS])
