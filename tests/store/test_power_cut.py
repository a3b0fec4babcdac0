"""A power cut: what was not synced yet reaches the disk in any order, or not at all."""

from __future__ import annotations

import os
import random
import shutil
from collections import defaultdict
from pathlib import Path

import pytest

from inapp_monitor.store.check import check_directory
from inapp_monitor.store.retention import Retention
from tests.store.conftest import START, Bench, known

RETENTION = "10s:2m,30s:10m,1m:1h"
ARCHIVES = Retention.parse(RETENTION).archives
SYNC_INTERVAL_S = 30
SECTOR = 512
ROUNDS = 30
CUTS = 4


class WriteLog:
    """The contents that each sector of each file had since its file was last synced."""

    def __init__(self) -> None:
        self.sectors: dict[int, dict[int, list[bytes]]] = defaultdict(dict)
        self._system = os.pwrite, os.fdatasync, os.fsync

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        """Write, and note what the sectors held before and after."""
        touched = range(offset // SECTOR, (offset + len(data) - 1) // SECTOR + 1)
        versions = self.sectors[os.fstat(fd).st_ino]
        for sector in touched:
            versions.setdefault(sector, [os.pread(fd, SECTOR, sector * SECTOR)])
        done = self._system[0](fd, data, offset)
        for sector in touched:
            versions[sector].append(os.pread(fd, SECTOR, sector * SECTOR))
        return done

    def fdatasync(self, fd: int) -> None:
        """From now on the file is on disk as it is."""
        self._system[1](fd)
        self.sectors.pop(os.fstat(fd).st_ino, None)

    def fsync(self, fd: int) -> None:
        """The same, or a directory."""
        self._system[2](fd)
        self.sectors.pop(os.fstat(fd).st_ino, None)

    def cut(self, data_dir: Path, target: Path, rng: random.Random) -> int:
        """Copy the directory as a power cut leaves it. Returns how many sectors are behind."""
        shutil.copytree(data_dir, target)
        behind = 0
        for path in filter(Path.is_file, data_dir.rglob("*")):
            with (target / path.relative_to(data_dir)).open("r+b") as handle:
                for sector, versions in self.sectors.get(path.stat().st_ino, {}).items():
                    chosen = rng.choice(versions)
                    behind += chosen != versions[-1]
                    handle.seek(sector * SECTOR)
                    handle.write(chosen)
        return behind


def assert_synced_is_there(bench: Bench, cut_at: int) -> None:
    """Each interval, of any archive, has what was recorded up to a sync interval before the cut."""
    now, safe = int(bench.now), cut_at - SYNC_INTERVAL_S
    for number, archive in enumerate(ARCHIVES):
        start = now - archive.retention
        (answer,) = bench.store.fetch(["sum"], start, now, now)
        assert answer.step == archive.step
        values = known(answer)
        times = bench.store.fetch_distribution("time", start, now, now)
        assert times is not None
        labels = range(times.start, times.end, times.step)
        counts = {at: slot.count for at, slot in zip(labels, times.slots, strict=True) if slot}
        for at in range(archive.floor(START), archive.floor(now), archive.step):
            if at <= archive.floor(start):
                continue
            made = [each for each in range(at, at + archive.step, 10) if START <= each <= cut_at]
            least = sum(each <= safe for each in made)
            where = (number, at - START, cut_at - START)
            assert least <= values.get(at, 0) <= len(made), where
            assert 2 * least <= counts.get(at, 0) <= 2 * len(made), where


@pytest.mark.slow
def test_a_power_cut_costs_the_sync_interval_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any moment, whichever of the sectors that were not synced had been written."""
    rng, log, behind = random.Random(1), WriteLog(), 0
    settings = {
        "retention": RETENTION,
        "distribution_retention": RETENTION,
        "sync_interval_s": SYNC_INTERVAL_S,
    }
    bench = Bench(tmp_path / "data", **settings)
    for name in ("pwrite", "fdatasync", "fsync"):
        monkeypatch.setattr(os, name, getattr(log, name))
    for number in range(ROUNDS):
        bench.put("sum", 1)
        bench.observe("time", [1.0, 9.0])
        bench.store.flush()
        cut_at = int(bench.now)
        for cut in range(CUTS if number >= SYNC_INTERVAL_S // 10 else 0):
            target = tmp_path / f"{number}-{cut}"
            behind += log.cut(bench.data_dir, target, rng)
            after = Bench(target, **settings)
            after.now = cut_at + 10
            for _ in range(7):  # until each archive's interval has ended
                after.put("other", 1)
                after.observe("other.time", [1.0])
                after.store.flush()
                after.wait(10)
            assert_synced_is_there(after, cut_at)
            assert after.store.status().fault == ""
            after.store.close()
            kinds = {each.kind for each in check_directory(target, after.now, repair=True).problems}
            assert kinds <= {"row", "table", "header"}
            assert check_directory(target, after.now).clean
            shutil.rmtree(target)
        bench.wait(10)
    assert behind > ROUNDS
