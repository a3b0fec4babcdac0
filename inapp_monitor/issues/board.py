"""The list of issues and one issue in detail, and what people do to them.

Joins what the database has with what this process has not written yet, so that pages are right
while the disk is not. Used by the pages (with a tracker) and by the command line (without one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from inapp_monitor.clock import Clock
from inapp_monitor.database import Change, Database
from inapp_monitor.issues import reading, storage
from inapp_monitor.issues.event import clean_text
from inapp_monitor.issues.model import Fingerprint, IssueDetail, IssueSummary, Turn
from inapp_monitor.issues.storage import Delta, Identity

_SORT_KEYS: dict[str, Callable[[IssueSummary], tuple[float, float]]] = {
    "last_seen": lambda issue: (issue.last_seen, 0.0),
    "first_seen": lambda issue: (issue.first_seen, 0.0),
    "count": lambda issue: (issue.count, issue.last_seen),
    "users": lambda issue: (issue.users, issue.last_seen),
}


class Pending(NamedTuple):
    """Occurrences of one fingerprint that are not on disk yet."""

    identity: Identity
    delta: Delta
    release: str


class Board:
    """Issues for people.

    Args:
        database: Where issues live; its tables need not exist yet.
        clock: For the times of actions.
        pending: What is not written yet.
        flush: Called before an action.
        located: Called after an action that may have moved fingerprints to other issues.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        pending: Callable[[], list[Pending]] = list,
        flush: Callable[[], None] = lambda: None,
        located: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._pending = pending
        self._flush = flush
        self._located = located
        database.declare(storage.PART, storage.SCHEMA, storage.make_room)

    # -- reading

    def list_issues(
        self,
        limit: int = 50,
        *,
        offset: int = 0,
        status: str | None = None,
        release: str | None = None,
        route: str | None = None,
        text: str | None = None,
        sort: str = "last_seen",
    ) -> list[IssueSummary]:
        """Issues of all processes, what this one has not written yet included.

        Args:
            limit, offset: Which part of the list.
            status: `open`, `resolved`, `muted`, `regressed`, or `unresolved` (open or regressed).
            release: Seen in this release.
            route: Last seen on this route.
            text: Words that title, message, files or functions contain.
            sort: `last_seen`, `first_seen`, `count` or `users`.
        """
        pending = self._by_issue()
        wanted = reading.Filter(status, release, route, text)
        found = reading.summaries(
            self._database.read, wanted, limit=limit, offset=offset, sort=sort
        )
        since = int(self._clock.wall()) // 3600 * 3600 - 86_400
        reading.add_hours(self._database.read, found, since)
        if pending:
            self._join(found, pending, wanted, add_new=offset == 0)
            found.sort(key=_SORT_KEYS.get(sort, _SORT_KEYS["last_seen"]), reverse=True)
        return found[:limit]

    def get_issue(self, issue_id: str) -> IssueDetail | None:
        """One issue with its events, None when there is none of this id."""
        pending = self._by_issue().get(issue_id, [])
        detail = reading.detail(self._database.read, issue_id)
        for entry in pending:
            if detail is None:
                detail = _new_detail(_new_summary(entry, issue_id))
            _add(detail.summary, entry.delta)
            _add_to_detail(detail, entry)
        return detail

    def releases(self) -> list[str]:
        """All releases seen, the newest first."""
        return reading.releases(self._database.read)

    def _by_issue(self) -> dict[str, list[Pending]]:
        pending = self._pending()
        if not pending:
            return {}
        located = reading.issues_of(
            self._database.read, [entry.identity.fingerprint for entry in pending]
        )
        found: dict[str, list[Pending]] = {}
        for entry in pending:
            issue = located.get(entry.identity.fingerprint, entry.identity.issue)
            found.setdefault(issue, []).append(entry)
        return found

    def _join(
        self,
        found: list[IssueSummary],
        pending: dict[str, list[Pending]],
        wanted: reading.Filter,
        *,
        add_new: bool,
    ) -> None:
        by_id = {issue.id: issue for issue in found}
        for issue_id, entries in pending.items():
            summary = by_id.get(issue_id)
            if summary is None:
                stored = self._database.read("select 1 from issues where id = ?", (issue_id,))
                if stored or not add_new or not _matches(entries, wanted):
                    continue  # filtered out, or on another page of the list
                summary = _new_summary(entries[0], issue_id)
                found.append(summary)
            for entry in entries:
                _add(summary, entry.delta)

    # -- what people do: one change of the database each, written at once when the disk allows

    def resolve(self, issue_id: str, *, release: str = "", by: str = "") -> None:
        """Resolve now, or in a release: events of older releases are then no regression."""
        now = self._clock.wall()
        self._act(lambda connection: storage.resolve(connection, issue_id, now, release, by))

    def reopen(self, issue_id: str, *, by: str = "") -> None:
        """Take back a resolution or a muting."""
        now = self._clock.wall()
        self._act(lambda connection: storage.reopen(connection, issue_id, now, by))

    def mute(
        self,
        issue_id: str,
        *,
        for_s: float | None = None,
        more: int | None = None,
        rate: tuple[int, int] | None = None,
        by: str = "",
    ) -> None:
        """Mute for ever, for a time, until `more` occurrences, or until a rate (count, seconds)."""
        now = self._clock.wall()
        until = None if for_s is None else now + for_s
        self._act(
            lambda connection: storage.mute(
                connection, issue_id, now, until=until, more=more, rate=rate, by=by
            )
        )

    def comment(self, issue_id: str, text: str, *, by: str = "") -> None:
        """Add a comment to the history."""
        now = self._clock.wall()
        clean = clean_text(text)
        self._act(lambda connection: storage.turn(connection, issue_id, now, "comment", clean, by))

    def merge(self, issue_ids: Sequence[str], into: str, *, by: str = "") -> None:
        """Make several issues one."""
        now = self._clock.wall()
        self._act(lambda connection: storage.combine(connection, issue_ids, into, now, by))

    def split(self, fingerprint: str, *, by: str = "") -> None:
        """Give one fingerprint of an issue an issue of its own."""
        now = self._clock.wall()
        self._act(lambda connection: storage.split(connection, fingerprint, now, by))

    def delete(self, issue_id: str) -> None:
        """Forget an issue with all it has."""
        self._act(lambda connection: storage.delete(connection, issue_id))

    def _act(self, change: Change) -> None:
        self._flush()  # so that the change is about what people saw
        self._database.submit(change, 1_000)
        self._database.write_pending()
        self._located()


