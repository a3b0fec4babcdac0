"""Fingerprints of one process and what is counted under them until the database has it.

State belongs to a process id: a child starts with an empty memory, the parent writes what it
counted before the fork. Locks are held for about a microsecond and never around foreign code.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType

from inapp_monitor.issues.event import Event
from inapp_monitor.issues.storage import Delta, Identity

#: Events of one fingerprint: a burst, then so many a second.
BURST, REFILL_PER_S = 10.0, 1.0
MAX_FINGERPRINTS = 2_000
MAX_CACHED = 4_096
MAX_DELTA_TAGS, MAX_DELTA_USERS = 200, 1_000

#: What the traceback cache holds on to: code objects, so that their ids stay theirs.
Codes = tuple[CodeType, ...]


@dataclass(slots=True)
class Known:
    """One fingerprint of this process.

    Attributes:
        identity: What names its issue.
        titled: Whether the identity has been completed from an event.
        delta: What was counted since the last hand-over.
        in_flight: What the database has been given and not yet written.
        tokens: Events that may be built, see `BURST`.
        refilled: When the tokens were counted, by the performance counter.
    """

    identity: Identity
    titled: bool = False
    delta: Delta = field(default_factory=Delta)
    in_flight: Delta | None = None
    tokens: float = BURST
    refilled: float = 0.0

    def total(self) -> Delta:
        """What is not on disk yet."""
        total = Delta()
        for delta in (self.in_flight, self.delta):
            if delta is not None and (delta.count or delta.events):
                total.absorb(delta)
        return total

    def unwritten(self) -> int:
        """Occurrences that are not on disk yet."""
        return self.delta.count + (self.in_flight.count if self.in_flight is not None else 0)


@dataclass(slots=True)
class Memory:
    """What belongs to one process. Lock order: flushing, then lock."""

    pid: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    flushing: threading.Lock = field(default_factory=threading.Lock)
    cache: dict[tuple[object, ...], tuple[Known, Codes]] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    #: Events for the flush, with the record of their request while the route is not known.
    waiting: dict[str, tuple[Known, Event, object]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def remember(self, identity: Identity, others: Identity, moment: float) -> Known:
        """The entry of a fingerprint; that of `others` when there are too many different ones."""
        with self.lock:
            known = self.known.get(identity.fingerprint)
            if known is None and len(self.known) >= MAX_FINGERPRINTS:
                self._forget_idle()
                if len(self.known) >= MAX_FINGERPRINTS:
                    identity = others
                    known = self.known.get(identity.fingerprint)
            if known is None:
                known = self.known[identity.fingerprint] = Known(identity, refilled=moment)
            return known

    def _forget_idle(self) -> None:
        """Drop fingerprints that have nothing to write; the database knows them."""
        idle = [key for key, known in self.known.items() if not known.unwritten()]
        for key in idle[: MAX_FINGERPRINTS // 2]:
            del self.known[key]
        self.cache.clear()

    def count(
        self,
        known: Known,
        now: float,
        moment: float,
        tags: Mapping[str, str],
        user: Mapping[str, str],
    ) -> bool:
        """Count one occurrence; True when the token bucket allows an event."""
        hour = int(now) // 3600 * 3600
        with self.lock:
            delta = known.delta
            if not delta.count:
                delta.first_seen = now
            delta.count += 1
            delta.last_seen = now
            delta.hours[hour] = delta.hours.get(hour, 0) + 1
            for name, value in tags.items():
                add_tag(delta, name, value)
            if user and len(delta.users) < MAX_DELTA_USERS:
                delta.users.add(_user_key(user))
            issue = known.identity.issue
            self.counts[issue] = self.counts.get(issue, 0) + 1
            known.tokens = min(BURST, known.tokens + (moment - known.refilled) * REFILL_PER_S)
            known.refilled = moment
            if known.tokens < 1.0:
                return False
            known.tokens -= 1.0
            return True


class Memories:
    """The memory of the process that asks."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Memory] = {}

    def here(self) -> Memory:
        """This process's memory. *Cost:* 0.1 µs."""
        pid = os.getpid()
        memory = self._by_pid.get(pid)
        return memory if memory is not None else self._by_pid.setdefault(pid, Memory(pid))


def add_tag(delta: Delta, name: str, value: str) -> None:
    """Count a tag's value, past the cap as `(other)`."""
    key = (name, value)
    if key not in delta.tags and len(delta.tags) >= MAX_DELTA_TAGS:
        key = (name, "(other)")
    delta.tags[key] = delta.tags.get(key, 0) + 1
    if name == "route":
        delta.route = value


def _user_key(user: Mapping[str, str]) -> str:
    """A short hash of who was affected: enough to count, not to tell who."""
    who = user.get("id") or user.get("email") or user.get("username") or next(iter(user.values()))
    return hashlib.blake2b(who.encode("utf-8", "replace"), digest_size=8).hexdigest()
