"""A request of the application pays for itself alone: the work of a tick is not its business."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from inapp_monitor import Monitor
from inapp_monitor.ground.process.ticker import Ticker
from inapp_monitor.issues.writer import EVENTS_A_TICK
from inapp_monitor.monitor.part import Part
from inapp_monitor.testing import FakeClock

from .conftest import visit

Make = Callable[..., Monitor]


class SlowPart(Part):
    """A part whose tick takes some seconds of the clock."""

    name = "slow part"

    def __init__(self, clock: FakeClock, takes_s: float) -> None:
        self._clock = clock
        self._takes_s = takes_s
        self.threads: list[int] = []

    def tick(self, now: float) -> None:
        self.threads.append(threading.get_ident())
        self._clock.advance(self._takes_s)


def without_thread(make: Make, **settings: Any) -> Monitor:
    """A monitor that ticks when it is told to."""
    monitor = make(**settings)
    monitor.life.attach_if_needed()
    assert monitor.life.ticker is not None
    monitor.life.ticker.stop(timeout_s=10)
    return monitor


def watched(make: Make, takes_s: float) -> tuple[Monitor, FakeClock, SlowPart]:
    """A monitor without its thread, and a part that takes long."""
    clock = FakeClock()
    monitor = without_thread(make, clock=clock, flush_interval_s=1)
    slow = SlowPart(clock, takes_s)
    monitor.life.services.parts.append(slow)
    return monitor, clock, slow


def test_a_long_tick_is_not_followed_by_one_of_a_request(make: Make) -> None:
    """The thread pauses after the end of a tick, however long that took: nobody else is due."""
    monitor, clock, slow = watched(make, takes_s=5)
    monitor.tick()
    ticks = len(slow.threads)
    for _ in range(20):
        clock.advance(0.14)
        visit(monitor)
    assert len(slow.threads) == ticks


def test_a_request_ticks_where_no_thread_does(make: Make) -> None:
    """After three intervals without a tick, and again after three more."""
    monitor, clock, slow = watched(make, takes_s=0)
    monitor.tick()
    ticks = len(slow.threads)
    for expected in (1, 2):
        clock.advance(3.2)
        visit(monitor)
        visit(monitor)
        assert len(slow.threads) == ticks + expected
    assert set(slow.threads) == {threading.get_ident()}


def test_a_request_does_a_piece_of_a_tick_and_the_next_ones_go_on(make: Make) -> None:
    """It calls parts for two milliseconds, in their order; what is left is nobody's twice."""
    clock = FakeClock()
    monitor = without_thread(make, clock=clock, flush_interval_s=1)
    monitor.tick()
    parts = [SlowPart(clock, takes_s=0.0015) for _ in range(7)]
    monitor.life.services.parts += parts
    clock.advance(3.2)
    called: list[int] = []
    for _ in range(6):
        clock.advance(0.01)
        visit(monitor)
        called.append(sum(len(part.threads) for part in parts))
    assert called == [2, 4, 6, 7, 7, 7]
    assert [len(part.threads) for part in parts] == [1] * 7


def test_where_requests_are_rare_the_second_one_ends_the_tick(make: Make) -> None:
    """A reader, and the end of the process, do all of it, too."""
    clock = FakeClock()
    monitor = without_thread(make, clock=clock, flush_interval_s=1)
    monitor.tick()
    parts = [SlowPart(clock, takes_s=0.0015) for _ in range(7)]
    monitor.life.services.parts += parts
    for expected in (2, 7):
        clock.advance(3.2)
        visit(monitor)
        assert sum(len(part.threads) for part in parts) == expected
    clock.advance(3.2)
    visit(monitor)
    monitor.refresh()
    assert [len(part.threads) for part in parts] == [3, 3, 2, 2, 2, 2, 2]
    clock.advance(0.01)
    visit(monitor)
    assert [len(part.threads) for part in parts] == [3, 3, 2, 2, 2, 2, 2]


def fail_differently(monitor: Monitor, number: int) -> None:
    kind = type(f"Error{number}", (Exception,), {})
    try:
        raise kind("new")
    except Exception as error:
        monitor.capture_exception(error)


def written_events(monitor: Monitor) -> int:
    """Events that are scrubbed, compressed and on disk."""
    return int(monitor.database.read("select count(*) as n from issue_events")[0]["n"])


