"""What the monitor costs, measured where it runs: time of a request, and memory. For the dashboard.

The request path is driven over an application that does nothing, in a hot loop, so that the number
is a lower bound; folding is timed as it happens. Nothing is measured before somebody asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from inapp_monitor.ground.clock import Clock
from inapp_monitor.monitor import memory_use
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.recorder.tallies import Kind, Tallies, Tally
from inapp_monitor.request import middleware
from inapp_monitor.request.silent_hooks import SilentHooks
from inapp_monitor.request.wsgi_types import Environ, WSGIApp

#: Requests of one measurement; the best of some counts.
_REQUESTS = 100
_MEASUREMENTS = 5
#: Seconds for which a measurement is good.
_GOOD_FOR_S = 60.0
_KIND: Kind = ("GET", None, "200 OK")
_HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "0")]


class SelfCost:
    """Microseconds a request and bytes of memory.

    *Threads:* any; two at once may measure twice.
    """

    def __init__(self, clock: Clock, recorder: Recorder) -> None:
        self._clock = clock
        self._recorder = recorder
        self._measured = (float("-inf"), 0.0)
        self._held = (float("-inf"), 0)

    def us(self) -> float:
        """Request path and folding together. *Cost:* a millisecond, once a minute."""
        now = self._clock.perf()
        if now - self._measured[0] > _GOOD_FOR_S:
            self._measured = (now, request_path_us(self._clock))
        return self._measured[1] + self._recorder.fold_us()

    def held_bytes(self, parts: Iterable[object]) -> int:
        """Bytes of memory that these parts of the monitor hold; counted once a minute.

        *Cost:* see `memory_use.held_bytes`.
        """
        now = self._clock.perf()
        if now - self._held[0] > _GOOD_FOR_S:
            requests = self._recorder.live  # are the application's
            self._held = (now, memory_use.held_bytes((self._recorder, *parts), [requests]))
        return self._held[1]


def request_path_us(clock: Clock) -> float:
    """Microseconds that the request path adds to an application that does nothing."""
    hooks = SilentHooks(Tallies())
    hooks.tallies.until = math.inf
    hooks.tallies.known[_KIND] = Tally(_KIND, math.inf)

    def nothing(_: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", _HEADERS)
        return [b""]

    app = middleware.build(
        nothing, hooks, clock.perf, lambda now, _: now + 3600.0, "/_metrics", nothing
    )
    return max(0.0, _best(app, clock) - _best(nothing, clock)) * 1e6


def _best(app: WSGIApp, clock: Clock) -> float:
    """Seconds a request, in the fastest of some rounds: the others were disturbed."""
    seconds = []
    for _ in range(_MEASUREMENTS):
        environs = [{"REQUEST_METHOD": "GET", "PATH_INFO": "/"} for _ in range(_REQUESTS)]
        begin = clock.perf()
        for environ in environs:
            app(environ, _start_response)
        seconds.append((clock.perf() - begin) / _REQUESTS)
    return min(seconds)


def _start_response(status: str, headers: Any, exc_info: Any = None) -> None:
    """Where a server would be."""
