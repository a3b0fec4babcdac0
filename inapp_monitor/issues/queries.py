"""Issues read back from `monitor.db`: lists, details and events. Nothing is written here."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from inapp_monitor.issues.lifecycle import Standing, standing_from
from inapp_monitor.issues.model import Fingerprint, HistoryEntry, IssueDetail, IssueSummary

Row = dict[str, Any]
#: `Database.read`.
Read = Callable[..., list[Row]]

#: How the list can be sorted: in the file, and the same in memory.
SORTS = {
    "last_seen": "last_seen desc, id",
    "first_seen": "first_seen desc, id",
    "count": "count desc, last_seen desc, id",
    "users": "users desc, last_seen desc, id",
}
SORT_KEYS: dict[str, Callable[[IssueSummary], tuple[object, ...]]] = {
    "last_seen": lambda issue: (-issue.last_seen, issue.id),
    "first_seen": lambda issue: (-issue.first_seen, issue.id),
    "count": lambda issue: (-issue.count, -issue.last_seen, issue.id),
    "users": lambda issue: (-issue.users, -issue.last_seen, issue.id),
}
#: Parameters of one query, at most.
_AT_ONCE = 500
_COLUMNS = (
    "i.id, i.type, i.title, i.culprit, i.status, i.users, i.first_seen, i.last_seen, i.release,"
    " i.fingerprint, i.level, i.route,"
    " coalesce((select t.value from issue_tags t where t.fingerprint = i.fingerprint"
    " and t.name = 'platform' limit 1), '') as platform,"
    " coalesce((select t.value from issue_tags t where t.fingerprint = i.fingerprint"
    " and t.name = 'project' limit 1), '') as project,"
    " (select coalesce(sum(f.count), 0) from issue_fingerprints f where f.issue = i.id) as count"
)


class Filter(NamedTuple):
    """Which issues are wanted; None or empty: all."""

    status: str | None = None
    release: str | None = None
    route: str | None = None
    text: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


def summaries(
    read: Read, wanted: Filter, *, limit: int, offset: int = 0, sort: str = "last_seen"
) -> list[IssueSummary]:
    """Issues that match, without their hours."""
    conditions, parameters = _conditions(*wanted[:4])
    for tag in wanted.tags:
        conditions.append(
            "exists (select 1 from issue_tags t join issue_fingerprints f"
            " on f.fingerprint = t.fingerprint"
            " where f.issue = i.id and t.name = ? and t.value = ?)"
        )
        parameters += tag
    where = f"where {' and '.join(conditions)}" if conditions else ""
    rows = read(
        f"select {_COLUMNS} from issues i {where} order by {SORTS.get(sort, SORTS['last_seen'])}"  # noqa: S608
        " limit ? offset ?",
        (*parameters, limit, offset),
    )
    return [IssueSummary(**row) for row in rows]


def summaries_of(read: Read, issues: Sequence[str], text: str | None) -> list[IssueSummary]:
    """These issues, as far as they are stored and contain the words of a text."""
    conditions, parameters = _conditions(None, None, None, text)
    found: list[IssueSummary] = []
    for some, marks in _portions(issues):
        where = " and ".join([f"i.id in ({marks})", *conditions])
        rows = read(f"select {_COLUMNS} from issues i where {where}", (*some, *parameters))  # noqa: S608
        found += [IssueSummary(**row) for row in rows]
    return found


def stored_of(read: Read, issues: Sequence[str]) -> set[str]:
    """Those of these issues that are in the file."""
    found: set[str] = set()
    for some, marks in _portions(issues):
        rows = read(f"select id from issues where id in ({marks})", some)  # noqa: S608
        found.update(row["id"] for row in rows)
    return found


def seen_in(read: Read, issues: Sequence[str], release: str) -> set[str]:
    """Those of these issues that a release is known to have."""
    found: set[str] = set()
    for some, marks in _portions(issues):
        rows = read(
            "select distinct f.issue as issue from issue_releases r join issue_fingerprints f"  # noqa: S608
            f" on f.fingerprint = r.fingerprint where r.release = ? and f.issue in ({marks})",
            (release, *some),
        )
        found.update(row["issue"] for row in rows)
    return found


def tagged(read: Read, issues: Sequence[str], name: str, value: str) -> set[str]:
    """Those of these issues that have occurrences with a tag."""
    found: set[str] = set()
    for some, marks in _portions(issues):
        rows = read(
            "select distinct f.issue as issue from issue_tags t join issue_fingerprints f"  # noqa: S608
            " on f.fingerprint = t.fingerprint"
            f" where t.name = ? and t.value = ? and f.issue in ({marks})",
            (name, value, *some),
        )
        found.update(row["issue"] for row in rows)
    return found


def values_of_tags(read: Read, names: Sequence[str], most: int = 200) -> dict[str, list[str]]:
    """The values that tags have, the most frequent first."""
    found: dict[str, list[str]] = {}
    for row in read(
        "select name, value, sum(count) as count from issue_tags"  # noqa: S608
        f" where name in ({', '.join('?' * len(names))})"
        " group by name, value order by name, 3 desc limit ?",
        (*names, most),
    ):
        found.setdefault(row["name"], []).append(row["value"])
    return found


def users_of(read: Read, issue: str, users: Sequence[str]) -> set[str]:
    """Those of these users that an issue is known to have affected."""
    found: set[str] = set()
    for some, marks in _portions(users):
        rows = read(
            "select distinct u.user as user from issue_users u join issue_fingerprints f"  # noqa: S608
            f" on f.fingerprint = u.fingerprint where f.issue = ? and u.user in ({marks})",
            (issue, *some),
        )
        found.update(row["user"] for row in rows)
    return found


def standing(read: Read, issue: str, count: int) -> Standing | None:
    """The stored state of an issue that has occurred `count` times; None when it is not stored."""
    rows = read(
        "select status, resolved_at, resolved_release, muted_until, muted_count,"
        " muted_rate_count, muted_rate_s, muted_at, muted_total from issues where id = ?",
        (issue,),
    )
    return standing_from(tuple(rows[0].values()), count) if rows else None


def hours_since(read: Read, issue: str, since: int) -> dict[int, int]:
    """Occurrences of an issue by hour, later than a time."""
    rows = read(
        "select h.hour as hour, sum(h.count) as count from issue_hours h join issue_fingerprints f"
        " on f.fingerprint = h.fingerprint where f.issue = ? and h.hour > ? group by h.hour",
        (issue, since),
    )
    return {row["hour"]: row["count"] for row in rows}


def releases_first_seen(read: Read) -> dict[str, float]:
    """When each release was first seen, of those with errors."""
    return {row["name"]: row["first_seen"] for row in read("select * from releases")}


def _portions(values: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Values in portions that fit into a query, with their marks."""
    for start in range(0, len(values), _AT_ONCE):
        some = tuple(values[start : start + _AT_ONCE])
        yield some, ", ".join("?" * len(some))


