"""What was counted and queued on its way to the database: scrubbed, compressed, handed over.

For background threads: an event takes milliseconds. Counts never depend on events, nor on the disk:
what is not written yet stays in memory and is shown from there.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable
from functools import partial

from inapp_monitor.database.file import Connection, Database
from inapp_monitor.ground import disk_shares
from inapp_monitor.ground.clock import SYSTEM, Clock
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.process.gil_yield import GilYield
from inapp_monitor.ground.process.held_locks import is_held_here
from inapp_monitor.issues import queries, reentrance
from inapp_monitor.issues.counts import Delta, StoredEvent
from inapp_monitor.issues.event import Event
from inapp_monitor.issues.finished_event import encode, finish
from inapp_monitor.issues.lifecycle import Transition
from inapp_monitor.issues.merge_counts import Limits, Outcome, merge
from inapp_monitor.issues.pending import (
    Drops,
    KnownFingerprint,
    ProcessMemories,
    ProcessMemory,
    route_of,
)
from inapp_monitor.issues.running_releases import RunningReleases
from inapp_monitor.issues.safe_text import HIDDEN, clean_text
from inapp_monitor.issues.scrub import Scrubber
from inapp_monitor.issues.titles import complete, skeleton
from inapp_monitor.issues.triage import Unwritten

#: Sees every scrubbed event before it is kept; returns it, changed or not, or None.
BeforeSend = Callable[[Event], Event | None]
#: Called with (what happened, issue id) after the database knows it.
Listener = Callable[[Transition, str], None]

#: Events that one tick finishes: a flood of new errors must not hold up what else a tick does.
EVENTS_A_TICK = 100

_EMPTY_EVENT: Event = {"user": {}, "tags": {}, "contexts": {}, "breadcrumbs": []}


class IssueWriter:
    """Writes the counts and events of this process.

    Args:
        settings: Release, environment and limits.
        guard: Counts our own failures.
        database: Where issues live.
        scrubber: Hides secrets.
        memories: What is counted and queued.
        drops: Where events that are not kept are counted.
        clock: Time.

    Attributes:
        release: Of the code that runs, "" when unknown.
        before_send: See `BeforeSend`.
        listeners: See `Listener`.
    """

    def __init__(
        self,
        settings: Settings,
        guard: Guard,
        database: Database,
        scrubber: Scrubber,
        memories: ProcessMemories,
        drops: Drops,
        clock: Clock = SYSTEM,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._guard = guard
        self._database = database
        self._scrubber = scrubber
        self._memories = memories
        self._drops = drops
        self._limits = Limits(
            event_bytes=disk_shares.of_database(settings.disk_budget) // 2,
            issues=settings.max_issues,
        )
        self.release = clean_text(settings.release)[:200]
        self._running = RunningReleases(database.path.parent)
        self._yield = GilYield()
        self.before_send: BeforeSend | None = None
        self.listeners: list[Listener] = []

    def flush(self, at_most: int | None = None, until: float = float("inf")) -> bool:
        """Scrub and compress the queued events, hand what is new to the database.

        Args:
            at_most: Events to finish; the others wait for the next call, their counts do not.
            until: Performance counter's time from which on events and counts wait for the next
                call; events have half of the time, at least one is finished.

        Returns:
            Whether events or counts wait for the next call.
        """
        perf = self._clock.perf
        is_out_of_time = False
        memory = self._memories.here()
        if _flushes_here(memory):  # what comes meanwhile is for the next time
            return True
        with memory.flushing:
            self._finish_waiting(memory, at_most, (perf() + until) / 2)
            memory.fold()
            for known in list(memory.known.values()):
                if (known.delta.count or known.delta.events) and known.in_flight is None:
                    if is_out_of_time:
                        break
                    self._hand_over(memory, known)
                    is_out_of_time = perf() >= until
        try:
            self._running.record(self.release, self._clock.wall())
            self._guard.recovered("noting the release")
        except OSError as error:
            self._guard.failed("noting the release", error)
        return bool(memory.waiting) or is_out_of_time

    def unwritten(self) -> list[Unwritten]:
        """What is not written yet, events scrubbed."""
        memory = self._memories.here()
        if not _flushes_here(memory):
            with memory.flushing:
                self._finish_waiting(memory)
        memory.fold()
        with memory.lock:
            totals = [(known, known.total()) for known in list(memory.known.values())]
        found = [
            Unwritten(known.identity, total, self._release_of(known))
            for known, total in totals
            if total.count or total.events
        ]
        for entry in found:
            self._clean(entry.delta)
        return found

    def relocate(self) -> None:
        """Look up which issues the fingerprints belong to after a merge or split."""
        memory = self._memories.here()
        entries = list(memory.known.values())
        fingerprints = [known.identity.fingerprint for known in entries]
        located = queries.issues_of(self._database.read, fingerprints)
        for known in entries:
            fingerprint = known.identity.fingerprint
            known.identity.issue = located.get(fingerprint, fingerprint[:12])

    # -- events

    def _finish_waiting(
        self, memory: ProcessMemory, at_most: int | None = None, until: float = float("inf")
    ) -> None:
        """Turn queued events into scrubbed, compressed ones. The caller holds `flushing`.

        Those that wait when it begins: what comes meanwhile is for the next time, or a flood would
        keep it going. Between two of them the application's threads come first.
        """
        self._yield.begin()
        for number, event_id in enumerate(list(memory.waiting)[:at_most]):
            if number and self._clock.perf() >= until:
                return
            self._yield()
            with memory.lock:
                known, event, record = memory.waiting.pop(event_id)
                route = route_of(record) if event["route"] is None else None
                if route is not None:  # a handled error, captured before the route was known
                    event["route"] = route
                    known.delta.route = known.delta.route or route
            try:
                self._finish(memory, known, event)
            except Exception as error:  # noqa: BLE001  # one event is lost, its count is not
                self._drops.add("failed")
                self._guard.failed("error event", error)

    def _finish(self, memory: ProcessMemory, known: KnownFingerprint, event: Event) -> None:
        facts = {
            "release": self._release_of(known),
            "environment": self._settings.environment,
            "server": _server_name(),
        }
        why = list(known.identity.reason)
        done = finish({**_EMPTY_EVENT, **facts, **event, "why": why}, self._scrubber)
        if not known.titled:
            complete(known.identity, done)
            known.titled = True
        kept = self._ask_before_send(done)
        if kept is None:
            self._drops.add("before_send")
            return
        stored = StoredEvent(float(event["time"]), zlib.compress(encode(kept), 6))
        with memory.lock:
            known = memory.known.setdefault(known.key, known)  # it may have been forgotten
            known.delta.add_event(stored)

    def _ask_before_send(self, event: Event) -> Event | None:
        before_send = self.before_send
        if before_send is None:
            return event
        try:  # what it logs would be an event again, and again
            answer = reentrance.run(lambda: before_send(event))
        except Exception as error:  # noqa: BLE001
            # It may have been there to remove a secret: keep what cannot hold one.
            self._guard.failed("before_send", error)
            return {**_EMPTY_EVENT, **skeleton(event)}
        return answer if isinstance(answer, dict) else None

    # -- counts

    def _hand_over(self, memory: ProcessMemory, known: KnownFingerprint) -> None:
        with memory.lock:
            delta, known.delta = known.delta, Delta()
            known.in_flight = delta
        self._clean(delta)
        outcome = Outcome()
        identity, release, limits = known.identity, self._release_of(known), self._limits

        def change(connection: Connection) -> None:
            now, running = self._clock.wall(), self._running.first_seen()
            merge(connection, identity, delta, release, limits, outcome, now, running)

        accepted = self._database.submit(
            change,
            delta.size(),
            partial(self._written, memory, known, outcome),
        )
        if not accepted:
            with memory.lock:
                delta.absorb(known.delta)
                known.delta, known.in_flight = delta, None

    def _written(
        self, memory: ProcessMemory, known: KnownFingerprint, outcome: Outcome, written: bool
    ) -> None:
        with memory.lock:
            known.in_flight = None
            if written and outcome.issue:
                known.identity.issue = outcome.issue
        if not written:
            self._drops.add("not written")
            return
        for what, issue in outcome.transitions:
            for listener in self.listeners:
                try:
                    listener(what, issue)
                except Exception as error:  # noqa: BLE001
                    self._guard.failed("error listener", error)

    def _release_of(self, known: KnownFingerprint) -> str:
        return self.release if known.release is None else known.release

    def _clean(self, delta: Delta) -> None:
        """Scrub what was counted as it came, and make it fit for the database."""
        delta.route = clean_text(delta.route)
        tags: dict[tuple[str, str], int] = {}
        for (name, value), count in delta.tags.items():
            shown = HIDDEN if self._scrubber.hides(name, value) else self._scrubber.text(value)
            tag = clean_text(name), clean_text(shown)
            tags[tag] = tags.get(tag, 0) + count
        delta.tags = tags


def _flushes_here(memory: ProcessMemory) -> bool:
    """Whether this thread, further out, is in the middle of a flush."""
    return is_held_here(memory.flushing) or memory.is_busy_here()


def _server_name() -> str:
    try:
        return socket.gethostname()[:100]
    except OSError:
        return ""
