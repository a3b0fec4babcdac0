"""When collectors run, and what becomes of those that fail, hang, or are not what they seem."""

from __future__ import annotations

import logging
import os
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Collector, ConfigError
from inapp_monitor.collectors import runner as runner_module
from inapp_monitor.collectors.base import Shared
from inapp_monitor.collectors.discovery import given
from inapp_monitor.collectors.job import HANGING_S, SLOW_S
from inapp_monitor.collectors.runner import START_DELAY_S, Runner
from inapp_monitor.ground import config
from inapp_monitor.ground.guard import FAILURES_ALLOWED, Guard
from inapp_monitor.ground.points import Scalar
from inapp_monitor.testing import FakeClock

PATIENCE_S = 20.0


class Work:
    """A runner on a clock that is stepped by hand; each tick waits for what it began."""

    def __init__(self, data_dir: Path, *collectors: Any, **settings: Any) -> None:
        wanted = {"collect_process": False, "collect_host": False, "collect_installed": False}
        loaded = config.load({**wanted, **settings, "data_dir": data_dir}, environ={})
        self.clock = FakeClock()
        self.guard = Guard()
        self.given = [given(collector) for collector in collectors]
        self.runner = Runner(loaded.settings, self.clock, self.guard, self.given)
        self.is_leader = True
        self.others: list[dict[str, Shared]] = []
        self.published: list[Scalar] = []

    def tick(self, seconds: float = 1.0, wait: bool = True) -> None:
        """Let time pass and tick."""
        self.clock.advance(seconds)
        self.published += self.runner.tick(self.is_leader, lambda: self.others)
        thread = self.runner.thread
        if wait and thread is not None:
            done = threading.Event()
            thread.add(done.set)
            assert done.wait(PATIENCE_S)

    def pass_by(self, seconds: int) -> None:
        for _ in range(seconds):
            self.tick()

    def start(self) -> None:
        """Until the first collectors have run."""
        self.tick(0)
        self.pass_by(int(START_DELAY_S) + 2)

    def values(self, path: str) -> list[float]:
        return [scalar.value for scalar in self.published if scalar.path == path]

    def state(self, name: str) -> str:
        return next(str(row["state"]) for row in self.runner.rows() if row["name"] == name)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Callable[..., Work]]:
    made: list[Work] = []

    def make(*collectors: Any, **settings: Any) -> Work:
        made.append(Work(tmp_path, *collectors, **settings))
        return made[-1]

    yield make
    for each in made:
        each.runner.stop()


class Counting(Collector):
    """Counts its runs."""

    runs = 0

    def collect(self) -> None:
        self.runs += 1
        self.gauge("runs", self.runs)
        self.counter("total", 10 * self.runs)


class PerWorker(Counting):
    per_worker = True


class Minutely(Counting):
    interval_s = 60


class Failing(Collector):
    error: BaseException = ZeroDivisionError("nothing to divide by")

    def collect(self) -> None:
        self.gauge("before", 1)
        raise self.error


def test_nothing_runs_at_first(work: Callable[..., Work]) -> None:
    """A process that soon ends pays for no thread."""
    at = work(Counting)
    at.tick(0)
    at.tick(START_DELAY_S - 0.1)
    assert at.runner.thread is None
    assert at.runner.rows() == []


def test_a_collector_runs_once_an_interval(work: Callable[..., Work]) -> None:
    """At round times, so that each step of the store has its value."""
    at = work(Counting, Minutely)
    at.start()
    at.pass_by(120)
    assert 12 <= at.values("counting.runs")[-1] <= 14
    assert 2 <= at.values("minutely.runs")[-1] <= 4
    stamps = [s.timestamp for s in at.published if s.path == "counting.runs"]
    assert all(stamp % 10 == 5 for stamp in stamps[1:])


def test_only_the_leader_runs_what_is_run_once(work: Callable[..., Work]) -> None:
    """The others wait; a collector of each worker runs everywhere."""
    at = work(Counting, PerWorker)
    at.is_leader = False
    at.start()
    at.pass_by(30)
    assert at.values("counting.runs") == []
    assert at.values("counting.total") == []
    assert at.state("counting") == "runs in another worker"
    assert at.runner.shared()["per_worker.runs"].value >= 3
    at.is_leader = True
    at.pass_by(20)
    assert len(at.values("counting.runs")) >= 2


