"""Time. Nothing else in the package imports `time` (a contract in pyproject.toml sees to that).

Wall clock labels datapoints and intervals; the performance counter measures durations. Both are
reached through a `Clock`, so that tests can step them (`inapp_monitor.testing.FakeClock`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: Seconds of an arbitrary origin that never run backwards: for durations.
perf_counter: Final[Callable[[], float]] = time.perf_counter
#: CPU seconds of the calling thread: a system call, 0.7 us.
thread_time: Final[Callable[[], float]] = time.thread_time
#: Block this thread for some seconds.
sleep: Final[Callable[[float], None]] = time.sleep


class Clock:
    """Where the package reads the time from.

    Attributes:
        wall: Returns seconds since 1970-01-01 UTC.
        perf: Returns seconds of an arbitrary origin, never backwards.
    """

    __slots__ = ("perf", "wall")

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        perf: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.wall = wall
        self.perf = perf


#: The machine's own clock.
SYSTEM: Final = Clock()
