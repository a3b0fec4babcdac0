"""Captures exceptions and messages, counts them exactly and keeps some as events.

The public face of errors. In the failing request: find the fingerprint and count (`occurrences`)
and, while an event is wanted, build it (`event`). In the background: scrub, compress and hand over
to the database, which merges the counts of all processes (`writer`).

What must not be here: SQL (`tables`, `queries`), how events look (`event`), what belongs together
(`grouping`), what people see and do (`triage`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import FrameType, TracebackType
from typing import Any

from inapp_monitor.database.file import Database
from inapp_monitor.ground import current_request
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.ground.endings import is_normal_end
from inapp_monitor.ground.guard import Guard
from inapp_monitor.issues import (
    exception_tree,
    foreign_event,
    recorded_exceptions,
    reentrance,
    requests,
    scope,
)
from inapp_monitor.issues.code_places import CodePlaces
from inapp_monitor.issues.event import Event, EventBuilder
from inapp_monitor.issues.foreign_event import Details
from inapp_monitor.issues.grouping.fingerprint import Grouping
from inapp_monitor.issues.model import IssueDetail, IssueSummary, TrackerStatus
from inapp_monitor.issues.occurrences import (
    OccurrenceCounter,
    add_facts,
    add_route,
    queue_event,
    queue_with_scope,
)
from inapp_monitor.issues.pending import Drops, KnownFingerprint, ProcessMemories, ProcessMemory
from inapp_monitor.issues.redaction import Redactor
from inapp_monitor.issues.safe_text import MAX_TEXT_CHARS
from inapp_monitor.issues.scrub import Scrubber
from inapp_monitor.issues.triage import Triage
from inapp_monitor.issues.writer import EVENTS_A_TICK, BeforeSend, IssueWriter, Listener

PART = "error capture"

_NOTHING: Mapping[str, str] = {}
_BELOW_ERROR = ("debug", "info", "warning")
#: One number for each tracker: it can be remembered longer than the tracker lives.
_identities = count()


class Tracker:
    """The errors of one monitor.

    *Threads:* every method may be called from any thread; `capture` of a known fingerprint takes
    no lock.

    Args:
        settings: Those about errors, `disk_budget` and `mount`.
        clock: Time.
        guard: Counts our own failures.
        database: Where issues live.
        packages: Those of the application, see `CodePlaces`.

    Attributes:
        triage: The list of issues, and what people do to them.
        redactor: Hides secrets for other parts.
        listeners: See `Listener`.
        watcher: Whose requests it records; None: all there are.
        exception_listener: Called with each exception of which an event is kept, in its thread.
        record_listener: Called with each log record from INFO that is heard here, its text, and the
            id of the issue that it was recorded as, if any.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        guard: Guard,
        database: Database,
        packages: Sequence[str] = (),
    ) -> None:
        self._mount = settings.mount
        self._clock = clock
        self._guard = guard
        self._remote_address = remote = settings.error_remote_address
        scrubber = Scrubber(
            settings.scrub_names, settings.scrub_patterns, hide_addresses=not remote
        )
        self._hides = scrubber.hides
        places = CodePlaces(settings.in_app_include, settings.in_app_exclude, packages)
        self._builder = EventBuilder(
            clock, places, scrubber.hides, remote_address=remote, with_locals=settings.error_locals
        )
        self._memories = ProcessMemories()
        self._drops = Drops()
        self._counter = OccurrenceCounter(clock, places, scrubber.text, self._drops)
        counted = (self._memories, self._drops)
        self._writer = IssueWriter(settings, guard, database, scrubber, *counted, clock)
        self._identity = next(_identities)
        self.watcher: object = None
        self.exception_listener: Callable[[BaseException], object] | None = None
        self.record_listener: Callable[[Any, str, str | None], None] | None = None
        self.listeners: list[Listener] = self._writer.listeners
        self.redactor = Redactor(scrubber, self._builder)
        hooks = (self._writer.unwritten, self.flush, self._writer.relocate)
        self.triage = Triage(database, clock, *hooks)

    def hears_here(self) -> bool:
        """Whether what happens here is for this tracker: in its own requests and outside of any."""
        return self.watcher is None or current_request.belongs_to(self.watcher)

    # -- capture

    def capture(
        self,
        exception: BaseException,
        environ: Mapping[str, Any] | None = None,
        *,
        route: str | None = None,
        channel: str = "exception",
        traceback: TracebackType | None = None,
    ) -> str | None:
        """Record an exception, once per exception object. Never raises.

        Args:
            exception: With its traceback; not kept. What is no exception is a message.
            environ: WSGI environ of the request, for its facts.
            route: Template of the request's route.
            channel: How it was noticed.
            traceback: Of the exception when it failed; default: the one that it has.

        Returns:
            The issue's id; None when it is no error (a generator closed, a clean exit), happened
            below our own mount, inside us, or in a signal's handler while another was recorded.

        *Cost:* 10-20 µs for a known fingerprint, about a millisecond for a new one.
        """
        if not issubclass(type(exception), BaseException):
            return self.capture_message(exception, environ=environ, route=route, channel=channel)

        def record() -> str | None:
            if traceback is None:
                return self._capture(exception, environ, route, channel)
            with exception_tree.seen_with(exception, traceback):
                return self._capture(exception, environ, route, channel)

        return self._safely(record)

    def capture_message(
        self,
        message: object,
        *,
        level: object = "error",
        template: str | None = None,
        place: str = "",
        kind: str = "Message",
        environ: Mapping[str, Any] | None = None,
        route: str | None = None,
        channel: str = "message",
        frame: FrameType | None = None,
    ) -> str | None:
        """Record a message. Never raises.

        Args:
            message: What is shown; of what is no text, the text that a variable would have.
            level: `debug`, `info`, `warning`, `error` or `critical`; what is no text is `error`.
            template: What is compared, such as a log record's `msg`; default: the message.
            place: What else distinguishes messages, such as a logger's name.
            kind: Stands where the class of an exception would.
            environ, route, channel: As for `capture`.
            frame: Where it came from, for the stack.

        Returns:
            The issue's id, None below our own mount.
        """

        def record() -> str | None:
            text = scope.text_of(message, MAX_TEXT_CHARS)
            rank = level if type(level) is str else "error"
            compared = (text if template is None else template, text, place)

            def build(environ: Mapping[str, Any] | None) -> Event:
                return self._builder.build_message(
                    text,
                    environ,
                    kind=kind,
                    level=rank,
                    route=route,
                    channel=channel,
                    frame=frame,
                )

            return self._capture_message(compared, kind, rank, environ, route, build)

        return self._safely(record)

    def capture_status(
        self, status: str, environ: Mapping[str, Any], *, route: str | None = None, text: str = ""
    ) -> str | None:
        """Record a 5xx answer that came without an exception: one issue a status and route.

        Args:
            status: The status line, such as `503 Service Unavailable`.
            environ: WSGI environ of the request.
            route: Template of its route.
            text: What the app wrote to `wsgi.errors`, if known.
        """
        kind = f"HTTP {status[:3]}"
        return self.capture_message(
            f"{status} without an exception" + (f": {text}" if text else ""),
            template=kind,
            place=f"{environ.get('REQUEST_METHOD', '')} {route or '(unrouted)'}",
            kind=kind,
            environ=environ,
            route=route,
            channel="status",
        )

    def record_event(
        self, event: Mapping[str, Any], found: Grouping, details: Details = dict
    ) -> str | None:
        """Record an event that was made elsewhere, such as by an SDK in a browser. Never raises.

        It is counted, bounded, scrubbed, shown to `before_send` and stored as our own events are.

        Args:
            event: In the shape that `EventBuilder.build` describes, and with `release`,
                `environment`, `server`, `user`, `tags`, `contexts` and `breadcrumbs`; nothing in it
                is trusted, see `bounded_event`.
            found: Its fingerprint.
            details: Makes what else is in the event, but for the exceptions and what it is
                counted by (`counted_part`): called when it is kept.

        Returns:
            The issue's id, None when it cannot be recorded.
        """
        return self._safely(lambda: self._record_event(event, found, details))

    def add_facts(self, exception: BaseException, facts: Mapping[str, Any]) -> None:
        """Add what somebody else knows about an exception that is recorded, while its event waits
        here: `user`, `tags`, `contexts` and `breadcrumbs`. What the application set itself stays.
        """
        request = requests.identity_of(scope.current_environ())
        recorded = recorded_exceptions.find(exception, self._identity, request)
        if recorded is not None:
            add_facts(self._memories.here(), recorded.event_id, facts)

    # -- handing over

    def flush(self) -> None:
        """Scrub and compress the queued events, hand what is new to the database.

        *Cost:* milliseconds a queued event: for background threads.
        """
        self._writer.flush()

    def tick(self, until: float = float("inf")) -> bool:
        """As `flush`, of many events some; whether others, or counts, wait for the next tick.

        Args:
            until: Performance counter's time from which on the rest is left to the next tick.
        """
        return self._writer.flush(EVENTS_A_TICK, until)

    def take_counts(self) -> dict[str, int]:
        """Occurrences by issue id since the last call: for series named `errors.<issue>`."""
        memory = self._memories.here()
        if memory.is_busy_here():  # the next call has them
            return {}
        memory.fold()
        with memory.lock:
            counts, memory.counts = memory.counts, {}
        return counts

    @property
    def before_send(self) -> BeforeSend | None:
        """See `BeforeSend`."""
        return self._writer.before_send

    @before_send.setter
    def before_send(self, function: BeforeSend | None) -> None:
        self._writer.before_send = function

    # -- reading

    def list_issues(self, limit: int = 50, **wanted: Any) -> list[IssueSummary]:
        """See `Triage.list_issues`."""
        return self.triage.list_issues(limit, **wanted)

    def get_issue(self, issue_id: str) -> IssueDetail | None:
        """See `Triage.get_issue`."""
        return self.triage.get_issue(issue_id)

    @property
    def release(self) -> str:
        """Of the code that runs, "" when unknown."""
        return self._writer.release

    def status(self) -> TrackerStatus:
        """The tracker in numbers."""
        memory = self._memories.here()
        memory.fold()
        with memory.lock:
            return TrackerStatus(
                unwritten=sum(known.unwritten() for known in list(memory.known.values())),
                dropped_events=self._drops.by_reason(),
            )

    # -- inside

    def _safely(self, record: Callable[[], str | None]) -> str | None:
        """Record something unless this thread is at it already; failures stay here."""
        try:
            if reentrance.is_recording():
                reentrance.may_wait(lambda: self._safely(record))
                return None
            return reentrance.run(record)
        except Exception as error:  # noqa: BLE001  # the application must not notice
            self._guard.failed(PART, error)
            return None

    def _capture(
        self,
        exception: BaseException,
        environ: Mapping[str, Any] | None,
        route: str | None,
        channel: str,
    ) -> str | None:
        if is_normal_end(exception):
            return None
        facts = scope.current(exception)
        if environ is None:
            environ = scope.current_environ()
        if environ is not None and requests.is_below(self._mount, environ):
            return None
        memory = self._memories.here()
        request = requests.identity_of(environ)
        recorded = recorded_exceptions.find(exception, self._identity, request)
        if recorded is not None:
            issue, event_id, listener = recorded.issue, recorded.event_id, None
            request = recorded.request or request
            self._complete(memory, event_id, environ, route)
        else:
            given = facts.fingerprint if facts is not None else ()
            event_id, listener = "", None
            with recorded_exceptions.seen_without_former(exception, self._identity):
                known = self._counter.of_exception(memory, exception, given)
                if known is None:
                    return None
                if self._count(memory, known, environ, route, facts):
                    event = self._builder.build(exception, environ, route=route, channel=channel)
                    event_id = queue_with_scope(memory, known, event, facts, environ)
                    listener = self.exception_listener
            issue = known.identity.issue
        recorded_exceptions.remember(exception, self._identity, issue, event_id, request)
        requests.note_recorded(environ, self)
        if listener is not None:
            listener(exception)
        return issue

    def _capture_message(
        self,
        compared: tuple[str, str, str],
        kind: str,
        level: str,
        environ: Mapping[str, Any] | None,
        route: str | None,
        build: Callable[[Mapping[str, Any] | None], Event],
    ) -> str | None:
        facts = scope.current()
        if environ is None:
            environ = scope.current_environ()
        if environ is not None and requests.is_below(self._mount, environ):
            return None
        memory = self._memories.here()
        given = facts.fingerprint if facts is not None else ()
        known = self._counter.of_message(memory, *compared, given, kind, level)
        if self._count(memory, known, environ, route, facts):
            queue_with_scope(memory, known, build(environ), facts, environ)
        if level not in _BELOW_ERROR:
            requests.note_recorded(environ, self)
        return known.identity.issue

    def _record_event(self, given: Mapping[str, Any], found: Grouping, details: Details) -> str:
        now = self._clock.wall()
        event = foreign_event.counted_part(given, now)
        memory = self._memories.here()
        release = self.redactor.text(event["release"])
        known = self._counter.of_grouping(
            memory, foreign_event.bounded_grouping(found), event["type"], event["level"], release
        )
        if event["id"] in memory.waiting:  # sent again, because no answer came
            return known.identity.issue
        if self._counter.count(memory, known, **event["occurrence"]):
            whole = {**given, **details(), "id": event["id"]}
            remote = self._remote_address
            bounded = foreign_event.bounded_event(whole, now, self._hides, remote_address=remote)
            queue_event(memory, known, bounded)
        return known.identity.issue

    def _count(
        self,
        memory: ProcessMemory,
        known: KnownFingerprint,
        environ: Mapping[str, Any] | None,
        route: object,
        facts: scope.Scope | None,
    ) -> bool:
        """Count one occurrence of this process; True when its event is wanted."""
        method = None if environ is None else environ.get("REQUEST_METHOD")
        if route is None and environ is not None:
            route = environ.get(ENVIRON_KEY)  # it may know it by the time this is counted
        tags, user = (_NOTHING, _NOTHING) if facts is None else (dict(facts.tags), facts.user)
        return self._counter.count(
            memory, known, at=self._clock.wall(), method=method, route=route, tags=tags, user=user
        )

    def _complete(
        self,
        memory: ProcessMemory,
        event_id: str,
        environ: Mapping[str, Any] | None,
        route: str | None,
    ) -> None:
        """Add what a later channel knows about an event that is still queued here."""
        waiting = memory.waiting.get(event_id)
        if waiting is None:
            return
        known, event, record = waiting
        if environ is not None and event["request"] is None:
            event["request"] = self._builder.request(environ)
        if route is not None and event["route"] is None:
            event["route"] = route
            if record is None:  # else the count of the occurrence asks the record
                add_route(memory, known, route)
