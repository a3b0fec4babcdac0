"""What the store costs a process that has it: memory, descriptors, threads, modules."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc

import pytest

from inapp_monitor.ground.points import Batch, Method, Scalar
from tests.store.conftest import Bench


def test_ten_thousand_series_take_less_than_30_mb(bench: Bench) -> None:
    """Names, places and a full write buffer together."""
    bench.settings["disk_budget"] = 2**40
    names = [f"host{n // 100}.metric{n % 100}.count" for n in range(10_000)]
    tracemalloc.start()
    try:
        store = bench.open()
        for _ in range(3):
            store.add(Batch([Scalar(n, int(bench.now), 1.0, Method.SUM) for n in names], []))
            store.flush()
            bench.wait(10)
        assert tracemalloc.get_traced_memory()[0] < 30 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_is_flat_over_days(bench: Bench) -> None:
    """Days of flushes, one every ten minutes, leave nothing behind."""
    names = [f"n{number}" for number in range(30)]

    def live(rounds: int) -> int:
        for _ in range(rounds):
            points = [Scalar(name, int(bench.now), 1.0, Method.SUM) for name in names]
            bench.store.add(Batch(points, []))
            bench.observe("time", [1.0, 2.0])
            bench.store.flush()
            bench.wait(600)
        return tracemalloc.get_traced_memory()[0]

    live(20)
    tracemalloc.start()
    try:
        first = live(144)
        last = live(144 * 3)
    finally:
        tracemalloc.stop()
    assert last - first < 100_000


def test_no_thread_is_left(bench: Bench) -> None:
    """Syncing several files starts no thread that stays."""
    bench.settings["sync_interval_s"] = 0
    store = bench.open()
    before = set(threading.enumerate())
    for number in range(5):
        bench.observe(f"t{number}", [1.0], store=store)
    store.flush()
    assert set(threading.enumerate()) <= before


def test_what_it_imports() -> None:
    """The store needs the standard library only, and loads nothing for operators."""
    code = (
        "import sys\n"
        "import inapp_monitor.store.series\n"
        "assert not {'numpy', 'jinja2', 'pygal', 'sqlite_utils'} & set(sys.modules)\n"
        "late = {'maintenance', 'check', 'whisper_import', 'whisper_export'}\n"
        "assert not {f'inapp_monitor.store.series.{name}' for name in late} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
