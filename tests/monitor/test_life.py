"""A monitor begins with the first request, survives forks and lost threads, and ends cleanly."""

from __future__ import annotations

import contextvars
import errno
import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import inapp_monitor
from inapp_monitor import ConfigError, Monitor
from inapp_monitor.ground.process import lifecycle
from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.process_parts import Workers
from inapp_monitor.monitor.self_metrics import SelfMetrics
from inapp_monitor.recorder.recorder import RecorderFacts
from inapp_monitor.request.live import WorkerFacts
from inapp_monitor.testing import FakeClock

from .conftest import app

Make = Callable[..., Monitor]
Visit = Callable[..., bytes]
Recorded = Callable[[Monitor, str], float]
PATIENCE_S = 60.0


def our_threads() -> set[threading.Thread]:
    """Those of the monitor's; one of an earlier test may still be in its last tick."""
    return {thread for thread in threading.enumerate() if thread.name == "inapp-monitor"}


def open_descriptors() -> set[str]:
    """Their numbers, among them the one that reads the list."""
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def test_nothing_starts_at_construction(make: Make, tmp_path: Path) -> None:
    """No thread, no file, no directory; servers fork after importing the app."""
    threads, descriptors = threading.enumerate(), open_descriptors()
    make()
    assert set(threading.enumerate()) <= set(threads)
    assert open_descriptors() <= descriptors
    assert list(tmp_path.iterdir()) == []


def test_the_first_request_attaches(make: Make, visit: Visit) -> None:
    """One thread, named after us, daemonic."""
    before = our_threads()
    monitor = make()
    visit(monitor)
    (thread,) = our_threads() - before
    assert thread.daemon


def test_closing_writes_what_is_pending_and_stops_the_thread(
    make: Make, visit: Visit, recorded: Recorded
) -> None:
    """And a request afterwards begins again."""
    before = our_threads()
    monitor = make()
    visit(monitor)
    (thread,) = our_threads() - before
    monitor.close()
    thread.join(PATIENCE_S)  # it may be in its last tick
    assert not thread.is_alive()
    assert recorded(monitor, "requests.status.2xx") == 1
    visit(monitor)
    monitor.refresh()
    assert recorded(monitor, "requests.status.2xx") == 2


class Slow(Part):
    """Takes long in its first tick."""

    name = "slow"

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def tick(self, now: float) -> None:
        self.begun.set()
        assert self.may_end.wait(PATIENCE_S)


def test_an_end_waits_for_a_tick_under_way(make: Make, visit: Visit, recorded: Recorded) -> None:
    """On a busy machine the first tick loads the parts for seconds; then all is written."""
    monitor, slow = make(), Slow()
    monitor.life.services.parts.insert(0, slow)
    visit(monitor)
    threading.Thread(target=monitor.tick).start()
    assert slow.begun.wait(PATIENCE_S)
    threading.Timer(1.5, slow.may_end.set).start()
    monitor.close()
    assert recorded(monitor, "requests.status.2xx") == 1


def test_an_unknown_setting_is_refused_with_the_nearest_match(tmp_path: Path) -> None:
    """At construction, where the developer sees it."""
    with pytest.raises(ConfigError, match="did you mean 'max_routes'"):
        Monitor(lambda e, s: [], data_dir=tmp_path, max_route=5)


def test_disabled_hands_every_request_to_the_app(make: Make, visit: Visit, tmp_path: Path) -> None:
    """Nothing is recorded, nothing starts or is written, `/_metrics` belongs to the app."""
    before = our_threads()
    monitor = make(enabled=False)
    assert visit(monitor, "/_metrics/") == b"hello"
    monitor.incr("signups")
    with monitor.timer("work.time"):
        pass
    assert our_threads() <= before
    assert list(tmp_path.iterdir()) == []


