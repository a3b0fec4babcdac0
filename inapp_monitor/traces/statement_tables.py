"""Statements and their repetitions in the SQLite file: texts, and figures by time and worker.

Five hundred statements are too many for series of their own, so their figures lie here: rows of ten
minutes for a day, of three hours for two months, bounded in number. All workers add up in one row.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from inapp_monitor.database.file import Connection, Database
from inapp_monitor.ground.histogram import Histogram

PART: Final = "statements"
#: Seconds of a row, and how long it is kept.
FINE_S, COARSE_S = 600, 10_800
KEPT: Final = {FINE_S: 26 * 3_600, COARSE_S: 62 * 86_400}
#: Rows of figures, statements and repetitions kept at most.
MAX_FIGURES, MAX_STATEMENTS, MAX_REPEATS = 60_000, 1_000, 500
PRUNED_EVERY_S: Final = 60.0
#: Buckets of durations are an eighth of an octave wide: a percentile is right within 3 %.
SHIFT: Final = 4
_BUCKET = struct.Struct("<HI")

SCHEMA = (
    """
    create table statements (
        id text primary key, system text not null, shape text not null, is_write int not null,
        sites text not null, routes text not null, first_seen real not null,
        last_seen real not null, total_ms real not null
    ) without rowid;
    create table statement_figures (
        step int not null, start int not null, id text not null, count int not null,
        total_ms real not null, max_ms real not null, errors int not null, row_count int not null,
        buckets blob not null, primary key (step, start, id)
    ) without rowid;
    create table statement_repeats (
        route text not null, id text not null, site text not null, kind text not null,
        sites text not null, first_seen real not null, last_seen real not null,
        requests int not null, times int not null, total_ms real not null, loop_ms real not null,
        request_ms real not null, primary key (route, id, site)
    ) without rowid
    """,
)


@dataclass(slots=True)
class Figures:
    """What one statement did in some time.

    Attributes:
        start: Epoch seconds.
        count, total_ms, max_ms, errors, rows: Sums, and the longest.
        durations: In milliseconds; of calls past the 500 of a request, none.
    """

    start: int = 0
    count: int = 0
    total_ms: float = 0.0
    max_ms: float = 0.0
    errors: int = 0
    rows: int = 0
    durations: Histogram = field(default_factory=lambda: Histogram(shift=SHIFT))

    def merge(self, other: Figures) -> None:
        """Add those of another time or worker."""
        self.count += other.count
        self.total_ms += other.total_ms
        self.max_ms = max(self.max_ms, other.max_ms)
        self.errors += other.errors
        self.rows += other.rows
        self.durations.merge(other.durations)

    @property
    def mean_ms(self) -> float:
        """Milliseconds a call."""
        return self.total_ms / self.count if self.count else 0.0

    @property
    def p95_ms(self) -> float | None:
        """Of those calls whose durations are known."""
        if not self.durations.count:
            return None
        return min(self.durations.quantile(0.95), self.max_ms)


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One statement, as it is known to all workers.

    Attributes:
        id, system, shape, is_write: See `statements.Statement`.
        sites: Lines of the application that made it last, innermost first.
        routes: How often it came from which.
        first_seen, last_seen: Epoch seconds.
    """

    id: str
    system: str
    shape: str
    is_write: bool
    sites: list[str]
    routes: dict[str, int]
    first_seen: float
    last_seen: float


@dataclass(slots=True)
class RepeatRow:
    """A repetition on one route: requests in which it was found, and what they came to.

    Attributes:
        route, id, kind, sites: Where, which statement, what it is called and which lines.
        first_seen, last_seen: Epoch seconds.
        requests: In which it was found.
        times: Of the statement in these.
        total_ms, loop_ms: Of the statement, and with the application's work between.
        request_ms: Of these requests.
    """

    route: str
    id: str
    kind: str
    sites: list[str]
    first_seen: float
    last_seen: float
    requests: int = 0
    times: int = 0
    total_ms: float = 0.0
    loop_ms: float = 0.0
    request_ms: float = 0.0


