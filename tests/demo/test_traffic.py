"""The visitors: bounded, for this machine alone, and they count what arrived and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.demo.conftest import Process

LINE = re.compile(
    r"traffic: (\d+) answers \(2xx (\d+), 3xx (\d+), 4xx (\d+), 5xx (\d+)\)"
    r"(?:, (\d+) requests without an answer)?"
)


class Stub(ThreadingHTTPServer):
    """A server that keeps a tally of its own, and breaks off every tenth answer when told to."""

    daemon_threads = True

    def __init__(self, breaks_off: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.breaks_off = breaks_off
        self.statuses: Counter[int] = Counter()
        self.broken = 0
        self.seen: list[tuple[str, str, Any]] = []
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class StubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stub

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            number = len(self.server.seen)
            self.server.seen.append((self.command, self.path, self.headers))
        status = 404 if self.path.endswith((".php", ".env")) else 303 if number % 7 == 3 else 200
        body = b'<html><a href="/products/2">x</a></html>'
        self.send_response(status)
        self.send_header("Location", "/cart")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.breaks_off and number % 10 == 5:
            with self.server.lock:
                self.server.broken += 1
            self.wfile.write(body[:7])
            self.close_connection = True
            return
        self.wfile.write(body)
        with self.server.lock:
            self.server.statuses[status // 100] += 1

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def stub() -> Iterator[Callable[..., Stub]]:
    made: list[Stub] = []

    def make(**options: bool) -> Stub:
        made.append(Stub(**options))
        return made[-1]

    yield make
    for one in made:
        one.shutdown()
        one.server_close()


def traffic(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo_app.traffic", "--url", url, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def counts(text: str) -> list[int]:
    match = LINE.search(text)
    assert match is not None, text
    return [int(number or 0) for number in match.groups()]


def test_it_counts_what_the_server_answered(stub: Callable[..., Stub]) -> None:
    """By status class, redirects it followed included, and stops at the bound given."""
    server = stub()
    result = traffic(server.url, "--max-requests", "150", "--rate", "200", "--seed", "3")
    assert result.returncode == 0
    total, *classes, lost = counts(result.stdout)
    assert total == 150
    assert classes == [server.statuses[number] for number in (2, 3, 4, 5)]
    assert lost == 0


def test_an_answer_that_broke_off_is_not_counted(stub: Callable[..., Stub]) -> None:
    """It is named apart."""
    server = stub(breaks_off=True)
    result = traffic(server.url, "--max-requests", "100", "--rate", "200", "--seed", "3")
    total, *_, lost = counts(result.stdout)
    assert total == server.statuses.total()
    assert lost == server.broken > 0


def test_it_is_mixed_as_real_traffic_is(stub: Callable[..., Stub]) -> None:
    """Buyers, searches, crawlers under their own name, referers, cookies never mixed up."""
    server = stub()
    traffic(server.url, "--max-requests", "200", "--rate", "200", "--seed", "3")
    paths = {path for _, path, _ in server.seen}
    assert {"/", "/cart/add", "/checkout", "/account/", "/reports/sales"} <= paths
    assert any(path.startswith("/search?") for path in paths)
    agents = {headers["User-Agent"] for _, path, headers in server.seen if path.endswith(".php")}
    assert agents
    assert all("Bot" in agent for agent in agents)
    assert any((headers["Referer"] or "").startswith(server.url) for _, _, headers in server.seen)


def test_it_stops_when_told_to_and_says_its_count(
    stub: Callable[..., Stub], start: Callable[..., Process]
) -> None:
    """SIGTERM is an end like any other."""
    server = stub()
    process = start("demo_app.traffic", "--url", server.url)
    while len(server.seen) < 5:
        threading.Event().wait(0.05)
    assert process.end() == 0
    assert counts(process.output)[0] == server.statuses.total()


def test_it_ends_by_itself_when_the_server_is_gone(
    stub: Callable[..., Stub], start: Callable[..., Process]
) -> None:
    """It does not knock for ever."""
    server = stub()
    process = start("demo_app.traffic", "--url", server.url, "--rate", "100")
    while len(server.seen) < 5:
        threading.Event().wait(0.05)
    server.shutdown()
    server.server_close()
    server.breaks_off = True
    assert process.popen.wait(60) == 0


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:8000", "https://127.0.0.1:8000", "http://example.org"]
)
def test_another_machine_is_refused(url: str) -> None:
    """Traffic is for this machine alone."""
    result = traffic(url, "--seconds", "1")
    assert result.returncode == 2
    assert "this machine alone" in result.stderr
