"""Budgets of answers count work, and waiting less."""

from __future__ import annotations

from inapp_monitor.ground.clock import SYSTEM, thread_time
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.frame.work_time import WAITING_COUNTS, stopwatch


def test_time_in_which_others_work_counts_a_third() -> None:
    """A busy machine or a slow disk ends an answer late, but ends it."""
    clock = FakeClock()
    elapsed = stopwatch(clock)
    clock.advance(30)
    assert 30 * WAITING_COUNTS <= elapsed() < 30


def test_work_counts_whole() -> None:
    """It is the processor's time of the thread that answers."""
    begin = thread_time()
    elapsed = stopwatch(SYSTEM)
    while thread_time() - begin < 0.02:
        pass
    assert elapsed() >= 0.015
