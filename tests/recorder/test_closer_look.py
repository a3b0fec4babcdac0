"""What more is known of requests: size, waiting, CPU time, and which were the slowest."""

from __future__ import annotations

from typing import Any

import pytest

from inapp_monitor.recorder.queue_time import queue_ms
from inapp_monitor.recorder.slowest import KEPT, MAX_AGE_S, MAX_FAILURES
from inapp_monitor.testing import FakeClock
from tests.each import each

from .test_fold import fold, new_recorder, put

NOW = 1_700_000_000.0


@each(
    "value",
    [
        *("1699999999.75", "t=1699999999.75", "1699999999750", "t=1699999999750"),
        *("1699999999750000", "t=1699999999750000", " t=1699999999.750 "),
    ],
)
@each(
    "key",
    [
        "HTTP_X_REQUEST_START",
        "HTTP_X_QUEUE_START",
        "mod_wsgi.request_start",
        "mod_wsgi.queue_start",
    ],
)
def test_queue_time(key: str, value: str) -> None:
    """Seconds, milliseconds and microseconds, distinguished by their magnitude."""
    assert queue_ms({key: value}, NOW) == pytest.approx(250.0)


@each(
    "value",
    [
        "",
        "soon",
        "t=",
        "nan",
        "inf",
        "-1",
        "0",
        "12",
        "1699999999750000000",
        "9" * 500,
        None,
        "1e400",
    ],
)
def test_queue_time_that_is_none(value: Any) -> None:
    """Nonsense, nanoseconds and years ago are no waiting that is known."""
    assert queue_ms({"HTTP_X_REQUEST_START": value}, NOW) is None


def test_queue_time_in_the_future() -> None:
    """Clocks differ: a request that arrives tomorrow has not waited."""
    assert queue_ms({"HTTP_X_REQUEST_START": str(NOW + 5)}, NOW) == 0.0


def test_earliest_hop_counts() -> None:
    """Of two proxies the outer one's mark is used."""
    environ = {"HTTP_X_REQUEST_START": str(NOW - 2), "mod_wsgi.queue_start": str(NOW - 1)}
    assert queue_ms(environ, NOW) == pytest.approx(2000.0)


def test_samples_become_distributions() -> None:
    """Waiting and CPU time are recorded for the requests that were looked at closer."""
    recorder = new_recorder()
    recorder.sample(250.0, 3.0)
    recorder.sample(None, 5.0)
    recorder.sample(None, None)
    found = {path: (h.count, h.total) for path, _, h in fold(recorder).distributions}
    assert found == {"requests.queue_time": (1, 250.0), "requests.cpu_time": (2, 8.0)}
    assert fold(recorder).distributions == []


class NoNumber(str):
    """Says that it is one, and is none."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")

    def __int__(self) -> int:
        raise RuntimeError("none")

    def isdecimal(self) -> bool:
        return True


@each("bad", [NoNumber("x"), "x", "", "-5", "1.5", "9" * 40, "nan", [], {}, "\u0663x"])
def test_response_bytes(bad: Any) -> None:
    """Content-Length as given, in bytes; what is no length is left out, the others stay."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    for size in ("100", None, "5000", bad):
        put(recorder, clock, size=size)
    found = {path: h for path, _, h in fold(recorder).distributions}
    sizes = found["requests.response_bytes"]
    assert (sizes.count, sizes.total, found["requests.time"].count) == (2, 5100.0, 4)


def test_slowest_requests_of_each_route() -> None:
    """The slowest few of each route, with method, path, start and status."""
    clock = FakeClock(wall=NOW)
    recorder = new_recorder(clock)
    for ms in range(100, 0, -1):
        put(recorder, clock, route="/a", path=f"/a?{ms}", ms=ms, status="200 OK")
    put(recorder, clock, route="/b", path="/b", ms=1.0, method="POST", status="404 N")
    fold(recorder)
    tables = recorder.slowest.tables()
    assert [round(entry.ms) for entry in tables["a", "GET"]] == list(range(100, 100 - KEPT, -1))
    (last,) = tables["b", "POST"]
    assert (last.path, last.status, last.issue) == ("/b", "404 N", None)
    assert last.started == pytest.approx(NOW - 0.001)
    assert recorder.slowest.take_changed() == {("a", "GET"), ("b", "POST")}
    assert recorder.slowest.take_changed() == set()


def test_slow_requests_are_forgotten() -> None:
    """After an hour a slow request makes room for those of now."""
    clock = FakeClock(wall=NOW)
    recorder = new_recorder(clock)
    for n in range(KEPT):
        put(recorder, clock, ms=500.0 + n)
    fold(recorder)
    clock.advance(MAX_AGE_S + 1)
    put(recorder, clock, ms=7.0, path="/now")
    fold(recorder)
    (table,) = recorder.slowest.tables().values()
    assert [entry.path for entry in table] == ["/now"]


def test_a_slow_request_knows_its_issue() -> None:
    """Told by its start, once; failures that were not slow are forgotten in the end."""
    clock = FakeClock(wall=NOW)
    recorder = new_recorder(clock)
    for number in range(MAX_FAILURES + 1):
        recorder.slowest.note_issue(float(number), "other")
    recorder.slowest.note_issue(clock.perf() - 0.5, "abc123")
    put(recorder, clock, ms=500.0, failed=True)
    fold(recorder)
    (table,) = recorder.slowest.tables().values()
    assert [entry.issue for entry in table] == ["abc123"]
    assert recorder.slowest.issue_of(1.0) is None
