"""A door without a socket, and a monitor that listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from inapp_monitor.ground.points import Batch, Scalar
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.intake import Intake
from inapp_monitor.ingest.protocols.parsed import Parsed
from inapp_monitor.testing import FakeClock

NOW = 1_795_391_840.0
PATIENCE_S = 20.0


class Hall:
    """An intake whose store is a list."""

    def __init__(self, max_series: int = 1_000, longest_s: int = 63_072_000) -> None:
        self.clock = FakeClock(NOW)
        self.batches: list[Batch] = []
        self.door = Door("carbon://127.0.0.1:2003")
        self.intake = Intake(
            *(self.batches.append, self.clock),
            step_s=10,
            longest_s=longest_s,
            max_series=max_series,
        )

    def take(self, parsed: Parsed, client: str = "127.0.0.1:5") -> int:
        return self.intake.take(self.door, parsed, client)

    @property
    def scalars(self) -> list[Scalar]:
        return [Scalar(*scalar) for batch in self.batches for scalar in batch.scalars]


@pytest.fixture
def hall() -> Hall:
    return Hall()


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Monitor]]:
    """Monitors that tick fast and are closed at the end."""
    made: list[Monitor] = []

    def make_one(**settings: Any) -> Monitor:
        settings.setdefault("data_dir", tmp_path / "data")
        settings.setdefault("flush_interval_s", 0.1)
        settings.setdefault("collect_process", False)
        settings.setdefault("collect_host", False)
        monitor = Monitor(app, **settings)
        made.append(monitor)
        monitor.life.attach_if_needed()
        return monitor

    yield make_one
    for monitor in made:
        monitor.close()


def until(found: Callable[[], Any], what: str = "") -> Any:
    """Wait for something that happens in another thread or process."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        result = found()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what or found}")


def latest(monitor: Monitor, path: str) -> float | None:
    """The newest value of a series; None when there is none."""
    now = int(time.time())
    ranges = monitor.store.fetch([path], now - 3_600, now + 20, now)
    values = [v for r in ranges for v in r.values if v is not None and v == v]
    return values[-1] if values else None


def total(monitor: Monitor, path: str) -> float:
    """The sum of a series over the last minutes."""
    now = int(time.time())
    ranges = monitor.store.fetch([path], now - 600, now + 20, now)
    return sum(v for r in ranges for v in r.values if v == v)
