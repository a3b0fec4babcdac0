"""Releases: known from when they begin to run, and those of the code that runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inapp_monitor import Monitor as WholeMonitor
from inapp_monitor.issues.release import detect_release
from inapp_monitor.issues.running_releases import MAX_KEPT, MAX_SIZE_BYTES, RunningReleases
from inapp_monitor.testing import FakeClock

from .conftest import NOW, MakeMonitor, Monitor, caught, environ


def fail() -> None:
    raise ValueError("stock")


def happen(monitor: Monitor) -> str:
    issue_id = monitor.tracker.capture(caught(fail), environ())
    monitor.tick()
    assert issue_id is not None
    return issue_id


def test_a_release_that_ran_without_errors_is_as_old_as_it_is(make_monitor: MakeMonitor) -> None:
    """Release 1 ran first; that its first error comes after the fix in 3 is no regression."""
    clock = FakeClock(NOW)
    one, two, three = (make_monitor(clock, release=name) for name in "123")
    for worker in (one, two):
        clock.advance(10)
        worker.tick()
    issue_id = happen(two)
    two.tracker.triage.resolve(issue_id, release="3")
    clock.advance(10)
    three.tick()
    clock.advance(10)
    happen(one)
    assert one.only_issue().summary.status == "resolved"
    assert one.only_issue().releases == ["1", "2"]  # the order in which they ran
    happen(three)
    assert one.only_issue().summary.status == "regressed"


def test_a_process_without_errors_loads_and_makes_no_database(monitor: Monitor) -> None:
    """Its release is a line of a small file."""
    monitor.tick()
    monitor.tick()
    assert not monitor.database.path.exists()
    assert monitor.tracker.triage.releases_first_seen() == {"r1": NOW}
    lines = (monitor.database.path.parent / "releases").read_text().splitlines()
    assert [json.loads(line.split("\t")[1]) for line in lines] == ["r1"]


def test_the_file_of_releases_is_bounded_and_repairs_itself(tmp_path: Path) -> None:
    """Garbled lines are passed over; too many releases leave those first seen last."""
    releases = RunningReleases(tmp_path)
    releases.record("a", 5.0)
    releases.record("", 5.0)
    releases.record("a", 7.0)
    with (tmp_path / "releases").open("ab") as file:
        file.write(b'4.0\t"a"\nx\t"b"\n5\t{}\nnan\t"c"\n\xff\n6.0\t"torn')
    RunningReleases(tmp_path).record("d", 8.0)
    assert releases.first_seen() == {"a": 4.0, "d": 8.0}
    number = 0
    while (tmp_path / "releases").stat().st_size <= MAX_SIZE_BYTES:
        number += 1
        releases.record(f"{number:0150}", float(number))
    releases.record("last", 1e6)
    assert len(releases.first_seen()) == MAX_KEPT + 1
    assert "last" in releases.first_seen()
    assert "a" not in releases.first_seen()


def test_errors_are_written_when_the_release_cannot_be_noted(monitor: Monitor) -> None:
    """A directory in the place of the file costs the order of releases, and is shown."""
    (monitor.database.path.parent / "releases").mkdir(parents=True)
    happen(monitor)
    assert monitor.only_issue().summary.count == 1
    assert "noting the release" in monitor.guard.faults
    (monitor.database.path.parent / "releases").rmdir()
    monitor.tick()
    assert "noting the release" not in monitor.guard.faults


def test_what_is_checked_out_beside_the_running_app_is_not_its_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revision is read when the code is loaded, not when the first error comes."""
    head = tmp_path / ".git" / "HEAD"
    head.parent.mkdir()
    head.write_text("a" * 40)
    monkeypatch.chdir(tmp_path)

    def app(environ: object, start_response: object) -> list[bytes]:
        raise ValueError("stock")

    monitor = WholeMonitor(app, data_dir=tmp_path / "data")
    head.write_text("b" * 40)
    try:
        with pytest.raises(ValueError, match="stock"):
            monitor(environ(), lambda *_: None)
        monitor.refresh()
        (issue,) = monitor.tracker.list_issues()
        assert issue.release == "a" * 12
        assert monitor.tracker.release == "a" * 12
    finally:
        monitor.close()


def test_a_working_directory_that_is_gone_has_no_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And costs the app nothing."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert detect_release() == ""
