"""A monitored application with a key for SDKs, and a client that sends as they do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from inapp_monitor import Monitor
from inapp_monitor.ingest.sentry.keys import Keys
from inapp_monitor.testing import FakeClock

from .captures import KEY, Capture

NOW = 1_795_389_900.0
TOKEN = "a-token-of-the-tests-0123456789"


class Installation:
    """A monitored application without pages of its own, and its clock."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        data_dir.mkdir()
        self.clock = FakeClock(NOW)
        self.data_dir = data_dir
        self.keys = Keys(data_dir)

        def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"well"]

        self.monitor = Monitor(app, data_dir=data_dir, token=TOKEN, clock=self.clock, **settings)
        self.client = Client(self.monitor)
        self.client.get("/")

    def send(self, body: bytes, path: str = "/api/1/envelope/", **more: Any) -> TestResponse:
        """What an SDK posts; with the key in the query unless `query_string` says otherwise."""
        more.setdefault("query_string", {"sentry_key": KEY})
        return self.client.post(f"/_metrics/sentry{path}", data=body, **more)

    def replay(self, capture: Capture) -> TestResponse:
        """A recorded request as it was."""
        request = capture.request
        headers = {
            name: value
            for name, value in request["headers"].items()
            if name not in ("Host", "Content-Length", "Transfer-Encoding", "Connection", "Origin")
        }
        return self.client.post(
            f"/_metrics/sentry{request['path']}",
            query_string=request["query"],
            data=capture.wire,
            headers=headers,
        )

    def page(self, path: str) -> Any:
        """A page's JSON twin."""
        self.tick()
        response = self.client.get(f"/_metrics{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200, response.text
        return response.json

    def tick(self) -> None:
        """What the background does about once a second."""
        self.clock.advance(1)
        self.monitor.refresh()


def event_body(**more: Any) -> bytes:
    """An envelope with one event."""
    event = {"platform": "javascript", "message": "hello", **more}
    payload = json.dumps(event).encode()
    return (
        b"{}\n" + json.dumps({"type": "event", "length": len(payload)}).encode() + b"\n" + payload
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One for many requests that leave nothing behind that matters."""
    made = Installation(tmp_path_factory.mktemp("shared") / "data")
    made.keys.make("web", NOW, key=KEY, per_minute=100_000)
    yield made
    made.monitor.close()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """With the key of the recorded requests, of a project `web`."""
    made = Installation(tmp_path / "data")
    made.keys.make("web", NOW, key=KEY)
    yield made
    made.monitor.close()
