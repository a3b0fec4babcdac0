"""Which requests are profiled: of each route one a minute, and few a second in all.

Asked when a request begins that is looked at closer anyway (ten a second at most). Its route is not
known then: what is known is method and path, and a path whose variable parts are left out stands
for it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from weakref import WeakSet

from inapp_monitor.traces.request_profile import RequestProfile, Stack

#: Seconds between two profiles of one kind of request, and of any.
INTERVAL_S: Final = 60.0
ANY_INTERVAL_S: Final = 0.5
#: The same of requests that have become slow: they must not wait for their turn behind the others.
SLOW_INTERVAL_S: Final = 5.0
ANY_SLOW_INTERVAL_S: Final = 0.1
#: Seconds after `want` in which requests are asked sooner, and until the next of these at most.
HURRY_S: Final = 3.0
HURRY_INTERVAL_S: Final = 0.02
#: Kinds of requests that are remembered.
MAX_KINDS: Final = 2_000
#: Profiles that wait for the fold.
MAX_PENDING: Final = 50
#: Where threads are shared between requests, a thread's profile is several requests'.
_GREENLETS = ("gevent", "eventlet")
_VARIABLE = re.compile(r"[^/]*\d[^/]*")


class Finished(NamedTuple):
    """The profile of a request that has ended.

    Attributes:
        start, end: Of the request, performance counter.
        method, route, status: As the request path has them.
        stacks: Seconds by stack.
    """

    start: float
    end: float
    method: str
    route: object
    status: str | None
    stacks: dict[Stack, float]


class Profiling:
    """The profiles of one process.

    Args:
        clock: Performance counter.

    *Threads:* any.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun: dict[tuple[str, str], float] = {}
        self._wanted: set[tuple[str, str]] = set()
        self._begun_any = float("-inf")
        self._hurries_until = float("-inf")
        self._finished: list[Finished] = []
        self._running: WeakSet[RequestProfile] = WeakSet()

    def begin(self, request: Any) -> RequestProfile | None:
        """Profile this request, which begins in this thread, if it is its turn."""
        now = self._clock()
        since_any_s = now - self._begun_any
        if since_any_s < ANY_SLOW_INTERVAL_S or any(map(sys.modules.__contains__, _GREENLETS)):
            return None
        kind = self._kind(request.environ.get("REQUEST_METHOD", ""), request.path)
        is_wanted = kind in self._wanted
        if not is_wanted and since_any_s < ANY_INTERVAL_S:
            return None
        interval_s = SLOW_INTERVAL_S if is_wanted else INTERVAL_S
        if now - self._begun.get(kind, float("-inf")) < interval_s:
            return None
        profile = RequestProfile(request, self._clock)
        if not profile.start():
            return None
        self._running.add(profile)
        if len(self._begun) >= MAX_KINDS:
            self._begun.clear()
        self._begun_any = self._begun[kind] = now
        self._wanted.discard(kind)
        return profile

    def end(self, request: Any, profile: RequestProfile) -> None:
        """The request is over."""
        profile.stop()
        if len(self._finished) < MAX_PENDING:
            method = str((request.environ or {}).get("REQUEST_METHOD", ""))
            facts = (request.start, self._clock(), method, request.route, request.status)
            self._finished.append(Finished(*facts, profile.stacks))

    def want(self, method: str, path: str) -> None:
        """Requests such as this one are slow: profile the next one soon."""
        kind, now = self._kind(method, path), self._clock()
        if len(self._wanted) < MAX_KINDS:
            self._wanted.add(kind)
            if now - self._begun.get(kind, float("-inf")) >= SLOW_INTERVAL_S:
                self._hurries_until = now + HURRY_S

    def pause_s(self, now: float, usual_s: float) -> float:
        """Seconds until a request is asked again, after the one that began at `now`.

        While one is wanted they are few and, by the clock's last digits, at random: a request that
        always follows another one at once, as after a redirect, is otherwise never asked.
        """
        if not self._wanted or now >= self._hurries_until:
            return usual_s
        return HURRY_INTERVAL_S * (int(now * 1e9) % 1000) / 1000

    def take(self) -> list[Finished]:
        """What has ended since the last call."""
        finished = self._finished
        taken = finished[:]
        del finished[: len(taken)]
        return taken

    def forked(self) -> None:
        """In a child process: what has ended is the parent's, and so is the request under way."""
        self._finished.clear()
        running, self._running = list(self._running), WeakSet()
        for profile in running:
            profile.stop()

    @staticmethod
    def _kind(method: object, path: str) -> tuple[str, str]:
        return str(method)[:20], _VARIABLE.sub("#", path[:200])
