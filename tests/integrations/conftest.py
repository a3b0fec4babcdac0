"""An application behind the request path with everything connected, and what was noted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from inapp_monitor.ground.guard import Guard
from inapp_monitor.integrations import frameworks
from inapp_monitor.recorder.routes import route_name
from tests.environ import environ_of
from tests.request.battery import Answer, Witness, monitored, serve


@dataclass
class Noted:
    """One request: what the server saw, and what was recorded of it."""

    answer: Answer
    route: str
    status: str | None
    errors: list[BaseException]


class Watched:
    """An application that is monitored, with the hooks of all loaded frameworks."""

    def __init__(self, app: Any, route: Any = None) -> None:
        self.guard = Guard()
        self.witness = Witness()
        self.connected = frameworks.connect(app, self.guard)
        self.connected.refresh(app)  # as the first request does; it must have no further effect
        self.witness.shortcut = self.connected.shortcut if route is None else None
        self.witness.route_askers = self.connected.route_askers
        self.witness.body_askers = self.connected.body_askers
        if route is not None:
            self.witness.own_asker = frameworks.asker(route)
            self.witness.route_askers.insert(0, self.witness.own_asker)
        self.app = monitored(app, self.witness)

    def get(self, path: str, method: str = "GET", app: Any = None, **environ: Any) -> Noted:
        """Make a request; exactly one must be noted, and nothing of the monitor may fail."""
        self.witness.recorded.clear()
        self.witness.errors.clear()
        answer = serve(app or self.app, environ_for(path, method, **environ))
        assert self.witness.broken == []
        assert self.guard.faults == {}
        (finished,) = self.witness.finished
        name = route_name(finished[1], finished[2])
        return Noted(answer, name, finished[2], list(self.witness.errors))


def environ_for(path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    """What a server would hand over."""
    more = {"wsgi.file_wrapper": FileWrapper, "HTTP_HOST": "localhost", **more}
    return environ_of(path, method, **more)


@pytest.fixture
def watch() -> Callable[..., Watched]:
    return Watched


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A folder with `hello.txt`."""
    (tmp_path / "hello.txt").write_text("hello")
    return tmp_path
