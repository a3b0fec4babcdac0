"""What SDKs of Sentry come in by, made of what a monitor has."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from inapp_monitor.database.file import Database
from inapp_monitor.ingest.sentry.door import Door
from inapp_monitor.ingest.sentry.inbox import Inbox
from inapp_monitor.ingest.sentry.kept_segments import KeptSegments
from inapp_monitor.ingest.sentry.logs import Keep
from inapp_monitor.ingest.sentry.source_map_files import SourceMapFiles
from inapp_monitor.ingest.sentry.trace_metrics import Measures
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.monitor.core import Core
from inapp_monitor.traces.trace_table import TraceTable


def make_door(
    core: Core, database: Database, tracker: Tracker, keep_log: Keep, traces: TraceTable
) -> Door:
    """Where SDKs come in. Does no I/O."""
    settings = core.settings

    def folders() -> list[Path]:
        given = () if settings.source_maps is None else (settings.source_maps,)
        return [*given, *map(Path, core.static_folders())]

    source_maps = SourceMapFiles(
        folders, core.clock.perf, lambda error: core.guard.failed("source maps", error)
    )
    inbox = Inbox(
        core.clock,
        database,
        tracker.record_event,
        cast("Measures", core.monitor),
        tracker.triage.comment_of,
        tracker.capture_message,
        source_maps,
        keep_log,
        KeptSegments(core.clock, traces, tracker.redactor.text),
    )
    return Door(settings.data_dir, inbox, core.clock.perf)
