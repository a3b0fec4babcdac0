"""A client that sends slowly holds neither a place of others nor a thread for long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .captures import KEY
from .conftest import Installation, event_body

GOOD = {"sentry_key": KEY}


class SlowSender:
    """A request of which a part has come, answered in a thread."""

    def __init__(self, installation: Installation, path: str, query: dict[str, str]) -> None:
        self.server, self.client = socket.socketpair()
        self.body = self.server.makefile("rb")
        self.client.sendall(b"{")
        self.status = 0
        self._send = lambda: installation.client.post(
            f"/_metrics/sentry{path}",
            query_string=query,
            environ_overrides={
                "wsgi.input": self.body,
                "CONTENT_LENGTH": "5000",
                "gunicorn.socket": self.server,
            },
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.status = self._send().status_code

    def answer(self, timeout_s: float = 60) -> int:
        """The status, 0 while there is none."""
        self._thread.join(timeout_s)
        return self.status

    def close(self) -> None:
        """Leave."""
        self.client.close()
        self._thread.join(60)
        self.body.close()
        self.server.close()


@pytest.fixture
def slow(installation: Installation) -> Iterator[Any]:
    """Makes slow senders, which leave at the end."""
    with ExitStack() as stack:

        def made(path: str, query: dict[str, str]) -> SlowSender:
            sender = SlowSender(installation, path, query)
            stack.callback(sender.close)
            return sender

        yield made


def answered_in_the_end(installation: Installation, sender: SlowSender) -> int:
    """The status, with time passing until there is one."""
    for _ in range(60):
        installation.clock.advance(20)
        if status := sender.answer(1):
            return status
    return 0


def test_slow_senders_without_a_key_hold_no_place_of_a_key(
    installation: Installation, slow: Any
) -> None:
    """Two are waited for, and the rest of one that is refused; a key is answered meanwhile."""
    waiting = [slow("/tunnel/", {}) for _ in range(5)]
    while sum(each.answer(0.02) == 429 for each in waiting) < 2:
        assert any(each.status == 0 for each in waiting)
    assert installation.send(event_body()).status_code == 200
    assert sorted(each.status for each in waiting) == [0, 0, 0, 429, 429]


def test_a_body_that_does_not_come_is_answered(installation: Installation, slow: Any) -> None:
    """At a deadline, with a good key too, though the client still holds the connection."""
    with_key, without = slow("/api/1/envelope/", GOOD), slow("/tunnel/", {})
    assert with_key.answer(0.3) == without.answer(0.1) == 0
    assert answered_in_the_end(installation, without) == 408
    assert answered_in_the_end(installation, with_key) == 408
    assert installation.send(event_body()).status_code == 200
    counts = installation.page("/sdks.json")["counts"]
    assert [counts[project]["refused"] for project in ("", "web")] == [{"too slow": 1}] * 2


@pytest.mark.parametrize("path", ["/api/1/envelope/", "/api/1/store/"])
def test_a_wrong_key_is_refused_before_the_body_is_there(
    installation: Installation, slow: Any, path: str
) -> None:
    """The rest is waited for a moment only, so that a client that still sends sees the answer."""
    assert answered_in_the_end(installation, slow(path, {"sentry_key": "f" * 32})) == 401
