"""Any damage anywhere: reading and writing go on, and a repair leaves a sound store."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.ground.points import Method
from inapp_monitor.store.check import check_directory
from inapp_monitor.store.retention import Retention
from tests.store.conftest import START, Bench

RETENTION = "10s:2m,30s:10m,1m:1h"
ROUNDS = 15
FILES = ("group-000001", "dist-000002", "lock")
#: Where something is: heads, state, table or slots, rows of each archive.
OFFSETS = st.one_of(st.integers(0, 300), st.integers(4_096, 4_300), st.integers(8_192, 80_000))
DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(FILES),
        st.sampled_from(["flip", "zero", "noise", "cut"]),
        OFFSETS,
        st.integers(1, 3_000),
    ),
    min_size=1,
    max_size=4,
)


def live(bench: Bench, rounds: int) -> None:
    """A sum, an average and a distribution."""
    for _ in range(rounds):
        bench.put("sum", 1)
        bench.put("avg", 3, method=Method.AVERAGE)
        bench.observe("time", [1.0, 9.0])
        bench.store.flush()
        bench.wait(10)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with some minutes in it."""
    bench = Bench(
        tmp_path_factory.mktemp("pristine") / "data",
        retention=RETENTION,
        distribution_retention=RETENTION,
    )
    live(bench, ROUNDS)
    bench.store.close()
    return bench.data_dir


def hurt(path: Path, how: str, offset: int, length: int) -> None:
    """Change a file."""
    size = path.stat().st_size
    offset %= max(size, 1)
    if how == "cut":
        os.truncate(path, offset)
        return
    with path.open("r+b") as handle:
        handle.seek(offset)
        old = handle.read(1 if how == "flip" else min(length, size - offset))
        handle.seek(offset)
        if how == "flip":
            handle.write(bytes(byte ^ 0x40 for byte in old))
        else:
            handle.write(bytes(len(old)) if how == "zero" else os.urandom(len(old)))


def read_all(bench: Bench) -> None:
    """Every archive of everything; what is wrong must not be seen as a value of this data."""
    now = int(bench.now)
    for archive in Retention.parse(RETENTION).archives:
        start = now - archive.retention
        for answer in bench.store.fetch(["sum", "avg"], start, now, now):
            known = [value for value in answer.values if value == value]
            if answer.path == "avg":
                assert all(value == 3 for value in known)
            else:
                assert all(0 < value <= archive.step / 10 for value in known)
        found = bench.store.fetch_distribution("time", start, now, now)
        if found is not None:
            for slot in found.slots:
                assert slot is None or set(slot.buckets) == {0x3F80, 0x4110}


@settings(max_examples=15, deadline=None)
@given(damage=DAMAGE, running=st.booleans())
def test_any_damage(
    pristine: Path,
    tmp_path_factory: pytest.TempPathFactory,
    damage: list[tuple[str, str, int, int]],
    running: bool,
) -> None:
    """Bits flip, blocks turn to zeros or noise, ends are cut, before a start or under a process."""
    data_dir = tmp_path_factory.mktemp("damage") / "data"
    shutil.copytree(pristine, data_dir)
    bench = Bench(data_dir, retention=RETENTION, distribution_retention=RETENTION)
    bench.now = START + ROUNDS * 10
    if running:
        bench.store.leaves()
    for name, how, offset, length in damage:
        hurt(data_dir / "store" / name, how, offset, length)
    read_all(bench)
    live(bench, 3)
    read_all(bench)
    assert bench.store.status().fault == ""
    assert {"store flush", "store add"}.isdisjoint(bench.guard.faults)
    problems = check_directory(data_dir, bench.now, repair=True).problems
    assert all(problem.repaired for problem in problems), problems
    assert check_directory(data_dir, bench.now).problems == []
    bench.store.close()
    bench.store = bench.open()
    live(bench, 7)
    read_all(bench)
    latest = bench.get("sum", back=60)
    assert latest == dict.fromkeys(range(int(bench.now) - 50, int(bench.now), 10), 1)
    bench.store.close()
    shutil.rmtree(data_dir.parent)
