"""With numpy, and with the settled past kept, a read is what it is without either."""

from __future__ import annotations

import errno
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from inapp_monitor.ground.points import Method
from inapp_monitor.ground.ranges import ScalarRange
from inapp_monitor.store.groups import Group
from inapp_monitor.store.kept_columns import MOST_VALUES, KeptColumns, Settled
from inapp_monitor.store.retention import ArchiveWindow
from inapp_monitor.store.series import Store
from tests.store.conftest import START, Bench

RETENTION = "10s:20m,1m:3h,5m:1d"
METHODS = [Method.SUM, Method.AVERAGE, Method.MAX, Method.LAST]
NAMES = [f"s{number}" for number in range(20)]

Make = Callable[..., Bench]


@contextmanager
def without_numpy() -> Iterator[None]:
    """As in a process that has not loaded it."""
    kept = sys.modules.pop("numpy")
    try:
        yield
    finally:
        sys.modules["numpy"] = kept


def as_read_plainly(bench: Bench, *asked: int, names: list[str]) -> list[ScalarRange]:
    """By a store that has just been opened, a value at a time."""
    store = bench.open(read_only=True)
    try:
        with without_numpy():
            return store.fetch(names, *asked)
    finally:
        store.close()


def assert_same(bench: Bench, store: Store, *asked: int, names: list[str]) -> None:
    """Both give the same series, times and values."""
    found, expected = store.fetch(names, *asked), as_read_plainly(bench, *asked, names=names)
    assert [each[:4] for each in found] == [each[:4] for each in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(one.values), np.asarray(other.values))


def put_some(bench: Bench, chance: random.Random, store: Store) -> None:
    """Points of now, and late ones."""
    for number in chance.sample(range(20), 6):
        method = METHODS[number % 4]
        bench.put(NAMES[number], chance.randrange(1, 90), method=method, store=store)
    if chance.random() < 0.3:
        number, back = chance.randrange(20), chance.randrange(20_000)
        at = bench.now - back
        if at > START:
            bench.put(NAMES[number], 7, at=at, method=METHODS[number % 4], store=store)
    store.flush()


@pytest.mark.parametrize("seed", range(5))
def test_reads_are_as_without_numpy_and_without_what_is_kept(make_bench: Make, seed: int) -> None:
    """Rings that wrap, rows that are missing, late points, two processes, windows that slide."""
    bench, chance = make_bench(retention=RETENTION), random.Random(seed)
    other = bench.open()
    for _ in range(60):
        for _ in range(chance.randrange(1, 12)):
            put_some(bench, chance, chance.choice([bench.store, other]))
            bench.wait(chance.choice([1, 10, 10, 60, 60, 300]))
        if chance.random() < 0.05:
            bench.wait(chance.choice([1_500, 12_000]))
        other.flush()
        bench.store.flush()
        now = int(bench.now)
        names = [chance.choice(NAMES)] if chance.random() < 0.6 else NAMES
        length = chance.choice([1_200, 7_200, 10_800, 40_000])
        end = now - chance.choice([0, 0, 0, 3_000])
        assert_same(bench, bench.store, end - length, end, now, names=names)
    other.close()


def fill(bench: Bench, minutes: int) -> None:
    """A value of two series each minute."""
    for number in range(minutes):
        bench.put("s0", number, method=Method.SUM)
        bench.put("s1", number, method=Method.AVERAGE)
        bench.store.flush()
        bench.wait(60)


def test_damaged_rows_and_a_cut_file_are_as_without_numpy(make_bench: Make) -> None:
    """A row whose checksum does not match, rows of another time, and a file that ends early."""
    bench = make_bench(retention=RETENTION)
    fill(bench, 150)
    now = int(bench.now)
    file = bench.group_of("s0").file
    geometry = bench.group_of("s0").geometry
    assert file is not None and geometry is not None
    with file.path.open("r+b") as raw:
        for back, byte in ((600, 40), (660, 8), (5_000, 17)):
            at = now - back - (now - back) % 60
            raw.seek(geometry.row_offset(1, at) + byte)
            raw.write(b"\x5a\xa5")
    assert_same(bench, bench.open(), now - 10_000, now, now, names=["s0", "s1"])
    with file.path.open("r+b") as raw:
        raw.truncate(geometry.row_offset(1, now - 4_000) + 20)
    assert_same(bench, bench.open(), now - 10_000, now, now, names=["s0", "s1"])


def test_late_points_of_another_process_are_seen(make_bench: Make) -> None:
    """What is kept is read again after points came into the settled past."""
    bench = make_bench(retention=RETENTION)
    fill(bench, 150)
    other, now = bench.open(), int(bench.now)
    before = bench.get("s0", back=9_000)
    assert before == bench.get("s0", back=9_000)
    bench.put("s0", 1_000, at=now - 3_600, store=other)
    other.flush()
    after = bench.get("s0", back=9_000)
    assert sum(after.values()) == sum(before.values()) + 1_000
    assert_same(bench, bench.store, now - 9_000, now, now, names=["s0"])


def test_a_rollup_that_the_disk_refused_is_seen_by_others_when_it_is_made(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late point is on disk, its rollup is not: who keeps the coarse past reads it again."""
    bench = make_bench(retention=RETENTION)
    fill(bench, 150)
    other, now = bench.open(read_only=True), int(bench.now)
    before = bench.get("s0", back=9_000)
    group = bench.group_of("s0")
    write = type(group).write_row

    def fail(self: Group, archive: int, timestamp: int, row: Any) -> None:
        if archive:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        write(self, archive, timestamp, row)

    with monkeypatch.context() as patch:
        patch.setattr(Group, "write_row", fail)
        bench.put("s0", 1_000, at=now - 600)
        bench.store.flush()
    assert group.unfinished
    assert bench.get("s0", back=9_000, store=other) == before
    bench.wait(70)
    bench.put("s1", 1, method=Method.AVERAGE)
    bench.store.flush()
    assert not bench.store.status().fault
    after = bench.get("s0", back=9_070, store=other)
    assert sum(after.values()) == sum(before.values()) + 1_000
    other.close()


def test_a_rollup_that_is_still_to_come_is_seen(make_bench: Make) -> None:
    """Who has recorded nothing for a while rolls up late, and nobody says so."""
    bench = make_bench(retention=RETENTION)
    fill(bench, 100)
    bench.put("s0", 5)
    bench.store.flush()
    bench.wait(900)
    now = int(bench.now)
    reader = bench.open(read_only=True)
    for _ in range(2):
        assert_same(bench, reader, now - 40_000, now, now, names=["s0"])
    bench.put("s0", 6)
    bench.store.flush()
    assert_same(bench, reader, now - 40_000, now, now, names=["s0"])


def test_what_is_kept_is_bounded() -> None:
    """Charts of very many series do not add up; what was used last is still there."""
    kept, reads = KeptColumns(), []

    def read(since: int, part: Any) -> None:
        reads.append(since)
        part[:] = 1.0

    window = ArchiveWindow(0, 0, 100_000, 10)
    settled = Settled(before=90_000, past=1, now=100_000)
    for column in [*range(80), 79]:
        kept.fill("a group", window, [column], settled, np.empty((1, 10_000)), read)
        assert kept.size <= MOST_VALUES
    assert kept.size > MOST_VALUES // 2
    assert reads == [0] * 80 + [90_000]
