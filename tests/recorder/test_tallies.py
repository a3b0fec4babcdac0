"""Tallies: of ordinary requests two numbers are kept, and nothing in the series shows it."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.ground.points import Batch
from inapp_monitor.recorder import recorder as recorder_module
from inapp_monitor.recorder import tallies as tallies_module
from inapp_monitor.recorder.routes import OTHER
from inapp_monitor.recorder.slowest import KEPT, MAX_AGE_S
from inapp_monitor.testing import FakeClock
from tests.environ import environ_of
from tests.request.battery import Body, Witness, monitored, monitored_for_long, serve

from .test_fold import STEP, counts, fold, hurried, new_recorder, run_threads, scalars

__all__ = ["hurried"]
WALL = 1_700_000_000.0


class Site:
    """A recorder behind the real request path; each answer is what the caller says."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock(wall=WALL)
        self.recorder = new_recorder(self.clock, **settings)
        self.body: Body | None = None
        self.witness = Witness(self.recorder.tallies)
        self.witness.live = self.recorder.live
        self.witness.record = self.recorder.pending.append
        self.witness.route_askers.append(lambda exchange: exchange.environ["route"])
        self.app = monitored_for_long(self.app_inside, self.witness, self.clock)
        self.recorder.pending.clear()

    def app_inside(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """What is monitored."""
        ms, status, size, error = environ["answer"]
        self.clock.advance(ms / 1000.0)
        start_response(status, [("Content-Type", "text/plain"), *size])
        if error is not None:
            raise error
        return self.body or Body(b"x")

    def get(
        self,
        ms: float = 1.0,
        *,
        route: Any = "/",
        status: Any = "200 OK",
        size: str | None = None,
        error: Exception | None = None,
        method: str = "GET",
        path: str = "/p",
    ) -> None:
        """One request that takes so long."""
        lengths = [] if size is None else [("Content-Length", size)]
        answer = (ms, status, lengths, error)
        serve(self.app, environ_of(path, method, route=route, answer=answer))

    def know(self, **kind: Any) -> None:
        """Let a kind be seen, and its table of the slowest fill with long requests."""
        for _ in range(KEPT):
            self.get(500.0, **kind)
        fold(self.recorder)

    @property
    def whole(self) -> int:
        return len(self.recorder.pending)

    @property
    def tallied(self) -> int:
        return self.recorder.tallies.waiting


def series(batch: Batch) -> tuple[dict[str, float], dict[tuple[str, int], Any]]:
    """What a batch says: sums of scalars, and the histogram of each path and step."""
    found: dict[tuple[str, int], Any] = {}
    for path, timestamp, histogram in batch.distributions:
        found[path, timestamp // STEP] = histogram
    return scalars(batch), found


def test_a_kind_that_was_seen_leaves_two_numbers() -> None:
    """The first requests of a kind are recorded whole; the next ones cost their entry in a list."""
    site = Site()
    site.get()
    site.get()
    assert (site.whole, site.tallied) == (2, 0)
    fold(site.recorder)
    site.know()
    site.get(20.0, size="5")
    site.get(30.0)
    assert (site.whole, site.tallied) == (0, 2)
    assert list(site.recorder.tallies.known["GET", "/", "200 OK"]) == [
        pytest.approx(20.0),
        "5",
        pytest.approx(30.0),
        None,
    ]
    batch = fold(site.recorder)
    assert counts(batch) == {
        "requests.time": 2,
        "routes.root.GET.time": 2,
        "requests.response_bytes": 1,
    }
    assert scalars(batch) == {"requests.status.2xx": 2, "routes.root.GET.status.2xx": 2}
    assert (site.whole, site.tallied, fold(site.recorder)) == (0, 0, Batch([], []))


class Server:
    """What a server keeps of a request: its start_response, and by it everything."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ

    def start_response(self, *_: Any) -> None:
        """Nothing."""


@pytest.mark.parametrize("known", [False, True])
def test_nothing_refers_to_a_request_that_is_over(known: bool) -> None:
    """Body, start_response and what they refer to go at the end, without a garbage collection, also
    for who keeps the exchange and the environ."""
    site = Site()
    if known:
        site.know()
    environ = environ_of(route="/", answer=(1.0, "200 OK", [], None))
    server = Server(environ)
    gc.disable()
    try:
        exchange = site.app(environ, server.start_response)
        body, server_gone = weakref.ref(exchange.body), weakref.ref(server)
        del server
        assert next(exchange) == b"x"
        assert body() is not None
        assert server_gone() is not None
        exchange.close()
        assert (body(), server_gone()) == (None, None)
        assert (exchange.environ, site.recorder.live) == (None, set())
        assert (site.tallied, site.whole) == (known, not known)
        assert list(exchange) == []
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [None, ConnectionError(), SystemExit(0)], ids=repr)
def test_an_end_by_exception_leaves_no_cycle(error: BaseException | None) -> None:
    """A client that left, a server that stops: the view's locals go with the traceback."""
    site = Site()
    site.know()
    kept: list[Any] = []

    class Local:
        """In the view's frame."""

    def view(environ: Any, start_response: Any) -> Any:
        local = Local()
        kept.append(weakref.ref(local))
        start_response("200 OK", [])
        if error is not None:
            raise error
        return []

    app = monitored_for_long(view, site.witness, site.clock)
    gc.disable()
    try:
        try:
            app(environ_of(route="/"), lambda *_: None)
        except BaseException:
            pass
        if error is not None:
            error.__traceback__ = None
        assert kept[0]() is None
    finally:
        gc.enable()


class Reentrant(Body):
    """A body whose close ends its request again."""

    def close(self) -> None:
        super().close()
        self.exchange.close()


@pytest.mark.parametrize("known", [False, True])
def test_close_is_once_however_it_is_called(known: bool) -> None:
    """A body that is closed while it is closed, by itself or another thread, is closed and counted
    once."""
    site = Site()
    if known:
        site.know()
    body = Reentrant(b"x")
    site.body = body
    body.exchange = site.app(
        environ_of(route="/", answer=(1.0, "200 OK", [], None)), lambda *_: None
    )
    body.exchange.close()
    assert body.closed == 1
    assert counts(fold(site.recorder))["requests.time"] == 1


def test_forgotten_requests_are_not_counted() -> None:
    """What was dropped as never closed stays so, when it is closed after all."""
    site = Site()
    site.know()
    exchange = site.app(environ_of(route="/", answer=(1.0, "200 OK", [], None)), lambda *_: None)
    site.recorder.forget({exchange})
    exchange.close()
    assert (exchange.environ, fold(site.recorder)) == (None, Batch([], []))


REQUESTS = st.lists(
    st.tuples(
        st.floats(0.001, 30_000.0),
        st.sampled_from(["/", "/a/<b>", None]),
        st.sampled_from(["200 OK", "204 No Content", "404 Not Found", "503 Busy", "302 Found"]),
        st.sampled_from([None, "0", "17", "-1", "many", "9" * 30]),
        st.sampled_from(["GET", "POST", "BREW"]),
        st.booleans(),
    ),
    max_size=60,
)


@given(REQUESTS, st.integers(1, 20))
@settings(max_examples=150, deadline=None)
def test_series_do_not_tell_how_it_was_recorded(requests: list[Any], fold_every: int) -> None:
    """The same requests, recorded whole or tallied where they can be, make the same series."""
    sites = Site(), Site()
    sites[0].recorder.keeps_whole = True
    batches: list[list[Any]] = [[], []]
    for site, seen in zip(sites, batches, strict=True):
        for number, (ms, route, status, size, method, fails) in enumerate(requests):
            error = ValueError("x") if fails and status == "200 OK" else None
            try:
                site.get(ms, route=route, status=status, size=size, method=method, error=error)
            except ValueError:
                pass
            if number % fold_every == 0:
                seen.append(series(fold(site.recorder)))
        seen.append(series(fold(site.recorder)))
    assert not any(tally for tally in sites[0].recorder.tallies.known.values())
    assert batches[0] == batches[1]
    assert sites[0].recorder.slowest.tables() == sites[1].recorder.slowest.tables()
    assert sites[0].recorder.total_requests == sites[1].recorder.total_requests


@pytest.mark.parametrize("late_s", [0.0, 1.0, 9.9, 35.0])
def test_step_of_a_late_fold(late_s: float) -> None:
    """However late the fold is, a request is labelled with the step in which it ended."""
    site = Site()
    site.know()
    before = site.clock.wall() // STEP * STEP
    site.clock.advance(before + STEP - site.clock.wall() - 0.5)
    site.get(1.0)
    assert site.tallied == 1
    site.clock.advance(late_s)
    batch = fold(site.recorder)
    assert {timestamp // STEP * STEP for _, timestamp, _ in batch.distributions} == {before}
    assert all(timestamp <= site.clock.wall() for _, timestamp, _ in batch.distributions)


def test_requests_on_both_sides_of_a_boundary() -> None:
    """What ends in a step that no fold has begun is recorded whole, so both are labelled right."""
    site = Site()
    site.know()
    before = int(site.clock.wall() // STEP * STEP)
    site.clock.advance(before + STEP - site.clock.wall() - 0.25)
    site.get(1.0)
    site.get(400.0)
    assert (site.whole, site.tallied) == (1, 1)
    labels = {
        t // STEP * STEP: h.count for p, t, h in fold(site.recorder).distributions if "req" in p
    }
    assert labels == {before: 1, before + STEP: 1}


def test_a_request_that_ends_with_its_step_belongs_to_the_next() -> None:
    """The boundary itself is the beginning of a step."""
    site = Site()
    site.know()
    site.get(1.0)
    site.clock.advance(site.recorder.tallies.until - site.clock.perf())
    site.get(0.0)
    assert (site.whole, site.tallied) == (1, 1)
    steps = {t // STEP for path, t, _ in fold(site.recorder).distributions if "req" in path}
    assert len(steps) == 2


class OlderError(Exception):
    """What the server handles while it answers."""


def test_nothing_refers_to_what_the_server_was_handling() -> None:
    """Who keeps the exchange of a tallied request keeps no exception of the server's."""
    site = Site()
    site.know()
    error = OlderError()
    gone = weakref.ref(error)
    gc.disable()
    try:
        try:
            raise error
        except OlderError:
            exchange = site.app(
                environ_of(route="/", answer=(1.0, "200 OK", [], None)), lambda *_: None
            )
            exchange.close()
        del error
        assert (site.tallied, gone(), exchange.notes) == (1, None, None)
    finally:
        gc.enable()


def test_a_request_begins_the_step_when_the_thread_is_late() -> None:
    """Requests part what belongs to the last step, so that recording whole is the exception."""
    site = Site()
    site.know()
    site.get(1.0)
    site.recorder.new_step_if_free(site.clock.perf())  # the step is not over: nothing happens
    site.clock.advance(STEP)
    with site.recorder.lock:  # somebody folds
        site.recorder.new_step_if_free(site.clock.perf())
    site.get(1.0)
    assert (site.whole, site.tallied) == (1, 1)
    site.recorder.new_step_if_free(site.clock.perf())
    site.get(1.0)
    assert (site.whole, site.tallied) == (1, 2)
    assert sorted(h.count for p, _, h in fold(site.recorder).distributions if "req" in p) == [1, 2]


def test_slow_requests_are_recorded_whole() -> None:
    """The slowest of a route are known with their paths, however ordinary the others are."""
    site = Site()
    for ms in range(100, 100 + KEPT):
        site.get(float(ms))
    fold(site.recorder)
    assert site.recorder.tallies.known["GET", "/", "200 OK"].floor == pytest.approx(100.0)
    for ms in range(50):
        site.get(float(ms), path="/quick")
    site.get(400.0, path="/slow")
    assert site.whole == 1
    fold(site.recorder)
    (table,) = site.recorder.slowest.tables().values()
    assert (table[0].path, round(table[0].ms)) == ("/slow", 400)
    assert "/quick" not in {entry.path for entry in table}


def test_after_an_hour_a_quiet_route_has_slowest_requests_again() -> None:
    """What made the floor is forgotten with the hour, also when no request came meanwhile."""
    site = Site()
    site.know()
    site.clock.advance(MAX_AGE_S + 1)
    fold(site.recorder)
    site.clock.advance(recorder_module.IDLE_S)
    fold(site.recorder)
    site.get(7.0, path="/now")
    fold(site.recorder)
    (table,) = site.recorder.slowest.tables().values()
    assert [entry.path for entry in table] == ["/now"]


def test_after_an_hour_a_busy_route_has_slowest_requests_again() -> None:
    """Also when all of its requests were ordinary, which they stay until then."""
    site = Site()
    site.know()
    for _ in range(int(MAX_AGE_S // 100) - 1):
        site.clock.advance(100.0)
        fold(site.recorder)
        site.get(7.0)
        assert (site.whole, site.tallied) == (0, 1)
    site.clock.advance(200.0)
    fold(site.recorder)
    site.get(7.0, path="/now")
    fold(site.recorder)
    (table,) = site.recorder.slowest.tables().values()
    assert [entry.path for entry in table] == ["/now"]


def test_kinds_that_are_not_seen_any_more_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names made up for some requests do not keep the later ones from being known."""
    monkeypatch.setattr(tallies_module, "MAX_KINDS", 3)
    site = Site()
    for number in range(3):
        site.know(route=f"/made/up/{number}")
    site.know(route="/late")
    assert ("GET", "/late", "200 OK") not in site.recorder.tallies.known
    for _ in range(4):
        site.clock.advance(recorder_module.IDLE_S)
        site.get(7.0, route="/made/up/0")
        fold(site.recorder)
    assert set(site.recorder.tallies.known) == {("GET", "/made/up/0", "200 OK")}
    site.know(route="/late")
    site.get(7.0, route="/late")
    assert (site.whole, site.tallied) == (0, 1)


def test_a_wall_clock_set_back_does_not_keep_what_was_slow() -> None:
    """The floor of a quiet route is doubted at once, not when the clock has caught up."""
    site = Site()
    site.know()
    site.clock.step_wall(-MAX_AGE_S)
    fold(site.recorder)
    assert site.recorder.tallies.known["GET", "/", "200 OK"].floor == tallies_module.TAKES_NOTHING


def test_clock_that_runs_backwards() -> None:
    """A negative duration is counted as zero."""
    site = Site()
    site.know()
    site.get(-5.0)
    assert site.tallied == 1
    assert fold(site.recorder).distributions[0].histogram.maximum == 0.0


class Text(str):
    """Not quite a string."""


@pytest.mark.parametrize(
    "kind",
    [
        {"method": "BREW"},
        {"status": Text("200 OK")},
        {"route": Text("/")},
        {"status": None},
        {"route": 7},
    ],
    ids=repr,
)
def test_kinds_that_are_never_known(kind: dict[str, Any]) -> None:
    """Bogus methods and what is no honest string fill no table; the requests are counted."""
    site = Site()
    for _ in range(3):
        for _ in range(KEPT):
            site.get(**kind)
        assert counts(fold(site.recorder))["requests.time"] == KEPT
    assert site.recorder.tallies.known == {}


def test_kinds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Status lines made up for each request do not fill memory; they are counted all the same."""
    monkeypatch.setattr(tallies_module, "MAX_KINDS", 5)
    site = Site()
    for number in range(20):
        site.know(status=f"200 request {number}")
    assert len(site.recorder.tallies.known) == 5
    site.get(status="200 request 0")
    site.get(status="200 request 19")
    assert (site.tallied, site.whole) == (1, 1)
    assert scalars(fold(site.recorder))["requests.status.2xx"] == 2


def test_texts_of_one_request_are_not_kept() -> None:
    """A status line that comes once in a while is made up, and fills no table."""
    site = Site()
    for number in range(5):
        site.get(status=f"200 request {number}")
        fold(site.recorder)
    assert site.recorder.tallies.known == {}


@pytest.mark.parametrize("long", [{"status": "400 " + "x" * 500}, {"route": "/" + "x" * 500}])
def test_long_texts_are_not_kept(long: dict[str, str]) -> None:
    """A kind stays for good, so one with a text that is as long as somebody likes is not known."""
    site = Site()
    site.know(**long)
    site.know(**long)
    assert site.recorder.tallies.known == {}


def test_steps_that_were_counted_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who helps does not search through steps and kinds that are empty already."""
    monkeypatch.setattr(recorder_module, "MAX_TALLIED", 0)
    site = Site()
    site.know()
    for _ in range(5):
        site.recorder.new_step_if_free(site.clock.perf())
        site.get(1.0)
        site.clock.advance(STEP)
    site.recorder.new_step_if_free(site.clock.perf())
    while site.tallied:
        site.recorder.help_if_free()
    assert site.recorder.tallies._aside == {}
    assert counts(fold(site.recorder))["requests.time"] == 5


def test_routes_without_a_name_are_not_known() -> None:
    """Past the cap on names a route would take the place of one that has a name."""
    site = Site(max_routes=1)
    site.know(route="/named")
    site.know(route="/another")
    assert {route for _, route, _ in site.recorder.tallies.known} == {"/named"}
    assert site.recorder.routes.slugs[site.recorder.routes.other] == OTHER


def test_name_rules_see_every_request() -> None:
    """Rules name requests by their paths, which a tally does not keep."""
    site = Site(route_rules=["^/shop/ -> shop"])
    for _ in range(2):
        site.get(route=None, path="/shop/1")
        site.get(route=None, path="/else")
        batch = counts(fold(site.recorder))
        assert (batch["routes.shop.GET.time"], batch["routes.unrouted.GET.time"]) == (1, 1)
    assert site.recorder.tallies.known == {}


def test_help_counts_tallies_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests count some when too much waits; nothing is lost or counted twice."""
    monkeypatch.setattr(recorder_module, "MAX_TALLIED", 1_000)
    site = Site()
    site.know()
    for _ in range(1_001):
        site.get(0.1)
    assert site.recorder.lags
    before = site.recorder.total_requests
    site.recorder.help_if_free()
    assert site.recorder.total_requests - before == recorder_module.ENTRIES // 2
    assert not site.recorder.lags
    assert counts(fold(site.recorder))["requests.time"] == 1_001


def test_help_begins_with_the_oldest_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier step left is counted first, in that step."""
    monkeypatch.setattr(recorder_module, "MAX_TALLIED", 5)
    site = Site()
    site.know()
    for _ in range(6):
        site.get(0.1)
    site.clock.advance(STEP)
    site.recorder.new_step_if_free(site.clock.perf())
    site.get(0.1)
    for _ in range(2):
        assert site.tallied
        site.recorder.help_if_free()
    assert site.tallied == 0
    steps = {t // STEP: h.count for p, t, h in fold(site.recorder).distributions if "req" in p}
    assert sorted(steps.values()) == [1, 6]
    assert steps[min(steps)] == 6


def test_the_oldest_of_several_steps_is_counted_first() -> None:
    """Late ones are labelled while their step is still worth writing."""
    site = Site()
    site.know()
    steps = []
    for _ in range(3):
        site.recorder.new_step_if_free(site.clock.perf())
        steps.append(site.clock.wall() // STEP * STEP)
        site.get(0.1)
        site.clock.advance(STEP)
    site.recorder.new_step_if_free(site.clock.perf())
    assert [site.recorder.tallies.cut_some(10)[0] for _ in steps] == steps


def test_tallies_are_bounded() -> None:
    """When nothing folds, the oldest go, and are counted, whichever step they are of."""
    site = Site(max_pending=100)
    site.know()
    for ms in range(100):
        site.get(ms / 10.0)
    site.clock.advance(STEP)
    site.recorder.new_step_if_free(site.clock.perf())
    for _ in range(50):
        site.get(20.0)
    site.recorder.bound_pending()
    assert (site.tallied, site.recorder.dropped_requests) == (100, 50)
    found = {t: h for p, t, h in fold(site.recorder).distributions if p == "requests.time"}
    old, new = (found[timestamp] for timestamp in sorted(found))
    assert (old.count, old.minimum) == (50, pytest.approx(5.0))
    assert (new.count, new.minimum) == (50, pytest.approx(20.0))


def test_fork_leaves_tallies_to_the_parent() -> None:
    """A child counts its own requests only, and finds the slowest of its own."""
    site = Site()
    site.know()
    site.get()
    answered = environ_of(route="/", answer=(1.0, "200 OK", [], None))
    under_way = site.app(answered, lambda *_: None)
    site.recorder.forked()
    under_way.close()
    assert fold(site.recorder) == Batch([], [])
    site.get(5.0, path="/mine")
    assert (site.whole, site.tallied) == (1, 0)
    fold(site.recorder)
    assert [slow.path for slow in site.recorder.slowest.tables()["root", "GET"]] == ["/mine"]


@pytest.mark.usefixtures("hurried")
def test_no_request_is_lost_between_threads() -> None:
    """Eight threads are served while two others count: the counts are exact."""
    site = Site()
    site.know()
    site.recorder.tallies.known["GET", "/", "200 OK"].floor = 1e9
    before, per_thread = site.recorder.total_requests, 3_000
    running = threading.Event()
    running.set()
    batches: list[Batch] = []

    def count(number: int) -> None:
        while running.is_set():
            site.recorder.help_if_free() if number else site.recorder.fold(slices=3)
            site.recorder.new_step_if_free(float("inf"))
            batches.append(site.recorder.take())

    def visit(_: int) -> None:
        for number in range(per_thread):
            site.get(0.0, size="10", route="/" if number % 3 else "/rare")

    counting = [threading.Thread(target=count, args=(number,)) for number in range(2)]
    for thread in counting:
        thread.start()
    run_threads(visit, 8)
    running.clear()
    for thread in counting:
        thread.join()
    batches.append(fold(site.recorder))
    for path in ("requests.time", "requests.response_bytes"):
        assert sum(counts(batch).get(path, 0) for batch in batches) == 8 * per_thread
    assert site.recorder.total_requests - before == 8 * per_thread


def test_a_request_that_is_looked_at_closer_is_an_ordinary_one() -> None:
    """Its CPU time is noted beside, and it waits like the others."""
    site = Site()
    site.know()
    app = monitored(site.app_inside, site.witness, site.clock, tick_s=-1.0)
    exchange = serve(app, environ_of(route="/", answer=(1.0, "200 OK", [], None))).body
    assert (site.whole, site.tallied, len(site.witness.samples)) == (0, 1, 2)
    assert exchange.notes is None
