"""From ended requests to `time_table`: which texts each route spends its time on.

Counted are requests with spans, and those that are looked at closer anyway: a fair sample of
routes that have none. Requests that were handed over because they were slow are not, or a route
without spans would look slow.
"""

from __future__ import annotations

from typing import Final

from inapp_monitor.ground.clock import Clock
from inapp_monitor.recorder.routes import method_name, route_name
from inapp_monitor.traces import call_site
from inapp_monitor.traces.ended_request import EndedRequest
from inapp_monitor.traces.spans import CODE, DATABASE, KIND_NAMES, OTHER, TRANSACTION
from inapp_monitor.traces.statements import MAX_TEXT_LENGTH, NOT_ANALYSED, Statement
from inapp_monitor.traces.time_parts import Part, RouteTime
from inapp_monitor.traces.time_table import FINE_S, TimeTable
from inapp_monitor.traces.tracing import SlugOf, Tracing

#: Seconds between two times that it is written.
INTERVAL_S: Final = 2.0
#: Routes and methods of one interval; further ones are not compared.
MAX_ROUTES: Final = 60
MAX_TEXT: Final = 300
#: Texts whose place is remembered.
_MAX_PLACES: Final = 2_000
#: Raw texts, in memory only, whose key is remembered.
_MAX_KEYS: Final = 2_000
#: Kind and text of a part, and its statement.
_Known = tuple[tuple[str, str], Statement | None]


class TimeKeeper:
    """Of one process.

    Attributes:
        dropped: Requests of routes for which there was no room.

    *Threads:* for the one that ticks.
    """

    def __init__(self, tracing: Tracing, table: TimeTable, clock: Clock, slug_of: SlugOf) -> None:
        self.dropped = 0
        self._tracing = tracing
        self._table = table
        self._clock = clock
        self._slug_of = slug_of
        self._times: dict[tuple[int, str, str], RouteTime] = {}
        self._places: dict[str, str] = {}
        self._keys: dict[tuple[int, str, str | None], _Known] = {}
        self._written_at = 0.0
        tracing.listeners.append(self.add)

    def add(self, request: EndedRequest) -> None:
        """A request has ended."""
        if not request.spans and request.cpu_s is None:
            return
        ended = self._clock.wall() - (self._clock.perf() - request.end)
        slug = self._slug_of(route_name(request.route, request.status))
        key = (int(ended) // FINE_S * FINE_S, slug, method_name(request.method))
        time = self._times.get(key)
        if time is None:
            if len(self._times) >= MAX_ROUTES:
                self.dropped += 1
                return
            time = self._times[key] = RouteTime()
        time.count(max(request.end - request.start, 0.0) * 1000.0)
        self._add_spans(time, request)

    def _add_spans(self, time: RouteTime, request: EndedRequest) -> None:
        inner: dict[int, list[tuple[float, float]]] = {}  # by thread, as in `breakdown`
        sites = request.spans.sites or {}
        for kind, start, end, text, thread, system, _, _, _ in request.spans:
            own = end - start
            waiting = inner.setdefault(thread, [])
            while waiting and waiting[-1][0] >= start:
                own -= waiting.pop()[1]
            waiting.append((start, end - start))
            if kind == CODE:  # the application's own; what lies in it has been taken off
                continue
            part = self._part(time, kind, text, system)
            part.ms += max(own, 0.0) * 1000.0
            part.count += 1
            if text in sites:
                shown = call_site.show(sites[text][:1])
                part.place = shown[0] if shown else part.place
        for text, (kind, count, seconds, system) in (request.spans.more or {}).items():
            part = self._part(time, kind, text, system)
            part.ms += seconds * 1000.0
            part.count += count

    def _part(self, time: RouteTime, kind: int, text: str, system: str | None) -> Part:
        known = self._keys.get((kind, text, system))
        if known is None:
            known = self._learn(kind, text, system)
        key, statement = known
        part = time.parts.get(key)
        if part is None:
            part = time.parts[key] = Part()
            if statement is not None:
                part.id = statement.id
                part.place = statement.site[0] if statement.site else ""
        return part

    def _learn(self, kind: int, text: str, system: str | None) -> _Known:
        name = KIND_NAMES[DATABASE if kind == TRANSACTION else kind]
        if kind != DATABASE or text == OTHER:
            known: _Known = (name, text[:MAX_TEXT]), None
        else:
            statement = self._tracing.statements.of(text, system)
            known = (name, statement.shape[:MAX_TEXT]), statement
            if statement.shape == NOT_ANALYSED or len(text) > MAX_TEXT_LENGTH:
                return known  # it may be analysed the next time
        if len(self._keys) >= _MAX_KEYS:
            self._keys.clear()
        self._keys[kind, text, system] = known
        return known

    def write(self) -> None:
        """Hand over what was seen, every few seconds."""
        now = self._clock.wall()
        if not self._times or 0.0 <= now - self._written_at < INTERVAL_S:
            return
        self._written_at = now
        times, self._times = self._times, {}
        bounded = {key: time.bounded() for key, time in times.items()}
        for time in bounded.values():
            self._remember_places(time)
        if not self._table.add(bounded, now):
            self.dropped += sum(time.requests for time in times.values())

    def _remember_places(self, time: RouteTime) -> None:
        """Lines are looked for now and then: they stand for all calls with the same text."""
        for (_, text), part in time.parts.items():
            if part.place:
                if len(self._places) >= _MAX_PLACES:
                    self._places.clear()
                self._places[text] = part.place
            else:
                part.place = self._places.get(text, "")

    def forked(self) -> None:
        """In a child process: what was seen is the parent's."""
        self._times.clear()
        self._keys.clear()
        self.dropped = 0