class StatementTables:
    """What the workers have written.

    *Threads:* any.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pruned_at = 0.0
        database.declare(PART, SCHEMA, _make_room)

    def submit(
        self,
        statements: list[StatementRow],
        figures: Mapping[str, Figures],
        repeats: list[RepeatRow],
        now: float,
    ) -> None:
        """Queue what is new: figures and repetitions are added to what is there.

        Args:
            statements: Those that have figures.
            figures: By the statement's id.
            repeats: Since the last call.
            now: Epoch seconds.
        """

        prunes = not 0.0 <= now - self._pruned_at < PRUNED_EVERY_S
        if prunes:
            self._pruned_at = now

        def change(connection: Connection) -> None:
            for row in statements:
                _merge_statement(connection, row, figures[row.id].total_ms)
            for step in KEPT:
                for key, entry in figures.items():
                    _merge_figures(connection, step, int(now) // step * step, key, entry)
            for repeat in repeats:
                _merge_repeat(connection, repeat)
            if prunes:
                _prune(connection, int(now))

        size = 500 * (len(statements) + len(repeats)) + 300 * len(figures)
        self._database.submit(change, size)

    def statements(self) -> dict[str, StatementRow]:
        """All that are known, by id."""
        rows = self._database.read("select * from statements")
        return {row["id"]: _statement(row) for row in rows}

    def statement(self, key: str) -> StatementRow | None:
        """One of them."""
        rows = self._database.read("select * from statements where id = ?", (key,))
        return _statement(rows[0]) if rows else None

    def past(self, key: str, start: int, end: int) -> list[Figures]:
        """Figures of a statement in a window of which only the long rows are left, oldest first."""
        return self._figures(COARSE_S, start, end, key).get(key, [])

    def figures(self, start: int, end: int, key: str = "") -> dict[str, list[Figures]]:
        """Figures of a window by statement, oldest first; see `step_of` for its edges."""
        return self._figures(step_of(start, end), start, end, key)

    def _figures(self, step: int, start: int, end: int, key: str) -> dict[str, list[Figures]]:
        sql = "select * from statement_figures where step = ? and start > ? and start <= ?"
        parameters: list[object] = [step, start - step, end]
        if key:
            sql += " and id = ?"
            parameters.append(key)
        found: dict[str, list[Figures]] = {}
        for row in self._database.read(f"{sql} order by start", parameters):
            found.setdefault(row["id"], []).append(_figures(row))
        return found

    def repeats(self, route: str | None = None) -> list[RepeatRow]:
        """All repetitions, or those of a route; the latest first."""
        sql, parameters = "select * from statement_repeats", []
        if route is not None:
            sql, parameters = f"{sql} where route = ?", [_storable(route)]
        rows = self._database.read(f"{sql} order by last_seen desc", parameters)
        return [_repeat(row) for row in rows]


def step_of(start: int, end: int, now: int | None = None) -> int:
    """Seconds of the rows from which a window is read; its edges are rounded to them."""
    oldest = (end if now is None else now) - start
    return FINE_S if oldest <= KEPT[FINE_S] - FINE_S and end - start <= KEPT[FINE_S] else COARSE_S


def _storable(text: str) -> str:
    """The text without what UTF-8 cannot say, such as a lone surrogate, and without NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def _statement(row: Mapping[str, Any]) -> StatementRow:
    return StatementRow(
        row["id"],
        row["system"],
        row["shape"],
        bool(row["is_write"]),
        json.loads(row["sites"]),
        json.loads(row["routes"]),
        row["first_seen"],
        row["last_seen"],
    )


def _figures(row: Mapping[str, Any]) -> Figures:
    durations = _unpack(row["buckets"])
    return Figures(
        row["start"],
        row["count"],
        row["total_ms"],
        row["max_ms"],
        row["errors"],
        row["row_count"],
        durations,
    )


def _repeat(row: Mapping[str, Any]) -> RepeatRow:
    return RepeatRow(
        row["route"],
        row["id"],
        row["kind"],
        json.loads(row["sites"]),
        row["first_seen"],
        row["last_seen"],
        row["requests"],
        row["times"],
        row["total_ms"],
        row["loop_ms"],
        row["request_ms"],
    )


def pack(durations: Histogram) -> bytes:
    """The buckets of a histogram of shift `SHIFT`."""
    return b"".join(_BUCKET.pack(*pair) for pair in sorted(durations.buckets.items()))