def test_after_a_time_as_no_leader_totals_begin_anew(work: Callable[..., Work]) -> None:
    """Another process has counted what was added meanwhile."""

    class Grown(Collector):
        total = 0

        def collect(self) -> None:
            self.counter("total", self.total)

    grown = Grown()
    at = work(grown)
    at.start()
    grown.total = 7
    at.pass_by(20)
    at.is_leader = False
    at.pass_by(20)
    grown.total = 1_000
    at.is_leader = True
    at.pass_by(20)
    assert sum(at.values("grown.total")) == 7


def test_the_leader_joins_the_gauges_of_all_workers(work: Callable[..., Work]) -> None:
    """Once an interval."""
    at = work(PerWorker)
    at.others = [{"per_worker.runs": Shared("sum", 100.0, 2**31)}]
    at.start()
    at.pass_by(60)
    joined = at.values("per_worker.runs")
    assert 6 <= len(joined) <= 7
    assert joined[-1] > 100


@pytest.mark.parametrize("error", [ZeroDivisionError("no"), SystemExit(1), RuntimeError("no")])
def test_a_failing_collector_is_left_alone_and_then_switched_off(
    work: Callable[..., Work], error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Logged once when it begins and once when it ends; what it published before counts."""

    class Broken(Failing):
        pass

    Broken.error = error
    at = work(Broken, Counting)
    with caplog.at_level(logging.WARNING, "inapp_monitor"):
        at.start()
        assert at.state("broken") == "failing"
        at.pass_by(60)
        assert 2 <= at.guard.faults["collector broken"].count <= 5
        for _ in range(FAILURES_ALLOWED * 9):
            at.tick(10)
    assert at.state("broken") == "switched off"
    assert at.guard.faults["collector broken"].count == FAILURES_ALLOWED
    assert len([r for r in caplog.records if "collector broken" in r.getMessage()]) == 2
    assert len(at.values("broken.before")) == FAILURES_ALLOWED
    assert at.state("counting") == "ok"
    assert at.values("counting.runs")[-1] > 100


def test_a_failure_of_the_system_passes(work: Callable[..., Work]) -> None:
    """A collector whose server is down is never switched off, and works again when it is back."""

    class Remote(Failing):
        error: Any = ConnectionRefusedError("down")

        def collect(self) -> None:
            if self.error:
                raise self.error
            self.gauge("up", 1)

    at = work(Remote)
    at.start()
    for _ in range(FAILURES_ALLOWED * 9):
        at.tick(10)
    assert at.state("remote") == "failing"
    Remote.error = None
    for _ in range(10):
        at.tick(10)
    assert at.state("remote") == "ok"
    assert at.guard.faults == {}
    assert at.values("remote.up")


def our_threads() -> set[threading.Thread]:
    """Those of runners; one of an earlier test may be about to end."""
    name = "inapp-monitor-collectors"
    return {thread for thread in threading.enumerate() if thread.name == name}


def test_one_that_hangs_delays_nobody(work: Callable[..., Work]) -> None:
    """Ticks go on, the others get a new thread, the fault says so until it returns."""
    held, entered = threading.Event(), threading.Event()

    class Hanging(Collector):
        runs = 0

        def collect(self) -> None:
            self.runs += 1
            hanging.append(threading.current_thread())
            entered.set()
            held.wait(PATIENCE_S)
            self.gauge("runs", self.runs)

    before = our_threads()
    hanging: list[threading.Thread] = []
    at = work(Hanging, Counting)
    at.tick(0)
    at.tick(START_DELAY_S)
    at.tick(wait=False)
    assert entered.wait(PATIENCE_S)
    at.tick(SLOW_S + 0.5)  # the thread is abandoned here
    at.pass_by(60)
    assert "has not returned" in at.state("hanging")
    assert at.values("counting.runs")[-1] >= 6
    assert "has not returned for" in at.guard.faults["collector hanging"].last
    assert not at.guard.faults["collector hanging"].disabled
    assert len(our_threads() - before) == 2
    held.set()
    hanging[0].join(PATIENCE_S)
    at.pass_by(20)
    assert at.state("hanging") == "ok"
    assert at.guard.faults == {}
    assert at.values("hanging.runs")[:2] == [1, 2]
    assert HANGING_S > SLOW_S


def test_where_no_thread_can_start_nothing_is_collected(
    work: Callable[..., Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported once a minute at most, tried every few seconds, and nothing is forgotten:
    not what is looked for once, such as collectors of packages and of settings."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    at = work(Counting, Minutely, collect_installed=True, munin=["127.0.0.1:9"])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        at.start()
        at.pass_by(50)
        assert at.guard.faults["thread of the collectors"].count == 1
        at.pass_by(60)
        assert at.guard.faults["thread of the collectors"].count == 2
    at.pass_by(5)
    assert "thread of the collectors" not in at.guard.faults
    at.pass_by(3)
    assert at.values("counting.runs")[0] == 1
    assert at.values("minutely.runs") == [1]
    assert at.values("tea.cups")[0] == 3
    assert [row["source"] for row in at.runner.rows()].count("setting munin") == 1
    del sys.modules["tea_numbers"]


def test_a_slow_look_at_packages_loses_no_other_collectors(
    work: Callable[..., Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread is abandoned with what waits behind it; the next thread looks for that, once."""
    held, entered = threading.Event(), threading.Event()
    slow_threads: list[threading.Thread] = []

    def slow() -> list[Any]:
        slow_threads.append(threading.current_thread())
        entered.set()
        held.wait(PATIENCE_S)
        return [given(Counting)]

    monkeypatch.setattr(runner_module.discovery, "from_packages", slow)
    at = work(collect_installed=True, munin=["127.0.0.1:9"])
    at.tick(0)
    at.tick(START_DELAY_S, wait=False)
    assert entered.wait(PATIENCE_S)
    at.tick(SLOW_S + 0.5)  # the thread is abandoned here
    at.tick()
    assert [row["source"] for row in at.runner.rows()] == ["setting munin"]
    held.set()
    slow_threads[0].join(PATIENCE_S)
    at.pass_by(20)
    assert len(slow_threads) == 1
    assert sorted(row["source"] for row in at.runner.rows()) == ["setting munin", "the app"]


@pytest.mark.parametrize("wrong", [5, None, object(), Path, "no-colon", "os:path"])
def test_what_is_no_collector_is_refused(work: Callable[..., Work], wrong: Any) -> None:
    """At once, or, for what is named, when it is looked for: as a fault."""
    try:
        at = work(wrong)
    except ConfigError as error:
        assert "subclass of Collector" in str(error)
        return
    at.start()
    assert at.state(str(wrong)) == "failing"


@pytest.mark.parametrize("first", ["requests", "process", "host.x", "monitor"])
def test_the_kits_own_names_are_not_to_be_had(work: Callable[..., Work], first: str) -> None:
    """Two sources of one series would make nonsense of it."""
    at = work(type("Any", (Counting,), {"name": first}))
    at.start()
    assert "are reserved" in at.guard.faults[f"collector {first}"].last
    assert at.published == []


def test_a_class_that_is_registered_twice_runs_once(work: Callable[..., Work]) -> None:
    """Another one of its name does not run, and that is a fault."""
    other = type("Other", (Counting,), {"name": "counting"})
    at = work(Counting, Counting, other)
    at.start()
    at.pass_by(20)
    assert [row["state"] for row in at.runner.rows()] == [
        "ok",
        "registered twice",
        "another collector has its name already (source: the app)",
    ]
    assert "has its name already" in at.guard.faults["collector counting of the app"].last


def test_a_class_is_made_where_it_runs(work: Callable[..., Work]) -> None:
    """Off the tick and the request; what its constructor does is guarded."""

    class Costly(Counting):
        def __init__(self) -> None:
            self.thread = threading.current_thread().name
            raise OSError("no such database")

    at = work(Costly)
    at.start()
    assert "no such database" in at.guard.faults["collector costly"].last


def test_a_setting_names_collectors(
    work: Callable[..., Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As module:Class; one that cannot be imported is a fault, the others run."""
    (tmp_path / "shop_numbers.py").write_text(
        "from inapp_monitor import Collector\n"
        "class Stock(Collector):\n"
        "    def collect(self): self.gauge('tea', 5)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    at = work(collectors="no.such.module:Thing, shop_numbers:Stock")
    at.start()
    assert at.values("stock.tea") == [5]
    assert "No module named" in at.guard.faults["collector no.such.module:Thing"].last
    del sys.modules["shop_numbers"]


def install(directory: Path) -> None:
    """A tiny distribution, as pip leaves it behind."""
    (directory / "tea_numbers.py").write_text(
        textwrap.dedent(
            """
            from inapp_monitor import Collector

            class Tea(Collector):
                def collect(self):
                    self.gauge("cups", 3)

            class Broken(Collector):
                def __init__(self):
                    raise ValueError("no pot")

                def collect(self): ...
            """
        )
    )
    info = directory / "tea_numbers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tea-numbers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[inapp_monitor.collectors]\n"
        "tea = tea_numbers:Tea\n"
        "broken = tea_numbers:Broken\n"
        "gone = tea_numbers:Gone\n"
    )


def test_an_installed_package_offers_collectors(
    work: Callable[..., Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the entry-point group; what is broken in it is a fault and hurts no other."""
    install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    at = work(Counting, collect_installed=True)
    at.start()
    at.pass_by(3)
    rows = {row["name"]: row for row in at.runner.rows()}
    assert rows["tea"]["source"] == "package tea-numbers"
    assert at.values("tea.cups") == [3]
    assert "no pot" in at.guard.faults["collector broken"].last
    assert "has no attribute 'Gone'" in at.guard.faults["collector gone"].last
    assert at.state("counting") == "ok"
    del sys.modules["tea_numbers"]


def test_installed_collectors_can_be_left_out(
    work: Callable[..., Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting switches the look at packages off."""
    install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    at = work(Counting)
    at.start()
    at.pass_by(3)
    assert [row["name"] for row in at.runner.rows()] == ["counting"]
    assert "tea_numbers" not in sys.modules


def test_two_monitors_of_one_directory_count_once(tmp_path: Path) -> None:
    """In one process both lead; when one ends, the other goes on."""
    first, second = Work(tmp_path, Counting), Work(tmp_path, Counting)
    for at in (first, second):
        at.start()
        at.pass_by(20)
    assert first.values("counting.runs")
    assert not second.values("counting.runs")
    first.runner.stop()
    second.pass_by(20)
    assert second.values("counting.runs")
    second.runner.stop()
    assert not [key for key in runner_module._at_work if key[1] == str(tmp_path)]


def test_a_child_process_begins_anew(work: Callable[..., Work]) -> None:
    """Its own thread, and totals that begin where they are."""
    at = work(Counting)
    at.start()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            at.runner.forked()
            at.published.clear()
            at.start()
            at.pass_by(20)
            fine = at.values("counting.runs")[0] == 1 and set(at.values("counting.total")) == {10}
            status = 0 if fine else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_too_many_collectors_are_not_run(work: Callable[..., Work]) -> None:
    """There is an end to threads and names."""
    kinds = [type(f"Kind{n}", (Counting,), {}) for n in range(runner_module.MAX_COLLECTORS + 5)]
    at = work(*kinds)
    at.start()
    assert len(at.runner.rows()) == runner_module.MAX_COLLECTORS


def test_stopping_ends_the_thread_and_a_later_tick_begins_anew(work: Callable[..., Work]) -> None:
    """A monitor that is closed can be used again."""
    before = our_threads()
    at = work(Counting)
    at.start()
    at.runner.stop()
    assert our_threads() <= before
    runs = len(at.values("counting.runs"))
    at.start()
    at.pass_by(20)
    assert len(at.values("counting.runs")) > runs
