"""The issue tables of `monitor.db`: schema, merging of counts, actions of people, deletion.

Every function here runs inside `Database`'s transaction and may run again after a roll-back, so it
changes nothing but the database and the lists it is handed. Reading is in `reading`.

Counts, hours, tags and users stand under the *fingerprint*, and `fingerprints` says which issue a
fingerprint belongs to: merging and splitting issues is one update of that table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inapp_monitor.database.file import Connection
from inapp_monitor.issues.counts import (
    EVENTS_KEPT,
    Delta,
    Identity,
    StoredEvent,
)
from inapp_monitor.issues.lifecycle import (
    Standing,
    Transition,
    after_events,
    is_spike,
    standing_from,
)

PART = "issues"
HOURS_KEPT = 90 * 24
MAX_TAG_VALUES = 50
MAX_USERS = 10_000
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
)
_BY_FINGERPRINT = (
    "issue_events",
    "issue_hours",
    "issue_tags",
    "issue_users",
    "issue_releases",
    "issue_fingerprints",
)


@dataclass(slots=True)
class Limits:
    """How much may be kept."""

    event_bytes: int
    issues: int


@dataclass(slots=True)
class Outcome:
    """What a merge found out: the issue of the fingerprint and what happened to it."""

    issue: str = ""
    told: list[tuple[Transition, str]] = field(default_factory=list)


def merge(
    connection: Connection,
    identity: Identity,
    delta: Delta,
    release: str,
    limits: Limits,
    outcome: Outcome,
) -> None:
    """Add a delta to the tables; what happened to the issue goes into `outcome`."""
    told = outcome.told
    told.clear()
    if not delta.count and not _is_known(connection, identity.fingerprint):
        return  # an event that was finished after its count was written and its issue deleted
    issue = outcome.issue = _issue_of(connection, identity, delta, release, limits, told)
    fingerprint = identity.fingerprint
    if delta.count:
        _merge_counts(connection, fingerprint, delta, release)
        _live_on(connection, issue, delta, release, told)
    if delta.events:
        _add_events(connection, issue, fingerprint, delta.events)
        keep_within(connection, limits.event_bytes)


def _is_known(connection: Connection, fingerprint: str) -> bool:
    found = connection.execute(
        "select 1 from issue_fingerprints where fingerprint = ?", (fingerprint,)
    )
    return found.fetchone() is not None


def _merge_counts(connection: Connection, fingerprint: str, delta: Delta, release: str) -> None:
    connection.execute(
        "update issue_fingerprints set count = count + ? where fingerprint = ?",
        (delta.count, fingerprint),
    )
    _merge_release(connection, fingerprint, release, delta)
    for hour, count in delta.hours.items():
        connection.execute(
            "insert into issue_hours values (?, ?, ?) on conflict (fingerprint, hour) "
            "do update set count = count + excluded.count",
            (fingerprint, hour, count),
        )
    _merge_tags(connection, fingerprint, delta.tags)
    _merge_users(connection, fingerprint, delta.users)


def _issue_of(
    connection: Connection,
    identity: Identity,
    delta: Delta,
    release: str,
    limits: Limits,
    told: list[tuple[Transition, str]],
) -> str:
    """The issue of a fingerprint, made when it is new."""
    found = connection.execute(
        "select issue from issue_fingerprints where fingerprint = ?", (identity.fingerprint,)
    ).fetchone()
    if found is not None:
        if identity.search:  # its first occurrences may have come without an event
            connection.execute(
                "update issues set title = ?, culprit = ?, search = ? where id = ? and search = ''",
                (identity.title, identity.culprit, identity.search, found[0]),
            )
        return str(found[0])
    connection.execute(
        "insert or ignore into issue_fingerprints (fingerprint, issue, version, reason) "
        "values (?, ?, ?, ?)",
        (identity.fingerprint, identity.issue, identity.version, json.dumps(identity.reason)),
    )
    added = connection.execute(
        "insert or ignore into issues (id, fingerprint, type, title, culprit, level, route, search,"
        " status, first_seen, last_seen, release) values (?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?)",
        (
            identity.issue,
            identity.fingerprint,
            identity.type,
            identity.title,
            identity.culprit,
            identity.level,
            delta.route,
            identity.search,
            delta.first_seen,
            delta.last_seen,
            release,
        ),
    ).rowcount
    if added:
        turn(connection, identity.issue, delta.first_seen, "first seen", release)
        told.append(("new", identity.issue))
        _limit_issues(connection, limits.issues, identity.issue)
    return identity.issue


def _merge_release(connection: Connection, fingerprint: str, release: str, delta: Delta) -> None:
    if not release:
        return
    connection.execute(
        "insert into releases values (?, ?) on conflict (name) "
        "do update set first_seen = min(first_seen, excluded.first_seen)",
        (release, delta.first_seen),
    )
    connection.execute(
        "insert into issue_releases values (?, ?, ?) on conflict (fingerprint, release) "
        "do update set count = count + excluded.count",
        (fingerprint, release, delta.count),
    )


def _merge_tags(
    connection: Connection, fingerprint: str, tags: Mapping[tuple[str, str], int]
) -> None:
    for (name, value), count in tags.items():
        changed = connection.execute(
            "update issue_tags set count = count + ?"
            " where fingerprint = ? and name = ? and value = ?",
            (count, fingerprint, name, value),
        ).rowcount
        if changed:
            continue
        (values,) = connection.execute(
            "select count(*) from issue_tags where fingerprint = ? and name = ?",
            (fingerprint, name),
        ).fetchone()
        connection.execute(
            "insert into issue_tags values (?, ?, ?, ?) on conflict (fingerprint, name, value) "
            "do update set count = count + excluded.count",
            (fingerprint, name, value if values < MAX_TAG_VALUES else "(other)", count),
        )


def _merge_users(connection: Connection, fingerprint: str, users: set[str]) -> None:
    if not users:
        return
    (known,) = connection.execute(
        "select count(*) from issue_users where fingerprint = ?", (fingerprint,)
    ).fetchone()
    for user in sorted(users)[: max(MAX_USERS - known, 0)]:
        connection.execute("insert or ignore into issue_users values (?, ?)", (fingerprint, user))


def _live_on(
    connection: Connection,
    issue: str,
    delta: Delta,
    release: str,
    told: list[tuple[Transition, str]],
) -> None:
    """Bring the issue's row and its state up to date."""
    (total,) = connection.execute(
        "select sum(count) from issue_fingerprints where issue = ?", (issue,)
    ).fetchone()
    standing = standing_of(connection, issue, total - delta.count)
    if standing is None:
        return
    hour = int(delta.last_seen) // 3600 * 3600
    hours = _hours(connection, issue, hour - 86_400)
    recent = 0
    if standing.muted_rate is not None:
        recent = sum(count for at, count in hours.items() if at > hour - standing.muted_rate[1])
    seen = dict(connection.execute("select name, first_seen from releases").fetchall())
    status, transition = after_events(standing, delta.count, delta.last_seen, release, seen, recent)
    connection.execute(
        "update issues set status = ?, first_seen = min(first_seen, ?),"
        " last_seen = max(last_seen, ?), release = case when ? = '' then release else ? end,"
        " route = case when ? = '' then route else ? end where id = ?",
        (
            status,
            delta.first_seen,
            delta.last_seen,
            release,
            release,
            delta.route,
            delta.route,
            issue,
        ),
    )
    count_users(connection, issue)
    if transition is not None:
        told.append((transition, issue))
        turn(connection, issue, delta.last_seen, transition, release)
    if standing.status != "muted" and is_spike(hours, hour, delta.hours.get(hour, 0)):
        told.append(("spike", issue))
    connection.execute(
        "delete from issue_hours where hour < ? and fingerprint in"
        " (select fingerprint from issue_fingerprints where issue = ?)",
        (hour - HOURS_KEPT * 3600, issue),
    )


