"""Forgetting everything that was recorded, for the page and the command.

What people set up stays: token, settings, dashboards, keys of SDKs, rules' states with their
acknowledgements and downtimes, notices that wait to be sent, Whisper files below `whisper/`. Other
processes may go on recording meanwhile: what they record later is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from inapp_monitor.alerts import incidents
from inapp_monitor.database.file import Connection, Database
from inapp_monitor.ground import disk_shares
from inapp_monitor.ground.clock import sleep
from inapp_monitor.ground.config import Settings
from inapp_monitor.issues import actions
from inapp_monitor.issues import tables as issue_tables
from inapp_monitor.logs.ring_file import LogFile
from inapp_monitor.request import slowest_file
from inapp_monitor.store import maintenance

#: Tables of what was recorded, beside those of issues. A new table belongs here or below.
CLEARED = (
    *("not_found", "posted_events", "traces", "profiles", "recent_profiles", "route_times"),
    *("statements", "statement_figures", "statement_repeats"),
    *("alert_transitions", "judge_memory", "judge_findings"),
    *("sentry_counts", "sentry_sessions", "sentry_session_ids", "sentry_events"),
    *("sentry_attachments", "cron_check_ins", "service_checks"),
)
#: Tables of what was set up, of what processes have written once and rely on, and of issues
#: that are gone: what happened to them before is written late, and must not bring them back.
KEPT = (
    *("parts", "dashboards", "alert_states", "alert_requests", "alert_outbox", "cron_monitors"),
    *("series_descriptions", "tagged_series", "releases", "deleted_fingerprints", "page_rules"),
)
#: Tries for a lock that others hold for a moment at a time.
_TRIES, _PAUSE_S = 50, 0.02


class Cleared(NamedTuple):
    """What was forgotten."""

    series: int
    issues: int


def clear(database: Database, data_dir: Path, settings: Settings, now: float) -> Cleared:
    """Forget what was recorded until now.

    Args:
        database: Of the data directory; a reading one does not do.
        now: Wall time.

    Raises:
        OSError: something could not be cleared; trying again does the rest.
    """
    issues = 0

    def change(connection: Connection) -> None:
        nonlocal issues
        issues = _clear_tables(connection, now)

    series = maintenance.clear(data_dir, settings, now)
    slowest_file.clear(data_dir, now)
    _clear_logs(data_dir, settings)
    if database.path.exists():
        written: list[bool] = []
        database.submit(change, 1_000, written.append)
        _until(lambda: _write(database, written), "the database is busy")
        if not all(written):
            raise OSError(database.status().fault or "the database was not cleared")
    return Cleared(series, issues)


def _write(database: Database, written: list[bool]) -> bool:
    database.write_pending()
    if database.status().fault:
        raise OSError(database.status().fault)
    return bool(written)


def _clear_tables(connection: Connection, now: float) -> int:
    rows = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
    present = {str(row[0]) for row in rows}
    for table in CLEARED:
        if table in present:
            connection.execute(f"delete from {table}")  # noqa: S608  # names of this module
    if "incidents" in present:  # the judge goes on with those that are not over
        incidents.delete_ended(connection)
    issues = issue_tables.all_ids(connection) if "issues" in present else []
    for issue in issues:
        actions.delete(connection, issue, now)
    return len(issues)


def _clear_logs(data_dir: Path, settings: Settings) -> None:
    file = LogFile(data_dir, disk_shares.of_logs(settings.disk_budget))
    _until(file.clear, "the log file is busy")


def _until(done: Callable[[], bool], problem: str) -> None:
    """Try again while others write, which takes them a moment at a time."""
    for _ in range(_TRIES):
        if done():
            return
        sleep(_PAUSE_S)
    raise OSError(problem)
