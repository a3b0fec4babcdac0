"""Which requests are kept with what they did, and that nothing secret is kept with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from inapp_monitor import Monitor
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.testing import FakeClock
from inapp_monitor.traces import asking, kept_trace
from inapp_monitor.traces.kept_trace import Trace
from inapp_monitor.traces.reservoirs import FAILED, HOUR_S, RANDOM, SLOWEST, Reservoirs
from inapp_monitor.traces.trace_table import MAX_BYTES, KeptRow, TraceTable
from tests.environ import environ_of

TOKEN = "t" * 30
SECRET = "hunter2hunter2"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Monitor]]:
    """Makes a monitor whose app asks a database `times` times, and answers `status`."""
    made: list[Monitor] = []

    def make_one(times: int = 1, status: str = "200 OK", **settings: Any) -> Monitor:
        def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            connection = sqlite3.connect(tmp_path / "app.db")
            connection.execute("create table if not exists t (a text)")
            for number in range(times):
                connection.execute(f"select * from t where a = '{SECRET}' and {number}").fetchall()
            connection.close()
            if environ["PATH_INFO"] == "/boom":
                raise ConfigError("boom")
            start_response(status, [])
            return [b"x"]

        given = {"data_dir": tmp_path / "data", "flush_interval_s": 60, "token": TOKEN, **settings}
        monitor = Monitor(app, route=["/orders/<id>", "/boom", "/"], **given)
        made.append(monitor)
        return monitor

    yield make_one
    for monitor in made:
        monitor.close()


def visit(monitor: Monitor, path: str = "/", **more: Any) -> None:
    try:
        for _ in monitor(environ_of(path, **more), lambda *_: lambda _: None):
            pass
    except ConfigError:
        pass


def kept(monitor: Monitor, **wanted: Any) -> list[Trace]:
    """All kept traces, the slowest first."""
    monitor.refresh()
    table = monitor.life.services.trace_table
    found = [table.get(row["id"]) for row in table.rows(0, 1e12, **wanted)]
    traces = [kept_trace.unpack(row["data"]) for row in found if row is not None]
    return [trace for trace in traces if trace is not None]


def test_a_request_is_kept_with_what_it_did(make: Callable[..., Monitor]) -> None:
    """Route, path, ids of the caller, statements without data, and who asked for them."""
    monitor = make(times=3, release="2.4.1")
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    visit(
        monitor,
        "/orders/12",
        QUERY_STRING="page=2",
        HTTP_X_REQUEST_ID="req-1",
        HTTP_TRACEPARENT=f"00-{trace_id}-00f067aa0ba902b7-01",
    )
    (trace,) = kept(monitor)
    assert (trace["route"], trace["method"]) == ("/orders/<id>", "GET")
    assert (trace["path"], trace["status"]) == ("/orders/12?page=2", "200 OK")
    assert (trace["request_id"], trace["trace"]) == ("req-1", trace_id)
    assert (trace["release"], trace["failed"]) == ("2.4.1", False)
    select = next(n for n, text in enumerate(trace["texts"]) if text.startswith("select"))
    assert trace["texts"][select] == "select * from t where a = ? and ?"
    assert sum(span[3] == select for span in trace["spans"]) == 3
    at, source = trace["sites"][str(select)][0]
    assert at.startswith("tests/traces/test_kept_traces.py:")
    assert source.startswith("connection.execute(")
    table = monitor.life.services.trace_table
    for name in (trace["id"], "req-1", trace_id):
        found = table.get(name)
        assert found is not None
        assert found["id"] == trace["id"]
    assert table.get("another") is None


def test_literals_and_secrets_are_not_on_the_disk(
    make: Callable[..., Monitor], tmp_path: Path
) -> None:
    """Neither those of statements nor what the address says."""
    monitor = make(times=2)
    visit(monitor, "/orders/1", QUERY_STRING=f"token={SECRET}", HTTP_X_REQUEST_ID=f"pw={SECRET}")
    (trace,) = kept(monitor)
    assert SECRET not in str(trace)
    assert trace["path"].startswith("/orders/1?token=")
    monitor.close()
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file


def test_a_failed_one_leads_to_its_issue(make: Callable[..., Monitor]) -> None:
    """Under the id that the page of errors has."""
    monitor = make()
    monitor.refresh()
    visit(monitor, "/boom")
    (trace,) = kept(monitor, only="failed")
    assert trace["failed"] is True
    assert trace["issue"] == monitor.tracker.list_issues()[0].id


@pytest.mark.parametrize(
    ("environ", "is_asked"),
    [
        ({"HTTP_X_INAPP_TRACE": TOKEN}, True),
        ({"HTTP_X_INAPP_TRACE": asking.cookie_value(TOKEN)}, True),
        ({"HTTP_COOKIE": f"a=b; {asking.COOKIE}={asking.cookie_value(TOKEN)}; c=d"}, True),
        ({"HTTP_X_INAPP_TRACE": "guessed"}, False),
        ({"HTTP_X_INAPP_TRACE": "\xff\ud800"}, False),
        ({"HTTP_COOKIE": f"{asking.COOKIE}={'0' * 32}"}, False),
        ({"HTTP_COOKIE": f"x{asking.COOKIE}={asking.cookie_value(TOKEN)}"}, False),
        ({}, False),
    ],
)
def test_a_request_may_ask(
    make: Callable[..., Monitor], environ: dict[str, str], is_asked: bool
) -> None:
    """With the token, or with the cookie that the page sets; the cookie's value is no token."""
    monitor = make()
    visit(monitor, "/", **environ)
    assert len(kept(monitor, only="asked")) == is_asked
    assert asking.cookie_value(TOKEN) != TOKEN