def _unpack(data: bytes) -> Histogram:
    buckets = dict(_BUCKET.iter_unpack(data[: len(data) // _BUCKET.size * _BUCKET.size]))
    count = sum(buckets.values())
    return (
        Histogram(count, 0.0, 0.0, float("inf"), buckets, SHIFT)
        if count
        else Histogram(shift=SHIFT)
    )


def _merge_statement(connection: Connection, row: StatementRow, total_ms: float) -> None:
    known = connection.execute("select routes from statements where id = ?", (row.id,)).fetchone()
    routes = dict(json.loads(known[0])) if known else {}
    for route, count in row.routes.items():
        routes[route] = routes.get(route, 0) + count
    most = dict(sorted(routes.items(), key=lambda pair: -pair[1])[:3])
    connection.execute(
        "insert into statements values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set"
        " sites = case excluded.sites when '[]' then sites else excluded.sites end,"
        " routes = excluded.routes, first_seen = min(first_seen, excluded.first_seen),"
        " last_seen = max(last_seen, excluded.last_seen), total_ms = total_ms + excluded.total_ms",
        (
            row.id,
            _storable(row.system),
            _storable(row.shape),
            row.is_write,
            json.dumps(row.sites),
            json.dumps(most),
            row.first_seen,
            row.last_seen,
            total_ms,
        ),
    )


def _merge_figures(
    connection: Connection, step: int, start: int, key: str, figures: Figures
) -> None:
    known = connection.execute(
        "select buckets from statement_figures where step = ? and start = ? and id = ?",
        (step, start, key),
    ).fetchone()
    durations = figures.durations.copy()
    if known:
        durations.merge(_unpack(known[0]))
    connection.execute(
        "insert into statement_figures values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " on conflict (step, start, id) do update set count = count + excluded.count,"
        " total_ms = total_ms + excluded.total_ms, max_ms = max(max_ms, excluded.max_ms),"
        " errors = errors + excluded.errors, row_count = row_count + excluded.row_count,"
        " buckets = excluded.buckets",
        (
            step,
            start,
            key,
            figures.count,
            figures.total_ms,
            figures.max_ms,
            figures.errors,
            figures.rows,
            pack(durations),
        ),
    )


def _merge_repeat(connection: Connection, row: RepeatRow) -> None:
    connection.execute(
        "insert into statement_repeats values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " on conflict (route, id, site) do update set kind = excluded.kind,"
        " sites = excluded.sites, first_seen = min(first_seen, excluded.first_seen),"
        " last_seen = max(last_seen, excluded.last_seen),"
        " requests = requests + excluded.requests, times = times + excluded.times,"
        " total_ms = total_ms + excluded.total_ms, loop_ms = loop_ms + excluded.loop_ms,"
        " request_ms = request_ms + excluded.request_ms",
        (
            _storable(row.route),
            row.id,
            _storable(row.sites[0] if row.sites else ""),
            row.kind,
            json.dumps(row.sites),
            row.first_seen,
            row.last_seen,
            row.requests,
            row.times,
            row.total_ms,
            row.loop_ms,
            row.request_ms,
        ),
    )


def _prune(connection: Connection, now: int) -> None:
    for step, kept in KEPT.items():
        connection.execute(
            "delete from statement_figures where step = ? and start < ?", (step, now - kept)
        )
    _keep(connection, MAX_STATEMENTS, MAX_REPEATS, MAX_FIGURES)


def _keep(connection: Connection, statements: int, repeats: int, figures: int) -> None:
    (count,) = connection.execute("select count(*) from statements").fetchone()
    if count > statements:
        connection.execute(
            "delete from statements where id in"
            " (select id from statements order by last_seen limit ?)",
            (count - statements * 9 // 10,),
        )
    (count,) = connection.execute("select count(*) from statement_repeats").fetchone()
    if count > repeats:
        connection.execute(
            "delete from statement_repeats where last_seen <= (select last_seen from"
            " statement_repeats order by last_seen limit 1 offset ?)",
            (count - repeats * 9 // 10,),
        )
    (count,) = connection.execute("select count(*) from statement_figures").fetchone()
    if count > figures:
        connection.execute(
            "delete from statement_figures where (step, start, id) in"
            " (select step, start, id from statement_figures order by start limit ?)",
            (count - figures * 9 // 10,),
        )


def _make_room(connection: Connection) -> None:
    counts = [
        connection.execute(f"select count(*) from {table}").fetchone()[0]  # noqa: S608
        for table in ("statements", "statement_repeats", "statement_figures")
    ]
    statements, repeats, figures = (count * 3 // 4 for count in counts)
    _keep(connection, statements, repeats, figures)


def figures_of(
    count: int, total_ms: float, seconds: Iterable[float], errors: int, rows: int
) -> Figures:
    """The figures of calls whose seconds are known, and of others."""
    durations = [each * 1000.0 for each in seconds]
    histogram = Histogram.of(durations)
    histogram.coarsen(SHIFT)
    return Figures(0, count, total_ms, max(durations, default=0.0), errors, rows, histogram)
