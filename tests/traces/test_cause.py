"""The cause, named: what of a route's time grew, and nothing where nothing did."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.alerts import incidents as alerts_incidents
from inapp_monitor.database.posted_events import PostedEvent, PostedEvents
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution
from inapp_monitor.testing import FakeClock
from inapp_monitor.traces import profile_tree
from inapp_monitor.traces.profile_table import Profile, ProfileTable
from inapp_monitor.traces.time_parts import MAX_TEXTS, Part, RouteTime, from_json
from inapp_monitor.traces.time_table import COARSE_S, FINE_S, KEPT, TimeTable
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings.cause import Cause, cause_of
from tests.environ import environ_of
from tests.web.stored_backend import NOW, TOKEN, close, stored_backend

SINCE = NOW - 120
SELECT = ("database", "SELECT * FROM products WHERE name LIKE ?")
GET = ("http", "GET rates.example")
PAGE = ("template", "listing.html")
Parts = dict[tuple[str, str], tuple[float, float]]


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    """A dashboard whose tables the tests fill."""
    made = stored_backend(tmp_path, FakeClock(NOW))
    assert made.database is not None
    made.times = TimeTable(made.database)
    made.profiles = ProfileTable(made.database)
    yield made
    close(made)


def fill(backend: Backend, before: Parts, now: Parts, rest: tuple[float, float] = (5, 5)) -> None:
    """Twenty minutes before and two since: milliseconds and calls a request, by text."""
    assert backend.times is not None
    order = Random(7)
    times: dict[tuple[int, str, str], RouteTime] = {}
    for start in range(SINCE - 1_200, NOW, FINE_S):
        parts, own_ms = (now, rest[1]) if start >= SINCE else (before, rest[0])
        requests = 6
        each = RouteTime()
        for _ in range(requests):
            noise = order.uniform(0.8, 1.2)
            ms = own_ms * noise + sum(ms for ms, _ in parts.values())
            each.count(ms)
        each.parts = {
            key: Part(ms * requests, round(count * requests), "shop/catalog.py:31 in search")
            for key, (ms, count) in parts.items()
        }
        times[start, "search", "GET"] = each
    backend.times.add(times, NOW)
    assert backend.database is not None
    backend.database.write_pending()


def cause(backend: Backend, since: float | None = None) -> Cause | None:
    return cause_of(backend, "search", "GET", NOW, since)


def test_a_slow_statement_is_named_with_its_line(backend: Backend) -> None:
    """Times before and now, since when, and what was deployed then."""
    assert backend.database is not None
    PostedEvents(backend.database).add(PostedEvent(SINCE, "2.5.0", ("deploy",), ""))
    other = {PAGE: (2.0, 1.0)}
    fill(backend, {SELECT: (2.0, 1.0), **other}, {SELECT: (900.0, 1.0), **other})
    found = cause(backend)
    assert found is not None
    assert (found.kind, found.name) == SELECT
    assert found.place == "shop/catalog.py:31 in search"
    assert (found.before_ms, found.now_ms) == (pytest.approx(2), pytest.approx(900))
    assert abs(found.since - SINCE) <= FINE_S
    assert (found.deploy, found.deploy_words) == ("2.5.0", "since deploy 2.5.0")
    assert found.text == (
        "SELECT * FROM products WHERE name LIKE ? 2 ms → 900 ms a request, "
        "shop/catalog.py:31 in search"
    )


def test_a_later_deploy_is_not_blamed(backend: Backend) -> None:
    """It came 40 s after the route had become slow."""
    assert backend.database is not None
    PostedEvents(backend.database).add(PostedEvent(SINCE + 40, "2.5.0", ("deploy",), ""))
    fill(backend, {SELECT: (2.0, 1.0)}, {SELECT: (900.0, 1.0)})
    found = cause(backend)
    assert found is not None
    assert (found.deploy, found.deploy_words) == ("", "")


@pytest.mark.parametrize(
    ("key", "words"),
    [(GET, "calls of GET rates.example"), (PAGE, "template listing.html")],
)
def test_a_host_and_a_template_are_named(
    backend: Backend, key: tuple[str, str], words: str
) -> None:
    """As a statement is."""
    fill(backend, {SELECT: (5.0, 1.0), key: (10.0, 1.0)}, {SELECT: (5.0, 1.0), key: (400.0, 1.0)})
    found = cause(backend)
    assert found is not None
    assert (found.kind, found.name) == key
    assert found.text.startswith(f"{words} 10 ms → 400 ms a request")


def test_more_calls_are_said_as_such(backend: Backend) -> None:
    """An N+1 that came with a deploy: the statement is not slower, there are more of it."""
    fill(backend, {SELECT: (1.0, 1.0)}, {SELECT: (31.0, 31.0)})
    found = cause(backend)
    assert found is not None
    assert (found.before_count, found.now_count) == (1, 31)
    assert "1 → 31 times, 1 ms → 31 ms a request" in found.text


def test_a_new_statement_was_not_there_before(backend: Backend) -> None:
    """0 before."""
    fill(backend, {SELECT: (1.0, 1.0)}, {SELECT: (1.0, 1.0), ("database", "DELETE"): (50.0, 1.0)})
    found = cause(backend)
    assert found is not None
    assert (found.name, found.before_ms, found.before_count) == ("DELETE", 0, 0)


FRAMES = [
    ("search", "shop/catalog.py:60", "app"),
    ("before", "shop/fault.py:51", "app"),
    ("time.sleep", "", "builtin"),
    ("Flask.wsgi_app", "flask/app.py:9", "library"),
]


def profile(backend: Backend, at: float, **ms: float) -> None:
    stacks = {(0, 3): ms.get("search", 1) / 1e3, (2, 1, 3): ms.get("before", 0) / 1e3}
    tree = profile_tree.tree_of(stacks, FRAMES.__getitem__)
    assert backend.profiles is not None
    assert backend.database is not None
    backend.profiles.add([Profile("search", "GET", at, tree)], at)
    backend.database.write_pending()


def test_an_own_function_is_named_by_profiles(backend: Backend) -> None:
    """With the function of C in which it waits."""
    fill(backend, {SELECT: (1.0, 1.0)}, {SELECT: (1.0, 1.0)}, rest=(5, 800))
    profile(backend, SINCE - 300, search=5)
    profile(backend, SINCE + 3, search=10, before=1_590)  # twice as slow as the others
    found = cause(backend)
    assert found is not None
    assert (found.kind, found.name) == ("function", "before")
    assert found.place == "shop/fault.py:51 in before"
    assert found.text.startswith("before in time.sleep 0 ms → ")
    assert found.now_ms == pytest.approx(0.99 * found.now_mean_ms, rel=0.01)


def test_without_a_profile_it_is_own_code_or_waiting(backend: Backend) -> None:
    """No function is guessed; nor when the profile shows another one than grew."""
    fill(backend, {SELECT: (1.0, 1.0)}, {SELECT: (1.0, 1.0)}, rest=(5, 800))
    found = cause(backend)
    assert found is not None
    assert (found.kind, found.place) == ("rest", "")
    profile(backend, SINCE - 300, search=5)
    profile(backend, SINCE + 60, search=6)
    found = cause(backend)
    assert found is not None
    assert found.kind == "rest"


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_named_in_a_healthy_hour(backend: Backend, seed: int) -> None:
    """Whatever the noise: durations that vary by a factor of ten, few requests, one slow one."""
    assert backend.times is not None
    order = Random(seed)
    times = {}
    for start in range(NOW - 1_700, NOW, FINE_S):
        each = RouteTime()
        for _ in range(order.randrange(0, 6)):
            ms = order.lognormvariate(3, 1.0) + (2_000 if order.random() < 0.003 else 0)
            each.count(ms)
            each.parts.setdefault(SELECT, Part()).add(Part(0.8 * ms, 1))
        times[start, "search", "GET"] = each
    backend.times.add(times, NOW)
    assert backend.database is not None
    backend.database.write_pending()
    assert cause(backend) is None


def test_a_few_that_hung_before_hide_nothing(backend: Backend) -> None:
    """A start that took seconds is not what was usual."""
    fill(backend, {GET: (5.0, 1.0)}, {GET: (80.0, 1.0)})
    assert backend.times is not None
    assert backend.database is not None
    hung = {(SINCE - 1_210, "search", "GET"): RouteTime(3, 9_000.0, 27e6)}
    backend.times.add(hung, NOW)
    backend.database.write_pending()
    found = cause(backend)
    assert found is not None
    assert (found.kind, round(found.now_ms)) == ("http", 80)
    assert found.before_mean_ms < 15


@pytest.mark.parametrize("hung", [SINCE - 100, SINCE + 20])
def test_one_that_hung_among_the_others_hides_nothing(backend: Backend, hung: int) -> None:
    """Before the change or after it: its seconds make means say nothing."""
    fill(backend, {GET: (5.0, 1.0)}, {GET: (80.0, 1.0)}, rest=(15, 15))
    assert backend.times is not None
    assert backend.database is not None
    one = RouteTime()
    one.count(9_000.0)
    backend.times.add({(hung, "search", "GET"): one}, NOW)
    backend.database.write_pending()
    found = cause(backend)
    assert found is not None
    assert found.kind == "http"
    assert found.now_ms == pytest.approx(80, rel=0.05)
    assert found.now_mean_ms > 2 * found.before_mean_ms


def restless(
    backend: Backend, call_ms: Callable[[int], float], spread: float = 0.0, busy: int = 1
) -> None:
    """Four minutes with a cold start and a busy while, each request with one call; oldest is 0."""
    assert backend.times is not None
    assert backend.database is not None
    order, times = Random(3), {}
    for number, start in enumerate(range(NOW - 240, NOW, FINE_S)):
        each, calls_ms = RouteTime(), 0.0
        for _ in range(6):
            slow_ms = 700.0 if number == 0 else 350.0 if busy <= number < busy + 7 else 0.0
            called_ms = call_ms(number) * (1 + order.uniform(-spread, spread))
            each.count(slow_ms + order.uniform(8, 40) + called_ms)
            calls_ms += called_ms
        each.parts = {GET: Part(calls_ms, 6, "shop/payment.py:22 in charge")}
        times[start, "search", "GET"] = each
    backend.times.add(times, NOW)
    backend.database.write_pending()


@pytest.mark.parametrize("busy", [1, 6, 12])
def test_a_call_is_named_though_the_route_was_restless_before(backend: Backend, busy: int) -> None:
    """Its own past is quiet: 4 ms, and 150 ms in the last ten seconds."""
    restless(backend, lambda number: 150.0 if number == 23 else 4.0, busy=busy)
    found = cause(backend)
    assert found is not None
    assert (found.kind, found.name, found.since) == ("http", "GET rates.example", NOW - FINE_S)
    assert "calls of GET rates.example 4 ms → 150 ms a request" in found.text
    assert found.now_mean_ms > 2 * found.before_mean_ms


@pytest.mark.parametrize(
    ("call_ms", "spread"),
    [
        (lambda number: 150.0 if number % 4 == 3 else 4.0, 0.0),
        (lambda number: 30.0 if number == 23 else 20.0, 0.9),
        (lambda _: 150.0, 0.2),
    ],
    ids=["it was so before", "it differs anyway", "it is always so"],
)
def test_a_call_that_is_as_it_was_is_no_cause(
    backend: Backend, call_ms: Callable[[int], float], spread: float
) -> None:
    """However slow it is."""
    restless(backend, call_ms, spread)
    assert cause(backend) is None


def test_a_busy_machine_for_a_while_is_no_cause(backend: Backend) -> None:
    """Periods in which all requests take long come and go: one more of them is no change."""
    assert backend.times is not None
    assert backend.database is not None
    order = Random(5)
    times = {}
    for number, start in enumerate(range(NOW - 1_700, NOW, FINE_S)):
        each = RouteTime()
        for _ in range(6):
            each.count(order.uniform(20, 30) * (4 if number % 9 < 3 else 1))
        times[start, "search", "GET"] = each
    backend.times.add(times, NOW)
    backend.database.write_pending()
    assert cause(backend) is None


def test_rows_of_an_earlier_release_are_read(backend: Backend) -> None:
    """They lack the logarithms; what comes is added to them."""
    old = {"n": 2, "ms": 30.0, "sq": 500.0, "parts": [["http", "GET a", 20.0, 2, "", ""]]}
    time = from_json(old)
    time.count(30.0)
    assert (time.requests, time.mean, time.logged) == (3, 20.0, 1)
    assert from_json(time.as_json()).typical_ms == pytest.approx(30.0)


def test_faster_is_no_cause(backend: Backend) -> None:
    """Nor is a growth that has ended, nor one of a millisecond."""
    fill(backend, {SELECT: (900.0, 1.0)}, {SELECT: (2.0, 1.0)})
    assert cause(backend) is None
    fill(backend, {}, {})
    assert cause_of(backend, "other", "GET", NOW) is None


def test_who_knows_since_when_is_believed(backend: Backend) -> None:
    """The comparison is made there; a little off does no harm."""
    fill(backend, {SELECT: (2.0, 1.0)}, {SELECT: (300.0, 1.0)})
    for since in (SINCE, SINCE - 25.0, SINCE + 15.0):
        found = cause(backend, since)
        assert found is not None
        assert found.now_ms == pytest.approx(300, rel=0.15)
        assert found.before_ms < 30


def test_periods_are_merged_bounded_and_counted_once(backend: Backend) -> None:
    """Fine rows for half an hour, coarse ones before; texts that cost little are one."""
    assert backend.times is not None
    assert backend.database is not None
    many = {("database", f"SELECT {n}"): Part(float(n), 1) for n in range(40)}
    table = backend.times
    for _ in range(2):
        one = {(NOW - 20, "a", "GET"): RouteTime(3, 900.0, 300_000.0, dict(many))}
        table.add(one, NOW)
    table.add({(NOW - 7_200, "a", "GET"): RouteTime(5, 50.0, 500.0)}, NOW)
    table.add({(NOW, "b", "GET"): RouteTime(1, 1.0, 1.0)}, NOW + 61)
    backend.database.write_pending()
    periods = table.read("a", "GET", 0, NOW)
    assert [(each.step, each.time.requests) for each in periods] == [(COARSE_S, 5), (FINE_S, 6)]
    latest = periods[-1].time
    assert len(latest.parts) <= MAX_TEXTS
    assert sum(part.ms for part in latest.parts.values()) == pytest.approx(2 * 780)
    later = NOW + KEPT[COARSE_S] + COARSE_S
    table.add({(later, "a", "GET"): RouteTime(1, 1.0, 1.0)}, later)
    backend.database.write_pending()
    assert [each.time.requests for each in table.read("a", "GET", 0, NOW + 1e6)] == [1]


def test_damaged_rows_are_left_out(backend: Backend) -> None:
    """And replaced by what comes."""
    assert backend.times is not None
    assert backend.database is not None
    backend.times.add({(NOW, "a", "GET"): RouteTime(1, 1.0, 1.0)}, NOW)
    backend.database.submit(lambda c: c.execute("update route_times set data = '{'") and None, 10)
    backend.database.write_pending()
    assert backend.times.read("a", "GET", 0, NOW + 10) == []
    backend.times.add({(NOW, "a", "GET"): RouteTime(2, 1.0, 1.0)}, NOW)
    backend.database.write_pending()
    (period,) = backend.times.read("a", "GET", 0, NOW + 1)
    assert period.time.requests == 2


def test_the_overview_says_it_of_routes_within_their_target(backend: Backend) -> None:
    """A verdict with the cause, in words and as data; none while nothing has grown."""
    path = "routes.search.GET.time"
    for start in range(SINCE - 600, NOW, 10):
        durations = [85.0 if start >= SINCE else 10.0] * 6
        batch = Batch([], [Distribution(path, start, Histogram.of(durations))])
        backend.store.add(batch)
    backend.store.flush()
    client = Client(WebApp(backend))
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def verdicts() -> list[dict[str, Any]]:
        data = client.get("/overview.json?from=-15min", headers=headers).json
        assert data is not None
        return [each for each in data["verdicts"] if "cause" in each]

    assert verdicts() == []
    fill(backend, {GET: (5.0, 1.0)}, {GET: (80.0, 1.0)})
    backend.clock.advance(10)  # type: ignore[attr-defined]
    (entry,) = verdicts()
    assert "search" in entry["title"]
    assert entry["detail"].startswith("calls of GET rates.example 5 ms → 80 ms a request")
    assert entry["cause"]["kind"] == "http"
    assert entry["path"] == "/routes/search"


@pytest.mark.parametrize(
    ("rule", "ended", "named"),
    [
        ("slow-requests", None, 1),
        ("slow-requests", NOW - 30.0, 0),
        ("failing-requests", NOW - 30.0, 1),
    ],
)
def test_a_judged_route_is_named_while_it_goes_on(
    backend: Backend, rule: str, ended: float | None, named: int
) -> None:
    """An incident that is only counted behind a worse one hides no cause; one that is over has
    none to show, and one of errors says nothing about times."""
    assert backend.database is not None
    incidents = alerts_incidents.Incidents(backend.database)
    part = alerts_incidents.Part(rule, "search.GET", "t", "d", "warn", "/", SINCE, SINCE, ended)
    incidents.add(part, lambda _start, _end: [])
    backend.incidents = incidents.between
    for start in range(SINCE - 600, NOW, 10):
        for slug, ms in (("search", 85.0), ("reports", 3_000.0)):
            durations = [ms if start >= SINCE else 10.0] * 6
            found = Distribution(f"routes.{slug}.GET.time", start, Histogram.of(durations))
            backend.store.add(Batch([], [found]))
    backend.store.flush()
    fill(backend, {GET: (5.0, 1.0)}, {GET: (80.0, 1.0)})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    data = Client(WebApp(backend)).get("/overview.json?from=-15min", headers=headers).json
    assert data is not None
    titles = [each["title"] for each in data["verdicts"]]
    assert titles.count("Slower: GET search") == named


def test_the_route_s_page_says_it(backend: Backend) -> None:
    """As HTML and JSON, escaped."""
    key = ("database", "SELECT '<script>'")
    fill(backend, {key: (2.0, 1.0)}, {key: (900.0, 1.0)})
    path = "routes.search.GET.time"
    backend.store.add(Batch([], [Distribution(path, NOW - 10, Histogram.of([5.0, 900.0]))]))
    backend.store.flush()
    client = Client(WebApp(backend))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = client.get("/routes/search?method=GET", headers=headers)
    assert answer.status_code == 200
    assert "What made it slower" in answer.text
    assert "<script>'" not in answer.text
    data = client.get("/routes/search.json", headers=headers).json
    assert data is not None
    assert data["cause"]["name"] == "SELECT '<script>'"


def test_from_requests_to_the_cause(tmp_path: Path) -> None:
    """An app whose statement becomes slow, as its users would have it."""
    delay = [0.0]

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        connection = sqlite3.connect(tmp_path / "app.db")
        connection.create_function("wait", 0, lambda: time.sleep(delay[0]))
        connection.execute("select wait()").fetchall()
        connection.execute("select 1").fetchall()
        connection.close()
        start_response("200 OK", [])
        return [b"x"]

    clock = FakeClock(1_000_000.0)
    clock_perf: Callable[[], float] = time.perf_counter
    clock.perf = clock_perf  # type: ignore[method-assign]
    monitor = Monitor(
        app, data_dir=tmp_path / "data", flush_interval_s=60, route=["/"], clock=clock
    )
    for second in range(60):
        delay[0] = 0.06 if second >= 40 else 0.0  # far above what a busy machine adds
        for _ in monitor(environ_of("/"), lambda *_: lambda _: None):
            pass
        clock.advance(1)
        if second % 6 == 5:
            monitor.refresh()
    clock.advance(6)
    monitor.refresh()
    backend = stored_backend(tmp_path / "data", FakeClock(int(clock.wall())))
    backend.times = monitor.life.services.time_table
    found = cause_of(backend, "root", "GET", clock.wall())
    monitor.close()
    close(backend)
    assert found is not None
    assert (found.kind, found.name) == ("database", "select wait()")
    assert found.now_ms > 50 > found.before_ms
    assert "test_cause.py" in found.place
