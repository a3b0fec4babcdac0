"""What the request path hands over at a request's end, and how a request waits for the fold.

`Pending.add` is called in requests: one append. Everything else is called off them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple

from inapp_monitor.traces.spans import Spans

#: What is kept of the environ until the fold, in this order; None where it is missing.
ENVIRON_KEYS: Final = (
    "QUERY_STRING",
    "HTTP_X_REQUEST_ID",
    "HTTP_TRACEPARENT",
    "HTTP_SENTRY_TRACE",
    "HTTP_X_INAPP_TRACE",
    "HTTP_COOKIE",
)
#: Spans, and requests, that wait for the next fold at most.
MAX_WAITING_SPANS = 200_000
MAX_WAITING = 20_000
#: A request without spans that is recorded whole.
NO_SPANS: Final = Spans()

_count_of = itemgetter(1)


class EndedRequest(NamedTuple):
    """One request that has ended: those with spans, and those recorded whole (failed, slow, of a
    kind not seen before, sampled, asking for it). Other requests without spans are not handed over.

    Attributes:
        start, end: Performance counter, seconds.
        method: REQUEST_METHOD, as it is in the environ.
        route: Template, object with a `rule`, or None: see `recorder.routes.route_name`.
        status: Status line; None when nothing was answered.
        path: PATH_INFO as it was on entry.
        failed: Whether an exception of the application was seen.
        facts: Values of the environ's `ENVIRON_KEYS`. Not scrubbed.
        spans: Its spans, in the order of their ends. Texts of statements are raw: what is kept or
            shown comes from `tracing.Tracing.shaped`.
        cpu_s: Seconds of a processor that its thread took; None when that was not measured.
    """

    start: float
    end: float
    method: str
    route: object
    status: str | None
    path: str
    failed: bool
    facts: tuple[str | None, ...]
    spans: Spans
    cpu_s: float | None = None

    def fact(self, key: str) -> str | None:
        """One of `ENVIRON_KEYS`; None when it was missing or is no honest string."""
        value = self.facts[ENVIRON_KEYS.index(key)] if self.facts else None
        return value if type(value) is str else None

    @property
    def counted_only(self) -> int:
        """Spans past the 500, of which only count and time by text are known."""
        return sum(map(_count_of, (self.spans.more or {}).values()))


#: As `EndedRequest`, without its cost.
RawEnded = tuple[
    float, float, str, object, str | None, str, bool, tuple[Any, ...], Spans, float | None
]


class Pending:
    """Ended requests of one process that wait for the fold.

    Attributes:
        dropped: Requests and spans for which there was no room.

    *Threads:* `add` from anywhere; `cut` by one at a time.
    """

    __slots__ = ("_requests", "_spans", "dropped")

    def __init__(self) -> None:
        self._requests: list[RawEnded] = []
        self._spans = 0
        self.dropped: Counter[str] = Counter()

    def add(self, ended: RawEnded) -> None:
        """A request has ended. *Cost:* 0.3 us. (Threads that count at once may count one less.)"""
        n = len(ended[8])
        if len(self._requests) < MAX_WAITING and self._spans + n <= MAX_WAITING_SPANS:
            self._spans += n
            self._requests.append(ended)
        else:
            self.dropped["traced requests"] += 1
            self.dropped["spans"] += n

    def cut(self, most: int) -> list[EndedRequest]:
        """Take at most so many, the oldest first."""
        n = min(len(self._requests), most)
        front = self._requests[:n]
        del self._requests[:n]
        if not self._requests:
            self._spans = 0
        else:
            self._spans -= sum(len(ended[8]) for ended in front)
        return list(map(EndedRequest._make, front))

    def clear(self) -> None:
        """Forget what waits and what was dropped: it is another process's."""
        self._requests.clear()
        self._spans = 0
        self.dropped.clear()


def facts_of(environ: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is kept of an environ. *Cost:* 0.3 us."""
    return tuple(map(environ.get, ENVIRON_KEYS))