def _new_summary(entry: Pending, issue_id: str) -> IssueSummary:
    identity = entry.identity
    return IssueSummary(
        id=issue_id,
        type=identity.type,
        title=identity.title,
        culprit=identity.culprit,
        status="open",
        count=0,
        users=0,
        first_seen=entry.delta.first_seen,
        last_seen=entry.delta.last_seen,
        release=entry.release,
        fingerprint=identity.fingerprint,
        level=identity.level,
    )


def _new_detail(summary: IssueSummary) -> IssueDetail:
    return IssueDetail(
        summary=summary,
        events=[],
        tags={},
        fingerprints=[],
        history=[Turn(summary.first_seen, "first seen")],
        releases=[summary.release] if summary.release else [],
    )


def _matches(entries: Sequence[Pending], wanted: reading.Filter) -> bool:
    """Whether an issue that is only in memory passes the filter."""
    search = entries[0].identity.search
    return (
        wanted.status in (None, "", "open", "unresolved")
        and wanted.release in (None, "", entries[0].release)
        and (not wanted.route or any(entry.delta.route == wanted.route for entry in entries))
        and all(word in search for word in (wanted.text or "").lower().split())
    )


def _add(summary: IssueSummary, delta: Delta) -> None:
    summary.count += delta.count
    summary.first_seen = min(summary.first_seen, delta.first_seen)
    summary.last_seen = max(summary.last_seen, delta.last_seen)
    summary.users = max(summary.users, len(delta.users))
    summary.route = delta.route or summary.route
    for hour, count in delta.hours.items():
        summary.hours[hour] = summary.hours.get(hour, 0) + count


def _add_to_detail(detail: IssueDetail, entry: Pending) -> None:
    for event in entry.delta.events:
        decoded = reading.decode(event.body)
        if decoded is not None:
            detail.events.append(decoded)
    if len(detail.events) > storage.EVENTS_KEPT + 1:  # as they will be kept
        detail.events = [detail.events[0], *detail.events[-storage.EVENTS_KEPT :]]
    for (name, value), count in entry.delta.tags.items():
        shares = dict(detail.tags.get(name, ()))
        shares[value] = shares.get(value, 0) + count
        detail.tags[name] = sorted(shares.items(), key=lambda pair: -pair[1])
    for known in detail.fingerprints:
        if known.fingerprint == entry.identity.fingerprint:
            known.count += entry.delta.count
            return
    identity = entry.identity
    detail.fingerprints.append(
        Fingerprint(
            identity.fingerprint, list(identity.reason), identity.version, entry.delta.count
        )
    )
