"""What the built-in rules look at that are found every now and then. No logic here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.busy_threads import Busy, BusyThreads
from inapp_monitor.alerts.described_ranges import DescribedRanges
from inapp_monitor.alerts.looks import Look
from inapp_monitor.alerts.memory_growth import MemoryGrowth
from inapp_monitor.alerts.missed_jobs import Job, MissedJobs
from inapp_monitor.alerts.service_checks import ReportedChecks
from inapp_monitor.alerts.slow_statements import SlowStatements
from inapp_monitor.database.series_descriptions import SeriesDescriptions
from inapp_monitor.database.service_checks import ServiceChecks
from inapp_monitor.ground.series_description import Description
from inapp_monitor.monitor.services import Services

#: Series whose ranges are judged, and seconds after which their last value says nothing about now.
_WITH_RANGES, _RECENT_S = 500, 900


def looks(services: Services) -> list[Look]:
    """What the rules look at that are found every now and then. No I/O."""
    live = services.core.live_requests

    def under_way() -> list[Busy]:
        return [Busy(row["pid"], row["age_s"]) for row in live.rows()]

    def workers() -> list[dict[str, Any]]:
        return live.workers({})

    busy = BusyThreads(
        *(services.store, under_way, lambda: len(workers())),
        in_flight=lambda: sum(int(row["live"] or 0) for row in workers()),
    )
    tables = services.statements
    statements = SlowStatements(tables.figures, tables.statement, tables.past)

    def jobs() -> Iterable[Job]:
        return services.sentry.cron_monitors.states() if services.is_sentry_loaded else ()

    return [
        Look(built_in.BUSY, busy, 5.0),
        Look(built_in.MEMORY, MemoryGrowth(services.store), 300.0),
        Look(built_in.STATEMENTS, statements, 60.0),
        Look(built_in.JOBS, MissedJobs(jobs), 15.0),
        Look(built_in.CHECKS, ReportedChecks(ServiceChecks(services.database).all), 10.0),
        Look(built_in.RANGES, _ranges(services), 30.0),
    ]


def _ranges(services: Services) -> DescribedRanges:
    descriptions = SeriesDescriptions(services.database)

    def described(now: int) -> Mapping[str, Description]:
        return descriptions.with_limits(now, _WITH_RANGES)

    def latest(paths: Sequence[str], now: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for each in services.store.fetch(paths, now - _RECENT_S, now + 60, now):
            known = [value for value in each.values if value == value]
            if known:
                found[each.path] = float(known[-1])
        return found

    return DescribedRanges(described, latest)
