"""Fingerprints of one process and what is counted under them until the database has it.

A failing request appends one small tuple; counting happens later, in the flush and wherever counts
are read, or, in a storm, in slices by the failing requests themselves. So threads that fail at the
same time do not wait for each other: a lock that each of them acquires costs more than everything
else here.

State belongs to a process id: a child starts with an empty memory, the parent writes what it
counted before the fork. Locks are held for microseconds and never around foreign code.

A handler of a signal may record errors in the middle of anything here, in the thread that holds the
locks. So recording never needs one: it appends to `pending` and `later` and sets single entries of
dictionaries, which nobody walks through without a copy.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from inapp_monitor.ground.process.held_locks import is_held_here
from inapp_monitor.ground.route_text import template_of
from inapp_monitor.issues.counts import Delta, Identity
from inapp_monitor.issues.event import Event

#: Events of one fingerprint: a burst, then so many a second.
BURST, REFILL_PER_S = 10, 1.0
MAX_FINGERPRINTS = 2_000
MAX_CACHED = 4_096
#: Occurrences that wait to be counted until a failing request counts them.
MAX_PENDING = 1_000
#: Of these, so many at once: a request works for a millisecond, and its next ones do the rest.
PENDING_AT_ONCE = 100


@dataclass(slots=True, eq=False)
class KnownFingerprint:
    """One fingerprint of this process.

    Attributes:
        identity: What names its issue.
        release: In which release it happens, "" when unknown; None for this process's own.
        has_event: Whether an event of it has been built.
        titled: Whether the identity has been completed from an event.
        delta: What was counted since the last hand-over.
        in_flight: What the database has been given and not yet written.
        next_event: When the next event may be built, by the performance counter.
    """

    identity: Identity
    release: str | None = None
    has_event: bool = False
    titled: bool = False
    delta: Delta = field(default_factory=Delta)
    in_flight: Delta | None = None
    next_event: float = float("-inf")

    @property
    def key(self) -> tuple[str, str | None]:
        """What it is found by."""
        return self.identity.fingerprint, self.release

    def wants_event(self, moment: float) -> bool:
        """Whether an event is to be built: `BURST` at once, then `REFILL_PER_S`.

        Threads that ask at the very same time may each get one.
        """
        if moment < self.next_event:
            return False
        earliest = moment - (BURST - 1) / REFILL_PER_S
        self.next_event = max(self.next_event, earliest) + 1 / REFILL_PER_S
        return True

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


#: One occurrence that waits to be counted: its fingerprint, when, the request's method, its route
#: or what will know it, tags and user.
Occurrence = tuple[KnownFingerprint, float, object, object, Mapping[str, str], Mapping[str, str]]


@dataclass(slots=True)
class ProcessMemory:
    """What belongs to one process. Lock order: flushing, folding, then lock.

    None is entered again by the thread that holds it, see `is_busy_here`.

    Attributes:
        cache: Fingerprints by the key of their traceback, with weak references to
            the code that the key's ids stand for.
        pending: Appended to by failing requests, without a lock; emptied under `folding`.
        later: Other changes of what `lock` protects; made by the next fold.
        waiting: Events for the flush, with the record of their request while the route is not
            known.
        counts: Occurrences by issue since somebody last took them.
    """

    pid: int
    lock: threading.RLock = field(default_factory=threading.RLock)
    folding: threading.RLock = field(default_factory=threading.RLock)
    flushing: threading.RLock = field(default_factory=threading.RLock)
    cache: dict[tuple[object, ...], tuple[KnownFingerprint, tuple[object, ...]]] = field(
        default_factory=dict
    )
    known: dict[tuple[str, str | None], KnownFingerprint] = field(default_factory=dict)
    pending: deque[Occurrence] = field(default_factory=deque)
    later: deque[Callable[[], object]] = field(default_factory=deque)
    waiting: dict[str, tuple[KnownFingerprint, Event, object]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def is_busy_here(self) -> bool:
        """Whether this thread, further out, changes what is counted: a handler of a signal that
        asks must leave it alone. What it has recorded is counted by the next fold."""
        return is_held_here(self.lock) or is_held_here(self.folding)

    def remember(self, new: KnownFingerprint, others: Identity) -> KnownFingerprint:
        """The entry of a fingerprint; that of `others` when there are too many different ones."""
        if len(self.known) >= MAX_FINGERPRINTS and not self.is_busy_here():
            self.fold()
            with self.lock:
                if new.key not in self.known and len(self.known) >= MAX_FINGERPRINTS:
                    self._forget_idle()
        if new.key not in self.known and len(self.known) >= MAX_FINGERPRINTS:
            new = KnownFingerprint(others)
        return self.known.setdefault(new.key, new)

    def _forget_idle(self) -> None:
        """Drop fingerprints that have nothing to write; the database knows them."""
        idle = [
            key
            for key, known in list(self.known.items())
            if not (known.delta.count or known.delta.events or known.in_flight)
        ]
        for key in idle[: MAX_FINGERPRINTS // 2]:
            del self.known[key]
        self.cache.clear()

    def fold(self) -> None:
        """Count what is pending; to be called before counts are read."""
        if self.is_busy_here():
            return
        with self.folding:
            self._fold()
            self._change_later()

    def fold_if_many(self) -> None:
        """Count what is pending when it is much and no other thread does so."""
        if len(self.pending) <= MAX_PENDING or self.is_busy_here():
            return
        if self.folding.acquire(blocking=False):
            try:
                self._fold(PENDING_AT_ONCE)
            finally:
                self.folding.release()

    def _fold(self, at_most: int | None = None) -> None:
        deltas: dict[KnownFingerprint, Delta] = {}
        count = len(self.pending)
        try:
            for _ in range(count if at_most is None else min(count, at_most)):
                known, now, method, route, tags, user = self.pending.popleft()
                delta = deltas.get(known)
                if delta is None:
                    delta = deltas[known] = Delta(first_seen=now)
                _count(delta, now, method, route_of(route), tags, user)
        finally:  # also when a handler of a signal raises
            for known, delta in deltas.items():
                with self.lock:
                    # It may have been forgotten between its look-up and its count.
                    known = self.known.setdefault(known.key, known)
                    known.delta.absorb(delta)
                    issue = known.identity.issue
                    self.counts[issue] = self.counts.get(issue, 0) + delta.count

    def _change_later(self) -> None:
        for _ in range(len(self.later)):
            with self.lock:
                self.later.popleft()()


def route_of(record: object) -> str | None:
    """A route as it is, or that in the request path's record, once it is there."""
    return template_of(getattr(record, "route", record))


