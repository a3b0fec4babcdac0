"""Profiles: one request a route and minute, in its own thread, with true shares."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.testing import FakeClock
from inapp_monitor.traces import kept_trace, profile_tree
from inapp_monitor.traces.code_owner import APP, BUILTIN, LIBRARY, STANDARD, CodeOwners
from inapp_monitor.traces.pace import Pace
from inapp_monitor.traces.profile_table import KEPT_S, Profile, ProfileTable
from inapp_monitor.traces.profile_tree import Tree
from inapp_monitor.traces.profiling import (
    ANY_SLOW_INTERVAL_S,
    HURRY_S,
    INTERVAL_S,
    SLOW_INTERVAL_S,
    Profiling,
)
from inapp_monitor.traces.request_profile import MAX_EVENTS, NOT_PROFILED, RequestProfile
from inapp_monitor.web.findings import flame
from tests.environ import environ_of


def compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(20))


def wait(seconds: float) -> None:
    time.sleep(seconds)


def wait_for_a_look(looks: list[object]) -> None:
    end = time.monotonic() + 60.0
    while not looks and time.monotonic() < end:
        time.sleep(0.05)


class Request:
    """A request that is under way, as the request path has it."""

    def __init__(self, method: str = "GET", path: str = "/") -> None:
        self.environ: dict[str, str] | None = {"REQUEST_METHOD": method}
        self.path, self.route, self.status, self.start = path, path, "200 OK", 0.0


def profile_of(
    work: Callable[[], object], clock: Callable[[], float]
) -> dict[tuple[str, str, str], tuple[float, float]]:
    """Milliseconds by function."""
    profile = RequestProfile(Request(), clock)
    assert profile.start()
    try:
        work()
    finally:
        profile.stop()
    return profile_tree.functions(profile_tree.tree_of(profile.stacks, CodeOwners().frame_of))


def test_computing_and_waiting_have_their_true_shares() -> None:
    """Each within a fifth of the whole, though a millisecond is all it looks at.

    Time is what this thread computes, and what it waits for: a busy machine adds nothing."""
    waits: list[float] = []

    def work() -> None:
        for _ in range(15):
            compute(0.003)
            waits.append(0.003)

    def clock() -> float:
        return time.thread_time() + sum(waits)

    found = {frame[0]: ms for frame, ms in profile_of(work, clock).items()}
    whole = max(whole for _, whole in found.values())
    assert found["list.append"][0] == pytest.approx(45, abs=0.2 * whole)
    assert found["compute"][1] == pytest.approx(45, abs=0.2 * whole)
    (inside,) = (ms for name, (_, ms) in found.items() if name.endswith("work"))
    assert inside >= found["list.append"][0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_process_is_not_profiled() -> None:
    """It inherits the request under way and its profile: with the monitor's help it ends at once,
    else by itself a millisecond later."""

    def in_child(look: Callable[[], object]) -> bool:
        pid = os.fork()
        if pid == 0:
            try:
                look()
                os._exit(int(sys.getprofile() is not None))
            finally:
                os._exit(2)
        return os.waitpid(pid, 0)[1] == 0

    profiling = Profiling(time.perf_counter)
    profile = profiling.begin(Request())
    assert profile is not None
    try:
        at_once, by_itself = in_child(profiling.forked), in_child(lambda: compute(0.005))
        goes_on = sys.getprofile() is not None
    finally:
        profile.stop()
    assert (at_once, by_itself, goes_on) == (True, True, True)


def test_a_debugger_keeps_its_place() -> None:
    """Whoever profiles already is not replaced, and afterwards nothing is left."""

    def theirs(*_: object) -> None: ...

    sys.setprofile(theirs)
    try:
        assert not RequestProfile(Request(), time.perf_counter).start()
        assert sys.getprofile() is theirs
    finally:
        sys.setprofile(None)
    profile = RequestProfile(Request(), time.perf_counter)
    profile.start()
    profile.stop()
    assert sys.getprofile() is None


def test_it_ends_itself_when_the_request_is_over_elsewhere() -> None:
    """Closed by another thread, or after too many calls: the thread is left as it was."""
    request = Request()
    profile = RequestProfile(request, time.perf_counter)
    profile.start()
    request.environ = None
    compute(0.005)
    assert sys.getprofile() is None
    assert profile.known_until is None
    long = RequestProfile(Request(), time.perf_counter)
    long.start()
    for _ in range(MAX_EVENTS):
        len("")
    assert sys.getprofile() is None
    long.stop()
    assert long.stacks[NOT_PROFILED,] > 0


def test_one_a_kind_and_minute_and_sooner_where_it_is_slow() -> None:
    """Paths that differ in numbers are one kind; two kinds do not come at once."""
    clock = FakeClock()
    profiling = Profiling(clock.perf)

    def is_profiled(path: str) -> bool:
        request = Request(path=path)
        profile = profiling.begin(request)
        if profile is not None:
            profiling.end(request, profile)
        return profile is not None

    assert is_profiled("/orders/12")
    assert not is_profiled("/carts")
    clock.advance(1)
    assert is_profiled("/carts")
    clock.advance(1)
    assert not is_profiled("/orders/13")
    profiling.want("GET", "/orders/14")
    assert not is_profiled("/orders/13")
    clock.advance(SLOW_INTERVAL_S)
    assert is_profiled("/orders/13")
    clock.advance(SLOW_INTERVAL_S)
    assert not is_profiled("/orders/15")
    clock.advance(INTERVAL_S)
    assert is_profiled("/orders/15")
    assert len(profiling.take()) == 4
    assert sys.getprofile() is None


def test_slow_ones_do_not_wait_behind_the_others() -> None:
    """Where several kinds are slow at once, each is profiled soon; the others keep their pace."""
    clock = FakeClock()
    profiling = Profiling(clock.perf)
    profiled = []
    for path in ("/a", "/b"):
        profiling.want("GET", path)
    for path in ("/c", "/a", "/d", "/b", "/e", "/a"):
        request = Request(path=path)
        profile = profiling.begin(request)
        if profile is not None:
            profiling.end(request, profile)
            profiled.append(path)
        clock.advance(ANY_SLOW_INTERVAL_S * 1.01)
    assert profiled == ["/c", "/a", "/b"]
    assert sys.getprofile() is None


def test_what_follows_another_request_at_once_is_asked_too_while_it_is_wanted() -> None:
    """A page behind a redirect, within the pause that its predecessor has begun; then no more."""
    clock = FakeClock()
    profiling = Profiling(clock.perf)
    due, asked, noise = 0.0, {"/add": 0, "/cart": 0}, Random(3)

    def visit(seconds: int) -> int:
        nonlocal due
        before = asked["/cart"]
        for _ in range(seconds * 5):
            for path, later_s in (("/add", 0.005), ("/cart", 0.195 + noise.uniform(0, 1e-6))):
                if clock.perf() > due:
                    asked[path] += 1
                    due = clock.perf() + profiling.pause_s(clock.perf(), 0.1)
                clock.advance(later_s)
        return asked["/cart"] - before

    assert visit(10) == 0
    profiling.want("GET", "/cart")
    assert visit(int(HURRY_S)) > 0
    assert visit(10) == 0
    assert asked["/add"] >= 100


def test_a_route_that_became_slower_is_known_after_a_few_requests() -> None:
    """Not after a single slow one, nor at a cold start; later the new pace is what is usual."""
    pace, noise = Pace(), Random(3)

    def risen(*each_ms: float) -> list[bool]:
        return [pace.has_risen(("a", "GET"), ms * noise.uniform(0.7, 1.4)) for ms in each_ms]

    assert not any(risen(400.0, *[20.0] * 100, 100.0, *[20.0] * 20))
    assert any(risen(*[80.0] * 4))
    assert all(risen(*[80.0] * 6))
    assert not risen(*[80.0] * 200)[-1]
    pace.clear()
    assert not any(risen(80.0))


def test_whose_code_a_function_is() -> None:
    """The app's, a library's, the standard library's, or C; the monitor's own is left out."""
    owners = CodeOwners(packages=("hypothesis",))
    assert owners.frame_of(compute.__code__) == (
        "compute",
        f"tests/traces/test_profiles.py:{compute.__code__.co_firstlineno}",
        APP,
    )
    assert owners.frame_of("time.sleep") == ("time.sleep", "", BUILTIN)
    assert owners.frame_of(RequestProfile.stop.__code__) is None

    def owner(function: Any) -> str:
        frame = owners.frame_of(function.__code__)
        assert frame is not None
        return frame[2]

    assert owner(Thread.run) == STANDARD
    assert owner(Client.open) == LIBRARY
    assert owner(given) == APP


FRAMES = [("a", "a.py:1", APP), ("b", "b.py:1", LIBRARY), ("c", "", BUILTIN)]
stacks = st.dictionaries(
    st.lists(st.sampled_from(range(3)), min_size=1, max_size=5).map(tuple),
    st.integers(1, 50).map(lambda ms: ms / 1000),
    max_size=12,
)


@settings(max_examples=50)
@given(st.lists(stacks, max_size=4))
def test_putting_together_loses_no_time(each: list[dict[Any, float]]) -> None:
    """However often, in whatever order; own times add up to the whole."""
    trees = [profile_tree.tree_of(one, FRAMES.__getitem__) for one in each]
    whole = profile_tree.merged(trees)
    assert whole["requests"] == len(each)
    assert whole["root"][1] == sum(round(s * 1e6) for one in each for s in one.values())
    assert profile_tree.unpack(profile_tree.pack(whole)) == profile_tree.merged([whole])
    own = sum(own for own, _ in profile_tree.functions(whole).values()) * max(len(each), 1)
    assert own == pytest.approx(whole["root"][1] / 1000)
    for box in flame.boxes(whole):
        assert 0 <= box["x"] <= flame.WIDTH + 1
        assert box["x"] + box["width"] <= flame.WIDTH + 1


def test_a_tree_is_bounded() -> None:
    """What does not fit is counted at its parent."""
    many = {(number,): 0.001 for number in range(profile_tree.MAX_NODES + 500)}
    tree = profile_tree.tree_of(many, lambda number: (f"f{number}", "x.py:1", APP))
    assert len(tree["root"][2]) == profile_tree.MAX_NODES - 1
    assert tree["root"][1] == 1_000 * len(many)


@pytest.mark.parametrize(
    "data",
    [b"", b"x", profile_tree.pack({"requests": 1}), profile_tree.pack({"root": [0, 1, [[9, 1]]]})],
)
def test_damaged_profiles_are_none(data: bytes) -> None:
    """A row that cannot be read is left out."""
    assert profile_tree.unpack(data) is None


@pytest.fixture
def monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitor]:
    """Around an app that waits 20 ms, or until it has been looked at."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            wait_for_a_look(looks)
        else:
            wait(0.02)
        start_response("200 OK", [])
        return [b"x"]

    made = Monitor(
        app, data_dir=tmp_path / "data", flush_interval_s=0.2, route=["/a/<id>", "/slow"]
    )
    looks: list[object] = []
    keeper = made.life.services.trace_keeper
    note = keeper.note

    def noted(start: float, **facts: Any) -> None:
        note(start, **facts)
        looks.extend(facts.get("stacks", ()))

    monkeypatch.setattr(keeper, "note", noted)
    yield made
    made.close()


