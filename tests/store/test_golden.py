"""Files that format 1 wrote once are read for ever, to the last digit."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from inapp_monitor.store.check import check_directory
from tests.store.conftest import START, Bench
from tests.store.make_golden import METHODS, RETENTION, TARGET, record


@pytest.fixture
def golden(tmp_path: Path) -> Bench:
    """The committed files, as a data directory."""
    directory = tmp_path / "golden" / "store"
    directory.mkdir(parents=True)
    for path in TARGET.glob("*.gz"):
        (directory / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    bench = Bench(tmp_path / "golden", retention=RETENTION, distribution_retention=RETENTION)
    bench.now = START + 3_600
    return bench


def test_format_1_is_read(golden: Bench, tmp_path: Path) -> None:
    """Every value of every archive of the committed files is what it was when it was recorded."""
    fresh = Bench(tmp_path / "fresh", retention=RETENTION, distribution_retention=RETENTION)
    record(fresh)
    now = START + 3_600
    assert golden.store.leaves() == fresh.store.leaves()
    paths = [f"golden.{method.name.lower()}" for method in METHODS] + ["golden.ünï"]
    for back in (600, 7_200, 86_400):
        ours = golden.store.fetch(paths, now - back, now, now)
        assert [(a.path, a.step, a.method) for a in ours] == [
            (a.path, a.step, a.method) for a in fresh.store.fetch(paths, now - back, now, now)
        ]
        for mine, theirs in zip(ours, fresh.store.fetch(paths, now - back, now, now), strict=True):
            assert list(mine.values) == pytest.approx(list(theirs.values), nan_ok=True)
            assert any(value == value for value in mine.values)
        slots = golden.store.fetch_distribution("golden.time", now - back, now, now)
        assert slots == fresh.store.fetch_distribution("golden.time", now - back, now, now)
        assert slots is not None and any(slots.slots)


def test_format_1_is_sound_and_goes_on(golden: Bench) -> None:
    """The committed files pass the check, and new points go into them."""
    assert check_directory(golden.data_dir, golden.now).clean
    golden.put("golden.sum", 5)
    golden.store.flush()
    assert golden.get("golden.sum", back=300)[START + 3_600] == 5
    assert len(list((golden.data_dir / "store").glob("group-*"))) == 1


def test_a_later_format_is_not_touched(golden: Bench) -> None:
    """A file of a version that this release does not know is left where it is, as it is."""
    path = next((golden.data_dir / "store").glob("group-*"))
    data = bytearray(path.read_bytes())
    data[8] = 2
    path.write_bytes(data)
    golden.put("golden.sum", 5)
    golden.store.flush()
    assert path.read_bytes() == bytes(data)
    assert golden.get("golden.sum", back=300) == {START + 3_600: 5}
    assert "version 2" in golden.store.status().damaged[0]