def _count(
    delta: Delta,
    now: float,
    method: object,
    route: str | None,
    tags: Mapping[str, str],
    user: Mapping[str, str],
) -> None:
    """Add one occurrence."""
    delta.count += 1
    delta.first_seen = min(delta.first_seen, now)
    delta.last_seen = max(delta.last_seen, now)
    delta.times.append(now)
    hour = int(now) // 3600 * 3600
    delta.hours[hour] = delta.hours.get(hour, 0) + 1
    for name, value in tags.items():
        delta.add_tag(name, value)
    if type(method) is str:
        delta.add_tag("method", method[:20])
    if route is not None:
        delta.add_tag("route", route)
        delta.route = route
    if any(user.values()):
        delta.add_user(_user_key(user))


class Drops:
    """Events that were not kept, by reason."""

    def __init__(self) -> None:
        self._by_reason: dict[str, int] = {}

    def add(self, reason: str) -> None:
        """Count one event."""
        self._by_reason[reason] = self._by_reason.get(reason, 0) + 1

    def by_reason(self) -> dict[str, int]:
        """A copy of the counts."""
        return dict(self._by_reason)


class ProcessMemories:
    """The memory of the process that asks."""

    def __init__(self) -> None:
        self._by_pid: dict[int, ProcessMemory] = {}

    def here(self) -> ProcessMemory:
        """This process's memory. *Cost:* 0.1 µs."""
        pid = os.getpid()
        memory = self._by_pid.get(pid)
        return memory if memory is not None else self._by_pid.setdefault(pid, ProcessMemory(pid))


#: What names a user, the best first.
_IDENTIFYING = (
    *("id", "email", "username", "user_id", "uid", "uuid", "pk", "sub", "login", "user", "name"),
    *("ip_address", "ip"),
)


def _user_key(user: Mapping[str, str]) -> str:
    """A short hash of who was affected: enough to count, not to identify."""
    who = next((user[name] for name in _IDENTIFYING if user.get(name)), None)
    if who is None:  # nothing alone says who it is: all of it together may
        who = "\n".join(f"{name}={value}" for name, value in sorted(user.items()) if value)
    return hashlib.blake2b(who.encode("utf-8", "replace"), digest_size=8).hexdigest()
