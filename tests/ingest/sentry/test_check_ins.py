"""Jobs that check in: what they say, when they are due, and those that do not come."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from inapp_monitor.ingest.sentry.check_ins import schedule_of
from inapp_monitor.ingest.sentry.schedules import next_of_crontab, parse_crontab

from .captures import named
from .conftest import TOKEN, Installation

NIGHTLY = {
    "schedule": {"type": "crontab", "value": "*/10 * * * *"},
    "checkin_margin": 2,
    "max_runtime": 5,
}


def at(text: str) -> float:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        ("*/5 * * * *", "UTC", "2026-03-01T10:02:00", "2026-03-01T10:05:00"),
        ("0 3 * * *", "UTC", "2026-03-01T03:00:00", "2026-03-02T03:00:00"),
        ("0 3 * * *", "Europe/Berlin", "2026-07-01T00:00:00", "2026-07-01T01:00:00"),
        ("30 4 1,15 * 5", "UTC", "2026-03-02T00:00:00", "2026-03-06T04:30:00"),
        ("0 0 29 feb *", "UTC", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("15 8-10/2 * * mon-fri", "UTC", "2026-03-06T10:15:00", "2026-03-09T08:15:00"),
        ("0 12 * * 7", "UTC", "2026-03-02T00:00:00", "2026-03-08T12:00:00"),
        ("@hourly", "UTC", "2026-03-01T23:30:00", "2026-03-02T00:00:00"),
    ],
)
def test_a_line_of_crontab_is_due_when_cron_says(
    line: str, zone: str, after: str, expected: str
) -> None:
    """Steps, lists, names, both days, zones, leap years."""
    assert next_of_crontab(parse_crontab(line), at(after), zone) == at(expected)


@pytest.mark.parametrize(
    "line", ["", "* * * *", "60 * * * *", "a * * * *", "*/0 * * * *", "5-1 * * * *"]
)
def test_what_is_no_crontab_is_no_schedule(line: str) -> None:
    """The job is then kept without one."""
    with pytest.raises(ValueError, match="crontab"):
        parse_crontab(line)
    assert schedule_of({"schedule": {"type": "crontab", "value": line}}) is None


def say(installation: Installation, status: str, **more: Any) -> None:
    """A check-in of the job `nightly`."""
    payload = {"monitor_slug": "nightly", "status": status, "check_in_id": "a" * 32, **more}
    body = b'{}\n{"type":"check_in"}\n' + json.dumps(payload).encode()
    assert installation.send(body).status_code == 200
    installation.tick()


def job(installation: Installation) -> dict[str, Any]:
    """What the page shows of it."""
    (found,) = installation.page("/check-ins.json")["jobs"]
    assert isinstance(found, dict)
    return found


def kinds(installation: Installation) -> list[str]:
    """The types of all issues."""
    return sorted(issue["type"] for issue in installation.page("/errors.json")["issues"])


def test_a_job_that_runs_is_well(installation: Installation) -> None:
    """Its duration is known, and no issue is made."""
    say(installation, "in_progress", monitor_config=NIGHTLY)
    assert job(installation)["status"] == "in_progress"
    installation.clock.advance(60)
    say(installation, "ok")
    found = job(installation)
    assert (found["status"], found["ok"], found["schedule"]) == ("ok", 1, "*/10 * * * *")
    assert found["duration_s"] == pytest.approx(62, abs=3)
    assert found["due"] % 600 == 0
    assert kinds(installation) == []


def test_a_job_that_fails_or_hangs_is_an_issue(installation: Installation) -> None:
    """One that said so, and one that did not end in its time."""
    say(installation, "error", monitor_config=NIGHTLY)
    installation.tick()
    assert kinds(installation) == ["Check-in error"]
    say(installation, "in_progress")
    installation.clock.advance(301)
    installation.tick()
    installation.tick()
    found = job(installation)
    assert (found["status"], found["error"], found["timeout"]) == ("timeout", 1, 1)
    assert kinds(installation) == ["Check-in error", "Check-in timeout"]


def test_a_job_that_does_not_come_is_missed_once_a_time(installation: Installation) -> None:
    """After its margin; when it comes at last, it was late."""
    say(installation, "ok", monitor_config=NIGHTLY)
    due = job(installation)["due"]
    installation.clock.advance(due - installation.clock.wall() + 100)
    installation.tick()
    assert job(installation)["status"] == "ok"
    installation.clock.advance(30)
    for _ in range(3):
        installation.tick()
    found = job(installation)
    assert (found["status"], found["missed"]) == ("missed", 1)
    say(installation, "ok")
    found = job(installation)
    assert (found["status"], found["late"]) == ("ok", 1)
    assert found["late_s"] == pytest.approx(130, abs=10)
    assert kinds(installation) == ["Check-in missed"]


def test_recorded_jobs_are_shown(installation: Installation) -> None:
    """Those of the Python and the Node SDK, on a page of HTML too."""
    for name in ("python/016", "python/017", "python/018", "python/019", "node/014", "node/015"):
        installation.replay(named(name))
    jobs = {each["slug"]: each for each in installation.page("/check-ins.json")["jobs"]}
    assert (jobs["nightly"]["ok"], jobs["nightly"]["error"]) == (1, 1)
    assert jobs["node-cron"]["schedule"] == "every 5 minutes"
    html = installation.client.get(
        "/_metrics/check-ins", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    assert html.status_code == 200
    assert "nightly" in html.text


def test_odd_check_ins_do_no_harm(installation: Installation) -> None:
    """Names, states and schedules of any kind."""
    for status, slug, config in (
        ("ok", "../../x", {"schedule": "daily"}),
        ("done", "y", {}),
        ("ok", "", {}),
        ("ok", "z", {"schedule": {"type": "interval", "value": -1, "unit": "minute"}}),
        ("ok", "z", {"schedule": {"type": "crontab", "value": "0 0 31 2 *"}, "timezone": "../x"}),
    ):
        say(installation, status, monitor_slug=slug, monitor_config=config)
    assert {each["slug"] for each in installation.page("/check-ins.json")["jobs"]} == {"x", "z"}
    assert not installation.monitor.guard.faults
