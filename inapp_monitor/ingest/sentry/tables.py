"""What SDKs sent besides events, in `monitor.db`: counts, sessions, and where events went.

Every function here runs inside `Database`'s transaction and may run again after a roll-back, so it
changes nothing but the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from inapp_monitor.database.file import Connection
from inapp_monitor.ingest.sentry.sessions import SessionUpdate, steps_to

PART = "sentry"
DAYS_KEPT = 90
MAX_COUNT_ROWS, MAX_SESSION_ROWS = 20_000, 10_000
#: Sessions that may still change, and events that feedback or a trace may ask for.
MAX_SESSION_IDS, MAX_EVENT_IDS = 20_000, 20_000
DAY_S = 86_400

SCHEMA = (
    """
    create table sentry_counts (
        project text, day int, kind text, name text, count int not null,
        primary key (project, day, kind, name)
    ) without rowid;
    create table sentry_sessions (
        project text, release text, environment text, day int,
        total int not null, errored int not null, unhandled int not null, crashed int not null,
        primary key (project, release, environment, day)
    ) without rowid;
    create table sentry_session_ids (
        sid text primary key, seen real not null, rank int not null
    ) without rowid;
    create index sentry_session_ids_by_seen on sentry_session_ids (seen);
    create table sentry_events (
        event_id text primary key, fingerprint text not null, trace_id text not null,
        seen real not null
    ) without rowid;
    create index sentry_events_by_trace on sentry_events (trace_id);
    create index sentry_events_by_seen on sentry_events (seen);
    create table sentry_attachments (
        number integer primary key, event_id text not null, name text not null,
        body blob not null, seen real not null
    );
    create index sentry_attachments_by_event on sentry_attachments (event_id)
    """,
)
#: Attachments kept: of all events, the newest.
MAX_ATTACHMENTS = 100

Read = Callable[..., list[dict[str, Any]]]
#: (project, day, kind, name): occurrences.
Counts = Mapping[tuple[str, int, str, str], int]


def add_counts(connection: Connection, counts: Counts) -> None:
    """Add what one process counted."""
    for row, count in counts.items():
        connection.execute(
            "insert into sentry_counts (project, day, kind, name, count) values (?, ?, ?, ?, ?)"
            " on conflict do update set count = count + excluded.count",
            (*row, count),
        )
    newest = max(row[1] for row in counts)
    connection.execute("delete from sentry_counts where day < ?", (newest - DAYS_KEPT * DAY_S,))
    _keep(connection, "sentry_counts", "day", MAX_COUNT_ROWS)


def add_sessions(connection: Connection, updates: Iterable[SessionUpdate], now: float) -> None:
    """Apply updates of sessions: each session counts once, by the worst state it came to."""
    for update in updates:
        before = None
        if update.sid:
            row = connection.execute(
                "select rank from sentry_session_ids where sid = ?", (update.sid,)
            ).fetchone()
            before = row[0] if row else None
            connection.execute(
                "insert into sentry_session_ids (sid, seen, rank) values (?, ?, ?)"
                " on conflict do update set seen = excluded.seen, rank = max(rank, excluded.rank)",
                (update.sid, now, update.rank),
            )
        added = steps_to(update, before)
        if not any(added):
            continue
        connection.execute(
            "insert into sentry_sessions (project, release, environment, day, total, errored,"
            " unhandled, crashed) values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set"
            " total = total + excluded.total, errored = errored + excluded.errored,"
            " unhandled = unhandled + excluded.unhandled, crashed = crashed + excluded.crashed",
            (update.project, update.release, update.environment, update.day, *added),
        )
    connection.execute("delete from sentry_session_ids where seen < ?", (now - 2 * DAY_S,))
    _keep(connection, "sentry_session_ids", "seen", MAX_SESSION_IDS)
    connection.execute("delete from sentry_sessions where day < ?", (now - DAYS_KEPT * DAY_S,))
    _keep(connection, "sentry_sessions", "day", MAX_SESSION_ROWS)


def add_events(connection: Connection, events: Iterable[tuple[str, str, str, float]]) -> None:
    """Note of events (id, fingerprint, trace, time) which issue they went to."""
    for row in events:
        connection.execute("insert or replace into sentry_events values (?, ?, ?, ?)", row)
    _keep(connection, "sentry_events", "seen", MAX_EVENT_IDS)


def add_attachments(
    connection: Connection, attachments: Iterable[tuple[str, str, bytes, float]]
) -> None:
    """Keep texts (event, file name, body, time) that came with events."""
    for row in attachments:
        connection.execute(
            "insert into sentry_attachments (event_id, name, body, seen) values (?, ?, ?, ?)", row
        )
    connection.execute(
        "delete from sentry_attachments where number <="
        " (select max(number) from sentry_attachments) - ?",
        (MAX_ATTACHMENTS,),
    )


def make_room(connection: Connection) -> None:
    """Delete what is least worth keeping: the file is at its cap."""
    connection.execute("delete from sentry_attachments")
    connection.execute("delete from sentry_session_ids")
    for table, column in (("sentry_counts", "day"), ("sentry_events", "seen")):
        (rows,) = connection.execute(f"select count(*) from {table}").fetchone()  # noqa: S608
        _keep(connection, table, column, rows * 3 // 4)


def _keep(connection: Connection, table: str, column: str, most: int) -> None:
    """Delete the oldest rows until about `most` are left."""
    (rows,) = connection.execute(f"select count(*) from {table}").fetchone()  # noqa: S608
    if rows > most:
        connection.execute(
            f"delete from {table} where {column} <= (select {column} from {table}"  # noqa: S608
            f" order by {column} limit 1 offset ?)",
            (rows - most - 1,),
        )


def counts(read: Read, since: float) -> list[dict[str, Any]]:
    """Counts by project, kind and name since a day."""
    return read(
        "select project, kind, name, sum(count) as count from sentry_counts where day >= ?"
        " group by project, kind, name order by project, kind, 4 desc",
        (since,),
    )


def sessions(read: Read, since: float) -> list[dict[str, Any]]:
    """Sessions by project, release and environment since a day, the latest first."""
    return read(
        "select project, release, environment, max(day) as day, sum(total) as total,"
        " sum(errored) as errored, sum(unhandled) as unhandled, sum(crashed) as crashed"
        " from sentry_sessions where day >= ? group by project, release, environment"
        " order by max(day) desc, sum(total) desc limit 100",
        (since,),
    )


_WITH_ISSUE = (
    "select e.event_id as event_id, f.issue as issue, e.seen as seen from sentry_events e"
    " join issue_fingerprints f on f.fingerprint = e.fingerprint"
)


def issue_of_event(read: Read, event_id: str) -> str:
    """The issue that an event went to, "" when it is not known."""
    rows = read(f"{_WITH_ISSUE} where e.event_id = ?", (event_id,))
    return str(rows[0]["issue"]) if rows else ""


def is_known(read: Read, event_id: str) -> bool:
    """Whether an event has been recorded, by any worker."""
    return bool(read("select 1 from sentry_events where event_id = ?", (event_id,)))


def events_of_trace(read: Read, trace_id: str) -> list[dict[str, Any]]:
    """The events of a trace, the latest first."""
    return read(f"{_WITH_ISSUE} where e.trace_id = ? order by e.seen desc limit 50", (trace_id,))


def attachments_of(read: Read, event_id: str) -> list[dict[str, Any]]:
    """File names and bodies of what came with an event."""
    return read(
        "select name, body from sentry_attachments where event_id = ? order by number limit 10",
        (event_id,),
    )
