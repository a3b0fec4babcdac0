"""Process, host, container and garbage collection: right, cheap, quiet where nothing is told."""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from inapp_monitor import Collector, testing
from inapp_monitor.collectors import container
from inapp_monitor.collectors.gc_pauses import GcPauses
from inapp_monitor.collectors.host import Host
from inapp_monitor.collectors.process import Process

MB = 2**20
NOW = 1_700_000_000.0
#: A tenth of a per cent of a core, of the ten seconds between two runs.
ALLOWED_S = 0.001 * 10


def collected(collector: Collector, per_worker: bool) -> dict[str, float]:
    """What a second run publishes, when totals have a beginning."""
    assert collector.per_worker == per_worker
    testing.collected(collector)
    return testing.collected(collector)


def test_the_process_is_seen_as_the_system_sees_it() -> None:
    """Memory, threads and descriptors agree with /proc."""
    me = psutil.Process()
    before = me.num_threads()
    seen = collected(Process(), per_worker=True)
    assert seen["process.memory.rss_bytes"] == pytest.approx(me.memory_info().rss, rel=0.2)
    assert seen["process.memory.largest_bytes"] == seen["process.memory.rss_bytes"]
    assert seen["process.threads"] in (before, me.num_threads())  # one of others may have ended
    assert seen["process.descriptors.open"] == pytest.approx(
        len(list(Path("/proc/self/fd").iterdir())), abs=3
    )
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert seen["process.descriptors.fullest_percent"] == pytest.approx(
        100 * seen["process.descriptors.open"] / limit
    )
    assert seen["process.workers"] == 1


def test_cpu_and_collections_are_counted() -> None:
    """What was burnt between two runs is what is published."""
    process = Process()
    wall = time.perf_counter()
    testing.collected(process)
    begin = time.process_time()
    while time.process_time() - begin < 0.2:
        sum(range(1_000))
    for _ in range(3):
        gc.collect()
    taken = testing.collected(process)
    wall = time.perf_counter() - wall
    cpu_ms = taken["process.cpu.user_ms"] + taken["process.cpu.system_ms"]
    assert 150 <= cpu_ms <= 2_000
    assert taken["process.gc.collections"] >= 3
    assert taken["process.gc.pause_ms"] >= taken["process.gc.longest_ms"] > 0
    share = 0.1 * cpu_ms / wall  # per cent; little of it, when the machine is busy
    assert taken["process.cpu.busiest_percent"] == pytest.approx(share, rel=0.5)
    seen = process.seen
    assert seen["started"] == psutil.Process().create_time()
    assert seen["gc_ms"] > 0


def test_the_machine_is_seen_as_the_system_sees_it(tmp_path: Path) -> None:
    """Memory, load, cores and the data directory's partition; the directory need not be there."""
    seen = collected(Host(tmp_path), per_worker=False)
    assert seen["host.memory.total_bytes"] == psutil.virtual_memory().total
    assert seen["host.memory.used_bytes"] < seen["host.memory.total_bytes"]
    assert seen["host.load.1m"] == pytest.approx(os.getloadavg()[0], abs=1)
    assert seen["host.cpu.cores"] == os.cpu_count()
    assert seen["host.disk.total_bytes"] == psutil.disk_usage(str(tmp_path)).total
    for kind in ("user", "system", "idle"):
        assert seen[f"host.cpu.{kind}_ms"] >= 0
    without = collected(Host(tmp_path / "missing"), per_worker=False)
    assert "host.disk.used_bytes" not in without
    assert "host.memory.used_bytes" in without


