"""What people do to issues, in the tables: resolve, reopen, mute, merge, split.

Each function is one change inside a transaction, see `tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inapp_monitor.database.file import Connection
from inapp_monitor.issues import tables

#: Seconds for which other workers may still hold occurrences of a deleted issue.
DELETED_KEPT_S = 86_400.0


def resolve(connection: Connection, issue: str, now: float, release: str, by: str) -> None:
    """Resolve now (`release` empty) or in a release."""
    _set(connection, issue, status="resolved", resolved_at=now, resolved_release=release)
    tables.add_history(connection, issue, now, "resolved", f"in {release}" if release else "", by)


def reopen(connection: Connection, issue: str, now: float, by: str) -> None:
    """Undo a resolution or a muting."""
    _set(connection, issue, status="open")
    tables.add_history(connection, issue, now, "reopened", "", by)


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
    total = tables.total_of(connection, issue)
    _set(
        connection,
        issue,
        status="muted",
        muted_until=until,
        muted_count=None if more is None else total + more,
        muted_rate_count=None if rate is None else rate[0],
        muted_rate_s=None if rate is None else rate[1],
        muted_at=now,
        muted_total=total,
    )
    text = "for ever"
    if until is not None:
        text = f"for {until - now:.0f} s"
    if more is not None:
        text = f"until {more} more"
    if rate is not None:
        text = f"until {rate[0]} in {rate[1]} s"
    tables.add_history(connection, issue, now, "muted", text, by)


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
        tables.shift_muted_counts(connection, into, tables.total_of(connection, issue))
        connection.execute("update issue_fingerprints set issue = ? where issue = ?", (into, issue))
        connection.execute("update issue_turns set issue = ? where issue = ?", (into, issue))
        connection.execute("delete from issues where id = ?", (issue,))
        connection.execute(
            "update issues set first_seen = min(first_seen, ?), last_seen = max(last_seen, ?)"
            " where id = ?",
            (row[1], row[2], into),
        )
        tables.add_history(connection, into, now, "merged", row[0], by)
    tables.count_users(connection, into)


def split(connection: Connection, fingerprint: str, now: float, by: str) -> None:
    """Give one fingerprint of an issue an issue of its own."""
    row = connection.execute(
        "select issue, count from issue_fingerprints where fingerprint = ?", (fingerprint,)
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
    tables.shift_muted_counts(connection, row[0], -row[1])
    for issue in (row[0], new):
        tables.count_users(connection, issue)
        tables.add_history(connection, issue, now, "split", fingerprint, by)


def delete(connection: Connection, issue: str, now: float) -> None:
    """Forget an issue with all it has, and what happened before now but is written later."""
    connection.execute("delete from deleted_fingerprints where time < ?", (now - DELETED_KEPT_S,))
    connection.execute(
        "insert or replace into deleted_fingerprints"
        " select fingerprint, ? from issue_fingerprints where issue = ?",
        (now, issue),
    )
    tables.delete(connection, issue)


def _set(connection: Connection, issue: str, **values: Any) -> None:
    cleared: dict[str, Any] = {
        "resolved_at": 0.0,
        "resolved_release": "",
        "muted_until": None,
        "muted_count": None,
        "muted_rate_count": None,
        "muted_rate_s": None,
        "muted_at": 0.0,
        "muted_total": 0,
    }
    columns = {**cleared, **values}
    assignments = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(
        f"update issues set {assignments} where id = ?",  # noqa: S608
        (*columns.values(), issue),
    )
