"""Captures exceptions and messages, counts them exactly and keeps some as events.

In the failing request: find the fingerprint (cached by the code objects of the traceback), count,
and, while the fingerprint's token bucket allows, build the event. In the background (`flush`):
scrub, compress and hand over to the database, which merges the counts of all processes. Counts
never depend on events, nor on the disk: what is not written yet stays here and is shown.

What must not be here: SQL (`tables`, `queries`), how events look (`event`), what belongs together
(`grouping`), what people see and do (`triage`).
"""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

from inapp_monitor.database.file import Database, budget
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.ground.endings import is_normal_end
from inapp_monitor.ground.guard import Guard
from inapp_monitor.issues import exception_tree, queries, scope, stack
from inapp_monitor.issues.counts import Delta, StoredEvent
from inapp_monitor.issues.event import Event, EventBuilder
from inapp_monitor.issues.finished_event import encode, finish
from inapp_monitor.issues.grouping import v1 as grouping
from inapp_monitor.issues.lifecycle import Transition
from inapp_monitor.issues.merge_counts import Limits, Outcome, merge
from inapp_monitor.issues.model import IssueDetail, IssueSummary
from inapp_monitor.issues.pending import (
    MAX_CACHED,
    Known,
    Memories,
    Memory,
    route_of,
)
from inapp_monitor.issues.release import detect_release
from inapp_monitor.issues.safe_text import HIDDEN, clean_text
from inapp_monitor.issues.scrub import Scrubber
from inapp_monitor.issues.titles import complete, identity_of, skeleton
from inapp_monitor.issues.traceback_key import key_of, shapes_of
from inapp_monitor.issues.triage import Triage, Unwritten

#: Attribute of an exception that was captured: (issue, event id or "", request identity).
MARK = "__inapp_monitor__"
#: Events that wait for the flush, which takes milliseconds of each: of fingerprints without any
#: yet, and of all others.
MAX_WAITING_NEW, MAX_WAITING = 500, 30
#: Of a message that is looked at; more than an event keeps, so that the cut is noted.
MAX_TEXT_CHARS = 10_000
PART = "error capture"

#: Sees every scrubbed event before it is kept; returns it, changed or not, or None.
BeforeSend = Callable[[Event], Event | None]
#: Told (what happened, issue id) after the database knows it.
Listener = Callable[[Transition, str], None]

_NOTHING: Mapping[str, str] = {}
_EMPTY_EVENT: Event = {"user": {}, "tags": {}, "contexts": {}, "breadcrumbs": []}


@dataclass(frozen=True, slots=True)
class TrackerStatus:
    """The tracker in numbers.

    Attributes:
        unwritten: Occurrences that are not on disk yet.
        dropped_events: Events that were not kept, by reason; counts are never dropped.
    """

    unwritten: int
    dropped_events: dict[str, int]


