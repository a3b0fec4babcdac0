"""The trace of a request goes along with calls to the hosts that are named, and to no other."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from inapp_monitor.ground import current_request
from inapp_monitor.traces.trace_hosts import TraceHosts

from .conftest import Traced, visit

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GIVEN = f"00-{TRACE}-00f067aa0ba902b7-01"
FORM = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-01")


class Service:
    """Another service on this machine, and the headers `traceparent` that it got."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        seen = self.seen

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self.headers.get_all("traceparent", []))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def call(self, **headers: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/", headers=headers)
        connection.getresponse().read()
        connection.close()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


def run(traced: Traced, work: Callable[[], object], **extra: str) -> None:
    """A request that does this."""
    traced.work = work
    visit(traced.monitor, "/", **extra)
    traced.monitor.refresh()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Traced]]:
    made: list[Traced] = []

    def build(*hosts: str) -> Traced:
        made.append(Traced(tmp_path / str(len(made)), trace_hosts=hosts))
        return made[-1]

    yield build
    for each in made:
        each.monitor.close()


def test_the_trace_that_the_request_came_with(
    make: Callable[..., Traced], service: Service
) -> None:
    """Each call is a span of its own in it."""
    traced = make("127.0.0.1")
    run(traced, lambda: [service.call(), service.call()], HTTP_TRACEPARENT=GIVEN)
    values = [value for (value,) in service.seen]
    assert [FORM.fullmatch(value)[1] for value in values] == [TRACE, TRACE]  # type: ignore[index]
    assert len(set(values)) == 2 and GIVEN not in values


def test_a_request_without_one_begins_one(make: Callable[..., Traced], service: Service) -> None:
    """All its calls are in it, and the kept trace is found by it."""
    traced = make("127.0.0.1")
    run(traced, lambda: [service.call(), service.call()])
    (trace,) = {FORM.fullmatch(value)[1] for (value,) in service.seen}  # type: ignore[index]
    traced.monitor.tick()
    assert [row["trace"] for row in traced.monitor.life.services.trace_table.rows(0.0, 2e12)] == [
        trace
    ]


@pytest.mark.parametrize("hosts", [(), ("api.example",), ("127.0.0.1:9",), ("*.0.0.2",)])
def test_no_other_host_gets_it(
    make: Callable[..., Traced], service: Service, hosts: tuple[str, ...]
) -> None:
    """Third parties learn nothing."""
    run(make(*hosts), service.call, HTTP_TRACEPARENT=GIVEN)
    assert service.seen == [[]]


def test_the_application_s_own_header_stays(make: Callable[..., Traced], service: Service) -> None:
    """It is not sent twice."""
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    run(make("127.0.0.1"), lambda: service.call(Traceparent=own), HTTP_TRACEPARENT=GIVEN)
    assert service.seen == [[own]]


@pytest.mark.usefixtures("make")
def test_a_call_outside_of_any_request_has_none(
    make: Callable[..., Traced], service: Service
) -> None:
    """There is no trace that it could belong to."""
    make("127.0.0.1")
    service.call()
    assert service.seen == [[]]


def test_hosts_are_those_of_all_monitors_that_are_open() -> None:
    """With and without a port, by pattern, in any case; forgotten with the monitor."""

    class Owner: ...

    hosts, first, second = TraceHosts(), Owner(), Owner()
    hosts.name(first, ["API.example:8443"])
    hosts.name(second, ["*.internal"])

    def is_named(host: str, port: int | None) -> bool:
        before = current_request.enter(SimpleNamespace(environ={}))
        try:
            return hosts.header_for(host, port) is not None
        finally:
            current_request.leave(before)

    assert is_named("api.example", 8443) and is_named("Db.Internal", None)
    assert not is_named("api.example", 443) and not is_named("internal", 80)
    hosts.forget(second)
    assert not is_named("db.internal", None) and is_named("api.example", 8443)
