"""The Runtime page's charts: rates and shares as counted, ghosts, and the app's own collectors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from inapp_monitor import Collector, Monitor
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.request.live import WorkerFacts
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.pages import runtime

TOKEN = "sample-token-0123456789"
JSON = {"Authorization": f"Bearer {TOKEN}"}
HTML = {**JSON, "Accept": "text/html"}


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"x"]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Monitor]]:
    made: list[Monitor] = []

    def make_one(**settings: Any) -> Monitor:
        given: dict[str, Any] = {"collect_process": False, "collect_host": False, **settings}
        common = {"data_dir": tmp_path, "token": TOKEN, "flush_interval_s": 60}
        made.append(Monitor(app, clock=FakeClock(1_700_000_005), **common, **given))
        return made[-1]

    yield make_one
    for monitor in made:
        monitor.close()


def put(monitor: Monitor, path: str, method: Method, ages: range, value: float) -> None:
    now = int(monitor.clock.wall())
    scalars = [Scalar(path, now - age, value, method) for age in ages]
    monitor.store.add(Batch(scalars, []))


def charts(monitor: Monitor, query: str = "from=-15min") -> dict[str, Any]:
    data: Any = Client(monitor).get(f"/_metrics/runtime.json?{query}", headers=JSON).json
    return {chart["title"]: chart for part in data["sections"] for chart in part["charts"]}


def line(chart: Any, name: str) -> list[float]:
    entry = next(entry for entry in chart["series"] if entry["name"] == name)
    return [value for value in entry["values"] if value is not None]


@pytest.mark.parametrize("window", ["-15min", "-1h", "-6h", "-1d"])
def test_cpu_is_what_was_counted(make: Callable[..., Monitor], window: str) -> None:
    """1,000 ms in ten seconds are ten per cent of a core, in every column of every window, the last
    one too, of which only a part is over; a first one that began late may show less."""
    monitor = make()
    put(monitor, "process.cpu.user_ms", Method.SUM, range(10, 3_000, 10), 700.0)
    put(monitor, "process.cpu.system_ms", Method.SUM, range(10, 3_000, 10), 300.0)
    seen = line(charts(monitor, f"from={window}")["CPU, of one core"], "all workers")
    assert len(seen) > 5
    assert seen[1:] == pytest.approx([10.0] * (len(seen) - 1))
    assert 0 < seen[0] <= 10.0


def test_a_longer_interval_makes_no_spikes(make: Callable[..., Monitor]) -> None:
    """A value a minute is spread over its minute, not shown as six times as much in ten seconds."""
    monitor = make(collect_interval_s=60)
    put(monitor, "process.cpu.user_ms", Method.SUM, range(30, 3_000, 60), 6_000.0)
    seen = line(charts(monitor)["CPU, of one core"], "all workers")
    assert len(seen) >= 13
    assert seen[1:-1] == pytest.approx([10.0] * (len(seen) - 2))


def test_the_machines_cpu_is_shared_out(make: Callable[..., Monitor]) -> None:
    """Per cent of all cores' time; what nobody did is not drawn."""
    monitor = make()
    for kind, value in (("user", 500), ("system", 300), ("iowait", 200), ("idle", 1_000)):
        put(monitor, f"host.cpu.{kind}_ms", Method.SUM, range(10, 600, 10), value)
    put(monitor, "host.cpu.steal_ms", Method.SUM, range(10, 600, 10), 0)
    chart = charts(monitor)["CPU, of all cores"]
    names = ["busy", "user", "system", "waiting for the disk"]
    assert [entry["name"] for entry in chart["series"]] == names
    for name, percent in zip(names, (40, 25, 15, 10), strict=True):
        seen = line(chart, name)
        assert seen == pytest.approx([percent] * len(seen))
    assert chart["summary"] == "40 %"


def test_a_limit_is_told_beside_what_is_used(make: Callable[..., Monitor]) -> None:
    """The latest value of each."""
    monitor = make()
    put(monitor, "host.memory.used_bytes", Method.MAX, range(10, 600, 10), 3 * 2**30)
    put(monitor, "host.memory.total_bytes", Method.LAST, range(10, 600, 10), 16 * 2**30)
    data: Any = Client(monitor).get("/_metrics/runtime.json", headers=JSON).json
    machine = next(part for part in data["sections"] if part["title"] == "Machine")
    (chart,) = machine["charts"]
    assert chart["summary"] == "3 GB of 16 GB"


def test_an_earlier_time_is_a_ghost(make: Callable[..., Monitor]) -> None:
    """Of the first line, moved into the window."""
    monitor = make()
    put(monitor, "process.threads", Method.LAST, range(10, 600, 10), 8)
    put(monitor, "process.descriptors.open", Method.LAST, range(10, 600, 10), 60)
    put(monitor, "process.descriptors.open", Method.LAST, range(86_400, 87_300, 10), 40)
    chart = charts(monitor, "from=-15min&compare=day")["Threads and descriptors"]
    assert [entry["name"] for entry in chart["series"]] == ["descriptors", "threads", "yesterday"]
    assert set(line(chart, "yesterday")) == {40}
    ghost = chart["series"][-1]
    assert chart["start"] - 60 <= ghost["start"] <= chart["start"] + 60
    assert chart["change"][0] == "descriptors +50 % on yesterday"


def test_own_collectors_are_drawn_by_kind(make: Callable[..., Monitor]) -> None:
    """Bytes are not drawn on one axis with counts; a counter is shown a second."""

    class Shop(Collector):
        total = 0

        def collect(self) -> None:
            Shop.total += 50
            self.gauge("open_carts", 4)
            self.gauge("size_bytes", 2**20)
            self.counter("orders", Shop.total)

    monitor = make(collectors=[Shop])
    Client(monitor).get("/")
    clock: Any = monitor.clock
    for _ in range(40):
        clock.advance(1)
        monitor.refresh()
        thread = monitor.life.services.collectors.thread
        if thread is not None:
            done = threading.Event()
            thread.add(done.set)
            assert done.wait(30)
    found = charts(monitor)
    assert found["shop.open_carts"]["unit"] == ""
    assert found["shop.size_bytes"]["unit"] == "bytes"
    assert max(line(found["shop.orders, a second"], "orders")) == pytest.approx(5.0)
    page = Client(monitor).get("/_metrics/runtime", headers=HTML).text
    assert "<h2>Your collectors</h2>" in page
    status = Client(monitor).get("/_metrics/status", headers=HTML).text
    assert "<code>shop</code>" in status


def test_what_a_worker_did_not_tell_is_a_dash(make: Callable[..., Monitor]) -> None:
    """A worker of which little is known has its row all the same."""
    known = WorkerFacts(1, workers=[{"pid": 1, "live": 0}, {"pid": 2, "started": 40.0}])
    rows = runtime.workers(known, 100.0)
    assert [row["pid"] for row in rows] == [1, 2]
    assert rows[0]["age_s"] is None
    assert rows[1]["age_s"] == 60
    page = Client(make()).get("/_metrics/runtime", headers=HTML).text
    assert "<h2>Workers</h2>" in page
    assert "unless the setting collect_process is off" in page
