"""Exceptions that pass through a hook are the application's: recorded, and grouped as ever."""

from __future__ import annotations

import http.client
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from tests.environ import environ_of
from tests.traces.conftest import visit

TOKEN = "t" * 20


def failing_statement() -> None:
    sqlite3.connect(":memory:").execute("select nothing")


def failing_cursor() -> None:
    sqlite3.connect(":memory:").cursor().executemany("select nothing", [()])


def failing_call() -> None:
    connection = http.client.HTTPConnection("127.0.0.1", 9, timeout=1)
    connection.request("GET", "/")


def issues(work: Callable[[], None], data_dir: Path, *, traces: bool) -> list[Any]:
    """What is recorded of a request that fails so: the issue's data, without what changes."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        work()
        return []

    monitor = Monitor(app, data_dir=data_dir, token=TOKEN, flush_interval_s=60, traces=traces)
    try:
        with pytest.raises(Exception, match=r"nothing|refused"):
            monitor(environ_of("/"), lambda *_: lambda _: None)  # type: ignore[arg-type]
        monitor.refresh()
        visit_as = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
        found = json.loads(visit(monitor, "/_metrics/errors.json", **visit_as))["issues"]
        return [(each["id"], each["type"], each["culprit"]) for each in found]
    finally:
        monitor.close()


@pytest.mark.parametrize("work", [failing_statement, failing_cursor, failing_call])
def test_an_exception_is_recorded_as_without_traces(
    work: Callable[[], None], tmp_path: Path
) -> None:
    """One issue, by the same fingerprint, whether libraries are watched or not."""
    watched = issues(work, tmp_path / "watched", traces=True)
    assert len(watched) == 1
    assert watched == issues(work, tmp_path / "plain", traces=False)
    assert watched[0][2].endswith(work.__name__)
