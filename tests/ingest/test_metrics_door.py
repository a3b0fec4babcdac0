"""The verbs from anywhere, and processes that answer no requests."""

from __future__ import annotations

import asyncio
import gc
import inspect
import subprocess
import sys
import textwrap
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

import inapp_monitor
from inapp_monitor import Monitor, metrics, recording
from inapp_monitor.metrics import MAX_BACKLOG, Switch
from inapp_monitor.monitor.monitor import Monitor as MonitorClass
from tests.ingest.conftest import app, latest, total


class Heard:
    """A target that keeps what it hears."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any, Any]] = []
        self.events: list[str] = []
        self.lost = 0

    def record(self, kind: str, name: Any, value: Any) -> None:
        self.calls.append((kind, name, value))

    def event(self, title: str, text: str, tags: Any) -> None:
        self.events.append(title)

    def dropped(self, count: int) -> None:
        self.lost += count


def test_what_comes_before_the_monitor_waits_bounded() -> None:
    """In order, then directly; what found no room is counted."""
    switch, heard = Switch(), Heard()
    switch.event("deploy")
    for number in range(MAX_BACKLOG + 5):
        switch.record("counter", "early", number)
    switch.connect(heard)
    switch.record("counter", "late", 1)
    assert heard.events == ["deploy"]
    assert heard.calls[0] == ("counter", "early", 0)
    assert heard.calls[-1] == ("counter", "late", 1)
    assert (len(heard.calls), heard.lost) == (MAX_BACKLOG, 6)


def test_the_monitor_made_last_hears_and_may_go_away() -> None:
    """Held weakly: a monitor that is gone is not kept alive, and the one before hears again."""
    switch, first, second = Switch(), Heard(), Heard()
    switch.connect(first)
    switch.connect(second)
    switch.record("counter", "a", 1)
    assert (len(first.calls), len(second.calls)) == (0, 1)
    del second
    gc.collect()
    switch.record("counter", "a", 1)
    assert len(first.calls) == 1


def test_verbs_in_a_monitored_app(make: Callable[..., Monitor]) -> None:
    """Module-level verbs and the monitor's own are the same series."""
    monitor = make()
    metrics.incr("orders")
    monitor.incr("orders", 2)
    metrics.incr("jobs", tags={"queue": "mail", "a": "x y"})
    metrics.incr("jobs", tags=["queue:mail", "a:x y"])
    metrics.gauge("depth", 5)
    metrics.decr("orders")
    metrics.observe("size", 100)
    with metrics.timer("step", tags={"n": 1}):
        pass

    @metrics.timed("work")
    def work() -> int:
        return 7

    assert work() == 7
    metrics.event("deployed", "v2", tags=["release"])
    monitor.refresh()
    assert total(monitor, "orders") == 2.0
    assert total(monitor, "jobs;a=x_y;queue=mail") == 2.0
    assert latest(monitor, "depth") == 5.0
    distributions = {leaf.path for leaf in monitor.store.leaves() if leaf.kind == "distribution"}
    assert {"size", "step;n=1", "work"} <= distributions
    rows = monitor.database.read("select what, tags, data from posted_events")
    assert [tuple(row.values()) for row in rows] == [("deployed", "release", "v2")]


def test_tag_sets_are_bounded(make: Callable[..., Monitor]) -> None:
    """200 sets of a name, then `(other)`; nothing is lost of the total, and it is counted."""
    monitor = make()
    for number in range(300):
        metrics.incr("per_user", tags={"user": number})
    monitor.refresh()
    leaves = [leaf.path for leaf in monitor.store.leaves() if leaf.path.startswith("per_user")]
    assert len(leaves) == 201
    assert total(monitor, "per_user;user=(other)") == 100.0
    assert monitor.life.services.drops()["tag sets past the cap of a name"] == 100


class Strange:
    """Raises whatever it is asked."""

    def _refuse(self) -> Any:
        raise RuntimeError("no")

    __str__ = __repr__ = __float__ = __bool__ = __hash__ = __iter__ = __neg__ = _refuse


BAD_TAGS: list[Any] = ["a:b", 5, [1], {"": 1}, {object(): 1}, Strange(), {"a": Strange()}]


@pytest.mark.parametrize("tags", BAD_TAGS, ids=lambda tags: type(tags).__name__)
def test_bad_tags_never_raise(make: Callable[..., Monitor], tags: Any) -> None:
    """They are misuse, counted with the place, or made legal."""
    make()
    metrics.incr("orders", tags=tags)


