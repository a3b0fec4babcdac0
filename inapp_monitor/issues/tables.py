"""The issue tables of `monitor.db`: schema, what may be deleted, and what all writers share.

Every function here, in `merge_counts` and in `actions` runs inside `Database`'s transaction and may
run again after a roll-back, so it changes nothing but the database and what it is handed. Reading
is in `queries`.

Counts, hours, tags and users stand under the *fingerprint*, and `issue_fingerprints` says which
issue a fingerprint belongs to: merging and splitting issues is one update of that table.
"""

from __future__ import annotations

from inapp_monitor.database.file import Connection

PART = "issues"
MAX_HISTORY = 200

SCHEMA = (
    """
    create table issues (
        id text primary key, fingerprint text not null, type text not null, title text not null,
        culprit text not null, level text not null, route text not null, search text not null,
        status text not null, first_seen real not null, last_seen real not null,
        release text not null, users int not null default 0,
        resolved_at real not null default 0, resolved_release text not null default '',
        muted_until real, muted_count int, muted_rate_count int, muted_rate_s int
    );
    create index issues_by_last_seen on issues (last_seen);
    create table issue_fingerprints (
        fingerprint text primary key, issue text not null, version int not null,
        reason text not null, count int not null default 0
    );
    create index issue_fingerprints_by_issue on issue_fingerprints (issue);
    create table issue_events (
        number integer primary key, fingerprint text not null, seen real not null,
        pinned int not null, size int not null, body blob not null
    );
    create index issue_events_by_fingerprint on issue_events (fingerprint, pinned, seen, size);
    create table issue_hours (
        fingerprint text, hour int, count int not null, primary key (fingerprint, hour)
    ) without rowid;
    create table issue_tags (
        fingerprint text, name text, value text, count int not null,
        primary key (fingerprint, name, value)
    ) without rowid;
    create table issue_users (
        fingerprint text, user text, primary key (fingerprint, user)
    ) without rowid;
    create table issue_releases (
        fingerprint text, release text, count int not null, primary key (fingerprint, release)
    ) without rowid;
    create table releases (name text primary key, first_seen real not null) without rowid;
    create table issue_turns (
        number integer primary key, issue text not null, time real not null, kind text not null,
        text text not null, by text not null
    );
    create index issue_turns_by_issue on issue_turns (issue, number)
    """,
    """
    alter table issues add column muted_at real not null default 0;
    alter table issues add column muted_total int not null default 0;
    create table deleted_fingerprints (fingerprint text primary key, time real not null)
        without rowid
    """,
)
_BY_FINGERPRINT = (
    "issue_events",
    "issue_hours",
    "issue_tags",
    "issue_users",
    "issue_releases",
    "issue_fingerprints",
)


def add_history(
    connection: Connection, issue: str, now: float, kind: str, text: str = "", by: str = ""
) -> None:
    """Add to an issue's history."""
    connection.execute(
        "insert into issue_turns (issue, time, kind, text, by) values (?, ?, ?, ?, ?)",
        (issue, now, kind, text[:2_000], by[:100]),
    )
    connection.execute(
        "delete from issue_turns where number in (select number from issue_turns where issue = ?"
        " order by number desc limit -1 offset ?)",
        (issue, MAX_HISTORY),
    )


def count_users(connection: Connection, issue: str) -> None:
    """Recount the distinct users of an issue."""
    connection.execute(
        "update issues set users = (select count(distinct user) from issue_users"
        " where fingerprint in (select fingerprint from issue_fingerprints"
        " where issue = issues.id)) where id = ?",
        (issue,),
    )


def shift_muted_counts(connection: Connection, issue: str, more: int) -> None:
    """Raise the totals that a muting counts from, by occurrences that are none since then."""
    connection.execute(
        "update issues set muted_count = muted_count + ?, muted_total = muted_total + ?"
        " where id = ? and status = 'muted'",
        (more, more, issue),
    )


def total_of(connection: Connection, issue: str) -> int:
    """Occurrences of an issue."""
    (total,) = connection.execute(
        "select coalesce(sum(count), 0) from issue_fingerprints where issue = ?", (issue,)
    ).fetchone()
    return int(total)


def delete(connection: Connection, issue: str) -> None:
    """Forget an issue and everything under it. A new event makes it new again."""
    of_issue = "(select fingerprint from issue_fingerprints where issue = ?)"
    for table in _BY_FINGERPRINT:
        connection.execute(
            f"delete from {table} where fingerprint in {of_issue}",  # noqa: S608
            (issue,),
        )
    connection.execute("delete from issue_turns where issue = ?", (issue,))
    connection.execute("delete from issues where id = ?", (issue,))


def all_ids(connection: Connection) -> list[str]:
    """The ids of all issues."""
    return [str(row[0]) for row in connection.execute("select id from issues").fetchall()]


def keep_within(connection: Connection, event_bytes: int) -> None:
    """Delete events until their bodies fit: the oldest, an issue's first one last."""
    (total,) = connection.execute("select coalesce(sum(size), 0) from issue_events").fetchone()
    for order in (
        "pinned = 0",
        "pinned = 1 and fingerprint in (select f.fingerprint from issue_fingerprints f"
        " join issues i on i.id = f.issue where i.status = 'resolved')",
        "pinned = 1",
    ):
        if total <= event_bytes:
            return
        rows = connection.execute(
            f"select number, size from issue_events where {order} order by seen"  # noqa: S608
        ).fetchall()
        for number, size in rows:
            if total <= event_bytes:
                return
            connection.execute("delete from issue_events where number = ?", (number,))
            total -= size


def make_room(connection: Connection) -> None:
    """Delete a quarter of the events, oldest first: the file is at its cap."""
    (total,) = connection.execute("select coalesce(sum(size), 0) from issue_events").fetchone()
    if total:
        keep_within(connection, total * 3 // 4)
    else:
        (issues,) = connection.execute("select count(*) from issues").fetchone()
        limit_issues(connection, issues * 3 // 4, "")


def limit_issues(connection: Connection, most: int, but: str) -> None:
    """Delete issues until `most` are left, resolved and old ones first, `but` never."""
    (count,) = connection.execute("select count(*) from issues").fetchone()
    if count <= most:
        return
    rows = connection.execute(
        "select id from issues where id != ? order by status != 'resolved', last_seen limit ?",
        (but, count - most),
    ).fetchall()
    for (issue,) in rows:
        delete(connection, issue)
