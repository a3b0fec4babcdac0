"""Jobs that check in: what one says, and what follows for its monitor. Pure.

A job says `in_progress` when it begins and `ok` or `error` at its end, or only the latter. From its
schedule follows when it is due: one that does not come within its margin is missed, one that does
not end within its longest time has timed out.

Source: develop.sentry.dev/sdk/telemetry/check-ins.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from inapp_monitor.ingest.sentry import values
from inapp_monitor.ingest.sentry.schedules import (
    next_of_crontab,
    next_of_interval,
    parse_crontab,
    zone_of,
)

IN_PROGRESS, OK, ERROR, MISSED, TIMEOUT = "in_progress", "ok", "error", "missed", "timeout"
#: Minutes, where a monitor says nothing.
DEFAULT_MARGIN, DEFAULT_RUNTIME = 1, 30
_MOST_MINUTES = 40_320
_SLUG = re.compile(r"[^a-zA-Z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job is due, and how long it may take.

    Attributes:
        kind: `crontab` or `interval`.
        value: The line, or the number of units.
        unit: Of an interval.
        zone: Of a crontab line.
        margin_s: How late it may be.
        runtime_s: How long it may take.
    """

    kind: str
    value: str
    unit: str = ""
    zone: str = "UTC"
    margin_s: float = DEFAULT_MARGIN * 60.0
    runtime_s: float = DEFAULT_RUNTIME * 60.0

    def next_after(self, moment: float) -> float:
        """When it is due next, seconds since 1970 UTC; 0 when never."""
        if self.kind == "interval":
            return next_of_interval(int(self.value), self.unit, moment)
        return next_of_crontab(parse_crontab(self.value), moment, self.zone) or 0.0

    def as_text(self) -> str:
        """For people."""
        if self.kind == "interval":
            return f"every {self.value} {self.unit}{'' if self.value == '1' else 's'}"
        return self.value if self.zone == "UTC" else f"{self.value} {self.zone}"


@dataclass(frozen=True, slots=True)
class CheckIn:
    """What a job said.

    Attributes:
        status: `in_progress`, `ok` or `error`.
        duration_s: Given by the job, None without.
        schedule: Where it was sent along.
    """

    project: str
    slug: str
    environment: str
    check_in_id: str
    status: str
    moment: float
    duration_s: float | None = None
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True)
class Monitor:
    """What is known of a job.

    Attributes:
        status: The last that happened: one of the five, "" before anything.
        last_seen: When it last checked in.
        due: When it must next check in; 0 without a schedule.
        started: Since when it is running; 0 when it is not.
        late_s: How long after it was missed it came, 0 when in time.
    """

    project: str
    slug: str
    environment: str
    schedule: Schedule | None = None
    status: str = ""
    last_seen: float = 0.0
    duration_s: float | None = None
    due: float = 0.0
    started: float = 0.0
    late_s: float = 0.0


def check_in_of(payload: dict[str, object], project: str, now: float) -> CheckIn | None:
    """What a `check_in` item says; None without a name or a status that is known."""
    slug = _SLUG.sub("-", values.text(payload.get("monitor_slug"), 100)).strip("-")
    status = values.text(payload.get("status"), 20)
    if not slug or status not in (IN_PROGRESS, OK, ERROR):
        return None
    moment = values.moment(payload.get("timestamp"))
    if moment is None or not now - 86_400 <= moment <= now:
        moment = now
    duration = values.number(payload.get("duration"))
    return CheckIn(
        project,
        slug,
        values.text(payload.get("environment"), 64) or "production",
        values.text(payload.get("check_in_id"), 64),
        status,
        moment,
        duration if duration is not None and 0 <= duration < 1e7 else None,
        schedule_of(values.mapping(payload.get("monitor_config"))),
    )


def schedule_of(config: dict[str, object]) -> Schedule | None:
    """The schedule in a monitor's configuration; None without one that can be understood."""
    given = values.mapping(config.get("schedule"))
    zone = values.text(config.get("timezone"), 60) or "UTC"
    try:
        zone_of(zone)
        found = Schedule(
            values.text(given.get("type"), 20),
            values.text(given.get("value"), 100),
            values.text(given.get("unit"), 20),
            zone,
            _minutes(config.get("checkin_margin"), DEFAULT_MARGIN) * 60.0,
            _minutes(config.get("max_runtime"), DEFAULT_RUNTIME) * 60.0,
        )
        return found if found.kind in ("crontab", "interval") and found.next_after(0.0) else None
    except (ValueError, OverflowError):
        return None


def schedule_as_json(schedule: Schedule | None) -> str:
    """A schedule as it is stored."""
    if schedule is None:
        return ""
    return json.dumps({name: getattr(schedule, name) for name in Schedule.__slots__})


def schedule_from_json(text: str) -> Schedule | None:
    """A stored schedule."""
    return Schedule(**json.loads(text)) if text else None


def after_check_in(before: Monitor, said: CheckIn) -> Monitor:
    """What is known after a job said something."""
    schedule = said.schedule or before.schedule
    is_end = said.status != IN_PROGRESS
    began = before.started or said.moment
    duration = said.duration_s
    if is_end and duration is None and before.started:
        duration = max(said.moment - before.started, 0.0)
    was_missed = before.status == MISSED
    late_s = before.late_s if is_end and before.started else 0.0
    if was_missed and schedule is not None:
        late_s = max(said.moment - _missed_at(before, schedule), 0.0)
    return replace(
        before,
        schedule=schedule,
        status=said.status,
        last_seen=max(said.moment, before.last_seen),
        duration_s=duration if is_end else before.duration_s,
        due=schedule.next_after(began if is_end else said.moment) if schedule else 0.0,
        started=0.0 if is_end else said.moment,
        late_s=late_s,
    )


def judged(before: Monitor, now: float) -> Monitor | None:
    """What is known when nothing came until now; None when that is no news."""
    schedule = before.schedule
    if schedule is None:
        return None
    if before.started and now > before.started + schedule.runtime_s:
        return replace(before, status=TIMEOUT, started=0.0, due=schedule.next_after(now))
    if not before.started and before.due and now > before.due + schedule.margin_s:
        # The time that was missed is remembered until it comes or the next is missed.
        return replace(before, status=MISSED, late_s=0.0, due=schedule.next_after(now))
    return None


def describe(monitor: Monitor) -> str:
    """What is wrong with a job, for people."""
    where = f"{monitor.slug} ({monitor.project}, {monitor.environment})"
    if monitor.status == MISSED:
        plan = monitor.schedule.as_text() if monitor.schedule else ""
        return f"{where} did not check in when it was due: {plan}"
    if monitor.status == TIMEOUT:
        minutes = (monitor.schedule.runtime_s if monitor.schedule else 0) / 60
        return f"{where} did not end within {minutes:g} minutes"
    return f"{where} failed"


def _missed_at(monitor: Monitor, schedule: Schedule) -> float:
    """The time that was missed: an interval before the next one."""
    step = schedule.next_after(monitor.due) - monitor.due
    return monitor.due - step


def _minutes(value: object, default: int) -> float:
    found = values.number(value)
    return found if found is not None and 0 < found <= _MOST_MINUTES else default
