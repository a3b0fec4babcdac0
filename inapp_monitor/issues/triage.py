"""The list of issues and one issue in detail, and what people do to them.

Joins what the database has with what this process has not written yet, so that pages are right
while the disk is not. Used by the pages (with a tracker) and by the command line (without one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from inapp_monitor.database.file import Change, Database
from inapp_monitor.ground.clock import Clock
from inapp_monitor.issues import actions, queries, tables
from inapp_monitor.issues.counts import EVENTS_KEPT, Delta, Identity
from inapp_monitor.issues.lifecycle import after_events, earliest, since_decision
from inapp_monitor.issues.model import (
    STATUSES,
    Fingerprint,
    HistoryEntry,
    IssueDetail,
    IssueSummary,
    Status,
)
from inapp_monitor.issues.running_releases import RunningReleases
from inapp_monitor.issues.safe_text import clean_text

#: What a filter by status lets through, where that is not one status.
_STATUSES: dict[str, tuple[str, ...]] = {"": STATUSES, "unresolved": ("open", "regressed")}


class Unwritten(NamedTuple):
    """Occurrences of one fingerprint that are not on disk yet."""

    identity: Identity
    delta: Delta
    release: str


class Triage:
    """The issues of all processes for people: lists, details, and what they decide about them.

    Args:
        database: Where issues live; its tables need not exist yet.
        clock: For the times of actions.
        unwritten: What this process has counted and not written yet.
        flush: Called before an action.
        moved: Called after an action that may have moved fingerprints to other issues.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        unwritten: Callable[[], list[Unwritten]] = list,
        flush: Callable[[], None] = lambda: None,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._unwritten = unwritten
        self._flush = flush
        self._moved = moved
        self._running = RunningReleases(database.path.parent)
        database.declare(tables.PART, tables.SCHEMA, tables.make_room)

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
        tags: Mapping[str, str] | None = None,
        sort: str = "last_seen",
    ) -> list[IssueSummary]:
        """Issues of all processes, what this one has not written yet included.

        Args:
            limit, offset: Which part of the list.
            status: `open`, `resolved`, `muted`, `regressed`, or `unresolved` (open or regressed).
            release: Seen in this release.
            route: Last seen on this route.
            text: Words that title, message, files or functions contain.
            tags: Names and values of tags, each of which some occurrence has.
            sort: `last_seen`, `first_seen`, `count` or `users`.
        """
        pending = {issue: _counted(entries) for issue, entries in self._by_issue().items()}
        pending = {issue: entries for issue, entries in pending.items() if entries}
        wanted = queries.Filter(status, release, route, text, tuple((tags or {}).items()))
        sort = sort if sort in queries.SORTS else "last_seen"
        read = self._database.read
        if not pending:
            page = queries.summaries(read, wanted, limit=limit, offset=offset, sort=sort)
        else:  # those of the file that did not change, and all the others as they are now
            most = offset + limit + len(pending)
            found = queries.summaries(read, wanted, limit=most, sort=sort)
            found = [issue for issue in found if issue.id not in pending]
            found += self._changed(pending, wanted)
            found.sort(key=queries.SORT_KEYS[sort])
            page = found[offset : offset + limit]
        queries.add_hours(read, page, int(self._clock.wall()) // 3600 * 3600 - 86_400)
        for issue in page:
            _add_hours(issue, pending.get(issue.id, ()))
        return page

    def get_issue(self, issue_id: str) -> IssueDetail | None:
        """One issue with its events, None when there is none of this id."""
        pending = self._by_issue().get(issue_id, [])
        detail = queries.detail(self._database.read, issue_id)
        counted = _counted(pending)
        if detail is None and counted:
            detail = _new_detail(_new_summary(counted[0], issue_id))
        if detail is not None and pending:
            for entry in pending:
                _add_to_detail(detail, entry)
            self._add_unwritten(detail.summary, counted)
            _add_hours(detail.summary, counted)
        return detail

    def releases(self) -> list[str]:
        """All releases that have had errors, the newest first."""
        found = queries.releases_first_seen(self._database.read)
        return sorted(found, key=lambda name: -found[name])

    def values_of_tags(self, names: Sequence[str]) -> dict[str, list[str]]:
        """The values that tags have, the most frequent first; not of what is unwritten."""
        return queries.values_of_tags(self._database.read, names)

    def releases_first_seen(self) -> dict[str, float]:
        """When each release was first seen running or failing, seconds since 1970 UTC."""
        stored = queries.releases_first_seen(self._database.read)
        return earliest(stored, self._running.first_seen())

    def _by_issue(self) -> dict[str, list[Unwritten]]:
        pending = self._unwritten()
        if not pending:
            return {}
        identities = [entry.identity for entry in pending]
        located = queries.issues_of(
            self._database.read,
            [name for it in identities for name in (it.fingerprint, it.earlier) if name],
        )
        found: dict[str, list[Unwritten]] = {}
        for entry in pending:
            identity = entry.identity
            issue = located.get(identity.earlier, identity.issue)
            issue = located.get(identity.fingerprint, issue)
            found.setdefault(issue, []).append(entry)
        return found

    def _changed(
        self, pending: dict[str, list[Unwritten]], wanted: queries.Filter
    ) -> list[IssueSummary]:
        """The issues with something unwritten, as they will be, that pass the filter; no hours."""
        read, ids = self._database.read, list(pending)
        changed = queries.summaries_of(read, ids, wanted.text)
        stored = queries.stored_of(read, ids)
        in_release = queries.seen_in(read, ids, wanted.release) if wanted.release else set()
        for issue_id, entries in pending.items():
            if issue_id not in stored and _contains(entries[0].identity.search, wanted.text):
                changed.append(_new_summary(entries[0], issue_id))
        with_tags = [(tag, queries.tagged(read, ids, *tag)) for tag in wanted.tags]
        found = []
        for issue in changed:
            entries = pending[issue.id]
            if not all(
                issue.id in stored_so or any(tag in entry.delta.tags for entry in entries)
                for tag, stored_so in with_tags
            ):
                continue
            self._add_unwritten(issue, entries)
            if (
                issue.status in _STATUSES.get(wanted.status or "", (wanted.status,))
                and (not wanted.route or issue.route == wanted.route)
                and (
                    not wanted.release
                    or issue.id in in_release
                    or any(entry.release == wanted.release for entry in entries)
                )
            ):
                found.append(issue)
        return found

    def _add_unwritten(self, issue: IssueSummary, entries: Sequence[Unwritten]) -> None:
        """Bring a row of the list up to date with what is not written yet, as a write will."""
        read = self._database.read
        for entry in entries:
            if issue.status in ("resolved", "muted"):
                issue.status = self._status_after(issue, entry)
            _add(issue, entry)
        users: set[str] = set().union(*(entry.delta.users for entry in entries))
        issue.users += len(users - queries.users_of(read, issue.id, sorted(users)))

    def _status_after(self, issue: IssueSummary, entry: Unwritten) -> Status:
        read, delta = self._database.read, entry.delta
        standing = queries.standing(read, issue.id, issue.count)
        if standing is None:
            return issue.status
        recent = 0
        if standing.muted_rate is not None:
            since = int(delta.last_seen) // 3600 * 3600 - standing.muted_rate[1]
            recent = sum(queries.hours_since(read, issue.id, since).values())
            recent += sum(count for hour, count in delta.hours.items() if hour > since)
        new = since_decision(standing, delta, self._clock.wall())
        releases = self.releases_first_seen()
        status, _ = after_events(standing, new, delta.last_seen, entry.release, releases, recent)
        return status

    # -- what people do: one change of the database each, written at once when the disk allows

    def resolve(self, issue_id: str, *, release: str = "", by: str = "") -> None:
        """Resolve now, or in a release: events of older releases are then no regression."""
        now = self._clock.wall()
        self._act(lambda connection: actions.resolve(connection, issue_id, now, release, by))

    def reopen(self, issue_id: str, *, by: str = "") -> None:
        """Undo a resolution or a muting."""
        now = self._clock.wall()
        self._act(lambda connection: actions.reopen(connection, issue_id, now, by))

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
            lambda connection: actions.mute(
                connection, issue_id, now, until=until, more=more, rate=rate, by=by
            )
        )

    def comment(self, issue_id: str, text: str, *, by: str = "") -> None:
        """Add a comment to the history."""
        now = self._clock.wall()
        clean = clean_text(text)
        self._act(
            lambda connection: tables.add_history(connection, issue_id, now, "comment", clean, by)
        )

    def comment_of(self, issue_id: str, text: str, by: str) -> None:
        """As `comment`, of one who waits for nothing: it is written with the next changes."""
        now = self._clock.wall()
        clean, who = clean_text(text), clean_text(by)
        self._database.submit(
            lambda connection: tables.add_history(connection, issue_id, now, "comment", clean, who),
            len(clean) + 500,
        )

    def merge(self, issue_ids: Sequence[str], into: str, *, by: str = "") -> None:
        """Make several issues one."""
        now = self._clock.wall()
        self._act(lambda connection: actions.combine(connection, issue_ids, into, now, by))

    def split(self, fingerprint: str, *, by: str = "") -> None:
        """Give one fingerprint of an issue an issue of its own."""
        now = self._clock.wall()
        self._act(lambda connection: actions.split(connection, fingerprint, now, by))

    def delete(self, issue_id: str) -> None:
        """Forget an issue with all it has."""
        now = self._clock.wall()
        self._act(lambda connection: actions.delete(connection, issue_id, now))

    def _act(self, change: Change) -> None:
        self._flush()  # so that the change is about what people saw
        self._database.submit(change, 1_000)
        self._database.write_now()
        self._moved()


