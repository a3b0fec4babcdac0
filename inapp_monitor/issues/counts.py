"""What is counted of one fingerprint until the disk has it. Plain data: no SQL, no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

#: Of an issue, besides its first one.
EVENTS_KEPT = 20
#: Different tags and users of one fingerprint that wait for the disk.
MAX_DELTA_TAGS, MAX_DELTA_USERS = 200, 1_000
#: Occurrences whose times are known one by one: as many as usually come between two writes.
MAX_DELTA_TIMES = 100


class StoredEvent(NamedTuple):
    """One event ready for the disk."""

    seen: float
    body: bytes


@dataclass(slots=True)
class Delta:
    """Occurrences of one fingerprint that are not on disk yet.

    Attributes:
        times: When the latest of them happened.
    """

    count: int = 0
    first_seen: float = 0.0
    last_seen: float = 0.0
    route: str = ""
    hours: dict[int, int] = field(default_factory=dict)
    tags: dict[tuple[str, str], int] = field(default_factory=dict)
    users: set[str] = field(default_factory=set)
    events: list[StoredEvent] = field(default_factory=list)
    times: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_DELTA_TIMES))

    def since(self, moment: float) -> int:
        """How many of them happened at a moment or later.

        Somebody may have decided about the issue between an occurrence and its write. Exact while
        the times of all that are in question are known; else those unknown count as later.
        """
        if self.first_seen >= moment:
            return self.count
        if self.last_seen < moment:
            return 0
        later = sum(at >= moment for at in self.times)
        return self.count if later == len(self.times) else later

    def absorb(self, later: Delta) -> None:
        """Add a later delta of the same fingerprint."""
        self.first_seen = min(self.first_seen, later.first_seen) if self.count else later.first_seen
        self.last_seen = max(self.last_seen, later.last_seen)
        self.count += later.count
        self.times.extend(later.times)
        self.route = later.route or self.route
        for hour, count in later.hours.items():
            self.hours[hour] = self.hours.get(hour, 0) + count
        for (name, value), count in later.tags.items():
            self.add_tag(name, value, count)
        for user in later.users:
            self.add_user(user)
        for event in later.events:
            self.add_event(event)

    def add_tag(self, name: str, value: str, count: int = 1) -> None:
        """Count a tag's value, past the cap as `(other)`."""
        key = (name, value)
        if key not in self.tags and len(self.tags) >= MAX_DELTA_TAGS:
            key = (name, "(other)")
        self.tags[key] = self.tags.get(key, 0) + count

    def add_user(self, user: str) -> None:
        """Note who was affected, up to the cap."""
        if len(self.users) < MAX_DELTA_USERS:
            self.users.add(user)

    def add_event(self, event: StoredEvent) -> None:
        """Keep the first and the last events."""
        self.events.append(event)
        if len(self.events) > EVENTS_KEPT + 1:
            del self.events[1]

    def size(self) -> int:
        """Bytes of memory, about."""
        bodies = sum(len(event.body) + 100 for event in self.events)
        return 1_000 + bodies + 100 * (len(self.hours) + len(self.tags) + len(self.users))


@dataclass(slots=True)
class Identity:
    """What names the issue of a fingerprint; from its first event, scrubbed.

    `earlier` is the fingerprint under the rule of grouping before; when the database knows it, its
    issue goes on.
    """

    fingerprint: str
    issue: str
    type: str
    title: str
    culprit: str
    level: str
    reason: tuple[str, ...]
    version: int
    search: str = ""
    earlier: str = ""
