"""A monitor over a small app, on a clock that is stepped by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from inapp_monitor.traces.attaching import attachments
from inapp_monitor.traces.spans import outside
from tests.environ import environ_of


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """200, but 404 below /missing, a bare 503 at /busy, and an exception at /boom."""
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise ValueError("boom")
    status = {"/missing": "404 Not Found", "/busy": "503 Busy"}.get(path, "200 OK")
    start_response(status, [("Content-Type", "text/plain")])
    return [b"hello"]


def visit(monitor: Any, path: str = "/", **extra: Any) -> bytes:
    environ = environ_of(path, **{"REMOTE_ADDR": "192.0.2.1", "HTTP_HOST": "127.0.0.1"} | extra)
    body = monitor(environ, lambda status, headers, exc_info=None: lambda data: None)
    try:
        return b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()


@pytest.fixture(autouse=True)
def alone_in_the_process() -> None:
    """What other tests' statements outside of requests have left is no monitor's here."""
    attachments.detach_all()
    outside.spans.clear()
    outside.dropped = 0


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Monitor]]:
    """Makes monitors and closes them afterwards."""
    made: list[Monitor] = []

    def make_one(application: Any = app, **settings: Any) -> Monitor:
        settings.setdefault("data_dir", tmp_path / "data")
        settings.setdefault("flush_interval_s", 60)
        made.append(Monitor(application, **settings))
        return made[-1]

    yield make_one
    for monitor in made:
        monitor.close()


@pytest.fixture
def recorded() -> Callable[[Monitor, str], float]:
    """Sum of a series' stored and buffered points around now."""

    def total(monitor: Monitor, path: str) -> float:
        now = int(monitor.clock.wall())
        ranges = monitor.store.fetch([path], now - 3000, now + 10, now + 10)
        return sum(value for r in ranges for value in r.values if value == value)

    return total


@pytest.fixture(name="visit")
def visit_fixture() -> Callable[..., bytes]:
    return visit
