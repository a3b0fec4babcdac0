"""What people decide about an issue stands against what happened before and is written later."""

from __future__ import annotations

import pytest

from inapp_monitor.issues.counts import MAX_DELTA_TIMES, Delta
from inapp_monitor.testing import FakeClock

from .conftest import NOW, MakeMonitor, Monitor, caught, environ


def fail() -> None:
    raise ValueError("stock")


def other() -> None:
    raise KeyError("other")


@pytest.fixture
def workers(make_monitor: MakeMonitor) -> tuple[Monitor, Monitor, FakeClock]:
    """Two workers of one app, and their clock."""
    clock = FakeClock(NOW)
    return make_monitor(clock), make_monitor(clock), clock


def happen(monitor: Monitor, times: int = 1) -> str:
    """Occurrences that their worker has not written yet."""
    for _ in range(times):
        issue_id = monitor.tracker.capture(caught(fail), environ())
    assert issue_id is not None
    return issue_id


def status(monitor: Monitor) -> str:
    return monitor.only_issue().summary.status


def test_what_another_worker_saw_before_a_resolution_is_no_regression(
    workers: tuple[Monitor, Monitor, FakeClock],
) -> None:
    """It is counted, and neither state nor history change; one of after regresses it."""
    one, two, clock = workers
    issue_id = happen(one)
    one.tick()
    happen(two, 3)
    clock.advance(1)
    one.tracker.triage.resolve(issue_id)
    clock.advance(1)
    assert status(two) == "resolved"  # as the other worker shows it before it has written
    two.tick()
    assert status(one) == "resolved"
    assert one.only_issue().summary.count == 4
    assert [entry.kind for entry in one.only_issue().history] == ["first seen", "resolved"]
    happen(two)
    assert status(two) == "regressed"
    two.tick()
    assert status(one) == "regressed"


def test_one_write_with_occurrences_of_before_and_after_is_a_regression(
    workers: tuple[Monitor, Monitor, FakeClock],
) -> None:
    """One of after is enough."""
    one, two, clock = workers
    issue_id = happen(one)
    one.tick()
    happen(two, 5)
    clock.advance(1)
    one.tracker.triage.resolve(issue_id)
    clock.advance(1)
    happen(two)
    two.tick()
    assert status(one) == "regressed"


def test_a_clock_that_was_set_back_hides_no_regression(monitor: Monitor) -> None:
    """Times before the resolution prove nothing when now lies before it, too."""
    issue_id = happen(monitor)
    monitor.tracker.triage.resolve(issue_id)
    monitor.clock.step_wall(-3600)
    happen(monitor)
    monitor.tick()
    assert status(monitor) == "regressed"


def test_a_release_may_fail_before_and_be_written_after_its_own_resolution(
    workers: tuple[Monitor, Monitor, FakeClock],
) -> None:
    """Resolved in the release that runs: only what that release does from now on counts."""
    one, two, clock = workers
    issue_id = happen(one)
    one.tick()
    happen(two)
    clock.advance(1)
    one.tracker.triage.resolve(issue_id, release="r1")
    clock.advance(1)
    two.tick()
    assert status(one) == "resolved"


def test_muted_until_more_counts_only_what_happens_from_then_on(
    workers: tuple[Monitor, Monitor, FakeClock],
) -> None:
    """Five of before open nothing; then it takes as many as were asked for."""
    one, two, clock = workers
    issue_id = happen(one)
    one.tick()
    happen(two, 5)
    clock.advance(1)
    one.tracker.triage.mute(issue_id, more=3)
    clock.advance(1)
    happen(two, 2)
    assert status(two) == "muted"
    two.tick()
    assert status(one) == "muted"
    clock.advance(1)
    happen(one)
    one.tick()
    assert status(one) == "open"


def test_muted_until_a_rate_counts_only_what_happens_from_then_on(
    workers: tuple[Monitor, Monitor, FakeClock],
) -> None:
    """The same hour's occurrences of before the muting are no part of the rate."""
    one, two, clock = workers
    issue_id = happen(one, 9)
    one.tick()
    happen(two, 9)
    clock.advance(1)
    one.tracker.triage.mute(issue_id, rate=(3, 3600))
    clock.advance(1)
    happen(one, 2)
    one.tick()
    two.tick()
    assert status(one) == "muted"
    happen(one)
    one.tick()
    assert status(one) == "open"


def test_merging_and_splitting_leave_the_count_of_a_muting(monitor: Monitor) -> None:
    """Another issue's past is not what "until 3 more" waits for."""
    issue_id = happen(monitor)
    for _ in range(10):
        busy = monitor.tracker.capture(caught(other), environ())
    monitor.tick()
    assert busy is not None
    triage = monitor.tracker.triage
    triage.mute(issue_id, more=3)
    triage.merge([busy], into=issue_id)
    happen(monitor, 2)
    monitor.tick()
    assert status(monitor) == "muted"
    detail = monitor.tracker.get_issue(issue_id)
    assert detail is not None
    triage.split(next(f.fingerprint for f in detail.fingerprints if f.count == 10))
    happen(monitor)
    monitor.tick()
    assert {i.id: i.status for i in monitor.tracker.list_issues()}[issue_id] == "open"


def test_what_happened_before_a_deletion_does_not_bring_the_issue_back(
    workers: tuple[Monitor, Monitor, FakeClock],
) -> None:
    """Deleted with all that was; the next occurrence is a new issue."""
    one, two, clock = workers
    news: list[str] = []
    two.tracker.listeners.append(lambda what, _: news.append(what))
    issue_id = happen(one)
    one.tick()
    happen(two, 2)
    clock.advance(1)
    one.tracker.triage.delete(issue_id)
    clock.advance(1)
    two.tick()
    assert one.tracker.list_issues() == []
    assert news == []
    happen(two)
    two.tick()
    assert one.only_issue().summary.count == 1
    assert news == ["new"]


def test_occurrences_since_a_moment() -> None:
    """Exact while the times are known; of more than are kept, those unknown count as later."""
    delta = Delta()
    for number in range(4):
        later = Delta(count=1, first_seen=NOW + number, last_seen=NOW + number)
        later.times.append(NOW + number)
        delta.absorb(later)
    assert [delta.since(NOW + at) for at in (-1, 0, 1, 3, 4)] == [4, 4, 3, 1, 0]
    many = Delta(count=1_000, first_seen=NOW, last_seen=NOW + 999)
    many.times.extend(NOW + number for number in range(1_000))
    assert len(many.times) == MAX_DELTA_TIMES
    assert many.since(NOW + 950) == 50
    assert many.since(NOW + 500) == 1_000
