"""A data directory that an earlier release wrote is read as it was, and goes on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from inapp_monitor.store.check import check_directory
from inapp_monitor.testing import FakeClock
from tests.monitor.make_data_directory import (
    END,
    EXPECTED,
    STEP,
    TARGET,
    administered,
    opened,
    shown,
    visit,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The committed files, as a data directory."""
    directory = tmp_path / "data"
    for path in TARGET.rglob("*.gz"):
        if path.name == f"{EXPECTED}.gz":
            continue
        target = directory / path.relative_to(TARGET).with_suffix("")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_bytes(gzip.decompress(path.read_bytes()))
        target.chmod(0o600)
    return directory


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(END)


@pytest.fixture
def monitor(directory: Path, clock: FakeClock) -> Iterator[Monitor]:
    """A monitor of this release on them, at the moment when the other one ended."""
    monitor = opened(directory, clock)
    yield monitor
    monitor.close()


def total(monitor: Monitor, target: str) -> float:
    """The sum of all points of the last two days."""
    found: Any = json.loads(administered(monitor, f"/render?format=json&from=-2d&target={target}"))
    return sum(value or 0 for series in found for value, _ in series["datapoints"])


def test_it_shows_what_it_showed(monitor: Monitor) -> None:
    """Series of every archive, percentiles, issues and their events, 404s, routes, slowest
    requests, posted events, tagged names and dashboards; its token opens the dashboard.
    """
    expected = json.loads(gzip.decompress((TARGET / f"{EXPECTED}.gz").read_bytes()))
    now = json.loads(json.dumps(shown(monitor)))
    assert list(now) == sorted(now, key=list(now).index)
    assert now.keys() == expected.keys()
    for address, answer in expected.items():
        assert without_new_keys(now[address], answer) == answer, address


def without_new_keys(now: Any, then: Any) -> Any:
    """An answer of this release without what an earlier one did not say."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: without_new_keys(now[key], then[key]) for key in now if key in then}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [without_new_keys(*pair) for pair in zip(now, then, strict=True)]
    return now


def test_its_store_is_sound(directory: Path) -> None:
    """The check of stored files finds nothing."""
    assert check_directory(directory, END).clean


def test_it_goes_on(directory: Path, clock: FakeClock, monitor: Monitor) -> None:
    """New requests add to the old counts, known issues come again, and nothing old is lost."""
    wanted = ("app.orders", "requests.time.count", "requests.errors", "requests.not_found")
    before = {target: total(monitor, target) for target in wanted}
    issues = json.loads(administered(monitor, "/errors.json?from=-2d"))["issues"]
    files = {path.relative_to(directory) for path in directory.rglob("*")}
    for number in range(540, 600):
        visit(monitor, number)
        clock.advance(STEP)
        if number % 3 == 2:
            monitor.tick()
    monitor.tick()
    assert total(monitor, "app.orders") == before["app.orders"] + sum(
        1 + number % 4 for number in range(540, 600)
    )
    assert total(monitor, "requests.errors") == before["requests.errors"] + 1
    assert total(monitor, "requests.not_found") == before["requests.not_found"] + 20
    again = json.loads(administered(monitor, "/errors.json?from=-2d"))["issues"]
    assert {issue["id"] for issue in again} == {issue["id"] for issue in issues}
    assert sum(i["count"] for i in again) == sum(i["count"] for i in issues) + 1
    monitor.close()
    assert check_directory(directory, clock.wall()).clean
    assert files <= {path.relative_to(directory) for path in directory.rglob("*")}
    assert not list(directory.rglob("*.bad-*"))