def test_a_tick_finishes_some_of_a_flood_of_new_errors(make: Make) -> None:
    """The rest waits for the next tick; counts are written at once, and reading shows it all."""
    monitor = without_thread(make)
    flood = EVENTS_A_TICK * 2 + 50
    for number in range(flood):
        fail_differently(monitor, number)
    monitor.tick()
    assert written_events(monitor) == EVENTS_A_TICK
    rows = monitor.database.read("select count(*) as n from issue_fingerprints")
    assert rows[0]["n"] == flood
    for expected in (EVENTS_A_TICK * 2, flood):
        monitor.tick()
        assert written_events(monitor) == expected


def test_a_flood_of_new_errors_is_digested_by_requests_in_pieces(make: Make) -> None:
    """Where no thread ticks: an event or some of them each time, until all of them are written."""
    clock = FakeClock()
    monitor = make(clock=clock, flush_interval_s=1)
    monitor.life.attach_if_needed()
    assert monitor.life.ticker is not None
    monitor.life.ticker.stop(timeout_s=10)
    monitor.life.ticker = None
    monitor.tick()

    def costly(event: dict[str, Any]) -> dict[str, Any]:
        clock.advance(0.0006)
        return event

    monitor.tracker.before_send = costly
    for number in range(30):
        fail_differently(monitor, number)
    clock.advance(3.2)
    written, took_s = [0], []
    while written[-1] < 30 and len(written) < 500:
        clock.advance(0.11)
        begin = clock.perf()
        visit(monitor)
        took_s.append(clock.perf() - begin)
        written.append(written_events(monitor))
    assert written[-1] == 30
    assert max(later - before for before, later in pairwise(written)) <= 4
    assert max(took_s) < 0.005


def test_a_page_shows_the_events_that_no_tick_came_to(make: Make) -> None:
    """Every error that a page lists has its event, whether it is written yet or not."""
    monitor = without_thread(make)
    for number in range(EVENTS_A_TICK + 20):
        fail_differently(monitor, number)
    monitor.tick()
    issues = monitor.tracker.list_issues(limit=EVENTS_A_TICK + 20)
    details = [monitor.tracker.get_issue(issue.id) for issue in issues]
    assert len(details) == EVENTS_A_TICK + 20
    assert all(detail is not None and detail.events for detail in details)


def test_the_end_of_a_process_writes_every_event_that_waits(make: Make) -> None:
    """The last tick leaves none for a next one."""
    monitor = without_thread(make)
    for number in range(EVENTS_A_TICK * 2):
        fail_differently(monitor, number)
    monitor.close()
    assert written_events(monitor) == EVENTS_A_TICK * 2


def test_digesting_events_ends_although_new_ones_come(make: Make) -> None:
    """What is queued while events are scrubbed waits for the next time."""
    monitor = without_thread(make)
    seen: list[str] = []

    def another(event: dict[str, Any]) -> dict[str, Any]:
        seen.append(event["type"])
        if len(seen) < 1_000:
            failing = threading.Thread(target=fail_differently, args=(monitor, len(seen)))
            failing.start()
            failing.join()
        return event

    monitor.tracker.before_send = another
    fail_differently(monitor, 0)
    monitor.tracker.flush()
    assert len(seen) == 1


def test_a_tick_that_leaves_events_says_so(make: Make) -> None:
    """Until the last of them is finished."""
    monitor = without_thread(make)
    (issues,) = [part for part in monitor.life.services.parts if part.name == "issues"]
    for number in range(EVENTS_A_TICK + 1):
        fail_differently(monitor, number)
    monitor.tick()
    assert issues.is_behind
    monitor.tick()
    assert not issues.is_behind


class Worker:
    """Leaves work to its next call twice."""

    def __init__(self) -> None:
        self.calls = 0
        self.done = threading.Event()
        self.ticker = Ticker(self.work, interval_s=3_600, first_s=0)

    def work(self) -> None:
        self.calls += 1
        if self.calls < 3:
            self.ticker.come_again_soon()
        else:
            self.done.set()


def test_work_that_is_left_is_not_left_for_the_usual_pause() -> None:
    """A flood of new errors loses few events to the bound on those that wait."""
    worker = Worker()
    worker.ticker.start()
    assert worker.done.wait(60)
    worker.ticker.stop(timeout_s=10)
    assert worker.calls == 3
