"""Where the items of envelopes go: events to the tracker, numbers to series, the rest to tables.

Called in the thread of the request that brought them, so nothing here waits for the disk: what the
database is to keep is collected and written in a tick.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from inapp_monitor.database.file import Connection, Database
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ingest.sentry import logs, sessions, tables, trace_metrics, values
from inapp_monitor.ingest.sentry.bounded_json import parse_object
from inapp_monitor.ingest.sentry.clock_drift import correct, correct_item, drift_of
from inapp_monitor.ingest.sentry.cron_monitors import CronMonitors, Reports
from inapp_monitor.ingest.sentry.debug_ids import debug_ids_of
from inapp_monitor.ingest.sentry.envelope import OPTIONAL, Envelope, Item, event_id_of
from inapp_monitor.ingest.sentry.event import counted_part_of, details_of, event_of, platform_of
from inapp_monitor.ingest.sentry.facts import SentryFacts
from inapp_monitor.ingest.sentry.feedback import feedback_of, note_of
from inapp_monitor.ingest.sentry.grouping import grouping_of_event
from inapp_monitor.ingest.sentry.kept_segments import KeptSegments
from inapp_monitor.ingest.sentry.messages import template_of
from inapp_monitor.ingest.sentry.refusal import Refusal
from inapp_monitor.ingest.sentry.sessions import SessionUpdate
from inapp_monitor.ingest.sentry.source_map_files import SourceMapFiles
from inapp_monitor.ingest.sentry.trace_metrics import Measures
from inapp_monitor.ingest.sentry.transactions import segment_of_transaction, segments_of_spans
from inapp_monitor.issues.foreign_event import Details
from inapp_monitor.issues.grouping.fingerprint import Grouping

#: Of one process, between two ticks.
MAX_WAITING, MAX_NAMES = 5_000, 2_000
MAX_ATTACHMENTS_WAITING = 50
#: Events whose ids are remembered: what is sent again counts once.
MAX_REMEMBERED = 10_000
#: How long feedback waits for the event that it is about.
FEEDBACK_WAITS_S = 10.0
#: Reasons and categories of an SDK's own losses that have rows of their own.
MAX_REASONS = 20


class RecordEvent(Protocol):
    """See `Tracker.record_event`."""

    def __call__(
        self, event: Mapping[str, Any], found: Grouping, details: Details = ...
    ) -> str | None: ...


#: Adds a comment to an issue: (issue, text, who).
Comment = Callable[[str, str, str], None]


class Inbox:
    """The items of all projects.

    Args:
        clock: Time.
        database: Keeps counts and sessions.
        record_event: See `Tracker.record_event`.
        measures: Where numbers of SDKs go.
        comment: See `Comment`; called in a tick.
        report: Makes an issue of a job that did not check in, see `Tracker.capture_message`.
        source_maps: Where the places in minified JavaScript are looked up.
        keep_log: Where log records of SDKs go.
        segments: Where transactions and spans go.

    Attributes:
        cron_monitors: Jobs that check in.

    *Threads:* any.
    """

    def __init__(
        self,
        clock: Clock,
        database: Database,
        record_event: RecordEvent,
        measures: Measures,
        comment: Comment,
        report: Reports,
        source_maps: SourceMapFiles,
        keep_log: logs.Keep,
        segments: KeptSegments,
    ) -> None:
        self._clock = clock
        self._database = database
        self._record_event = record_event
        self._measures = measures
        self._comment = comment
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, int, str, str]] = Counter()
        self._sessions: deque[SessionUpdate] = deque()
        self._events: deque[tuple[str, str, str, float]] = deque()
        self._attachments: deque[tuple[str, str, bytes, float]] = deque()
        self._feedback: deque[dict[str, Any]] = deque()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._drops: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
        self.source_maps = source_maps
        self._keep_log = keep_log
        self._segments = segments
        self.cron_monitors = CronMonitors(clock, database, measures, report)
        database.declare(tables.PART, tables.SCHEMA, tables.make_room)

    # -- in the request

    def accept(self, envelope: Envelope, project: str, remote_address: str = "") -> str:
        """Record all items of an envelope.

        Args:
            envelope: What was sent.
            project: Name of the key's project.
            remote_address: Of the sender, "" when it is not to be kept.

        Returns:
            The id of the event, "" without any.

        Raises:
            Refusal: an item is no JSON; what stands before it is recorded.
        """
        event_id = envelope.event_id
        drift_s = drift_of(envelope.header, self._clock.wall())
        for item in envelope.items:
            if item.payload is None:
                self.count(project, "item", item.type)
                continue
            if item.type == "attachment":
                self._keep_attachment(item, event_id, project)
                continue
            try:
                payload = parse_object(item.payload, f"{item.type} item")
            except Refusal:
                if item.type not in OPTIONAL:
                    raise
                self.count(project, "item", item.type)
                continue
            if item.type == "event" and payload.get("type") == "transaction":
                # As SDKs sent it to `/store/` before there were envelopes.
                correct_item(payload, drift_s)
                self._accept_other("transaction", payload, project)
            elif item.type == "event":
                event_id = self._accept_event(payload, event_id, project, remote_address, drift_s)
            else:
                correct_item(payload, drift_s)
                self._accept_other(item.type, payload, project)
        return event_id

    def count(self, project: str, kind: str, name: str, count: int = 1) -> None:
        """Count something, shown on the page of SDKs."""
        day = int(self._clock.wall()) // tables.DAY_S * tables.DAY_S
        row = (project, day, kind, name[:80])
        with self._lock:
            if row not in self._counts and len(self._counts) >= MAX_NAMES:
                row = (project, day, kind, "(other)")
            self._counts[row] += count

    def refused(self, project: str, why: str) -> None:
        """Count a request that was refused."""
        self._totals["refused"] += 1
        self.count(project, "refused", why)

    def _accept_event(
        self,
        payload: dict[str, object],
        event_id: str,
        project: str,
        remote_address: str,
        drift_s: float,
    ) -> str:
        given_id = event_id or event_id_of(payload.get("event_id")) or uuid.uuid4().hex
        if self._is_repeated(given_id):
            self.count(project, "item", "event again")
            return given_id
        event = counted_part_of(
            payload,
            event_id=given_id,
            project=project,
            remote_address=remote_address,
            frames=partial(self.source_maps.frames_of, debug_ids=debug_ids_of(payload)),
        )
        correct([event], drift_s)

        def details() -> dict[str, Any]:
            made = details_of(payload, event)
            correct(made["breadcrumbs"], drift_s)
            return made

        template, logger = template_of(payload), values.text(payload.get("logger"), 200)
        found = grouping_of_event(event, payload.get("fingerprint"), template, logger)
        issue = self._record_event(event, found, details)
        self.count(project, "event", platform_of(payload))
        self._totals["events"] += 1
        if issue is not None:
            row = (given_id, found.fingerprint, event["trace_id"], self._clock.wall())
            self._wait(self._events, row, "event ids")
        return given_id

    def _accept_other(self, kind: str, payload: dict[str, object], project: str) -> None:
        now = self._clock.wall()
        self.count(project, "item", kind)
        if kind == "session":
            self._add_sessions(sessions.of_session(payload, project, now))
        elif kind == "sessions":
            self._add_sessions(sessions.of_aggregates(payload, project, now))
        elif kind == "client_report":
            self._add_losses(payload, project)
        elif kind == "check_in":
            self.cron_monitors.accept(payload, project)
        elif kind in ("feedback", "user_report"):
            found = feedback_of(payload, kind)
            if found is not None:
                more = {"payload": payload, "project": project, "came": now}
                self._wait(self._feedback, {**found, **more}, kind)
        elif kind == "log":
            for record in logs.records_of(payload, project, now):
                self._keep_log(record)
        elif kind == "trace_metric":
            trace_metrics.record(payload, project, self._measures)
        elif kind == "transaction":
            segment = segment_of_transaction(payload)
            if segment is not None:
                self._segments.add(segment, project)
        elif kind == "span":
            for segment in segments_of_spans(payload):
                self._segments.add(segment, project)

    def _add_sessions(self, updates: list[SessionUpdate]) -> None:
        for update in updates:
            self._wait(self._sessions, update, "sessions")

    def _add_losses(self, payload: dict[str, object], project: str) -> None:
        """What an SDK did not send: as the page shows it, by category and reason."""
        for names in ("discarded_events", "rate_limited_events", "filtered_events"):
            for row in values.mappings(payload.get(names), MAX_REASONS):
                count = values.whole(row.get("quantity")) or 0
                category = values.text(row.get("category"), 30) or "default"
                reason = values.text(row.get("reason"), 40)
                if count:
                    self.count(project, "lost", f"{category}: {reason}", count)

    def _keep_attachment(self, item: Item, event_id: str, project: str) -> None:
        name = values.text(item.header.get("filename"), 200) or "attachment"
        self.count(project, "item", "attachment")
        if event_id and item.payload is not None:
            row = (event_id, name, item.payload, self._clock.wall())
            if len(self._attachments) < MAX_ATTACHMENTS_WAITING:
                self._wait(self._attachments, row, "attachments")

    def _is_repeated(self, event_id: str) -> bool:
        with self._lock:
            if event_id in self._seen:
                return True
            self._seen[event_id] = None
            if len(self._seen) > MAX_REMEMBERED:
                self._seen.popitem(last=False)
        return tables.is_known(self._database.read, event_id)  # by another worker

    def _wait(self, queue: deque[Any], row: Any, what: str) -> None:
        if len(queue) >= MAX_WAITING:
            self._drops[f"sentry {what}"] += 1
        else:
            queue.append(row)

    # -- in a tick

    def flush(self, *, at_once: bool = False) -> None:
        """Hand what was collected to the database; with `at_once`, what would wait for more too."""
        now = self._clock.wall()
        self._segments.write(at_once=at_once)
        for feedback in _taken(self._feedback):
            if not self._place_feedback(feedback):
                self._feedback.append(feedback)  # its event may not be written yet
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if counts:
            self._submit(partial(tables.add_counts, counts=counts), 100 * len(counts), "counts")
        updates = _taken(self._sessions)
        if updates:
            self._series_of_sessions(updates)
            write = partial(tables.add_sessions, updates=updates, now=now)
            self._submit(write, 200 * len(updates), "sessions")
        events = _taken(self._events)
        if events:
            self._submit(partial(tables.add_events, events=events), 200 * len(events), "event ids")
        kept = _taken(self._attachments)
        if kept:
            size = sum(len(row[2]) + 300 for row in kept)
            self._submit(partial(tables.add_attachments, attachments=kept), size, "attachments")

    def drops(self) -> dict[str, int]:
        """What this process did not keep, by reason."""
        found = dict(self._drops)
        if self._segments.dropped:
            found["sentry traces and spans"] = self._segments.dropped
        return found

    def facts(self) -> SentryFacts:
        """What SDKs have sent to this process."""
        return SentryFacts(self._totals["events"], self._totals["refused"])

    def forked(self) -> None:
        """In a child process: what was collected is the parent's."""
        self._lock = threading.Lock()
        self.cron_monitors.forked()
        self.source_maps.forked()
        self._segments.forked()
        self._counts.clear()
        for queue in (self._sessions, self._events, self._attachments, self._feedback):
            queue.clear()

    def _submit(self, change: Callable[[Connection], None], size: int, what: str) -> None:
        if not self._database.submit(change, size):
            self._drops[f"sentry {what}"] += 1

    def _series_of_sessions(self, updates: list[SessionUpdate]) -> None:
        """Sessions that ended badly, as series; how many there were is in the table."""
        names = {sessions.UNHANDLED: "unhandled", sessions.CRASHED: "crashed"}
        for update in updates:
            if update.rank in names:
                self._measures.incr(f"sentry.sessions.{names[update.rank]}", update.many)

    def _place_feedback(self, feedback: dict[str, Any]) -> bool:
        """A note at the issue that it is about; without one, an issue of its own, after a while."""
        read, project = self._database.read, feedback["project"]
        issue = tables.issue_of_event(read, feedback["event_id"]) if feedback["event_id"] else ""
        if not issue and feedback["trace_id"]:
            found = tables.events_of_trace(read, feedback["trace_id"])
            issue = str(found[0]["issue"]) if found else ""
        if issue:
            self._comment(issue, note_of(feedback), f"feedback ({project})")
            return True
        may_come = feedback["event_id"] or feedback["trace_id"]
        if may_come and self._clock.wall() < feedback["came"] + FEEDBACK_WAITS_S:
            return False
        payload = {**feedback["payload"], "message": note_of(feedback), "level": "info"}
        event = {**event_of(payload, project=project), "type": "Feedback"}
        event["exceptions"] = []
        self._record_event(event, grouping_of_event(event, ["feedback"]))
        return True


def _taken(queue: deque[Any]) -> list[Any]:
    return [queue.popleft() for _ in range(len(queue))]