def visit(monitor: Monitor, path: str) -> None:
    for _ in monitor(environ_of(path), lambda *_: lambda _: None):
        pass


def test_the_profile_of_a_route_is_kept(monitor: Monitor) -> None:
    """From the request to the table; the next one of that minute is not profiled."""
    for number in range(4):
        visit(monitor, f"/a/{number}")
    monitor.refresh()
    tree = monitor.life.services.profile_table.read("a-id", "GET", 0, 1e12)
    assert tree["requests"] == 1
    found = {frame[0]: ms for frame, ms in profile_tree.functions(tree).items()}
    assert found["time.sleep"][0] >= 15
    assert "wait" in found
    assert not monitor.guard.faults


def test_a_slow_request_has_been_looked_at_while_it_ran(monitor: Monitor) -> None:
    """Where it was stands in its trace: the function, and the time since its beginning."""
    visit(monitor, "/a/1")
    visit(monitor, "/slow")
    monitor.refresh()
    table = monitor.life.services.trace_table
    row = table.get(table.rows(0, 1e12)[0]["id"])
    trace = kept_trace.unpack(row["data"]) if row is not None else None
    assert trace is not None
    assert 1 <= len(trace["stacks"]) <= 3
    at_ms, lines = trace["stacks"][0]
    assert 1_000 <= at_ms <= trace["ms"]
    assert lines[0].startswith("tests/traces/test_profiles.py:")
    assert lines[0].endswith(" in wait_for_a_look")