def test_attributes_of_the_app_shine_through(make: Make) -> None:
    """A wrapped app can stand where the app stood; what it lacks is an AttributeError."""

    class App:
        version = "1.2"

        def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
            return []

    monitor = make(App())
    assert monitor.version == "1.2"
    with pytest.raises(AttributeError):
        monitor.no_such_attribute  # noqa: B018


def test_a_failing_part_is_switched_off_and_the_app_goes_on(
    make: Make, visit: Visit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Logged once when it begins and once when it ends, listed in the guard's faults."""
    monitor = make()

    def broken() -> None:
        raise RuntimeError("the store is broken")

    monkeypatch.setattr(monitor.store, "flush", broken)
    with caplog.at_level(logging.WARNING, "inapp_monitor"):
        for _ in range(40):
            assert visit(monitor) == b"hello"
            monitor.tick()
    assert monitor.guard.faults["writing to the store"].disabled
    assert not monitor.guard.allows("writing to the store")
    assert sum("the store is broken" in record.getMessage() for record in caplog.records) == 2


def test_requests_tick_where_no_thread_can_start(
    make: Make, visit: Visit, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is recorded is written all the same: the first one loads the parts, others go on."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monitor = make(flush_interval_s=0.05)
    visit(monitor)
    monitor.life.last_tick -= 10  # three intervals without a tick
    for _ in range(100):
        monitor.life.tick_by_request(monitor.clock.perf(), {})
    assert recorded(monitor, "requests.status.2xx") == 1
    assert any("background thread" in part for part in monitor.guard.faults)


def test_a_forked_child_counts_its_own_requests_once(
    make: Make, visit: Visit, recorded: Recorded
) -> None:
    """What was pending belongs to the parent; the child attaches by its own first request."""
    monitor = make()
    for _ in range(3):
        visit(monitor)
    child = os.fork()
    if child == 0:
        try:
            visit(monitor)
            visit(monitor)
            monitor.close()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    monitor.refresh()
    assert recorded(monitor, "requests.status.2xx") == 5


def test_an_end_that_fails_reaches_nobody(
    make: Make, visit: Visit, recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refuses one step of the end stops neither the others nor other monitors."""
    monitors = make(data_dir=tmp_path / "one"), make(data_dir=tmp_path / "two")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "no room")

    for monitor in monitors:
        visit(monitor)
        monitor.tick()
        monkeypatch.setattr(monitor.life.core.live_requests, "leave", refuse)
        monkeypatch.setattr(monitor.life.services.collectors, "stop", refuse)
        visit(monitor)
    lifecycle.at_end()
    for monitor in monitors:
        assert recorded(monitor, "requests.status.2xx") == 2
        assert "leaving the workers" in monitor.guard.faults
        assert monitor.life not in lifecycle.observers


def test_a_request_at_the_very_end_begins_a_new_life(
    make: Make, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A monitor that is closed while requests go on is told of the end of the process again."""
    monitor = make()
    visit(monitor)
    remove = lifecycle.remove

    def remove_late(observer: lifecycle.Observer) -> None:
        monitor.life.attach_if_needed()  # another thread's request
        remove(observer)

    monkeypatch.setattr(lifecycle, "remove", remove_late)
    monitor.close()
    monitor.life.attach_if_needed()
    assert monitor.life in lifecycle.observers


def test_monitors_that_nobody_has_any_more_are_gone(
    make: Make, visit: Visit, tmp_path: Path
) -> None:
    """Whether they were closed, in any order, or only dropped: neither object nor hook stays."""
    before = logging.Logger.callHandlers
    made = [Monitor(app, data_dir=tmp_path / str(n), flush_interval_s=60) for n in range(4)]
    for monitor in made:
        contextvars.copy_context().run(visit, monitor)  # a context keeps its last request
        monitor.tick()
    alive = [weakref.ref(monitor) for monitor in made]
    made.pop(0).close()
    made.pop(0).close()
    del monitor, made[:]
    for _ in range(400):  # a thread in the middle of a tick has its monitor until that ends
        gc.collect()
        if not any(one() for one in alive):
            break
        time.sleep(0.05)
    assert [one() for one in alive] == [None] * 4
    last = make()
    visit(last)
    last.tick()
    last.close()
    assert logging.Logger.callHandlers is before


def test_what_is_recorded_before_the_interpreter_ends_is_written(tmp_path: Path) -> None:
    """A script that only calls `incr` and ends loses nothing."""
    script = f"""
        from inapp_monitor import Monitor
        monitor = Monitor(lambda e, s: [], data_dir={str(tmp_path / "data")!r})
        for _ in range(7):
            monitor.incr("jobs.done")
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60, env=environment
    )
    later = Monitor(lambda e, s: [], data_dir=tmp_path / "data")
    now = int(later.clock.wall())
    values = later.store.fetch(["jobs.done"], now - 600, now + 10, now + 10)[0].values
    assert sum(v for v in values if v == v) == 7


def test_the_login_url_is_announced_once(
    make: Make, visit: Visit, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By the first tick after the first request, when the token is new; never again."""
    monitor = make()
    visit(monitor, SERVER_NAME="shop.local", SERVER_PORT="8080")
    monitor.tick()
    monitor.tick()
    printed = capsys.readouterr().err
    token = (tmp_path / "data" / "token").read_text().strip()
    assert printed.count(f"http://shop.local:8080/_metrics/?token={token}") == 1
    monitor.close()
    again = make()
    visit(again)
    again.tick()
    assert "token=" not in capsys.readouterr().err


def test_a_5xx_without_an_exception_is_an_issue_of_its_own(make: Make, visit: Visit) -> None:
    """With its status and route; an exception that explains it takes its place."""
    monitor = make()
    visit(monitor, "/busy")
    with pytest.raises(ValueError, match="boom"):
        visit(monitor, "/boom")
    monitor.refresh()
    titles = sorted(issue.title for issue in monitor.tracker.list_issues())
    assert len(titles) == 2
    assert "503" in titles[0]
    assert titles[1].startswith("ValueError")


def test_two_routes_with_one_slug_stay_apart_in_every_worker(
    make: Make, visit: Visit, recorded: Recorded
) -> None:
    """Who wrote its name first keeps it, also after a restart that meets them the other way."""

    def routed(environ: dict[str, Any]) -> str:
        return str(environ["PATH_INFO"])

    first = make(route=routed)
    visit(first, "/a/b")
    first.refresh()
    visit(first, "/a-b")
    first.close()
    second = make(route=routed)
    visit(second, "/a-b")
    visit(second, "/a/b")
    second.refresh()
    assert recorded(second, "routes.a-b.GET.status.2xx") == 2
    routes = second.facts().of(RouteFacts).routes
    assert routes["a-b"] == "/a/b"
    templates = sorted(routes.values())
    assert [t for t in templates if t.startswith("/")] == ["/a-b", "/a/b"]


class HeldFor:
    """A lock that its holder releases after so many seconds, which pass at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def acquire(self, timeout: float) -> bool:
        return timeout >= self.seconds

    def release(self) -> None:
        pass

    def _is_owned(self) -> bool:
        return False


@pytest.mark.parametrize(("seconds", "is_current"), [(50.0, True), (70.0, False)])
def test_a_refresh_waits_for_a_tick_that_takes_long(
    make: Make, monkeypatch: pytest.MonkeyPatch, seconds: float, is_current: bool
) -> None:
    """On a busy machine the first one, which loads the parts, does; one that hangs holds nobody."""
    monitor = make()
    monkeypatch.setattr(monitor.life, "tick_lock", HeldFor(seconds))
    monitor.refresh()
    assert bool(monitor.life.core.ticks.cpu_total_ms) is is_current


def test_what_one_request_says_is_not_said_by_the_next(make: Make, visit: Visit) -> None:
    """User and tags belong to the request that set them, also in one thread."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/login":
            inapp_monitor.set_user("ann")
            inapp_monitor.set_tag("plan", "gold")
            start_response("200 OK", [])
            return [b""]
        raise ValueError("boom")

    monitor = make(app)
    visit(monitor, "/login")
    with pytest.raises(ValueError, match="boom"):
        visit(monitor, "/boom")
    monitor.refresh()
    assert monitor.tracker.list_issues()[0].users == 0


def test_a_handled_exception_carries_the_request(make: Make, visit: Visit) -> None:
    """`capture_exception` inside a view knows which request that was."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            raise KeyError("voucher")
        except KeyError:
            monitor.capture_exception()
        start_response("200 OK", [])
        return [b""]

    monitor = make(app)
    visit(monitor, "/checkout")
    monitor.refresh()
    issue = monitor.tracker.list_issues()[0]
    detail = monitor.tracker.get_issue(issue.id)
    assert detail is not None
    assert "/checkout" in str(detail.events)


def test_the_kit_s_own_names_are_refused_to_users(make: Make, visit: Visit) -> None:
    """A counter called `requests.time` must not stand in the way of the distribution."""
    monitor = make()
    monitor.incr("requests.time")
    monitor.gauge("requests.errors", 1000)
    visit(monitor)
    monitor.refresh()
    kinds = {leaf.path: leaf.kind for leaf in monitor.store.leaves()}
    assert kinds["requests.time"] == "distribution"
    assert "requests.errors" not in kinds
    misuses = monitor.facts().of(RecorderFacts).misuses
    assert sum(misuse["count"] for misuse in misuses) == 2


def test_nothing_is_taken_that_cannot_be_handed_on(
    make: Make, visit: Visit, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the monitor's numbers about itself fail, the requests are stored all the same."""
    monitor = make()
    visit(monitor)

    def broken(self: SelfMetrics, now: int) -> list[Any]:
        raise RuntimeError("own numbers")

    monkeypatch.setattr(SelfMetrics, "take", broken)
    monitor.refresh()
    assert recorded(monitor, "requests.status.2xx") == 1
    assert "own numbers" in monitor.guard.faults


def test_a_part_that_works_again_is_no_fault_any_more(
    make: Make, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status page shows what is wrong now."""
    monitor = make()
    with monkeypatch.context() as patch:

        def full() -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(monitor.store, "flush", full)
        for _ in range(50):
            monitor.tick()
        assert "writing to the store" in monitor.guard.faults
    monitor.tick()
    assert "writing to the store" not in monitor.guard.faults


def test_what_the_disk_refuses_is_a_fault_until_it_is_written(
    make: Make, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store reports it and does not raise: a tick that goes on is no recovery."""
    clock = FakeClock()
    monitor = make(clock=clock)

    def tick() -> None:
        visit(monitor)
        clock.advance(120)
        monitor.tick()

    tick()
    assert "store" not in monitor.guard.faults
    with monkeypatch.context() as patch:

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "pwrite", full)
        tick()
        tick()
        assert "No space left" in monitor.guard.faults["store"].last
    tick()
    assert "store" not in monitor.guard.faults


def test_one_process_of_a_directory_leads_and_another_takes_over(
    make: Make, visit: Visit, tmp_path: Path
) -> None:
    """What must be done once, such as telling of a killed worker, is done by the leader."""
    script = """
        import sys
        from inapp_monitor import Monitor
        from inapp_monitor.request.live import WorkerFacts
        monitor = Monitor(lambda e, s: [], data_dir=sys.argv[1], flush_interval_s=60)
        monitor.incr("jobs")
        monitor.refresh()
        print(monitor.facts().of(WorkerFacts).leader, flush=True)
        sys.stdin.read()
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    first = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "True\n"
    monitor = make()
    visit(monitor)
    monitor.refresh()
    assert monitor.facts().of(WorkerFacts).leader is False
    first.kill()
    first.communicate()
    monitor.refresh()
    assert monitor.facts().of(WorkerFacts).leader is True


def test_a_data_directory_that_is_deleted_is_made_anew(
    make: Make, visit: Visit, recorded: Recorded, tmp_path: Path
) -> None:
    """Series, names of routes and the worker's row come back with the next ticks."""
    monitor = make()
    visit(monitor)
    monitor.refresh()
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert {"routes", "store", "workers", "workers.lock"} <= names
    routes = (tmp_path / "data" / "routes").read_bytes()
    assert b"unrouted" in routes
    shutil.rmtree(tmp_path / "data")
    visit(monitor)
    monitor.refresh()
    assert {"routes", "store", "workers", "workers.lock"} <= {
        path.name for path in (tmp_path / "data").iterdir()
    }
    assert (tmp_path / "data" / "routes").read_bytes() == routes
    assert (tmp_path / "data" / "workers").stat().st_size
    assert recorded(monitor, "requests.status.2xx") == 1


def test_a_data_directory_that_cannot_be_written_is_told_first(
    make: Make, visit: Visit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before all that fails because of it, with the remedy; it stands as a fault until it works."""
    (tmp_path / "taken").write_text("")
    monitor = make(data_dir=tmp_path / "taken" / "data")
    assert visit(monitor) == b"hello"
    monitor.refresh()
    told = [record.getMessage() for record in caplog.records]
    told = [text for text in told if "set data_dir" in text]
    assert told
    assert "data directory" in told[0]
    assert "data directory" in monitor.guard.faults
    (tmp_path / "taken").unlink()
    monitor.refresh()
    assert "data directory" not in monitor.guard.faults


def test_the_end_of_a_process_does_not_look_for_the_dead(
    make: Make, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing at the end of a uWSGI worker crashes; another worker tells, or the next start."""
    monitor = make()
    visit(monitor)
    asked: list[int] = []
    monkeypatch.setattr(Workers, "tick", lambda self, now: asked.append(1))
    monitor.close()
    assert asked == []


def test_workers_of_uwsgi_load_what_they_need_with_the_application(tmp_path: Path) -> None:
    """Nothing of ours is imported at their end: C's `exit` has cleaned OpenSSL up by then."""
    code = """
        import sys, types
        sys.modules["uwsgi"] = types.ModuleType("uwsgi")
        from inapp_monitor import Monitor
        monitor = Monitor(lambda environ, start_response: [], data_dir=sys.argv[1])
        before = set(sys.modules)
        monitor.life.attach_if_needed()
        monitor.life.core.note_address({})
        monitor.close()
        late = {name for name in set(sys.modules) - before if name.startswith("inapp_monitor")}
        assert not late, late
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_signal_that_ends_the_monitor_in_the_middle_of_a_tick(
    make: Make, visit: Visit, recorded: Recorded
) -> None:
    """Its handler runs in the thread that ticks and does not wait for it: the tick goes on, and
    what the handler has asked for is done afterwards."""
    monitor = make(flush_interval_s=60)
    visit(monitor)

    class Interrupted(Part):
        name = "interrupted"

        def tick(self, now: float) -> None:
            signal.raise_signal(signal.SIGUSR1)

    def handler(*_: object) -> None:
        asked.append(monitor.life.core.pid)
        monitor.incr("asked")
        monitor.refresh()
        monitor.close()

    asked: list[int] = []
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        parts = monitor.life.services.parts
        parts.insert(0, Interrupted())
        monitor.refresh()
        parts.pop(0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert asked[0] == os.getpid()
    assert monitor.life.core.pid == 0
    assert monitor.life.ticker is None
    assert monitor.guard.faults == {}
    assert len(asked) == 2  # the second time in the last tick
    monitor.refresh()
    assert monitor.life.core.pid == os.getpid()
    assert recorded(monitor, "asked") == 2