@pytest.mark.parametrize(
    "asking_by",
    [
        {"HTTP_X_INAPP_TRACE": TOKEN},
        {"HTTP_COOKIE": f"{asking.COOKIE}={asking.cookie_value(TOKEN)}"},
    ],
)
def test_one_that_asks_is_kept_though_it_did_nothing(
    make: Callable[..., Monitor], asking_by: dict[str, str]
) -> None:
    """A request without a single span, of a kind that is known: it has a duration to show."""
    monitor = make(times=0, traces_off=("sqlite3",))
    for _ in range(20):
        visit(monitor, "/")
    monitor.refresh()
    visit(monitor, "/", **asking_by)
    visit(monitor, "/", HTTP_COOKIE="session=1")
    (trace,) = kept(monitor, only="asked")
    assert trace["spans"] == []


def test_of_many_equal_requests_few_are_kept(make: Callable[..., Monitor]) -> None:
    """The slowest, some at random, and no more than that once the table is thinned out."""
    clock = FakeClock()
    monitor = make(clock=clock)
    for _ in range(300):
        visit(monitor, "/")
        clock.advance(0.01)
    assert SLOWEST <= len(kept(monitor)) <= 120
    clock.advance(90)
    visit(monitor, "/orders/1")
    left = [trace for trace in kept(monitor) if trace["route"] == "/"]
    assert len(left) <= SLOWEST + RANDOM + FAILED


def test_the_slowest_and_the_failed_are_among_those_that_are_kept() -> None:
    """Of ten thousand requests each of the five slowest was kept when it came."""
    order = Random(4)
    reservoirs = Reservoirs(order.random)
    durations = [order.expovariate(0.01) for _ in range(10_000)]
    slow, drawn = set(), 0
    for number, ms in enumerate(durations):
        reasons, _ = reservoirs.reasons(("/", "GET"), ms, number % 1_000 == 0, number * 0.1)
        if "slow" in reasons:
            slow.add(ms)
        drawn += "random" in reasons
        assert ("failed" in reasons) == (number % 1_000 == 0)
    assert set(sorted(durations)[-SLOWEST:]) <= slow
    assert len(slow) < 200
    assert RANDOM <= drawn < 100


def test_an_old_record_gives_way() -> None:
    """Who was slowest more than an hour ago keeps nobody out."""
    reservoirs = Reservoirs(Random(1).random)
    for _ in range(SLOWEST):
        reservoirs.reasons(("/", "GET"), 9_000.0, False, 0.0)
    assert "slow" not in reservoirs.reasons(("/", "GET"), 5.0, False, 10.0)[0]
    assert "slow" in reservoirs.reasons(("/", "GET"), 5.0, False, HOUR_S + 10.0)[0]


def row(number: int, **more: Any) -> KeptRow:
    """A row of the table; the later the slower."""
    given: dict[str, Any] = {
        "id": f"id{number:05}",
        "slug": "root",
        "method": "GET",
        "status": "200 OK",
        "path": "/",
        "started": 100_000.0 + number,
        "ms": float(number),
        "failed": False,
        "asked": False,
        "draw": 2.0,
        "spans": 1,
        "request_id": "",
        "trace": "",
        "why": "slow",
        "data": b"x",
    }
    return KeptRow(**{**given, **more})


@pytest.fixture
def monitor(make: Callable[..., Monitor]) -> Monitor:
    return make()


def left(monitor: Monitor, rows: list[KeptRow], now: float) -> list[int]:
    """The numbers of those rows that are left, in order, once they were added."""
    table = TraceTable(monitor.database)
    table.add(rows, now, thin_out=True)
    monitor.database.write_pending()
    return sorted(int(r["id"][2:]) for r in table.rows(0, 1e12, limit=10_000))


def test_thinning_out_keeps_the_best_of_hour_and_day(monitor: Monitor) -> None:
    """Of each route; what is older than a day goes."""
    hour, day = HOUR_S, 24 * HOUR_S
    now = 100_000.0 + day
    rows = [row(n, started=now - day - 100 + n) for n in range(20)]  # too old
    rows += [row(n, started=now - 5 * hour + n) for n in range(100, 120)]
    rows += [row(n, started=now - hour / 2 + n, ms=0.1 * n) for n in range(200, 220)]
    rows += [row(n, started=now - n, ms=0.0, failed=True) for n in range(301, 311)]
    rows += [row(n, started=now - n, ms=0.0, draw=n / 1000) for n in range(401, 411)]
    rows += [row(500, started=now - 5, ms=0.0, slug="other")]
    expected = [*range(115, 120), *range(215, 220), 301, 302, 303, 401, 402, 403, 500]
    assert left(monitor, rows, now) == expected


def test_the_table_is_bounded_in_bytes(monitor: Monitor) -> None:
    """The oldest go first, those that asked last."""
    big = b"x" * (MAX_BYTES // 40)
    rows = [row(n, data=big, slug=f"s{n}") for n in range(60)]
    rows[0] = row(0, data=big, asked=True)
    numbers = left(monitor, rows, 100_100.0)
    assert numbers[0] == 0
    assert numbers[1:] == list(range(60 - len(numbers) + 1, 60))
    assert 30 < len(numbers) < 40


@pytest.mark.parametrize("data", [b"", b"garbage", kept_trace.pack({"id": 1}), b"x\x9c\x00"])
def test_damaged_traces_are_none(data: bytes) -> None:
    """A row that cannot be unpacked is not shown."""
    assert kept_trace.unpack(data) is None


def test_traces_off_keep_nothing(make: Callable[..., Monitor]) -> None:
    """And cost nothing."""
    monitor = make(traces=False)
    visit(monitor, "/boom")
    visit(monitor, HTTP_X_INAPP_TRACE=TOKEN)
    assert kept(monitor) == []
