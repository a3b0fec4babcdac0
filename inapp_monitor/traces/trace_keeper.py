"""From ended requests to kept traces: who is worth it, what belongs to it, and off to the database.

Called in the fold, for each request that was handed over; what is not kept costs a microsecond.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import random
from types import CodeType
from typing import Any, Final

from inapp_monitor.ground import wsgi_text
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.request_key import request_key, trace_of
from inapp_monitor.recorder.routes import method_name, route_name
from inapp_monitor.traces import asking, call_site, kept_trace
from inapp_monitor.traces.ended_request import EndedRequest
from inapp_monitor.traces.pace import Pace
from inapp_monitor.traces.reservoirs import Reservoirs
from inapp_monitor.traces.spans import DATABASE, OTHER
from inapp_monitor.traces.trace_table import KeptRow, TraceTable
from inapp_monitor.traces.tracing import Tracing

#: Traces built in one tick; a storm of new routes waits for its next requests.
MAX_BUILT: Final = 500
#: Traces of one tick that are kept because all of them are.
MAX_RECENT: Final = 20
#: Seconds between two times that the table is thinned out.
THIN_OUT_INTERVAL_S: Final = 60.0
_MAX_PATH, _MAX_HEADER = 500, 200
#: Notes of other parts that wait for the request to which they belong.
_MAX_NOTES = 1_000
#: Milliseconds from which on a request can be slow.
SLOW_MS: Final = 50.0
#: The same on a route that has become slower: a verdict begins with a growth of so many.
RISEN_MS: Final = 20.0
#: Texts whose call site is remembered.
_MAX_SITES = 2_000


@dataclass(frozen=True, slots=True)
class Around:
    """What the keeper gets from its monitor.

    Attributes:
        slug_of: The slug of a route.
        clean: Takes secrets out of a text.
        secret: What opens the dashboard, for requests that ask to be traced.
        source_of: A line of a function's source, without secrets; "" when it is not known.
        slow: Called with method and path of a request that was slow for its route, or whose route
            has become slower.
        keeps_all: Whether the latest requests are kept, whatever they are.
        release: Of the code that runs.
    """

    slug_of: Callable[[str], str]
    clean: Callable[[str], str]
    secret: Callable[[], str]
    source_of: Callable[[CodeType, int], str]
    slow: Callable[[str, str], object]
    keeps_all: Callable[[], bool]
    release: str


class TraceKeeper:
    """Keeps traces of one process's requests.

    Attributes:
        dropped: Traces that were worth keeping, and were not kept.

    *Threads:* `note` any, the rest for the one that ticks.
    """

    def __init__(self, tracing: Tracing, table: TraceTable, clock: Clock, around: Around) -> None:
        self.dropped = 0
        self._tracing = tracing
        self._table = table
        self._clock = clock
        self._around = around
        self._reservoirs = Reservoirs(random)
        self._pace = Pace()
        self._rows: list[KeptRow] = []
        self._sites: dict[str, list[tuple[str, str]]] = {}
        self._notes: dict[float, dict[str, Any]] = {}
        self._thinned_out = 0.0
        self._recent = 0
        tracing.listeners.append(self.offer)

    def note(self, start: float, **facts: Any) -> None:
        """Something belongs to the trace of the request that began at `start` (performance
        counter), such as its issue."""
        if len(self._notes) >= _MAX_NOTES:
            self._notes.clear()
        self._notes.setdefault(start, {}).update(facts)

    def offer(self, request: EndedRequest) -> None:
        """A request has ended."""
        now = self._clock.wall()
        notes = self._notes.pop(request.start, {}) if self._notes else {}
        key = route_name(request.route, request.status), method_name(request.method)
        ms = (request.end - request.start) * 1000.0
        failed = request.failed or "issue" in notes
        reasons, draw = self._reservoirs.reasons(key, ms, failed, now)
        if self._is_asked(request):
            reasons.append("asked")
        elif self._around.keeps_all() and self._recent < MAX_RECENT:
            self._recent += 1
            reasons.append("recent")
        has_risen = self._pace.has_risen(key, ms)
        if (has_risen and ms >= RISEN_MS) or ("slow" in reasons and ms >= SLOW_MS):
            self._around.slow(request.method, request.path)
        if not reasons:
            return
        if len(self._rows) >= MAX_BUILT:
            self.dropped += 1
            return
        self._rows.append(self._row(request, key, reasons, draw, notes))

    def _is_asked(self, request: EndedRequest) -> bool:
        header, cookies = request.fact("HTTP_X_INAPP_TRACE"), request.fact("HTTP_COOKIE")
        if not asking.may_ask(header, cookies):
            return False
        return asking.asks(header, cookies, self._around.secret())

    def _row(
        self,
        request: EndedRequest,
        key: tuple[str, str],
        reasons: Sequence[str],
        draw: float,
        notes: Mapping[str, Any],
    ) -> KeptRow:
        route, method = key
        clean = self._around.clean
        query = request.fact("QUERY_STRING")
        path = wsgi_text.decode(request.path) + (f"?{query}" if query else "")
        started = self._clock.wall() - (self._clock.perf() - request.start)
        about = {
            "id": request_key(request.start),
            "started": round(started, 6),
            "route": route,
            "slug": self._around.slug_of(route),
            "path": clean(path[:_MAX_PATH]),
            "request_id": clean((request.fact("HTTP_X_REQUEST_ID") or "")[:_MAX_HEADER]),
            "trace": trace_of(
                request.fact("HTTP_TRACEPARENT") or request.fact("HTTP_SENTRY_TRACE") or ""
            ),
            "why": list(reasons),
            "release": self._around.release,
            "pid": os.getpid(),
            **notes,
        }
        trace = kept_trace.build(
            request,
            self._tracing.shaped(request),
            self._counted(request),
            self._sites_of(request),
            clean,
            about,
        )
        return KeptRow(
            id=about["id"],
            slug=about["slug"],
            method=method,
            status=str(request.status or "")[:60],
            path=about["path"],
            started=about["started"],
            ms=trace["ms"],
            failed=request.failed or "issue" in notes,
            asked="asked" in reasons or "recent" in reasons,
            draw=draw if "random" in reasons else 1.0 + draw,
            spans=len(request.spans) + request.counted_only,
            request_id=about["request_id"],
            trace=about["trace"],
            why=" ".join(reasons),
            data=kept_trace.pack(trace),
        )

    def _counted(self, request: EndedRequest) -> list[tuple[int, str, int, float]]:
        """What is beyond the spans, statements as shapes."""
        found: dict[tuple[int, str], tuple[int, float]] = {}
        for text, (kind, count, seconds, system) in (request.spans.more or {}).items():
            key = kind, self._shown_text(kind, text, system)
            before = found.get(key, (0, 0.0))
            found[key] = before[0] + count, before[1] + seconds
        return [(*key, *figures) for key, figures in found.items()]

    def _shown_text(self, kind: int, text: str, system: str | None) -> str:
        is_statement = kind == DATABASE and text != OTHER
        return self._tracing.statements.of(text, system).shape if is_statement else text[:200]

    def _sites_of(self, request: EndedRequest) -> dict[str, list[tuple[str, str]]]:
        """Lines that asked for each text, with their source; as seen last where this request's
        were not looked for."""
        found: dict[str, list[tuple[str, str]]] = {}
        known = request.spans.sites or {}
        for kind, _, _, text, _, system, _, _, _ in request.spans:
            shown = self._shown_text(kind, text, system)
            if shown in found:
                continue
            if text in known:
                codes = known[text]
                sources = (self._around.source_of(code, line) for code, line in codes)
                found[shown] = list(zip(call_site.show(codes), sources, strict=True))
                if len(self._sites) >= _MAX_SITES:
                    self._sites.clear()
                self._sites[shown] = found[shown]
            elif shown in self._sites:
                found[shown] = self._sites[shown]
        return found

    def write(self) -> None:
        """Hand what was built to the database."""
        now = self._clock.wall()
        self._recent = 0
        is_due = now - self._thinned_out >= THIN_OUT_INTERVAL_S or now < self._thinned_out
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        if not self._table.add(rows, now, thin_out=is_due):
            self.dropped += len(rows)
        elif is_due:
            self._thinned_out = now

    def forked(self) -> None:
        """In a child process: what was seen is the parent's."""
        self._rows, self._notes = [], {}
        self._reservoirs.clear()
        self._pace.clear()
        self.dropped = 0
