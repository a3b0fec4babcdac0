"""Collectors in a monitored app: three ways to register, off its requests, over all workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Collector, ConfigError, Monitor
from inapp_monitor.collectors import runner
from inapp_monitor.collectors.runner import CollectorFacts
from inapp_monitor.ground.facts import CostFacts
from inapp_monitor.request.live import WorkerFacts
from inapp_monitor.testing import FakeClock
from tests.environ import environ_of

PATIENCE_S = 30.0


class Tea(Collector):
    """The five lines of the documentation."""

    def collect(self) -> None:
        self.gauge("cups", 3)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Monitor]]:
    made: list[Monitor] = []

    def make_one(**settings: Any) -> Monitor:
        settings.setdefault("flush_interval_s", 60)
        made.append(Monitor(app, data_dir=tmp_path / "data", clock=FakeClock(), **settings))
        return made[-1]

    yield make_one
    for monitor in made:
        monitor.close()


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def visit(monitor: Monitor) -> None:
    list(monitor(environ_of(), lambda *given: None))


def run(monitor: Monitor, seconds: int) -> None:
    """Let time pass; wait for what each tick began."""
    clock: Any = monitor.clock
    for _ in range(seconds):
        clock.advance(1)
        monitor.refresh()
        thread = monitor.life.services.collectors.thread
        if thread is not None:
            done = threading.Event()
            thread.add(done.set)
            assert done.wait(PATIENCE_S)
    monitor.refresh()


def last(monitor: Monitor, path: str) -> float | None:
    now = int(monitor.clock.wall())
    for found in monitor.store.fetch([path], now - 600, now, now):
        known = [value for value in found.values if value == value]
        return known[-1] if known else None
    return None


def test_three_ways_to_register(make: Callable[..., Monitor]) -> None:
    """With the monitor, later, and as a decorator; all are there on the status page."""
    monitor = make(collectors=[Tea])
    visit(monitor)
    run(monitor, 5)

    @monitor.collect
    class Biscuits(Collector):
        def collect(self) -> None:
            self.gauge("left", 12)

    monitor.collect(type("Late", (Tea,), {})())
    run(monitor, 5)
    assert last(monitor, "tea.cups") == 3
    assert last(monitor, "biscuits.left") == 12
    assert last(monitor, "late.cups") == 3
    known = monitor.facts().of(CollectorFacts)
    states = {row["name"]: row["state"] for row in known.collectors}
    assert states == dict.fromkeys(("process", "host", "tea", "biscuits", "late"), "ok")
    assert monitor.guard.faults == {}


def test_what_is_no_collector_is_told_at_construction(tmp_path: Path) -> None:
    """Where the developer sees it."""
    with pytest.raises(ConfigError, match="subclass of Collector"):
        Monitor(app, data_dir=tmp_path, collectors=[Path])
    with pytest.raises(ConfigError, match="subclass of Collector"):
        Monitor(app, data_dir=tmp_path).collect(7)


def test_process_and_host_come_by_themselves(make: Callable[..., Monitor]) -> None:
    """And settings switch them off."""
    monitor = make()
    visit(monitor)
    run(monitor, 30)
    assert last(monitor, "process.workers") == 1
    assert (last(monitor, "process.memory.rss_bytes") or 0) > 2**20
    assert last(monitor, "host.memory.total_bytes")
    assert last(monitor, "host.cpu.user_ms") is not None
    (worker,) = monitor.facts().of(WorkerFacts).workers
    assert worker["pid"] == os.getpid()
    assert worker["requests"] == 1
    assert worker["rss_bytes"] > 2**20


def test_settings_switch_them_off(make: Callable[..., Monitor]) -> None:
    """Then no series of theirs appears, and a worker tells only what it knows anyway."""
    monitor = make(collect_process=False, collect_host=False)
    visit(monitor)
    run(monitor, 15)
    assert not [leaf for leaf in monitor.store.leaves() if leaf.path[:5] in ("proce", "host.")]
    (worker,) = monitor.facts().of(WorkerFacts).workers
    assert worker["requests"] == 1
    assert "rss_bytes" not in worker


def test_a_disabled_monitor_collects_nothing(make: Callable[..., Monitor]) -> None:
    """Nothing starts."""
    before = set(threading.enumerate())
    monitor = make(enabled=False, collectors=[Tea])
    visit(monitor)
    assert set(threading.enumerate()) <= before


def test_a_collector_that_hangs_delays_no_tick(make: Callable[..., Monitor]) -> None:
    """A tick takes what it takes without; closing waits for less than a second."""
    held, entered = threading.Event(), threading.Event()

    class Hanging(Collector):
        def collect(self) -> None:
            entered.set()
            held.wait(PATIENCE_S)

    monitor = make(collectors=[Hanging])
    clock: Any = monitor.clock
    visit(monitor)
    run(monitor, int(runner.START_DELAY_S))
    for _ in range(4):  # the class is loaded, and run a tick later
        clock.advance(1)
        monitor.refresh()
        entered.wait(0.2)
    assert entered.wait(PATIENCE_S)
    took = []
    for _ in range(20):
        clock.advance(1)
        begin = time.perf_counter()
        monitor.tick()
        took.append(time.perf_counter() - begin)
    assert sorted(took)[10] < 0.1
    assert "collector hanging" in monitor.guard.faults
    assert last(monitor, "host.memory.total_bytes")
    begin = time.perf_counter()
    monitor.close()
    assert time.perf_counter() - begin < PATIENCE_S / 2
    held.set()


def test_refused_values_are_told(make: Callable[..., Monitor]) -> None:
    """A collector that publishes without end is cut, and the overview says so."""

    class Endless(Collector):
        def collect(self) -> None:
            for number in range(2_000):
                self.gauge(f"user.{number}", number)

    monitor = make(collectors=[Endless])
    visit(monitor)
    run(monitor, 6)
    assert monitor.facts().of(CostFacts).dropped == {"values of collectors past their cap": 1_000}


WORKER = """
import sys
from pathlib import Path
from wsgiref.util import setup_testing_defaults
from inapp_monitor import Collector, Monitor

class Shifts(Collector):
    def collect(self):
        import os
        self.gauge("pid", os.getpid())

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"x"]

monitor = Monitor(app, data_dir=sys.argv[1], flush_interval_s=0.2, collect_interval_s=1,
                  collectors=[Shifts], retention="1s:1h,10s:1d")
environ = {}
setup_testing_defaults(environ)
list(monitor(environ, lambda *given: None))
print("ready", flush=True)
sys.stdin.readline()
monitor.close()
"""


@pytest.mark.slow
def test_when_the_leader_is_killed_another_worker_goes_on(tmp_path: Path) -> None:
    """Both workers count while they live; the machine is sampled by one, and then by the other."""

    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    watching = Monitor(app, data_dir=tmp_path / "data", retention="1s:1h,10s:1d")

    def until(path: str, wanted: Callable[[float], bool]) -> float:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            value = last(watching, path)
            if value is not None and wanted(value):
                return value
            threading.Event().wait(0.1)
        raise AssertionError(f"{path} is {last(watching, path)}")

    first, second = begin(), begin()
    try:
        until("process.workers", lambda workers: workers == 2)
        leader = until("shifts.pid", lambda pid: pid in (first.pid, second.pid))
        (dying, other) = (first, second) if leader == first.pid else (second, first)
        dying.send_signal(signal.SIGKILL)
        dying.wait()
        until("shifts.pid", lambda pid: pid == other.pid)
        until("process.workers", lambda workers: workers == 1)
        other.communicate("\n", timeout=PATIENCE_S)
        assert other.returncode == 0
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
        watching.store.close()
