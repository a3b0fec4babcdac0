"""Merging what was counted of one fingerprint into the issue tables, inside one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inapp_monitor.database.file import Connection
from inapp_monitor.issues import tables
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
    earliest,
    is_spike,
    since_decision,
    standing_from,
)

HOURS_KEPT = 90 * 24
MAX_TAG_VALUES = 50
MAX_USERS = 10_000
#: Events that others send may name any; those first seen last are kept.
MAX_RELEASES = 1_000


@dataclass(slots=True)
class Limits:
    """How much may be kept."""

    event_bytes: int
    issues: int


@dataclass(slots=True)
class Outcome:
    """What a merge found out: the issue of the fingerprint and what happened to it."""

    issue: str = ""
    transitions: list[tuple[Transition, str]] = field(default_factory=list)


def merge(
    connection: Connection,
    identity: Identity,
    delta: Delta,
    release: str,
    limits: Limits,
    outcome: Outcome,
    now: float,
    running: Mapping[str, float],
) -> None:
    """Add a delta to the tables; what happened to the issue goes into `outcome`.

    Args:
        connection: Inside a transaction.
        identity, delta: What is added, and of which fingerprint.
        release: Of the process that it happened in, "" when unknown.
        limits: How much may be kept.
        outcome: Filled in.
        now: Seconds since 1970 UTC.
        running: When each release was first seen running.
    """
    transitions = outcome.transitions
    transitions.clear()  # of an attempt that was rolled back
    if not delta.count and not _is_known(connection, identity.fingerprint):
        return  # an event that was finished after its count was written and its issue deleted
    if delta.count and _is_deleted(connection, identity.fingerprint, delta, now):
        return
    issue = outcome.issue = _issue_of(connection, identity, delta, release, limits, transitions)
    fingerprint = identity.fingerprint
    if delta.count:
        _merge_counts(connection, fingerprint, delta)
        _merge_release(connection, fingerprint, release, delta, running)
        _update_issue(connection, issue, delta, release, transitions, now, running)
    if delta.events:
        _add_events(connection, issue, fingerprint, delta.events)
        tables.keep_within(connection, limits.event_bytes)


def _is_known(connection: Connection, fingerprint: str) -> bool:
    found = connection.execute(
        "select 1 from issue_fingerprints where fingerprint = ?", (fingerprint,)
    )
    return found.fetchone() is not None


def _is_deleted(connection: Connection, fingerprint: str, delta: Delta, now: float) -> bool:
    """Whether all of it happened before somebody deleted the issue."""
    deleted = connection.execute(
        "select time from deleted_fingerprints where fingerprint = ?", (fingerprint,)
    ).fetchone()
    if deleted is None:
        return False
    if now >= deleted[0] and not delta.since(deleted[0]):
        return True
    connection.execute("delete from deleted_fingerprints where fingerprint = ?", (fingerprint,))
    return False


def _merge_counts(connection: Connection, fingerprint: str, delta: Delta) -> None:
    connection.execute(
        "update issue_fingerprints set count = count + ? where fingerprint = ?",
        (delta.count, fingerprint),
    )
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
    transitions: list[tuple[Transition, str]],
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
    issue = _issue_of_earlier(connection, identity) or identity.issue
    connection.execute(
        "insert or ignore into issue_fingerprints (fingerprint, issue, version, reason) "
        "values (?, ?, ?, ?)",
        (identity.fingerprint, issue, identity.version, json.dumps(identity.reason)),
    )
    if issue != identity.issue:
        return issue
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
        tables.add_history(connection, identity.issue, delta.first_seen, "first seen", release)
        transitions.append(("new", identity.issue))
        tables.limit_issues(connection, limits.issues, identity.issue)
    return identity.issue


def _issue_of_earlier(connection: Connection, identity: Identity) -> str | None:
    """The issue that the rule of grouping before made of the same failure."""
    if not identity.earlier:
        return None
    found = connection.execute(
        "select issue from issue_fingerprints where fingerprint = ?", (identity.earlier,)
    ).fetchone()
    return None if found is None else str(found[0])


def _merge_release(
    connection: Connection,
    fingerprint: str,
    release: str,
    delta: Delta,
    running: Mapping[str, float],
) -> None:
    if not release:
        return
    connection.execute(
        "insert into releases values (?, ?) on conflict (name) "
        "do update set first_seen = min(first_seen, excluded.first_seen)",
        (release, min(delta.first_seen, running.get(release, delta.first_seen))),
    )
    connection.execute(
        "insert into issue_releases values (?, ?, ?) on conflict (fingerprint, release) "
        "do update set count = count + excluded.count",
        (fingerprint, release, delta.count),
    )
    (known,) = connection.execute("select count(*) from releases").fetchone()
    if known > MAX_RELEASES:
        connection.execute(
            "delete from releases where name in (select name from releases"
            " order by first_seen desc limit -1 offset ?)",
            (MAX_RELEASES,),
        )
        connection.execute(
            "delete from issue_releases where release not in (select name from releases)"
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


def _update_issue(
    connection: Connection,
    issue: str,
    delta: Delta,
    release: str,
    transitions: list[tuple[Transition, str]],
    now: float,
    running: Mapping[str, float],
) -> None:
    """Bring the issue's row and its status up to date."""
    (total,) = connection.execute(
        "select sum(count) from issue_fingerprints where issue = ?", (issue,)
    ).fetchone()
    standing = standing_of(connection, issue, total - delta.count)
    if standing is None:
        return
    new = since_decision(standing, delta, now)
    late = delta.count - new
    if late:  # as if it had been written before somebody decided
        tables.shift_muted_counts(connection, issue, late)
        standing = standing_of(connection, issue, total - new) or standing
    hour = int(delta.last_seen) // 3600 * 3600
    hours = _hours(connection, issue, hour - 86_400)
    recent = 0
    if standing.muted_rate is not None:
        recent = sum(count for at, count in hours.items() if at > hour - standing.muted_rate[1])
    stored = connection.execute("select name, first_seen from releases").fetchall()
    seen = earliest(dict(stored), running)
    status, transition = after_events(standing, new, delta.last_seen, release, seen, recent)
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
    tables.count_users(connection, issue)
    if transition is not None:
        transitions.append((transition, issue))
        tables.add_history(connection, issue, delta.last_seen, transition, release)
    if standing.status != "muted" and is_spike(hours, hour, delta.hours.get(hour, 0)):
        transitions.append(("spike", issue))
    connection.execute(
        "delete from issue_hours where hour < ? and fingerprint in"
        " (select fingerprint from issue_fingerprints where issue = ?)",
        (hour - HOURS_KEPT * 3600, issue),
    )


def standing_of(connection: Connection, issue: str, count: int) -> Standing | None:
    """The state of an issue, None when there is no such issue."""
    row = connection.execute(
        "select status, resolved_at, resolved_release, muted_until, muted_count,"
        " muted_rate_count, muted_rate_s, muted_at, muted_total from issues where id = ?",
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
