"""Places for requests that are worked on at once: without one it is refused, not parked.

A request that waits holds a thread of the application's server as much as one that works. So it
waits only while what is worked on has just begun, and most of that takes milliseconds; and where it
can be known how many threads the server has, one of them is left to the application.
"""

from __future__ import annotations

import re
import threading

from inapp_monitor.ground.clock import Clock

#: Seconds for which work counts as just begun: the longest wait for a place.
LONGEST_WAIT_S = 0.1
#: Threads of gunicorn, waitress, cheroot and uWSGI, which have a fixed number of them.
_SERVER_THREAD = re.compile(
    r"(ThreadPoolExecutor-\d+_|waitress-|CP Server Thread-|uWSGIWorker\d+Core)\d+"
)


class Places:
    """A number of places, each for one request at a time.

    *Threads:* any. After a fork a child needs new ones: threads of its parent may hold these.

    Args:
        clock: Tells for how long what is worked on has been going on.
        count: How many there are.
    """

    def __init__(self, clock: Clock, count: int) -> None:
        self._clock = clock
        self._count = count
        self._changed = threading.Condition()
        self._begun: list[float] = []

    def acquire(self) -> bool:
        """Have a place, perhaps after a moment; False when there is none."""
        with self._changed:
            newest = max(self._begun, default=0.0)
            until = newest + LONGEST_WAIT_S
            while len(self._begun) >= self._limit():
                left_s = until - self._clock.perf()
                if left_s <= 0 or not self._changed.wait(min(left_s, LONGEST_WAIT_S)):
                    return False
            self._begun.append(self._clock.perf())
            return True

    def release(self) -> None:
        """Leave a place; the oldest, which is as good as one's own for telling what is new."""
        with self._changed:
            self._begun.remove(min(self._begun))
            self._changed.notify()

    def _limit(self) -> int:
        """Places that may be held now: fewer than the server has threads, but one at least."""
        threads = server_threads()
        return self._count if threads is None else max(1, min(self._count, threads - 1))


def server_threads() -> int | None:
    """How many threads the server of this request has by now; None where that is unknown."""
    match = _SERVER_THREAD.fullmatch(threading.current_thread().name)
    if match is None:
        return None
    return sum(
        1
        for thread in threading.enumerate()
        if (other := _SERVER_THREAD.fullmatch(thread.name)) and other[1] == match[1]
    )
