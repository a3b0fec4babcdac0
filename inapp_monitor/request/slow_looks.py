"""Where requests are that take much longer than usual: three looks at their stacks while they run.

A look walks the frames of all threads, so there is one a tick at most, and none at requests that
are as fast as their route's are. Code and lines are kept, no variable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.route_text import template_of
from inapp_monitor.request.exchange import Exchange
from inapp_monitor.request.live import LiveRequests, row_of
from inapp_monitor.request.stacks import find

LOOKS: Final = 3
#: A request is slow from so many times its route's p95 on, and not before so many seconds.
TIMES: Final = 2.0
AT_LEAST_S: Final = 0.25
#: Seconds from which on a request is slow whose route, or its p95, is not known yet.
UNKNOWN_S: Final = 1.0
#: Frames of a stack that are kept, innermost first.
MAX_FRAMES: Final = 12
#: Requests a minute that are looked at.
MAX_REQUESTS: Final = 20
_MINUTE_S: Final = 60.0


class SlowLooks:
    """The looks of one process.

    Args:
        clock: Source of time.
        requests: What is being answered.
        p95_ms: Of a route and method; None when it is not known.
        describe: A frame's code and line as people read it.
        note: Called with the start of a request and all looks at it so far: `[ms, [line, ...]]`.

    *Threads:* for the ticking thread.
    """

    def __init__(
        self,
        clock: Clock,
        requests: LiveRequests,
        p95_ms: Callable[[str, str], float | None],
        describe: Callable[[Any, int], str],
        note: Callable[[float, list[list[Any]]], object],
    ) -> None:
        self._clock = clock
        self._requests = requests
        self._p95_ms = p95_ms
        self._describe = describe
        self._note = note
        self._seen: dict[float, list[list[Any]]] = {}
        self._minute = 0.0
        self._left = MAX_REQUESTS

    def look(self) -> None:
        """Look at the slow request that was looked at least."""
        now = self._clock.perf()
        if not 0.0 <= now - self._minute < _MINUTE_S:
            self._minute, self._left = now, MAX_REQUESTS
        running = [each for each in self._requests.exchanges() if now - each.start >= AT_LEAST_S]
        starts = {each.start for each in running}
        self._seen = {start: seen for start, seen in self._seen.items() if start in starts}
        slow = [each for each in running if self._may_look(each, now)]
        if not slow:
            return
        exchange = min(slow, key=lambda each: len(self._seen.get(each.start, ())))
        if exchange.start not in self._seen:
            self._left -= 1
        self._look_at(exchange, now)

    def _may_look(self, exchange: Exchange, now: float) -> bool:
        seen = self._seen.get(exchange.start)
        if seen is not None:
            return len(seen) < LOOKS
        if self._left <= 0:
            return False
        row = row_of(exchange, 0.0)
        if row is None:
            return False
        route = template_of(exchange.route) or row["route"]
        usual_ms = None if route is None else self._p95_ms(route, row["method"])
        age_s = now - exchange.start
        return age_s >= UNKNOWN_S if usual_ms is None else age_s * 1000.0 > TIMES * usual_ms

    def _look_at(self, exchange: Exchange, now: float) -> None:
        found = find(exchange)
        if found is None:
            return
        try:
            frames = found.frames[:MAX_FRAMES]
            lines = [self._describe(frame.f_code, frame.f_lineno or 0) for frame in frames]
            del frames
        finally:
            found.frames.clear()
        if not lines:
            return
        seen = self._seen.setdefault(exchange.start, [])
        seen.append([round((now - exchange.start) * 1000.0, 1), lines])
        self._note(exchange.start, list(seen))

    def forked(self) -> None:
        """In a child process: the requests are the parent's."""
        self._seen.clear()