def _counted(entries: Sequence[Unwritten]) -> list[Unwritten]:
    """Those that have more than events: these may be finished after their counts were written."""
    return [entry for entry in entries if entry.delta.count]


def _new_summary(entry: Unwritten, issue_id: str) -> IssueSummary:
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
        platform=_tag_of(entry.delta, "platform"),
        project=_tag_of(entry.delta, "project"),
    )


def _tag_of(delta: Delta, name: str) -> str:
    return next((value for known, value in delta.tags if known == name), "")


def _new_detail(summary: IssueSummary) -> IssueDetail:
    return IssueDetail(
        summary=summary,
        events=[],
        tags={},
        fingerprints=[],
        history=[HistoryEntry(summary.first_seen, "first seen")],
        releases=[summary.release] if summary.release else [],
    )


def _contains(search: str, text: str | None) -> bool:
    return all(word in search for word in (text or "").lower().split()[:10])


def _add(summary: IssueSummary, entry: Unwritten) -> None:
    delta = entry.delta
    summary.count += delta.count
    summary.first_seen = min(summary.first_seen, delta.first_seen)
    summary.last_seen = max(summary.last_seen, delta.last_seen)
    summary.route = delta.route or summary.route
    summary.release = entry.release or summary.release


def _add_hours(summary: IssueSummary, entries: Sequence[Unwritten]) -> None:
    for entry in entries:
        for hour, count in entry.delta.hours.items():
            summary.hours[hour] = summary.hours.get(hour, 0) + count


def _add_to_detail(detail: IssueDetail, entry: Unwritten) -> None:
    for event in entry.delta.events:
        decoded = queries.decode(event.body)
        if decoded is not None:
            detail.events.append(decoded)
    if len(detail.events) > EVENTS_KEPT + 1:  # as they will be kept
        detail.events = [detail.events[0], *detail.events[-EVENTS_KEPT:]]
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