def test_strange_arguments_never_raise(make: Callable[..., Monitor]) -> None:
    """Before a monitor and with one: names, values, events, decorated names."""

    def call() -> None:
        for strange in (Strange(), 5, b"a", None, [], "x" * 10**6):
            for verb in (metrics.incr, metrics.decr, metrics.gauge, metrics.timing, metrics.set):
                verb(strange, 1)
                verb("orders." + verb.__name__, strange)
            metrics.event(strange, strange, strange)
            assert metrics.timed(strange)(lambda: 7)() == 7

    call()
    monitor = make()
    call()
    refused = monitor.recorder.instruments.refused["misuse"]
    assert refused >= 25
    assert not monitor.guard.faults


def test_what_waits_for_a_monitor_is_small() -> None:
    """Nothing large or foreign is kept alive by a call that nobody may ever hear."""
    switch, heard, large = Switch(), Heard(), Large()
    gone = weakref.ref(large)
    switch.record("set", "users", large)
    switch.record("set", "users", "x" * 10**6)
    switch.record("counter", "n" * 10**6, 1)
    switch.record("counter", "orders", "1" * 10**6)
    switch.event("t" * 10**6, "x" * 10**6, ["y" * 10**6] * 10**3)
    del large
    assert gone() is None
    switch.connect(heard)
    assert len(heard.calls) == 4
    assert all(len(repr(call)) < 2_000 for call in heard.calls)
    assert max(map(len, heard.events)) <= 500


class Large:
    """A member of a set."""


def test_a_process_without_a_monitor_pays_nothing() -> None:
    """A library's calls are kept, bounded, and nobody is warned."""
    script = """
        from inapp_monitor import metrics
        for number in range(20_000):
            metrics.incr("a")
        import threading
        assert threading.active_count() == 1
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"


def stored(directory: Path) -> MonitorClass:
    return Monitor(app, data_dir=directory, flush_interval_s=60)


def test_recording_is_on_disk_when_it_returns(directory: Path) -> None:
    """A cron job adds to the store, its errors are issues, its last run a series."""
    with recording(directory, name="nightly"):
        metrics.incr("rows", 5)
    with pytest.raises(ZeroDivisionError), recording(directory, name="nightly"):
        1 / 0  # noqa: B018

    @recording(directory, name="nightly")
    def job(number: int) -> int:
        metrics.incr("rows", number)
        return number * 2

    assert job(7) == 14
    monitor = stored(directory)
    assert total(monitor, "rows") == 12.0
    assert total(monitor, "jobs.nightly.runs") == 3.0
    assert total(monitor, "jobs.nightly.failures") == 1.0
    last = latest(monitor, "jobs.nightly.last_run")
    assert last is not None
    assert abs(last - time.time()) < 60
    issues = monitor.tracker.triage.list_issues()
    assert ["ZeroDivisionError" in issue.title for issue in issues] == [True]
    monitor.close()


def test_recording_of_functions_that_go_on_after_their_call(directory: Path) -> None:
    """A run of a coroutine or a generator lasts until it has ended, as its errors belong to it."""

    @recording(directory, name="task")
    async def task() -> int:
        await asyncio.sleep(0)
        metrics.incr("rows")
        raise ValueError("in the task")

    @recording(directory, name="lines")
    def lines() -> Generator[int, int, str]:
        metrics.incr("rows", (yield 1))
        return "done"

    @recording(directory, name="pages")
    async def pages() -> AsyncGenerator[int, int]:
        try:
            metrics.incr("rows", (yield 1))
        except KeyError:
            yield 3
            raise LookupError("in the pages") from None

    async def read_pages() -> None:
        reading = pages()
        assert await anext(reading) == 1
        with pytest.raises(StopAsyncIteration):
            await reading.asend(100)
        reading = pages()
        await anext(reading)
        await reading.aclose()
        reading = pages()
        await anext(reading)
        assert await reading.athrow(KeyError()) == 3
        with pytest.raises(LookupError):
            await anext(reading)

    with pytest.raises(ValueError, match="in the task"):
        asyncio.run(task())
    assert inspect.iscoroutinefunction(task)
    reading = lines()
    next(reading)
    with pytest.raises(StopIteration, match="done"):
        reading.send(10)
    next(reading := lines())
    reading.close()
    asyncio.run(read_pages())
    monitor = stored(directory)
    assert total(monitor, "rows") == 111.0
    ran = {name: total(monitor, f"jobs.{name}.runs") for name in ("task", "lines", "pages")}
    failed = {name: total(monitor, f"jobs.{name}.failures") for name in ran}
    assert ran == {"task": 1.0, "lines": 2.0, "pages": 3.0}
    assert failed == {"task": 1.0, "lines": 0.0, "pages": 1.0}
    titles = {issue.title for issue in monitor.tracker.triage.list_issues()}
    assert titles == {"ValueError: in the task", "LookupError: in the pages"}
    monitor.close()


def test_recordings_that_overlap_share_a_monitor(directory: Path) -> None:
    """The last one ends it, whichever it is; nothing is left running."""
    first, second = recording(directory, name="first"), recording(directory, name="second")
    monitor = first.__enter__()
    assert second.__enter__() is monitor
    first.__exit__(None, None, None)
    metrics.incr("rows")
    second.__exit__(None, None, None)
    assert monitor.life.ticker is None
    assert monitor.life.core.pid == 0
    with recording(directory, name="third") as another:
        assert another is not monitor
    found = stored(directory)
    assert total(found, "rows") == 1.0
    runs = [total(found, f"jobs.{name}.runs") for name in ("first", "second", "third")]
    assert runs == [1.0, 1.0, 1.0]
    found.close()


def test_recording_with_a_monitor_that_was_closed(directory: Path) -> None:
    """It lives for the block again, and no longer."""
    monitor = stored(directory)
    monitor.refresh()
    monitor.close()
    with recording(directory, name="job") as same:
        assert same is monitor
        assert monitor.life.core.pid
    assert monitor.life.ticker is None
    assert not monitor.life.core.pid


def test_recording_leads_nothing(directory: Path, port: int) -> None:
    """It opens no door and runs no host collector, whatever its environment says."""
    with recording(directory, name="job", listen=[f"carbon://127.0.0.1:{port}"]) as monitor:
        monitor.tick()
        monitor.tick()
        assert not monitor.life.services.leadership.is_leader
        assert not monitor.life.services.listening.is_set


def test_recording_beside_a_running_worker(make: Callable[..., Monitor], tmp_path: Path) -> None:
    """Both add to the same series in the same second; in one process the monitor is shared."""
    monitor = make()
    monitor.incr("rows")
    with recording(tmp_path / "data", name="inside") as same:
        assert same is monitor
        metrics.incr("rows")
    script = f"""
        from inapp_monitor import recording, metrics
        with recording({str(tmp_path / "data")!r}, name="outside"):
            metrics.incr("rows", 10)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=60, check=True)
    monitor.refresh()
    assert total(monitor, "rows") == 12.0
    assert total(monitor, "jobs.outside.runs") == 1.0


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "inapp_monitor", "run", *arguments]
    return subprocess.run(whole, capture_output=True, text=True, timeout=60, check=False)


