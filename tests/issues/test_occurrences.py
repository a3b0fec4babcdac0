"""Counting by fingerprint and writing, each on its own: what threads may do between two steps."""

from __future__ import annotations

import zlib

import pytest

from inapp_monitor.issues.code_places import CodePlaces
from inapp_monitor.issues.counts import StoredEvent
from inapp_monitor.issues.grouping.messages import group_message
from inapp_monitor.issues.occurrences import OccurrenceCounter
from inapp_monitor.issues.pending import (
    MAX_PENDING,
    Drops,
    KnownFingerprint,
    ProcessMemories,
    ProcessMemory,
)
from inapp_monitor.issues.scrub import Scrubber
from inapp_monitor.issues.triage import Triage
from inapp_monitor.issues.writer import IssueWriter
from inapp_monitor.testing import FakeClock

from .conftest import NOW, Monitor


class Counting:
    """A counter over the memory of one process."""

    def __init__(self, memory: ProcessMemory) -> None:
        self.memory = memory
        self.counter = OccurrenceCounter(FakeClock(NOW), CodePlaces(), str, Drops())

    def look_up(self) -> KnownFingerprint:
        return self.counter.of_grouping(self.memory, group_message("m"), "Message", "error")

    def count(self, known: KnownFingerprint, times: int = 1) -> None:
        for _ in range(times):
            self.counter.count(
                self.memory, known, at=NOW, method="GET", route="/a", tags={}, user={}
            )


@pytest.fixture
def counting() -> Counting:
    return Counting(ProcessMemories().here())


def test_what_waits_to_be_counted_is_bounded(counting: Counting) -> None:
    """Without any flush the failing requests count what is pending themselves."""
    known = counting.look_up()
    counting.count(known, 3 * MAX_PENDING)
    assert len(counting.memory.pending) <= MAX_PENDING
    counting.memory.fold()
    assert known.unwritten() == 3 * MAX_PENDING
    assert not counting.memory.pending


def test_an_occurrence_of_a_forgotten_fingerprint_counts(counting: Counting) -> None:
    """It may be forgotten between its look-up and its count, by another thread."""
    known = counting.look_up()
    counting.memory.known.clear()
    counting.count(known)
    counting.count(counting.look_up(), 2)
    counting.memory.fold()
    assert [entry.unwritten() for entry in counting.memory.known.values()] == [3]


def test_an_event_that_comes_after_its_count(monitor: Monitor) -> None:
    """A flush between an occurrence and its event changes no times, states or counts."""
    memories, database = ProcessMemories(), monitor.database
    writer = IssueWriter(monitor.settings, monitor.guard, database, Scrubber(), memories, Drops())
    triage = Triage(database, monitor.clock, writer.unwritten, writer.flush, writer.relocate)
    counting = Counting(memories.here())
    known = counting.look_up()
    counting.count(known)

    def tick() -> None:
        writer.flush()
        database.write_pending()

    tick()
    (issue,) = triage.list_issues()
    triage.resolve(issue.id)
    before = triage.get_issue(issue.id)
    known.delta.add_event(StoredEvent(NOW, zlib.compress(b"{}")))
    tick()
    after = triage.get_issue(issue.id)
    assert before is not None
    assert after is not None
    assert len(after.events) == len(before.events) + 1
    assert after.summary == before.summary
    triage.delete(issue.id)
    known.delta.add_event(StoredEvent(NOW, zlib.compress(b"{}")))
    tick()
    assert triage.list_issues() == []
