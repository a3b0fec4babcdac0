"""A store with a clock that is stepped by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ

from inapp_monitor import Monitor
from inapp_monitor.ground import config
from inapp_monitor.ground.guard import Guard
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """Ten seconds into a minute."""
    return FakeClock(1_800_000_010.0)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where everything lies."""
    return tmp_path / "data"


def open_store(data_dir: Path, clock: FakeClock) -> Store:
    """One as each worker has it."""
    settings = config.load({"data_dir": data_dir}, None, {}).settings
    return Store(data_dir, settings, clock, Guard())


@pytest.fixture
def store(data_dir: Path, clock: FakeClock) -> Iterator[Store]:
    """Closed at the end."""
    made = open_store(data_dir, clock)
    yield made
    made.close()


TOKEN = "export-token-0123456789"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answers /ok and fails on anything else."""
    if environ["PATH_INFO"] != "/ok":
        raise ValueError(f"no such thing: {environ['PATH_INFO']}")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


@pytest.fixture
def monitor(data_dir: Path) -> Iterator[Monitor]:
    """Around an app of two addresses, quiet but for what the test asks for."""
    made = Monitor(
        application, data_dir=data_dir, token=TOKEN, collect_process=False, collect_host=False
    )
    yield made
    made.close()


def visit(monitor: Monitor, *paths: str) -> None:
    """Ask the app for some paths, as a server would."""
    for path in paths:
        try:
            body: Any = monitor(create_environ(path), lambda *_: lambda _: None)
        except ValueError:
            continue
        list(body)
        if hasattr(body, "close"):
            body.close()