def standing_of(connection: Connection, issue: str, count: int) -> Standing | None:
    """The state of an issue, None when there is no such issue."""
    row = connection.execute(
        "select status, resolved_at, resolved_release, muted_until, muted_count,"
        " muted_rate_count, muted_rate_s from issues where id = ?",
        (issue,),
    ).fetchone()
    return None if row is None else standing_from(row, count)


def _hours(connection: Connection, issue: str, since: int) -> dict[int, int]:
    return dict(
        connection.execute(
            "select hour, sum(count) from issue_hours where hour >= ? and fingerprint in"
            " (select fingerprint from issue_fingerprints where issue = ?) group by hour",
            (since, issue),
        ).fetchall()
    )


def count_users(connection: Connection, issue: str) -> None:
    """Recount the distinct users of an issue."""
    connection.execute(
        "update issues set users = (select count(distinct user) from issue_users"
        " where fingerprint in (select fingerprint from issue_fingerprints"
        " where issue = issues.id)) where id = ?",
        (issue,),
    )


def _add_events(
    connection: Connection, issue: str, fingerprint: str, events: Sequence[StoredEvent]
) -> None:
    has_first = connection.execute(
        "select 1 from issue_events where pinned = 1 and fingerprint in"
        " (select fingerprint from issue_fingerprints where issue = ?) limit 1",
        (issue,),
    ).fetchone()
    for event in events:
        connection.execute(
            "insert into issue_events (fingerprint, seen, pinned, size, body)"
            " values (?, ?, ?, ?, ?)",
            (fingerprint, event.seen, 0 if has_first else 1, len(event.body), event.body),
        )
        has_first = True
    connection.execute(
        "delete from issue_events where pinned = 0 and number in (select number from issue_events"
        " where pinned = 0 and fingerprint in"
        " (select fingerprint from issue_fingerprints where issue = ?)"
        " order by seen desc limit -1 offset ?)",
        (issue, EVENTS_KEPT),
    )


