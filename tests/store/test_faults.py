"""Real faults: the app never notices, queries go on, and everything is on disk afterwards."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.ground.points import Method
from tests.store.conftest import START, Bench

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")


@contextlib.contextmanager
def mounted(directory: Path, options: str) -> Iterator[Path]:
    """A tmpfs of some size."""
    directory.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(directory)], capture_output=True
    )
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.decode().strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def use(bench: Bench, rounds: int, *names: str) -> None:
    """One count for each name every ten seconds, flushed at once."""
    for _ in range(rounds):
        for name in names:
            bench.put(name, 1)
            bench.observe(f"{name}.time", [5.0])
        bench.store.flush()
        bench.wait(10)


def totals(bench: Bench, name: str, **options: Any) -> tuple[float, int]:
    """What a reader sees: the sum, and how many values the distribution holds."""
    now = int(bench.now)
    store = options.get("store") or bench.store
    answer = store.fetch_distribution(f"{name}.time", now - 3_500, now, now)
    count = sum(slot.count for slot in answer.slots if slot) if answer else 0
    return bench.total(name, **options), count


def recover(bench: Bench) -> None:
    """Let the back-off pass, and flush."""
    bench.wait(100)
    bench.store.flush()
    assert bench.store.status().fault == ""


@as_root
def test_full_disk(tmp_path: Path) -> None:
    """On a full 2 MB disk all series keep every point; all are written when space returns."""
    with mounted(tmp_path / "small", "size=2m") as disk:
        bench = Bench(disk / "data")
        use(bench, 3, "old")
        hog = disk / "hog"
        with contextlib.suppress(OSError), hog.open("wb", buffering=0) as handle:
            while handle.write(bytes(4096)):
                pass
        use(bench, 30, "old", "new")
        status = bench.store.status()
        assert "No space" in status.fault
        assert status.buffered > 0
        assert totals(bench, "old") == (33, 33)
        assert totals(bench, "new") == (30, 30)
        assert {leaf.path for leaf in bench.store.leaves()} >= {"old", "new", "new.time"}
        hog.unlink()
        recover(bench)
        other = bench.open(read_only=True)
        assert totals(bench, "old", store=other) == (33, 33)
        assert totals(bench, "new", store=other) == (30, 30)
        assert bench.store.status().drops == {}
        bench.store.close()
        other.close()


@as_root
def test_read_only_remount(tmp_path: Path) -> None:
    """A disk that turns read-only is a pause, nothing else."""
    with mounted(tmp_path / "small", "size=8m") as disk:
        bench = Bench(disk / "data")
        use(bench, 3, "a")
        bench.store.close()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        use(bench, 5, "a", "b")
        assert "Read-only" in bench.store.status().fault
        assert totals(bench, "a") == (8, 8)
        assert totals(bench, "b") == (5, 5)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        recover(bench)
        assert totals(bench, "b", store=bench.open(read_only=True)) == (5, 5)
        bench.store.close()


@contextlib.contextmanager
def denied(directory: Path) -> Iterator[None]:
    """Nothing may be made in a directory; root, who may do everything, becomes somebody else."""
    directory.mkdir(mode=0o500)
    if os.geteuid() == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        directory.chmod(0o700)


def test_directory_without_permission(bench: Bench) -> None:
    """A directory that may not be written is a pause, nothing else."""
    with denied(bench.data_dir):
        use(bench, 5, "a")
        assert "Permission" in bench.store.status().fault
        assert totals(bench, "a") == (5, 5)
    recover(bench)
    assert totals(bench, "a", store=bench.open(read_only=True)) == (5, 5)


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Let one of the system's calls fail from now on."""

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"inapp_monitor.store.{name}", fail)


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("files.os.pwrite", errno.EIO),
        ("files.os.pwrite", errno.ENOSPC),
        ("files.os.posix_fallocate", errno.ENOSPC),
        ("files.os.fdatasync", errno.EIO),
        ("files.os.open", errno.EACCES),
        ("files.os.open", errno.EMFILE),
        ("files.os.pread", errno.EIO),
        ("lock.LockFile.acquire", errno.ENOLCK),
    ],
)
def test_a_call_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """Whatever call the system refuses: no exception, every point visible, all written later."""
    bench = Bench(tmp_path / "data", sync_interval_s=0)
    use(bench, 3, "old")
    if call == "files.os.open":
        bench.store.close()
    with monkeypatch.context() as patch:
        refuse(patch, call, number)
        use(bench, 20, "old", "new")
        assert bench.store.status().fault
        if call in ("files.os.pwrite", "lock.LockFile.acquire", "files.os.fdatasync"):
            assert totals(bench, "old") == (23, 23)
        assert totals(bench, "new") == (20, 20)
    recover(bench)
    for store in (bench.store, bench.open(read_only=True)):
        assert totals(bench, "old", store=store) == (23, 23)
        assert totals(bench, "new", store=store) == (20, 20)