def test_run_records_any_program(directory: Path) -> None:
    """Output and exit status pass; a failure is an issue that names the job."""
    options = ("--data-dir", str(directory), "--name", "backup", "--")
    done = command(*options, "sh", "-c", "echo out; exit 3")
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert command(*options, "true").returncode == 0
    assert command(*options, "/no/such/program").returncode == 127
    monitor = stored(directory)
    assert total(monitor, "jobs.backup.runs") == 3.0
    assert total(monitor, "jobs.backup.failures") == 2.0
    assert (latest(monitor, "jobs.backup.max_rss_bytes") or 0) > 100_000
    (issue,) = monitor.tracker.triage.list_issues()
    assert "job backup failed" in issue.title
    assert issue.count == 2
    monitor.close()


def test_public_names_are_loaded_on_first_use() -> None:
    """`metrics` and `recording` cost an app that does not use them nothing."""
    assert inapp_monitor.metrics is metrics
    assert inapp_monitor.recording is recording


def test_what_is_past_the_cap_can_be_asked_for(make: Callable[..., Monitor]) -> None:
    """By its tags and as a path."""
    monitor = make(token="secret-token-1")
    for number in range(203):
        metrics.incr("jobs", tags={"user": number})
    client = Client(monitor)
    for target in ("jobs;user=(other)", "seriesByTag('name=jobs','user=(other)')"):
        answer = client.get(
            "/_metrics/render",
            query_string={"target": target, "format": "json", "from": "-5min"},
            headers={"Authorization": "Bearer secret-token-1"},
        )
        (series,) = answer.json
        assert sum(value or 0 for value, _ in series["datapoints"]) == 3.0