def keep_within(connection: Connection, event_bytes: int) -> None:
    """Delete events until their bodies fit: the oldest, first those that are nobody's first."""
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
        _limit_issues(connection, issues * 3 // 4, "")


def _limit_issues(connection: Connection, most: int, but: str) -> None:
    (count,) = connection.execute("select count(*) from issues").fetchone()
    if count <= most:
        return
    rows = connection.execute(
        "select id from issues where id != ? order by status != 'resolved', last_seen limit ?",
        (but, count - most),
    ).fetchall()
    for (issue,) in rows:
        delete(connection, issue)


# -- what people do


def turn(
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


def resolve(connection: Connection, issue: str, now: float, release: str, by: str) -> None:
    """Resolve now (`release` empty) or in a release."""
    _set(connection, issue, status="resolved", resolved_at=now, resolved_release=release)
    turn(connection, issue, now, "resolved", f"in {release}" if release else "", by)


def reopen(connection: Connection, issue: str, now: float, by: str) -> None:
    """Take back a resolution or a muting."""
    _set(connection, issue, status="open")
    turn(connection, issue, now, "reopened", "", by)


def mute(
    connection: Connection,
    issue: str,
    now: float,
    *,
    until: float | None,
    more: int | None,
    rate: tuple[int, int] | None,
    by: str,
) -> None:
    """Mute for ever, until a time, until `more` occurrences, or until a rate is reached."""
    (total,) = connection.execute(
        "select coalesce(sum(count), 0) from issue_fingerprints where issue = ?", (issue,)
    ).fetchone()
    _set(
        connection,
        issue,
        status="muted",
        muted_until=until,
        muted_count=None if more is None else total + more,
        muted_rate_count=None if rate is None else rate[0],
        muted_rate_s=None if rate is None else rate[1],
    )
    text = "for ever"
    if until is not None:
        text = f"for {until - now:.0f} s"
    if more is not None:
        text = f"until {more} more"
    if rate is not None:
        text = f"until {rate[0]} in {rate[1]} s"
    turn(connection, issue, now, "muted", text, by)


def combine(connection: Connection, issues: Sequence[str], into: str, now: float, by: str) -> None:
    """Make several issues one: their fingerprints now belong to `into`."""
    if connection.execute("select 1 from issues where id = ?", (into,)).fetchone() is None:
        return
    for issue in issues:
        row = connection.execute(
            "select title, first_seen, last_seen from issues where id = ?", (issue,)
        ).fetchone()
        if row is None or issue == into:
            continue
        connection.execute("update issue_fingerprints set issue = ? where issue = ?", (into, issue))
        connection.execute("update issue_turns set issue = ? where issue = ?", (into, issue))
        connection.execute("delete from issues where id = ?", (issue,))
        connection.execute(
            "update issues set first_seen = min(first_seen, ?), last_seen = max(last_seen, ?)"
            " where id = ?",
            (row[1], row[2], into),
        )
        turn(connection, into, now, "merged", row[0], by)
    count_users(connection, into)


def split(connection: Connection, fingerprint: str, now: float, by: str) -> None:
    """Give one fingerprint of an issue an issue of its own."""
    row = connection.execute(
        "select issue from issue_fingerprints where fingerprint = ?", (fingerprint,)
    ).fetchone()
    if row is None:
        return
    (siblings,) = connection.execute(
        "select count(*) from issue_fingerprints where issue = ?", (row[0],)
    ).fetchone()
    if siblings < 2:
        return
    new = fingerprint[:12]
    if connection.execute("select 1 from issues where id = ?", (new,)).fetchone() is not None:
        new = fingerprint[:16]
    connection.execute(
        "insert or ignore into issues (id, fingerprint, type, title, culprit, level, route, search,"
        " status, first_seen, last_seen, release) select ?, ?, type, title, culprit, level, route,"
        " search, 'open', first_seen, last_seen, release from issues where id = ?",
        (new, fingerprint, row[0]),
    )
    connection.execute(
        "update issue_fingerprints set issue = ? where fingerprint = ?", (new, fingerprint)
    )
    for issue in (row[0], new):
        count_users(connection, issue)
        turn(connection, issue, now, "split", fingerprint, by)


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


def _set(connection: Connection, issue: str, **values: Any) -> None:
    cleared: dict[str, Any] = {
        "resolved_at": 0.0,
        "resolved_release": "",
        "muted_until": None,
        "muted_count": None,
        "muted_rate_count": None,
        "muted_rate_s": None,
    }
    columns = {**cleared, **values}
    assignments = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(
        f"update issues set {assignments} where id = ?",  # noqa: S608
        (*columns.values(), issue),
    )
