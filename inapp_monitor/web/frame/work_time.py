"""How much work an answer has taken, for the budgets that end what takes too much.

It is the processor's time of the thread that answers: on a busy machine an answer must not be
refused because others are at work. Waiting, as for a slow disk, counts a third, so that it ends
too. What is done when a budget is spent is not known here.
"""

from __future__ import annotations

from collections.abc import Callable

from inapp_monitor.ground.clock import Clock, thread_time

WAITING_COUNTS = 1 / 3


def stopwatch(clock: Clock) -> Callable[[], float]:
    """Seconds of work of the calling thread from now on. *Cost:* 0.8 us a look."""
    begin, worked_before = clock.perf(), thread_time()

    def elapsed() -> float:
        worked = thread_time() - worked_before
        return max(worked, (clock.perf() - begin) * WAITING_COUNTS)

    return elapsed
