"""Issues as the tracker hands them out: plain data, no behaviour but JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["open", "resolved", "muted", "regressed"]
STATUSES: tuple[Status, ...] = ("open", "resolved", "muted", "regressed")


@dataclass(slots=True)
class IssueSummary:
    """One row of the issue list.

    Attributes:
        id: Stable name of the issue in URLs.
        type: Class of the exception, or the kind of message.
        title: Type and first line of the message.
        culprit: Function or route where it happened.
        status: One of `STATUSES`.
        count: Exact number of occurrences, those not yet on disk included.
        users: Distinct users affected, as far as the application named them.
        first_seen, last_seen: Seconds since 1970 UTC.
        release: The last release seen.
        fingerprint: The first fingerprint of the issue.
        level: `error`, `warning`, ...
        route: The route of the last event that had one.
        hours: Occurrences by hour (start of the hour, seconds), for sparklines.
        platform, project: Where its events come from; "" for those of the application itself.
    """

    id: str
    type: str
    title: str
    culprit: str
    status: Status
    count: int
    users: int
    first_seen: float
    last_seen: float
    release: str
    fingerprint: str
    level: str = "error"
    route: str = ""
    hours: dict[int, int] = field(default_factory=dict)
    platform: str = ""
    project: str = ""

    def as_json(self) -> dict[str, Any]:
        """The item of `errors.json`."""
        facts = asdict(self)
        facts["hours"] = [[hour, count] for hour, count in sorted(self.hours.items())]
        return {k: v for k, v in facts.items() if v or k not in ("platform", "project")}


@dataclass(slots=True)
class HistoryEntry:
    """One entry of an issue's history: first seen, resolved, regressed, comment, ..."""

    time: float
    kind: str
    text: str = ""
    by: str = ""


@dataclass(slots=True)
class Fingerprint:
    """One fingerprint of an issue and why its events are together."""

    fingerprint: str
    reason: list[str]
    version: int
    count: int


@dataclass(slots=True)
class IssueDetail:
    """Everything about one issue.

    Attributes:
        summary: The row of the list.
        events: Stored events, oldest first: the first one and the last 20.
        tags: Occurrences by tag name and value, most frequent first.
        fingerprints: What is grouped here; more than one after a merge.
        history: Oldest first.
        releases: Releases it was seen in, oldest first.
        resolved_release: The release it is resolved in, an empty string for "now".
        muted_until: Seconds since 1970 UTC, None when not by time.
        muted_count: The total at which it speaks up again, None when not by count.
        muted_rate: (occurrences, seconds) at which it speaks up again.
    """

    summary: IssueSummary
    events: list[dict[str, Any]]
    tags: dict[str, list[tuple[str, int]]]
    fingerprints: list[Fingerprint]
    history: list[HistoryEntry]
    releases: list[str]
    resolved_release: str = ""
    muted_until: float | None = None
    muted_count: int | None = None
    muted_rate: tuple[int, int] | None = None

    def as_json(self) -> dict[str, Any]:
        """The document of `errors/<id>.json`."""
        return {
            **self.summary.as_json(),
            "tags": {name: [list(pair) for pair in pairs] for name, pairs in self.tags.items()},
            "fingerprints": [asdict(entry) for entry in self.fingerprints],
            "history": [asdict(entry) for entry in self.history],
            "releases": self.releases,
            "resolved_release": self.resolved_release,
            "muted_until": self.muted_until,
            "muted_count": self.muted_count,
            "muted_rate": self.muted_rate,
            "events": self.events,
        }


@dataclass(frozen=True, slots=True)
class TrackerStatus:
    """The tracker in numbers.

    Attributes:
        unwritten: Occurrences that are not on disk yet.
        dropped_events: Events that were not kept, by reason; counts are never dropped.
    """

    unwritten: int
    dropped_events: dict[str, int]
