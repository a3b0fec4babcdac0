"""The end of a request whose spans are wanted: they are handed over, with what is known of it.

Called in requests that have spans, ask to be traced or are recorded whole; no aggregation, no I/O
and no lock.
"""

from __future__ import annotations

from typing import Any, Protocol

from inapp_monitor.ground import current_request
from inapp_monitor.request.samples import cpu_s
from inapp_monitor.request.wsgi_types import Environ
from inapp_monitor.traces import asking_cookie
from inapp_monitor.traces.ended_request import NO_SPANS, Pending, facts_of
from inapp_monitor.traces.spans import HANDED_OVER, MAX_SPANS, Spans


class TracedHooks(Protocol):
    """The part of `exchange.Hooks` that is needed here."""

    traced: Pending | None

    def broke(self, error: BaseException, /) -> None:
        """Note a failure of the monitor itself."""


class Traced(Protocol):
    """A request; `exchange.Exchange` is one."""

    environ: Environ | None
    notes: Any
    path: str
    route: object
    spans: Spans | None
    start: float
    status: str | None

    @property
    def hooks(self) -> TracedHooks: ...


def cookie_asks(environ: Environ) -> bool:
    """Whether a request may ask by cookie to be traced: it is handed over without spans, too."""
    cookies = environ["HTTP_COOKIE"]
    return type(cookies) is str and asking_cookie.NAME in cookies


def hand_over(exchange: Traced, environ: Environ, end: float) -> None:
    """Hand over what is known of a request that ended at `end` (performance counter). Never raises.

    *Cost:* 1 us.
    """
    spans, exchange.spans = exchange.spans, HANDED_OVER
    try:
        pending = exchange.hooks.traced
        if pending is None:
            return
        if spans is None:
            spans = NO_SPANS
        elif spans and spans[-1][2] > end:  # it was not closed, and only seen to be over
            end = spans[-1][2]
        notes = exchange.notes
        failed = notes is not None and notes.error is not None
        pending.add(
            (
                exchange.start,
                end,
                environ.get("REQUEST_METHOD", ""),
                exchange.route,
                exchange.status,
                exchange.path,
                failed,
                facts_of(environ),
                spans,
                _cpu_s(notes),
            )
        )
        if notes is not None and notes.outer is not None:
            _give_outer(notes.outer, spans)
    except Exception as error:  # noqa: BLE001  # the monitor's own
        exchange.hooks.broke(error)


def _cpu_s(notes: Any) -> float | None:
    """Of a request that was looked at closer, and not profiled, which takes time of its own."""
    if notes is None or notes.sample is None or notes.profile is not None:
        return None
    return cpu_s(notes.sample)


def _give_outer(outer: Traced, spans: Spans) -> None:
    """The monitor further out goes on with its request, and shows these spans, too."""
    if outer.environ is None or outer.hooks.traced is None:
        return
    current_request.enter(outer)
    if outer.spans is None:
        outer.spans = Spans()
    outer.spans += spans[: max(0, MAX_SPANS - len(outer.spans))]