def test_file_descriptors_run_out(tmp_path: Path) -> None:
    """With no descriptor left, points wait; they are written when one is free again."""
    bench = Bench(tmp_path / "data")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        use(bench, 5, "a")
        fault = bench.store.status().fault
        seen = totals(bench, "a")
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in fault
    assert seen == (5, 5)
    recover(bench)
    assert totals(bench, "a", store=bench.open(read_only=True)) == (5, 5)


def test_descriptors_stay_few(make_bench: Callable[..., Bench]) -> None:
    """Two hundred distributions do not take two hundred descriptors."""
    bench = make_bench(disk_budget=2**40, distribution_retention="10s:1h")
    for number in range(200):
        bench.observe(f"t{number}", [1.0])
    bench.store.flush()
    assert bench.store.status().descriptors <= 96
    bench.store.close()
    assert bench.store.status().descriptors == 0


def files_of(bench: Bench, kind: str) -> list[Path]:
    return sorted((bench.data_dir / "store").glob(f"{kind}-*[0-9]"))


def ruin_delete(path: Path) -> None:
    path.unlink()


def ruin_truncate(path: Path) -> None:
    os.truncate(path, 0)


def ruin_garbage(path: Path) -> None:
    with path.open("r+b") as handle:
        handle.write(os.urandom(9_000))


def ruin_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("ruin", "running"),
    [
        (ruin_delete, True),
        (ruin_delete, False),
        (ruin_truncate, True),
        (ruin_truncate, False),
        (ruin_garbage, False),  # a running process does not look at the header again
        (ruin_directory, True),
        (ruin_directory, False),
    ],
)
def test_a_file_is_ruined(bench: Bench, ruin: Callable[[Path], None], running: bool) -> None:
    """A ruined file is set aside or replaced, reported, and what comes next is stored."""
    use(bench, 3, "a")
    if not running:
        bench.store.close()
    for kind in ("group", "dist"):
        ruin(files_of(bench, kind)[0])
    if not running:
        bench.store = bench.open()
    before = int(bench.now)
    use(bench, 4, "a", "b")
    status = bench.store.status()
    assert status.fault == ""
    other = bench.open(read_only=True)
    now = int(bench.now)
    for name in ("a", "b"):
        values = {t: v for t, v in bench.get(name, store=other).items() if t >= before}
        assert values == dict.fromkeys(range(before, now, 10), 1.0)
    if ruin in (ruin_truncate, ruin_garbage):
        assert len(status.damaged) == 2
        assert len(list((bench.data_dir / "store").glob("*.bad-*"))) == 2


