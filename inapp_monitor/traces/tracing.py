"""Ended requests, folded: their spans counted by statement, what repeats, and where time went.

Off the requests, in the tick; other threads get the interpreter between small pieces of work. What
else wants to see ended requests (what keeps traces, what compares) is a listener.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.ground.process.gil_yield import GilYield
from inapp_monitor.recorder.routes import route_name
from inapp_monitor.traces import call_site, repeats
from inapp_monitor.traces.breakdown import breakdown
from inapp_monitor.traces.breakdown_sums import BreakdownSums
from inapp_monitor.traces.call_site import Site
from inapp_monitor.traces.ended_request import EndedRequest, Pending
from inapp_monitor.traces.spans import DATABASE, OTHER, RawSpan, Span, outside
from inapp_monitor.traces.statement_tables import (
    Figures,
    RepeatRow,
    StatementRow,
    StatementTables,
    figures_of,
)
from inapp_monitor.traces.statements import Statement, StatementTable

#: Requests folded at a time.
SLICE = 200
#: Statements whose durations are series, too: a distribution takes half a megabyte of the disk.
MAX_SERIES = 20
#: Share of all statements' time from which on one gets the second half of these.
_LATE_SHARE = 0.05
#: Route of what no request did.
OUTSIDE_REQUESTS = "(outside requests)"
#: Characters of a text that is no statement.
MAX_TEXT_LENGTH = 200
#: Repetitions (route, statement, line) that wait for the next write.
MAX_REPEATS = 500
#: Statements that are written in each tick, and seconds between two writes for each further one.
_WRITTEN_AT_ONCE = 50
_WRITE_S = 0.02

#: Called in the fold with each request that was handed over.
Listener = Callable[[EndedRequest], object]
#: The slug under which the requests of a route are counted.
SlugOf = Callable[[str], str]


class Tracing:
    """The spans of one process from a request's end to the store.

    Args:
        clock: Source of time.
        pending: Where requests wait.
        tables: Where statements are kept.
        slug_of: The slug of a route's name.

    Attributes:
        listeners: Called with each ended request, in the order of their ends.
        statements: What they are counted by.

    *Threads:* for the one that ticks.
    """

    def __init__(
        self, clock: Clock, pending: Pending, tables: StatementTables, slug_of: SlugOf
    ) -> None:
        self._clock = clock
        self._slug_of = slug_of
        self.pending = pending
        self.tables = tables
        self.listeners: list[Listener] = []
        self.statements = StatementTable()
        self._forget()

    def _forget(self) -> None:
        self._yield_gil = GilYield()
        self._sums = BreakdownSums()
        self._repeats: dict[tuple[str, str, str], RepeatRow] = {}
        self._with_series: set[str] = set()
        self._figures: dict[str, Figures] = {}
        self._changed: dict[str, StatementRow] = {}
        self._written_at = 0.0
        self._queue_ms = 0.0

    def count_requests(self, distributions: Iterable[Distribution]) -> None:
        """What the recorder has counted: of all requests, with and without spans."""
        self._queue_ms = self._sums.count(distributions) or self._queue_ms

    def fold(self) -> None:
        """Count what has ended since the last call."""
        now = self._clock.wall()
        self.statements.begin_fold(now)
        self._yield_gil.begin()
        self._fold_outside()
        while ended := self.pending.cut(SLICE):
            for request in ended:
                self._yield_gil()
                if request.spans or request.cpu_s is not None:
                    self._count(request, now)
                for listener in self.listeners:
                    listener(request)
        self.statements.end_fold(now)
        outside.long_bytes = 0

    def _count(self, request: EndedRequest, now: float) -> None:
        route = route_name(request.route, request.status)
        parts = breakdown(request)
        slug = self._slug_of(route)
        self._sums.add(slug, parts)
        if request.cpu_s is not None:
            rest_s = max(request.end - request.start - sum(parts.values()), 0.0)
            computed_s = _computed_by_sqlite(request) + parts.get("templates", 0.0)
            self._sums.sample(slug, rest_s, request.cpu_s - computed_s)
        spans = request.spans
        if spans:
            most = self._count_statements(request, route)
            if most >= repeats.MIN_TIMES:
                self._find_repeats(request, route, now)

    def _count_statements(self, request: EndedRequest, route: str) -> int:
        """Count the statements of a request. Returns how often the most frequent one came."""
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
        for text, (kind, count, seconds, system) in (spans.more or {}).items():
            if kind == DATABASE:
                statement = self.statements.other if text == OTHER else of(text, system)
                statement.add_uncertain(count, seconds)
                came[statement] = came.get(statement, 0) + count
        if spans.sites:
            self._note_sites(request, spans.sites)
        for statement, count in came.items():
            statement.note_route(route, count)
        return max(came.values(), default=0)

    def _note_sites(self, request: EndedRequest, sites: dict[str, Site]) -> None:
        for kind, _, _, text, _, system, _, _, _ in request.spans:
            if kind == DATABASE and text in sites:
                _note_site(self.statements.of(text, system), sites[text])

    def _find_repeats(self, request: EndedRequest, route: str, now: float) -> None:
        of = self.statements.of
        spans = [(raw, of(raw[3], raw[5]) if raw[0] == DATABASE else None) for raw in request.spans]
        request_ms = (request.end - request.start) * 1000.0
        for found in repeats.find(spans, request_ms):
            statement = found.statement
            raw_site = (request.spans.sites or {}).get(found.text)
            sites = (call_site.show(raw_site) if raw_site else []) or statement.site
            key = (route, statement.id, sites[0] if sites else "")
            row = self._repeats.get(key)
            if row is None:
                if len(self._repeats) >= MAX_REPEATS:
                    continue
                row = self._repeats[key] = RepeatRow(
                    route, statement.id, found.kind, sites, now, now
                )
            row.kind = found.kind
            row.last_seen = now
            row.requests += 1
            row.times += found.times
            row.total_ms += found.ms
            row.loop_ms += found.loop_ms
            row.request_ms += request_ms

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
        """The series since the last call: the breakdown, and `statements.<id>.time` and `.errors`
        of the costliest. The figures of all statements go to their tables."""
        now = self._clock.wall()
        batch = Batch(self._sums.take(int(now), self._queue_ms), [])
        self._choose_series()
        for each in self.statements.shown():
            if not each.new_count:
                continue
            if each.id in self._with_series:
                _add_series(batch, each, int(now))
            self._note_figures(each)
            each.handed_over()
        self.write(now)
        return batch

    def _choose_series(self) -> None:
        chosen = self._with_series
        if len(chosen) >= MAX_SERIES:
            return
        own = [each for each in self.statements.shown() if each.system]
        enough_ms = _LATE_SHARE * sum(each.total_ms for each in own)
        for each in sorted(own, key=attrgetter("total_ms"), reverse=True):
            if len(chosen) < MAX_SERIES // 2 or each.total_ms >= enough_ms:
                chosen.add(each.id)
            if len(chosen) >= MAX_SERIES:
                return

    def _note_figures(self, each: Statement) -> None:
        new = figures_of(each.new_count, each.new_ms, each.seconds, each.new_errors, each.new_rows)
        known = self._figures.get(each.id)
        if known is None:
            self._figures[each.id] = new
        else:
            known.merge(new)
        routes = dict(each.routes)
        before = self._changed.get(each.id)
        for route, count in (before.routes if before else {}).items():
            routes[route] = routes.get(route, 0) + count
        each.routes.clear()
        self._changed[each.id] = StatementRow(
            each.id,
            each.system,
            each.shape,
            each.is_write,
            each.site,
            routes,
            each.first_seen,
            each.last_seen,
        )

    def write(self, now: float, *, at_once: bool = False) -> None:
        """Queue figures and repetitions for the tables: the more there are, the less often."""
        waited = now - self._written_at
        if not self._changed and not self._repeats:
            return
        excess = len(self._changed) - _WRITTEN_AT_ONCE
        if 0.0 <= waited < _WRITE_S * excess and not at_once:
            return
        self._written_at = now
        rows, self._changed = list(self._changed.values()), {}
        figures, self._figures = self._figures, {}
        found, self._repeats = list(self._repeats.values()), {}
        self.tables.submit(rows, figures, found, now)

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
        self._forget()


def _note_site(statement: Statement, site: Site) -> None:
    shown = call_site.show(site)
    if shown:
        statement.site = shown


def _add_series(batch: Batch, each: Statement, now: int) -> None:
    prefix = f"statements.{each.id}"
    if each.seconds:
        histogram = Histogram.of([seconds * 1000.0 for seconds in each.seconds])
        batch.distributions.append(Distribution(f"{prefix}.time", now, histogram))
    if each.new_errors:
        errors = float(each.new_errors)
        batch.scalars.append(Scalar(f"{prefix}.errors", now, errors, Method.SUM))


def _computed_by_sqlite(request: EndedRequest) -> float:
    """Seconds of statements that were computed in this process."""
    return sum(
        end - start
        for kind, start, end, _, _, system, _, _, _ in request.spans
        if kind == DATABASE and system is not None and system.startswith("sqlite")
    )
