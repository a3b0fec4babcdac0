"""The rules that are there from the start; each can be seen, copied and replaced by name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from inapp_monitor.alerts.cusum import Kind
from inapp_monitor.alerts.rule import Rule


def _detected(
    name: str, title: str, looks_at: str, severity: str, *, notify: bool = True, attempts: int = 1
) -> Rule:
    return Rule(
        name=name,
        target=looks_at,
        title=title,
        attempts=attempts,
        severity=severity,
        notify=notify,
        flap_detection=False,
        kind="detector",
    )


#: What the detector finds, by its kind of trouble. Its targets are for people.
DETECTED: dict[Kind, Rule] = {
    "slow": _detected(
        "slow-requests",
        "Slow requests",
        "share of requests above the route's usual p95 or 4 x the apdex target",
        "page",
    ),
    "fail": _detected(
        "failing-requests",
        "Failing requests",
        "share of requests of a route that raised or answered 5xx",
        "page",
    ),
    "hang": _detected(
        "hanging-requests",
        "Hanging requests",
        "requests under way for longer than max(10 s, 5 x the p99 of their route)",
        "page",
    ),
    "broken links": _detected(
        "broken-links",
        "Broken links",
        "share of requests that follow links of the app's own pages to nowhere",
        "ticket",
    ),
    "not found": _detected(
        "not-found", "Not found", "share of requests answered 404", "info", notify=False
    ),
    "stop": _detected(
        "no-traffic",
        "No traffic",
        "requests of the app against those of the same hour on other days",
        "page",
    ),
}
DETECTED_NAMES = {rule.name for rule in DETECTED.values()}

NEW = _detected("new-issue", "New issue", "issues that were not seen before", "ticket")
REGRESSED = _detected("regressed-issue", "Issue is back", "issues that were resolved", "ticket")
KILLED = _detected(
    "worker-killed", "Worker killed", "workers that died while they answered a request", "page"
)
#: About issues, each of which is a series.
ISSUES = (NEW, REGRESSED, KILLED)

BUSY = _detected(
    "threads-busy",
    "All threads are busy",
    "time without any request that ends while as many are under way as there ever were",
    "page",
    attempts=2,
)
MEMORY = _detected(
    "memory-growth",
    "Memory grows until it is full",
    "process.memory.largest_bytes of six hours against the memory that is left",
    "ticket",
    attempts=3,
)
STATEMENTS = _detected(
    "slow-statements",
    "Statement got slow",
    "median duration of a statement in 20 min against those of the day before",
    "ticket",
)
JOBS = _detected("jobs", "Job did not run", "check-ins of jobs against their schedules", "ticket")
CHECKS = _detected(
    "service-checks",
    "Service check",
    "the last state of each service check that DogStatsD's clients report",
    "ticket",
)
RANGES = _detected(
    "ranges",
    "Out of range",
    "last values against the warning and critical ranges of Munin's plugins",
    "ticket",
    attempts=2,
)
#: Looked at every now and then, see `looks`.
LOOKED_AT = (BUSY, MEMORY, STATEMENTS, JOBS, CHECKS, RANGES)
_FOUND = {rule.name: rule for rule in (*DETECTED.values(), *ISSUES, *LOOKED_AT)}
DETECTOR_NAMES = set(_FOUND)
#: What a table may change of a rule whose findings are the judge's own.
CHANGEABLE = ("title", "severity", "runbook", "labels", "notify", "renotify", "parents")

_TABLES: dict[str, dict[str, object]] = {
    "disk-space": {
        "title": "Disk space",
        "target": "host.disk.free_bytes",
        "of": "host.disk.total_bytes",
        "unit": "%",
        "warning": "5:",
        "critical": "1:",
        "recovery": "6:",
        "window": "2min",
        "interval": "1min",
        "no_data": "ok",
        "severity": "page",
    },
    "descriptors": {
        "title": "File descriptors",
        "target": "process.descriptors.fullest_percent",
        "unit": "%",
        "warning": "~:80",
        "critical": "~:95",
        "recovery": "~:70",
        "window": "1min",
        "interval": "30s",
        "no_data": "ok",
    },
    "dropped-points": {
        "title": "The monitor drops what it should record",
        "target": "monitor.drops.*",
        "warning": "~:0",
        "window": "2min",
        "interval": "1min",
        "attempts": 2,
        "no_data": "ok",
    },
    "own-faults": {
        "title": "A part of the monitor fails",
        "target": "monitor.faults",
        "warning": "~:0",
        "window": "1min",
        "interval": "1min",
        "attempts": 3,
        "no_data": "ok",
    },
    "rejecting-doors": {
        "title": "A listener rejects what it is sent",
        "target": "monitor.ingest.doors.*.rejected",
        "of": "monitor.ingest.doors.*.lines",
        "unit": "%",
        "warning": "~:10",
        "recovery": "~:5",
        "window": "2min",
        "interval": "1min",
        "no_data": "ok",
    },
}


def queried() -> list[Rule]:
    """Those that are evaluated as rules of users are."""
    return [Rule.parse(name, table, "built-in") for name, table in _TABLES.items()]


def all_rules() -> dict[str, Rule]:
    """All that are built in, by name."""
    return {rule.name: rule for rule in (*_FOUND.values(), *queried())}


def rule_of(name: str, table: Mapping[str, object], source: str) -> Rule:
    """The rule of a table; of one that the judge finds itself, with what the table changes of it.

    Raises:
        ValueError: as `Rule.parse`; what the judge looks at cannot be changed.
    """
    found = _FOUND.get(name)
    if found is None:
        return Rule.parse(name, table, source)
    others = sorted(set(table) - set(CHANGEABLE))
    if others:
        allowed = ", ".join(CHANGEABLE)
        raise ValueError(f"rule {name!r} is built in: {others[0]!r} is not one of {allowed}")
    given = Rule.parse(name, {"target": found.target, "critical": "0", **table}, source)
    return replace(
        found,
        title=given.title or found.title,
        severity=given.severity if "severity" in table else found.severity,
        runbook=given.runbook,
        labels=given.labels,
        notify=given.notify if "notify" in table else found.notify,
        renotify_s=given.renotify_s,
        parents=given.parents,
        source=source,
    )