class Tracker:
    """The errors of one monitor.

    *Threads:* every method may be called from any thread; `capture` of a known fingerprint takes
    no lock.

    Args:
        settings: Those about errors, `disk_budget` and `mount`.
        clock: Time.
        guard: Told of our own failures.
        database: Where issues live.

    Attributes:
        triage: The list of issues, and what people do to them.
        before_send: See `BeforeSend`.
        listeners: See `Listener`.
    """

    def __init__(self, settings: Settings, clock: Clock, guard: Guard, database: Database) -> None:
        self._settings = settings
        self._clock = clock
        self._guard = guard
        self._database = database
        self._scrubber = Scrubber(
            settings.scrub_names,
            settings.scrub_patterns,
            hide_addresses=not settings.error_remote_address,
        )
        self._places = stack.CodePlaces(settings.in_app_include, settings.in_app_exclude)
        self._builder = EventBuilder(
            clock,
            self._places,
            self._scrubber.hides,
            remote_address=settings.error_remote_address,
            with_locals=settings.error_locals,
        )
        self._limits = Limits(
            event_bytes=budget(settings.disk_budget) // 2, issues=settings.max_issues
        )
        self._memories = Memories()
        self._busy = threading.local()
        self._dropped: dict[str, int] = {}
        self._release: str | None = None
        self._others = identity_of(grouping.group_message("(other)"), "(other)", "error", str)
        self.before_send: BeforeSend | None = None
        self.listeners: list[Listener] = []
        self.triage = Triage(database, clock, self._pending, self.flush, self._relocate)

    # -- capture

    def capture(
        self,
        exception: BaseException,
        environ: Mapping[str, Any] | None = None,
        *,
        route: str | None = None,
        channel: str = "exception",
    ) -> str | None:
        """Note an exception, once per exception object. Never raises.

        Args:
            exception: With its traceback. Nothing of it is kept. What is no exception is noted as
                a message: the caller's slip is no fault of ours, and what he meant is not lost.
            environ: WSGI environ of the request, for its facts.
            route: Template of the request's route.
            channel: How it was noticed, shown with the event.

        Returns:
            The issue's id; None when it is no error (a generator closed, a clean exit), happened
            below our own mount or inside us.

        *Cost:* 10-20 µs for a known fingerprint, about a millisecond for a new one.
        """
        if not issubclass(type(exception), BaseException):
            return self.capture_message(exception, environ=environ, route=route, channel=channel)
        if getattr(self._busy, "on", False):
            return None
        self._busy.on = True
        try:
            return self._capture(exception, environ, route, channel)
        except Exception as error:  # noqa: BLE001  # the application must not notice
            self._guard.failed(PART, error)
            return None
        finally:
            self._busy.on = False

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
        """Note a message. Never raises.

        Args:
            message: What is shown; of what is no text, the text that a variable would have.
            level: `debug`, `info`, `warning`, `error` or `critical`; what is no text is `error`.
            template: What is compared, such as a log record's `msg`; default: the message.
            place: What else tells messages apart, such as a logger's name.
            kind: Stands where the class of an exception would.
            environ, route, channel: As for `capture`.
            frame: Where it came from, for the stack.

        Returns:
            The issue's id, None below our own mount.
        """
        if getattr(self._busy, "on", False):
            return None
        self._busy.on = True
        try:
            text = scope.text_of(message, MAX_TEXT_CHARS)
            rank = level if type(level) is str else "error"
            found = grouping.group_message(text if template is None else template, place=place)

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

            return self._capture_message(found, kind, rank, environ, route, build)
        except Exception as error:  # noqa: BLE001
            self._guard.failed(PART, error)
            return None
        finally:
            self._busy.on = False

    def capture_status(
        self, status: str, environ: Mapping[str, Any], *, route: str | None = None, text: str = ""
    ) -> str | None:
        """Note a 5xx answer that came without an exception: one issue a status and route.

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

    # -- handing over

    def flush(self) -> None:
        """Scrub and compress the waiting events, queue what is new for the database.

        *Cost:* milliseconds a waiting event: for background threads.
        """
        memory = self._memories.here()
        with memory.flushing:
            self._digest(memory)
            memory.fold()
            for known in list(memory.known.values()):
                if (known.delta.count or known.delta.events) and known.in_flight is None:
                    self._hand_over(memory, known)

    def take_counts(self) -> dict[str, int]:
        """Occurrences by issue id since the last call: for series named `errors.<issue>`."""
        memory = self._memories.here()
        memory.fold()
        with memory.lock:
            counts, memory.counts = memory.counts, {}
        return counts

    # -- reading

    def list_issues(self, limit: int = 50, **wanted: Any) -> list[IssueSummary]:
        """See `Triage.list_issues`."""
        return self.triage.list_issues(limit, **wanted)

    def get_issue(self, issue_id: str) -> IssueDetail | None:
        """See `Triage.get_issue`."""
        return self.triage.get_issue(issue_id)

    def running_frames(self, frames: Sequence[FrameType]) -> list[Event]:
        """Frames that are running now (innermost first) as plain data, outermost first: scrubbed,
        with their source, without variables."""
        steps = stack.running_steps(frames)
        event = {"exceptions": [{"frames": self._builder.frames(steps)}]}
        done: list[Event] = finish(event, self._scrubber)["exceptions"][0]["frames"]
        return done

    def without_secrets(self, text: str) -> str:
        """A text as it may be shown."""
        return clean_text(self._scrubber.text(text))

    @property
    def release(self) -> str:
        """The setting, else the git revision, else an empty string. May read files, once."""
        if self._release is None:
            self._release = clean_text(self._settings.release or detect_release())[:200]
        return self._release

    def status(self) -> TrackerStatus:
        """The tracker in numbers."""
        memory = self._memories.here()
        memory.fold()
        with memory.lock:
            return TrackerStatus(
                unwritten=sum(known.unwritten() for known in memory.known.values()),
                dropped_events=dict(self._dropped),
            )

    # -- inside: capture

    def _capture(
        self,
        exception: BaseException,
        environ: Mapping[str, Any] | None,
        route: str | None,
        channel: str,
    ) -> str | None:
        if is_normal_end(exception):
            return None
        said = scope.current()
        if environ is None:
            environ = scope.current_environ()
        if environ is not None and self._below_mount(environ):
            return None
        memory = self._memories.here()
        attributes = exception_tree.attributes_of(exception)
        request = _request_identity(environ)
        mark = dict.get(attributes, MARK)
        if type(mark) is tuple and (mark[2] is None or request is None or mark[2] == request):
            dict.__setitem__(attributes, MARK, (mark[0], mark[1], mark[2] or request))
            self._complete(memory, mark[1], environ, route)
            return str(mark[0])
        known = self._known(memory, exception, said)
        if known is None:
            return None
        event_id = ""
        if self._count(memory, known, environ, route, said):
            event = self._builder.build(exception, environ, route=route, channel=channel)
            event_id = self._wait(memory, known, event, said, environ)
        issue = known.identity.issue
        dict.__setitem__(attributes, MARK, (issue, event_id, request))
        return issue

    def _capture_message(
        self,
        found: grouping.Grouping,
        kind: str,
        level: str,
        environ: Mapping[str, Any] | None,
        route: str | None,
        build: Callable[[Mapping[str, Any] | None], Event],
    ) -> str | None:
        said = scope.current()
        if environ is None:
            environ = scope.current_environ()
        if environ is not None and self._below_mount(environ):
            return None
        memory = self._memories.here()
        if said is not None and said.fingerprint:
            found = grouping.group_by(said.fingerprint, found)
        known = self._remember(memory, found, kind, level)
        if self._count(memory, known, environ, route, said):
            self._wait(memory, known, build(environ), said, environ)
        return known.identity.issue

    def _known(
        self, memory: Memory, exception: BaseException, said: scope.Scope | None
    ) -> Known | None:
        """The fingerprint of an exception; None when it happened in our own code."""
        given = said.fingerprint if said is not None else ()
        key, kept, raising = key_of(exception)
        if given:
            key = (*key, given)
        cached = memory.cache.get(key)
        if cached is not None:
            return cached[0]
        if raising is not None and stack.is_own(raising.co_filename):
            return None
        found = grouping.group(shapes_of(exception, self._places))
        if given:
            found = grouping.group_by(given, found)
        known = self._remember(
            memory, found, exception_tree.class_short_name(type(exception)), "error"
        )
        if len(memory.cache) >= MAX_CACHED:
            memory.cache.clear()
        memory.cache[key] = (known, kept)
        return known

    def _remember(self, memory: Memory, found: grouping.Grouping, kind: str, level: str) -> Known:
        known = memory.known.get(found.fingerprint)
        if known is not None:
            return known
        identity = identity_of(found, kind, level, self._scrubber.text)
        return memory.remember(identity, self._others)

    def _count(
        self,
        memory: Memory,
        known: Known,
        environ: Mapping[str, Any] | None,
        route: object,
        said: scope.Scope | None,
    ) -> bool:
        """Note one occurrence; True when its event is wanted."""
        method = None if environ is None else environ.get("REQUEST_METHOD")
        if route is None and environ is not None:
            route = environ.get(ENVIRON_KEY)  # it may know it by the time this is counted
        tags, user = (_NOTHING, _NOTHING) if said is None else (dict(said.tags), said.user)
        memory.pending.append((known, self._clock.wall(), method, route, tags, user))
        memory.fold_if_many()
        if not known.wants_event(self._clock.perf()):
            return False
        if len(memory.waiting) >= (MAX_WAITING if known.has_event else MAX_WAITING_NEW):
            self._drop("too many at once")
            return False
        return True

    def _wait(
        self,
        memory: Memory,
        known: Known,
        event: Event,
        said: scope.Scope | None,
        environ: Mapping[str, Any] | None,
    ) -> str:
        """Put an event into the line for the flush; returns its id."""
        if said is not None:
            event["user"] = dict(said.user)
            event["tags"] = dict(said.tags)
            event["contexts"] = dict(said.contexts)
            event["breadcrumbs"] = list(said.breadcrumbs)
        event_id = str(event["id"])
        known.has_event = True
        with memory.lock:
            record = environ.get(ENVIRON_KEY) if environ and event["route"] is None else None
            memory.waiting[event_id] = (known, event, record)
        return event_id

    def _complete(
        self,
        memory: Memory,
        event_id: str,
        environ: Mapping[str, Any] | None,
        route: str | None,
    ) -> None:
        """Add what a later channel knows about an event that still waits here."""
        waiting = memory.waiting.get(event_id)
        if waiting is None:
            return
        known, event, record = waiting
        if environ is not None and event["request"] is None:
            event["request"] = self._builder.request(environ)
        if route is not None and event["route"] is None:
            event["route"] = route
            if record is not None:
                return  # who counts the occurrence asks it
            with memory.lock:
                known.delta.add_tag("route", route)
                known.delta.route = route

    def _below_mount(self, environ: Mapping[str, Any]) -> bool:
        mount = self._settings.mount
        path = environ.get("PATH_INFO", "")
        if path.startswith(mount) and path[len(mount) : len(mount) + 1] in ("", "/"):
            return True
        return bool(environ.get("SCRIPT_NAME", "").endswith(mount))

    def _drop(self, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1

    # -- inside: flush

    def _digest(self, memory: Memory) -> None:
        """Turn waiting events into scrubbed, compressed ones. The caller holds `flushing`."""
        while memory.waiting:
            with memory.lock:
                event_id = next(iter(memory.waiting))
                known, event, record = memory.waiting.pop(event_id)
                route = route_of(record) if event["route"] is None else None
                if route is not None:  # a handled error, captured before the route was known
                    event["route"] = route
                    known.delta.route = known.delta.route or route
            try:
                self._finish(memory, known, event)
            except Exception as error:  # noqa: BLE001  # one event is lost, its count is not
                self._drop("failed")
                self._guard.failed("error event", error)

    def _finish(self, memory: Memory, known: Known, event: Event) -> None:
        facts = {
            "release": self.release,
            "environment": self._settings.environment,
            "server": _server_name(),
            "why": list(known.identity.reason),
        }
        done = finish({**_EMPTY_EVENT, **event, **facts}, self._scrubber)
        if not known.titled:
            complete(known.identity, done)
            known.titled = True
        kept = self._ask_before_send(done)
        if kept is None:
            self._drop("before_send")
            return
        stored = StoredEvent(float(event["time"]), zlib.compress(encode(kept), 6))
        with memory.lock:
            known.delta.add_event(stored)

    def _ask_before_send(self, event: Event) -> Event | None:
        if self.before_send is None:
            return event
        try:
            answer = self.before_send(event)
        except Exception as error:  # noqa: BLE001
            # It may have been there to remove a secret: keep what cannot hold one.
            self._guard.failed("before_send", error)
            return {**_EMPTY_EVENT, **skeleton(event)}
        return answer if isinstance(answer, dict) else None

    def _hand_over(self, memory: Memory, known: Known) -> None:
        with memory.lock:
            delta, known.delta = known.delta, Delta()
            known.in_flight = delta
        self._clean(delta)
        outcome = Outcome()
        identity, release, limits = known.identity, self.release, self._limits
        taken = self._database.submit(
            lambda connection: merge(connection, identity, delta, release, limits, outcome),
            delta.size(),
            partial(self._written, memory, known, outcome),
        )
        if not taken:
            with memory.lock:
                delta.absorb(known.delta)
                known.delta, known.in_flight = delta, None

    def _written(self, memory: Memory, known: Known, outcome: Outcome, written: bool) -> None:
        with memory.lock:
            known.in_flight = None
            if written and outcome.issue:
                known.identity.issue = outcome.issue
        if not written:
            self._drop("not written")
            return
        for what, issue in outcome.transitions:
            for listener in self.listeners:
                try:
                    listener(what, issue)
                except Exception as error:  # noqa: BLE001
                    self._guard.failed("error listener", error)

    # -- inside: for triage

    def _pending(self) -> list[Unwritten]:
        """What is not written yet, events scrubbed."""
        memory = self._memories.here()
        with memory.flushing:
            self._digest(memory)
        memory.fold()
        with memory.lock:
            totals = [(known, known.total()) for known in memory.known.values()]
        pending = [
            Unwritten(known.identity, total, self.release) for known, total in totals if total.count
        ]
        for entry in pending:
            self._clean(entry.delta)
        return pending

    def _clean(self, delta: Delta) -> None:
        """Scrub what was counted as it came, and make it fit for the database."""
        delta.route = clean_text(delta.route)
        tags: dict[tuple[str, str], int] = {}
        for (name, value), count in delta.tags.items():
            shown = HIDDEN if self._scrubber.hides(name, value) else self._scrubber.text(value)
            tag = clean_text(name), clean_text(shown)
            tags[tag] = tags.get(tag, 0) + count
        delta.tags = tags

    def _relocate(self) -> None:
        """Learn which issues the fingerprints belong to after a merge or split."""
        memory = self._memories.here()
        located = queries.issues_of(self._database.read, list(memory.known))
        for fingerprint, known in list(memory.known.items()):
            known.identity.issue = located.get(fingerprint, fingerprint[:12])


def _request_identity(environ: Mapping[str, Any] | None) -> object:
    """What tells two requests apart, None without a request.

    The middleware's record of the request, which copies of the environ share; its start time is
    part of it, because the next record may well get the same address.
    """
    if environ is None:
        return None
    record = environ.get(ENVIRON_KEY)
    return id(environ) if record is None else (id(record), getattr(record, "start", None))


def _server_name() -> str:
    try:
        return socket.gethostname()[:100]
    except OSError:
        return ""