def _conditions(
    status: str | None, release: str | None, route: str | None, text: str | None
) -> tuple[list[str], list[str]]:
    conditions: list[str] = []
    parameters: list[str] = []
    if status == "unresolved":
        conditions.append("i.status in ('open', 'regressed')")
    elif status:
        conditions.append("i.status = ?")
        parameters.append(status)
    if release:
        conditions.append(
            "exists (select 1 from issue_releases r join issue_fingerprints f"
            " on f.fingerprint = r.fingerprint where f.issue = i.id and r.release = ?)"
        )
        parameters.append(release)
    if route:
        conditions.append("i.route = ?")
        parameters.append(route)
    for word in (text or "").lower().split()[:10]:
        conditions.append("instr(i.search, ?) > 0")
        parameters.append(word)
    return conditions, parameters


def add_hours(read: Read, issues: Sequence[IssueSummary], since: int) -> None:
    """Fill in the hourly counts since a time."""
    by_id = {issue.id: issue for issue in issues}
    for some, marks in _portions(list(by_id)):
        for row in read(
            "select f.issue as issue, h.hour as hour, sum(h.count) as count from issue_hours h"  # noqa: S608
            " join issue_fingerprints f on f.fingerprint = h.fingerprint"
            f" where h.hour >= ? and f.issue in ({marks}) group by f.issue, h.hour",
            (since, *some),
        ):
            by_id[row["issue"]].hours[row["hour"]] = row["count"]


def issues_of(read: Read, fingerprints: Sequence[str]) -> dict[str, str]:
    """Fingerprint to issue, for those that the file knows."""
    found: dict[str, str] = {}
    for some, marks in _portions(fingerprints):
        for row in read(
            f"select fingerprint, issue from issue_fingerprints where fingerprint in ({marks})",  # noqa: S608
            some,
        ):
            found[row["fingerprint"]] = row["issue"]
    return found


def detail(read: Read, issue_id: str) -> IssueDetail | None:
    """Everything stored about one issue."""
    rows = read(f"select {_COLUMNS} from issues i where i.id = ?", (issue_id,))  # noqa: S608
    if not rows:
        return None
    summary = IssueSummary(**rows[0])
    add_hours(read, [summary], 0)
    prints = read("select * from issue_fingerprints where issue = ? order by rowid", (issue_id,))
    entries = read(
        "select time, kind, text, by from issue_turns where issue = ? order by number", (issue_id,)
    )
    state = read("select * from issues where id = ?", (issue_id,))
    if not state:
        return None
    rate = state[0]["muted_rate_count"], state[0]["muted_rate_s"]
    return IssueDetail(
        summary=summary,
        events=events(read, issue_id),
        tags=_tags(read, issue_id),
        fingerprints=[
            Fingerprint(row["fingerprint"], json.loads(row["reason"]), row["version"], row["count"])
            for row in prints
        ],
        history=[HistoryEntry(**row) for row in entries],
        releases=[
            row["name"]
            for row in read(
                "select distinct r.release as name, n.first_seen from issue_releases r"
                " join issue_fingerprints f on f.fingerprint = r.fingerprint"
                " join releases n on n.name = r.release where f.issue = ? order by n.first_seen",
                (issue_id,),
            )
        ],
        resolved_release=state[0]["resolved_release"],
        muted_until=state[0]["muted_until"],
        muted_count=state[0]["muted_count"],
        muted_rate=None if rate[0] is None else (rate[0], rate[1]),
    )


def events(read: Read, issue_id: str) -> list[dict[str, Any]]:
    """The stored events of an issue, oldest first; unreadable ones are left out."""
    rows = read(
        "select e.body as body from issue_events e join issue_fingerprints f"
        " on f.fingerprint = e.fingerprint where f.issue = ? order by e.seen, e.number",
        (issue_id,),
    )
    return [event for event in (decode(row["body"]) for row in rows) if event is not None]


def decode(body: bytes) -> dict[str, Any] | None:
    """An event from its stored form; None when it is damaged."""
    try:
        event = json.loads(zlib.decompress(body))
    except (ValueError, zlib.error):
        return None
    return event if isinstance(event, dict) else None


def _tags(read: Read, issue_id: str) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for row in read(
        "select t.name as name, t.value as value, sum(t.count) as count from issue_tags t"
        " join issue_fingerprints f on f.fingerprint = t.fingerprint"
        " where f.issue = ? group by t.name, t.value order by t.name, 3 desc",
        (issue_id,),
    ):
        found.setdefault(row["name"], []).append((row["value"], row["count"]))
    return found
