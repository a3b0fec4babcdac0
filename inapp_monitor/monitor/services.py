"""What several parts use: store, database, tracker, 404 table, collectors, and what joins workers.

The monitor imports this module on first need, in its ticking thread as a rule: an app starts, and
answers its first requests, without the cost of loading them. No logic here, only what is made of
what.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from inapp_monitor.alerts import rule_files
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.measuring import Measuring
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.outbox import Outbox
from inapp_monitor.collectors.runner import Runner
from inapp_monitor.database.file import Database
from inapp_monitor.ground import disk_shares
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.exceptions import FormatError
from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.process import late_imports
from inapp_monitor.ground.workers.leader import Leadership
from inapp_monitor.ingest.intake import Intake
from inapp_monitor.ingest.listening import Listening
from inapp_monitor.issues.not_found import NotFoundTable
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.logs.buffer import LogBuffer
from inapp_monitor.logs.keeper import LogKeeper
from inapp_monitor.logs.ring_file import LogFile
from inapp_monitor.logs.rows import Scrubbing
from inapp_monitor.monitor import judging
from inapp_monitor.monitor.announcements import signals
from inapp_monitor.monitor.core import Core
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.trace_secret import trace_secret
from inapp_monitor.monitor.usual_times import UsualTimes
from inapp_monitor.request.slow_looks import SlowLooks
from inapp_monitor.request.slowest_file import SlowRequests
from inapp_monitor.request.stacks import LiveStacks
from inapp_monitor.store.distribution_format import DistributionGeometry
from inapp_monitor.store.retention import Retention, parse_retention
from inapp_monitor.store.series import Store
from inapp_monitor.traces import call_site
from inapp_monitor.traces.ended_request import Pending
from inapp_monitor.traces.profile_keeper import ProfileKeeper
from inapp_monitor.traces.profile_table import ProfileTable
from inapp_monitor.traces.profiling import Profiling
from inapp_monitor.traces.statement_tables import StatementTables
from inapp_monitor.traces.time_keeper import TimeKeeper
from inapp_monitor.traces.time_table import TimeTable
from inapp_monitor.traces.trace_keeper import Around, TraceKeeper
from inapp_monitor.traces.trace_table import TraceTable
from inapp_monitor.traces.tracing import Tracing

if TYPE_CHECKING:
    from inapp_monitor.alerts.notifiers.registry import Channel
    from inapp_monitor.export.exporting import Exporting
    from inapp_monitor.ingest.sentry.door import Door


class Services:
    """One monitor's; making them does no I/O.

    Attributes:
        parts: The parts that were made of them, in tick order.

    Raises:
        ConfigError: a retention or schema file that cannot be understood.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self.parts: list[Part] = []
        settings, clock, recorder = core.settings, core.clock, core.recorder
        recorder.step_s = parse_retention(settings.distribution_retention)[0].step
        common = (settings.data_dir, settings, clock, core.guard)
        self.store = Store(*common)
        self.database = Database(*common)
        running = replace(settings, release=core.release)
        self.tracker = Tracker(running, clock, core.guard, self.database, core.app_packages())
        self.tracker.before_send = core.before_send
        self.tracker.listeners.append(self._issue_changed)
        self.not_found_table = NotFoundTable(settings, core.guard, self.database)
        self.leadership = Leadership(settings.data_dir)
        self.collectors = Runner(settings, clock, core.guard, core.collectors)
        retention = parse_retention(settings.retention)
        intake = Intake(
            *(self.store.add, clock),
            step_s=retention[0].step,
            longest_s=retention[-1].step * retention[-1].points,
            max_series=settings.max_ingested_series,
            series_bytes=16 * sum(archive.points for archive in retention),
            distribution_bytes=DistributionGeometry.of(
                Retention.parse(settings.distribution_retention)
            ).size,
            graphite_rollup=settings.storage_aggregation is None,
            fits=self.store.fits,
        )
        self.listening = Listening(settings.listen, settings.data_dir, intake, clock, core.guard)
        self.exporting: Exporting | None = None
        if running.forward:
            from inapp_monitor.export.exporting import Exporting

            self.exporting = Exporting(running, self.store, self.database, clock, core.guard)
            self.tracker.exception_listener = self.exporting.exception_listener
        redactor = self.tracker.redactor
        self._make_traces()
        self.log_file = LogFile(settings.data_dir, disk_shares.of_logs(settings.disk_budget))
        self.log_buffer = LogBuffer()
        self._sentry: Door | None = None
        self._sentry_lock = threading.Lock()
        scrubbing = Scrubbing(redactor.text, redactor.values)
        self.log_keeper = LogKeeper(self.log_buffer, self.log_file, scrubbing, clock, core.release)
        self.slow_requests = SlowRequests(
            *(settings.data_dir, clock, recorder, redactor.text),
            damaged=lambda what: core.guard.failed("damaged file slowest", FormatError(what)),
        )
        self._make_alerts()
        self.stacks = LiveStacks(
            *(settings.data_dir, clock, core.live_requests, redactor), settings.flush_interval_s
        )

    @property
    def sentry(self) -> Door:
        """Where SDKs of Sentry come in, loaded on first need."""
        with late_imports.loading(), self._sentry_lock:
            if self._sentry is None:
                from inapp_monitor.monitor.sentry_door import make_door

                parts = (self.database, self.tracker, self.log_buffer.add, self.trace_table)
                self._sentry = make_door(self.core, *parts)
            return self._sentry

    @property
    def is_sentry_loaded(self) -> bool:
        """Whether anybody has needed it."""
        return self._sentry is not None

    def _make_traces(self) -> None:
        """What folds the spans of requests, and what keeps some of them."""
        core, clock, redactor = self.core, self.core.clock, self.tracker.redactor
        slug_of = core.recorder.slug_of_name
        self.statements = StatementTables(self.database)
        self.tracing = Tracing(clock, core.traced or Pending(), self.statements, slug_of)
        self.trace_table = TraceTable(self.database)
        around = Around(
            slug_of=slug_of,
            clean=redactor.text,
            secret=lambda: trace_secret(core),
            source_of=redactor.source_line,
            slow=(lambda *_: None) if core.profiling is None else core.profiling.want,
            keeps_all=lambda: core.server_timing is not None and core.server_timing.is_on,
            release=core.release,
        )
        self.trace_keeper = keeper = TraceKeeper(self.tracing, self.trace_table, clock, around)
        self.time_table = TimeTable(self.database)
        self.time_keeper = TimeKeeper(self.tracing, self.time_table, clock, slug_of)
        self.profile_table = ProfileTable(self.database)
        self.profile_keeper = ProfileKeeper(
            *(core.profiling or Profiling(clock.perf), self.profile_table, clock),
            slug_of=slug_of,
            packages=core.app_packages,
            note=lambda start, found: keeper.note(start, functions=found),
        )
        self.slow_looks = SlowLooks(
            *(clock, core.live_requests),
            p95_ms=UsualTimes(self.store, clock, slug_of).p95_ms,
            describe=lambda code, line: call_site.show(((code, line),))[0],
            note=lambda start, found: keeper.note(start, stacks=found),
        )

    def _make_alerts(self) -> None:
        """The rules' engine, and what reports their states."""
        settings = self.core.settings
        self.alerts = Engine(Measuring(self.store), self.database, self.core.guard)
        for rule in rule_files.read(settings.alert_rules) if settings.alert_rules else ():
            self.alerts.add(rule)
        self.channels = _channels(settings)
        self.outbox = Outbox(self.database, settings.app_name or _app_name(settings), self._wanted)
        self.alerts.enqueue = self.outbox.enqueue
        self.alerts.announce = self.outbox.announce
        parts = (self.alerts, self.store, self.database, self.tracker.triage)
        self.judge = judging.make(self.core, *parts)

    def _wanted(self, notice: Notice) -> list[str]:
        return [channel.name for channel in self.channels if channel.wants(notice)]

    def _issue_changed(self, what: str, issue_id: str) -> None:
        signals().send_issue(self.core.monitor, what, issue_id, self.core.guard)

    def judged(self) -> list[dict[str, Any]]:
        """What is wrong right now, of this process if it leads, or as the leader wrote it."""
        if self.leadership.is_leader:
            return self.judge.findings
        return self.judge.memory.published()[1]

    def drops(self) -> dict[str, int]:
        """What this process did not keep, by reason."""
        total: Counter[str] = Counter()
        for part in self.parts:
            total.update(part.drops())
        return {reason: n for reason, n in total.items() if n}

    def facts(self) -> Facts:
        """What all parts know of themselves; what one cannot tell is missing."""
        found = []
        for part in self.parts:
            try:
                facts = part.facts()
            except Exception as error:  # noqa: BLE001  # pages are worth showing without them
                self.core.guard.failed(f"facts of {part.name}", error)
            else:
                found += [] if facts is None else [facts]
        return Facts(found)


def _channels(settings: Settings) -> list[Channel]:
    """Those who are notified; what sends to them is loaded only when there are some."""
    if settings.alert_notifiers is None:
        return []
    with late_imports.loading():
        from inapp_monitor.alerts.notifiers import registry
    around = registry.Surroundings(
        app=settings.app_name or _app_name(settings),
        link=settings.dashboard_url.rstrip("/"),
        programs=settings.alert_programs,
    )
    return registry.read(settings.alert_notifiers, around)


def _app_name(settings: Settings) -> str:
    """As pages name it: that of the directory around the data."""
    return settings.data_dir.parent.name or "app"