def test_a_cut_file_gets_its_size_back(bench: Bench) -> None:
    """A file that lost its end keeps what is left and goes on."""
    use(bench, 3, "a")
    path = files_of(bench, "group")[0]
    size = path.stat().st_size
    os.truncate(path, size // 2)
    use(bench, 3, "a")
    assert path.stat().st_size == size
    assert totals(bench, "a") == (6, 6)
    assert "cut" in bench.store.status().damaged[0]


def test_the_directory_is_deleted(bench: Bench) -> None:
    """A data directory that disappears is made again; what comes next is stored."""
    other = bench.open()
    use(bench, 3, "a")
    bench.put("a", 1, store=other)
    other.flush()
    shutil.rmtree(bench.data_dir)
    before = int(bench.now)
    use(bench, 3, "a")
    bench.put("a", 1, at=before, store=other)
    other.flush()
    values = bench.get("a", store=bench.open(read_only=True))
    assert {t: v for t, v in values.items() if t >= before} == {
        before: 2,
        before + 10: 1,
        before + 20: 1,
    }


def test_a_file_in_place_of_the_directory(bench: Bench) -> None:
    """A plain file named like the data directory is a pause, nothing else."""
    bench.data_dir.write_text("in the way")
    use(bench, 3, "a")
    assert "not a directory" in bench.store.status().fault.lower()
    assert totals(bench, "a") == (3, 3)
    bench.data_dir.unlink()
    recover(bench)
    assert totals(bench, "a", store=bench.open(read_only=True)) == (3, 3)


def test_the_file_size_never_changes(bench: Bench) -> None:
    """A file has its full size from its first moment."""
    use(bench, 1, "a")
    sizes = [path.stat().st_size for path in files_of(bench, "")]
    for _ in range(50):
        use(bench, 1, "a")
        bench.wait(3_000)
    assert [path.stat().st_size for path in files_of(bench, "")] == sizes


def test_hours_of_a_full_disk_are_written_when_it_ends(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited longer than the finest archive reaches goes into the coarser ones."""
    bench = make_bench(retention="10s:10m,1m:2h,10m:1d")
    use(bench, 3, "a")
    with monkeypatch.context() as patch:
        refuse(patch, "files.os.pwrite", errno.ENOSPC)
        for _ in range(360):
            bench.put("a", 1)
            bench.put("b", 1)
            bench.store.flush()
            bench.wait(10)
        assert bench.total("a", back=7_200) == 363
    recover(bench)
    other = bench.open(read_only=True)
    for store in (bench.store, other):
        assert bench.total("a", back=7_200, store=store) == 363
        assert bench.total("b", back=7_200, store=store) == 360
        assert bench.total("b", back=80_000, store=store) == 360
        assert bench.get("a", back=80_000, store=store)[START] == 60


def test_closing_tries_once_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends does not wait for the pause between two tries to pass."""
    with monkeypatch.context() as patch:
        refuse(patch, "lock.os.open", errno.ENOSPC)
        use(bench, 1, "a")
    bench.store.close()
    assert totals(bench, "a", store=bench.open(read_only=True)) == (1, 1)


def test_a_series_made_with_another_method_meanwhile(bench: Bench) -> None:
    """Two processes that name different methods: the first on disk wins, the rest is counted."""
    other = bench.open()
    bench.put("x", 1, method=Method.MAX)
    bench.put("x", 5, method=Method.SUM, store=other)
    bench.store.flush()
    other.flush()
    assert bench.get("x", store=other) == {START: 1}
    assert other.status().drops == {"other_method": 1}
    bench.put("x", 5, method=Method.SUM, store=other)
    other.flush()
    assert bench.get("x") == {START: 5}


def test_a_full_buffer_drops_the_oldest_and_counts_them(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound holds however long the disk refuses; drops are counted by reason."""
    bench = make_bench(buffer_size=2**16)
    refuse(monkeypatch, "files.os.open", errno.ENOSPC)
    refuse(monkeypatch, "lock.os.open", errno.ENOSPC)
    for _ in range(100):
        for number in range(50):
            bench.put(f"s{number}", 1)
        bench.store.flush()
        bench.wait(10)
    status = bench.store.status()
    assert status.buffered <= 2**16
    kept = sum(bench.total(f"s{number}") for number in range(50))
    assert status.drops == {"buffer_full": 5_000 - kept}
    assert bench.get("s0")[int(bench.now) - 10] == 1


def test_retries_pause_longer_each_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses is asked less and less often, at most a minute apart."""
    tries = []

    def fail(*_: object) -> int:
        tries.append(bench.clock.ticks)
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("inapp_monitor.store.lock.os.open", fail)
    for _ in range(600):
        bench.put("a", 1)
        bench.store.flush()
        bench.wait(1)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    pauses = [pause for pause in pauses if pause]
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == 60
    assert bench.guard.faults["store"].count == 1
