"""A monitor over a small application, and requests to it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from inapp_monitor.traces.attaching import attachments
from inapp_monitor.traces.ended_request import EndedRequest
from tests.environ import environ_of


def visit(monitor: Any, path: str = "/", **extra: Any) -> bytes:
    """One request, closed as servers do."""
    environ = environ_of(path, **{"REMOTE_ADDR": "192.0.2.1", "HTTP_HOST": "127.0.0.1"} | extra)
    body = monitor(environ, lambda status, headers, exc_info=None: lambda data: None)
    try:
        return b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()


class Traced:
    """A monitor around a function that is called in a request.

    Attributes:
        ended: The requests that were handed over.
    """

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.work: Callable[[], object] = lambda: None
        self.monitor = Monitor(self._app, data_dir=data_dir, flush_interval_s=60, **settings)
        self.tracing = self.monitor.life.services.tracing
        self.ended: list[EndedRequest] = []
        self.tracing.listeners.append(self.ended.append)

    def _app(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        self.work()
        return [b"hello"]

    def run(self, work: Callable[[], object], path: str = "/") -> EndedRequest:
        """A request that does this. Returns what was handed over of it."""
        self.work = work
        visit(self.monitor, path)
        self.monitor.refresh()
        return self.ended[-1]

    def texts(self, work: Callable[[], object]) -> list[str]:
        """What the spans of a request that does this say."""
        return [span.text for span in self.tracing.shaped(self.run(work))]


@pytest.fixture(scope="module", autouse=True)
def nothing_left_of_other_rooms() -> None:
    """Monitors that other tests have left are gone; once a module, since it takes half a second."""
    gc.collect()


@pytest.fixture(autouse=True)
def alone_in_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks that other tests have left, and greenlets that they have loaded, are none here."""
    attachments.detach_all()
    for package in ("gevent", "eventlet"):
        monkeypatch.delitem(sys.modules, package, raising=False)


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    """A traced application."""
    made = Traced(tmp_path / "data")
    yield made
    made.monitor.close()