@pytest.mark.parametrize("error", [OSError("no /proc"), RuntimeError("odd"), AttributeError("x")])
def test_what_a_system_does_not_tell_is_left_out(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is published."""

    def refuse(*given: Any, **named: Any) -> Any:
        raise error

    for name in ("disk_io_counters", "net_io_counters", "swap_memory", "getloadavg"):
        monkeypatch.setattr(psutil, name, refuse)
    seen = collected(Host(tmp_path), per_worker=False)
    assert "host.memory.used_bytes" in seen
    assert not [path for path in seen if "network" in path or "load" in path]


@pytest.mark.parametrize(
    ("make", "per_worker"), [(lambda _: Process(), True), (Host, False)], ids=["process", "host"]
)
def test_a_run_costs_little(
    make: Callable[[Path], Collector], per_worker: bool, tmp_path: Path
) -> None:
    """Less than a tenth of a per cent of one core at the default interval, by far."""
    collector = make(tmp_path)
    collected(collector, per_worker)
    runs = 50
    begin = time.thread_time()
    for _ in range(runs):
        collector.collect()
    assert (time.thread_time() - begin) / runs < ALLOWED_S / 2


def test_pauses_are_watched_as_long_as_somebody_cares() -> None:
    """The callback goes with its owner."""

    class Owner:
        pass

    gc.collect()  # so that none is due of itself
    owner, pauses, before = Owner(), GcPauses(), len(gc.callbacks)
    pauses.watch_for(owner)
    gc.collect()
    assert pauses.collections == 1
    assert pauses.take_longest_s() == pauses.pause_s > 0
    assert pauses.take_longest_s() == 0
    del owner
    assert len(gc.callbacks) == before
    gc.collect()
    assert pauses.collections == 1


def group(directory: Path, **files: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cgroup.controllers").write_text("cpu memory\n")
    for name, text in files.items():
        (directory / name.replace("_", ".")).write_text(text)
    return directory


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cgroup file system, and below it the file that says where the process is."""
    (tmp_path / "own").write_text("0::/app/web\n")
    return group(tmp_path / "cgroup")


def test_a_containers_limits_are_read(root: Path) -> None:
    """As memory.max and cpu.max say; what the kernel can drop at once is not in use."""
    group(
        root / "app" / "web",
        memory_max=f"{512 * MB}\n",
        memory_current=f"{300 * MB}\n",
        memory_stat=f"anon 1\ninactive_file {100 * MB}\nactive_file 5\n",
        cpu_max="150000 100000\n",
        cpu_stat="usage_usec 5\nthrottled_usec 2500\n",
    )
    group(root / "app")
    seen = container.read(root, root.parent / "own")
    assert seen == container.Container(200.0 * MB, 512.0 * MB, 1.5, 2.5)


def test_the_tightest_limit_above_holds(root: Path) -> None:
    """A pod's or a service's limit may stand on a higher level; use is measured where it stands."""
    group(root / "app" / "web", memory_max="max\n", memory_current="5\n", cpu_max="max 100000\n")
    group(root / "app", memory_max="1000\n", memory_current="900\n", cpu_max="50000 100000")
    seen = container.read(root, root.parent / "own")
    assert seen == container.Container(900.0, 1000.0, 0.5, None)


@pytest.mark.parametrize(
    "own",
    ["", "4:memory:/old\n", "0::/../../up\n", "0::/gone\n", "garbage\0\n", "0::/app/web\n"],
)
def test_without_cgroup_v2_nothing_is_told(own: str, root: Path) -> None:
    """Version 1, a path out of sight, files that are not there: no limit, no error."""
    (root.parent / "own").write_text(own)
    (root / "cgroup.controllers").unlink()
    assert container.read(root, root.parent / "own") == container.Container()
    assert container.read(root, root.parent / "missing") == container.Container()


@pytest.mark.parametrize("text", ["max", "", "x y", "0 0", "100000 0", "-5 100000", "1e9"])
def test_odd_limits_are_no_limits(text: str, root: Path) -> None:
    """Whatever a kernel to come may write there."""
    group(root / "app" / "web", memory_max=text, cpu_max=text)
    seen = container.read(root, root.parent / "own")
    assert seen.memory_limit_bytes is None
    assert seen.cpu_limit is None


def test_importing_the_package_loads_no_collector() -> None:
    """Nor does asking for the class load psutil: that comes with the first sample."""
    import subprocess

    script = (
        "import sys, inapp_monitor\n"
        "assert 'inapp_monitor.collectors' not in sys.modules\n"
        "from inapp_monitor import Collector\n"
        "assert Collector.__module__ == 'inapp_monitor.collectors.base'\n"
        "assert not {'psutil', 'importlib.metadata', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