def tree_of_ms(ms: int) -> Tree:
    return profile_tree.tree_of({(0,): ms / 1000}, FRAMES.__getitem__)


def test_profiles_of_all_workers_meet(monitor: Monitor) -> None:
    """Those of ten minutes are one row; what is older than a day goes."""
    table = ProfileTable(monitor.database)
    now = 1_000_000.0 + KEPT_S
    table.add([Profile("root", "GET", 1_000_000.0, tree_of_ms(5))], 1_000_000.0)
    for _ in range(2):
        each = [Profile("root", "GET", now, tree_of_ms(5)), Profile("a", "GET", now, tree_of_ms(1))]
        table.add(each, now)
    monitor.database.write_pending()
    tree = table.read("root", "GET", 0, 1e12)
    assert (tree["requests"], tree["root"][1]) == (3, 15_000)
    table.add([Profile("a", "GET", now + 1_200, tree_of_ms(1))], now + 1_200)
    monitor.database.write_pending()
    assert table.read("root", "GET", 0, 1e12)["requests"] == 2
    assert table.read("a", "GET", 0, 1e12)["requests"] == 3
    assert table.read("a", "GET", 0, now - 1_200)["requests"] == 0


def test_the_page_is_a_flame_graph_without_script(monitor: Monitor) -> None:
    """Closed without a token; a function alone by its name; an unknown one is 404."""
    visit(monitor, "/a/1")
    monitor.refresh()
    token = (monitor.settings.data_dir / "token").read_text("ascii").strip()

    def get(path: str, **headers: str) -> tuple[str, str]:
        answer: list[str] = []
        environ = environ_of(f"/_metrics{path.partition('?')[0]}", **headers)
        environ["QUERY_STRING"] = path.partition("?")[2]
        body = monitor(environ, lambda status, *_: answer.append(status) or (lambda _: None))
        return answer[0][:3], b"".join(body).decode()

    bearer = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    assert get("/routes/a-id/profile")[0] == "401"
    status, page = get("/routes/a-id/profile", **bearer)
    assert status == "200"
    assert '<svg class="flame"' in page
    assert "time.sleep" in page
    status, alone = get("/routes/a-id/profile?focus=time.sleep", **bearer)
    assert status == "200"
    assert alone.count('<rect class="owner-') == 1
    assert get("/routes/a-id/profile?focus=nothing", **bearer)[0] == "404"
    assert get("/routes/nobody/profile", **bearer)[0] == "404"
