"""What the journeys share: a client that talks WSGI to an app as a server would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from inapp_monitor import Monitor
from tests.environ import environ_of

TOKEN = "journey-token-123456"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def request(app: Any, target: str, method: str = "GET", **extra: Any) -> Answer:
    """One request, its body read to the end and closed."""
    path, _, query = target.partition("?")
    usual = {"QUERY_STRING": query, "REMOTE_ADDR": "192.0.2.7", "HTTP_HOST": "127.0.0.1"}
    environ = environ_of(path, method, **usual | extra)
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        started[:] = [status, headers]
        return lambda data: None

    body = app(environ, start_response)
    try:
        content = b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return Answer(int(started[0][:3]), {k.lower(): v for k, v in started[1]}, content)


class Journey:
    """A monitored app and two ways to visit it: as anybody, and with the dashboard's token."""

    def __init__(self, app: Any, data_dir: Path, **settings: Any) -> None:
        self.data_dir = data_dir
        settings.setdefault("token", TOKEN)
        self.monitor = Monitor(app, data_dir=data_dir, **settings)

    def get(self, target: str, **extra: Any) -> Answer:
        return request(self.monitor, target, **extra)

    def ask(self, target: str, **extra: Any) -> Answer:
        """Visit below the mount, with the token."""
        extra.setdefault("HTTP_AUTHORIZATION", f"Bearer {TOKEN}")
        return request(self.monitor, f"/_metrics{target}", **extra)

    def total(self, target: str) -> float:
        """Sum of all points of a target in the last hour."""
        answer = self.ask(f"/render?target={target}&from=-1h&format=json")
        assert answer.status == 200, answer.text
        return sum(v or 0 for series in answer.json() for v, _ in series["datapoints"])


def plain_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers 200, 404 below /missing and raises below /boom."""
    path = environ["PATH_INFO"]
    if path.startswith("/boom"):
        raise ValueError(f"boom at {path}")
    status = "404 Not Found" if path.startswith("/missing") else "200 OK"
    start_response(status, [("Content-Type", "text/plain")])
    return [path.encode()]


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Callable[..., Journey]]:
    """Makes monitored apps and closes them afterwards."""
    made: list[Journey] = []

    def make(app: Any = plain_app, data_dir: Path = tmp_path / "data", **settings: Any) -> Journey:
        made.append(Journey(app, data_dir, **settings))
        return made[-1]

    yield make
    for one in made:
        one.monitor.close()
