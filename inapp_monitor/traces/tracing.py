"""Ended requests, folded: their spans counted by statement, and the requests handed on.

Off the requests, in the tick; other threads get the interpreter between small pieces of work. No
I/O. What else wants to see ended requests (what keeps traces, what compares) is a listener.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.ground.process.gil_yield import GilYield
from inapp_monitor.recorder.routes import route_name
from inapp_monitor.traces import call_site
from inapp_monitor.traces.call_site import Site
from inapp_monitor.traces.ended_request import EndedRequest, Pending
from inapp_monitor.traces.spans import DATABASE, RawSpan, Span, outside
from inapp_monitor.traces.statements import Statement, StatementTable

#: Requests folded at a time.
SLICE = 200
#: Statements whose durations are kept as a distribution: those that cost most.
MAX_DISTRIBUTIONS = 50
#: Route of what no request did.
OUTSIDE_REQUESTS = "(outside requests)"
#: Characters of a text that is no statement.
MAX_TEXT_LENGTH = 200

#: Called in the fold with each request that was handed over.
Listener = Callable[[EndedRequest], object]


class Tracing:
    """The spans of one process from a request's end to the store.

    Args:
        clock: Source of time.
        pending: Where requests wait.

    Attributes:
        listeners: Called with each ended request, in the order of their ends.
        statements: What they are counted by.

    *Threads:* for the one that ticks.
    """

    def __init__(self, clock: Clock, pending: Pending) -> None:
        self._clock = clock
        self.pending = pending
        self.listeners: list[Listener] = []
        self.statements = StatementTable()
        self._yield_gil = GilYield()

    def fold(self) -> None:
        """Count what has ended since the last call."""
        now = self._clock.wall()
        self.statements.begin_fold(now)
        self._yield_gil.begin()
        self._fold_outside()
        while ended := self.pending.cut(SLICE):
            for request in ended:
                self._yield_gil()
                if request.spans:
                    self._count(request)
                for listener in self.listeners:
                    listener(request)
        self.statements.end_fold(now)

    def _count(self, request: EndedRequest) -> None:
        spans, of = request.spans, self.statements.of
        came: dict[Statement, int] = {}
        for kind, start, end, text, _, system, error, rows, _ in spans:
            if kind == DATABASE:
                statement = of(text, system)
                statement.seconds.append(end - start if end > start else 0.0)
                came[statement] = came.get(statement, 0) + 1
                if error is not None:
                    statement.new_errors += 1
                elif rows is not None:
                    statement.new_rows += rows
        if spans.sites:
            self._note_sites(request, spans.sites)
        for text, (kind, count, seconds, system) in (spans.more or {}).items():
            if kind == DATABASE:
                statement = self.statements.of(text, system)
                statement.add_uncertain(count, seconds)
                came[statement] = came.get(statement, 0) + count
        if came:
            route = route_name(request.route, request.status)
            for statement, count in came.items():
                statement.note_route(route, count)

    def _note_sites(self, request: EndedRequest, sites: dict[str, Site]) -> None:
        for kind, _, _, text, _, system, _, _, _ in request.spans:
            if kind == DATABASE and text in sites:
                _note_site(self.statements.of(text, system), sites[text])

    def _fold_outside(self) -> None:
        waiting = outside.spans
        n = len(waiting)
        taken = waiting[:n]
        del waiting[:n]
        for (kind, start, end, text, _, system, error, rows, _), site in taken:
            if kind == DATABASE:
                statement = self.statements.of(text, system)
                statement.seconds.append(max(end - start, 0.0))
                statement.new_errors += error is not None
                statement.new_rows += rows or 0
                statement.note_route(OUTSIDE_REQUESTS, 1)
                if site:
                    _note_site(statement, site)

    def take(self) -> Batch:
        """The figures since the last call, as series `statements.<id>.*`."""
        now = int(self._clock.wall())
        fresh = [each for each in self.statements.shown() if each.new_count]
        costly = sorted(self.statements.shown(), key=attrgetter("total_ms"), reverse=True)
        with_distribution = set(costly[:MAX_DISTRIBUTIONS])
        batch = Batch([], [])
        for each in fresh:
            prefix = f"statements.{each.id}"
            batch.scalars.append(Scalar(f"{prefix}.count", now, float(each.new_count), Method.SUM))
            batch.scalars.append(Scalar(f"{prefix}.total", now, each.new_ms, Method.SUM))
            if each.seconds:
                longest = max(each.seconds) * 1000.0
                batch.scalars.append(Scalar(f"{prefix}.max", now, longest, Method.MAX))
            if each.new_errors:
                errors = float(each.new_errors)
                batch.scalars.append(Scalar(f"{prefix}.errors", now, errors, Method.SUM))
            if each.new_rows:
                rows = float(each.new_rows)
                batch.scalars.append(Scalar(f"{prefix}.rows", now, rows, Method.SUM))
            if each in with_distribution and each.seconds:
                histogram = Histogram.of([seconds * 1000.0 for seconds in each.seconds])
                batch.distributions.append(Distribution(f"{prefix}.time", now, histogram))
            each.handed_over()
        return batch

    def shaped(self, request: EndedRequest) -> list[Span]:
        """The spans of a request as they may be kept and shown: statements as their shapes."""
        return [self._shaped(raw) for raw in request.spans]

    def _shaped(self, raw: RawSpan) -> Span:
        kind, start, end, text, thread, system, error, rows, key = raw
        if kind == DATABASE:
            text = self.statements.of(text, system).shape
        else:
            text = text[:MAX_TEXT_LENGTH]
        return Span(kind, start, end, text, thread, system, error, rows, key)

    def sites(self, request: EndedRequest) -> dict[str, list[str]]:
        """The lines that asked for what repeats, is slow or was new, by the text in `shaped`."""
        found: dict[str, list[str]] = {}
        wanted = request.spans.sites or {}
        for kind, _, _, text, _, system, _, _, _ in request.spans:
            if text in wanted:
                shape = self.statements.of(text, system).shape if kind == DATABASE else text
                found.setdefault(shape, call_site.show(wanted[text]))
        return found

    def forked(self) -> None:
        """In a child process: what waits and was counted is the parent's."""
        self.pending.clear()
        self.statements.clear()


def _note_site(statement: Statement, site: Site) -> None:
    shown = call_site.show(site)
    if shown:
        statement.site = shown
