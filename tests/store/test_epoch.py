"""What a process remembers of its own writes, and when it must not rely on that."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

import pytest

from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.store.lock import StoreLock
from tests.store.conftest import START, Bench


def turn(lock: StoreLock) -> int:
    """Take the lock once; the epoch that it is in."""
    lock.acquire()
    lock.release()
    return lock.epoch


def test_an_epoch_lasts_while_nobody_else_takes_the_lock(tmp_path: Path) -> None:
    """It changes after another's turn, after the file was made anew, and after closing."""
    mine, other = StoreLock(tmp_path / "lock"), StoreLock(tmp_path / "lock")
    first = turn(mine)
    assert turn(mine) == first
    turn(other)
    assert turn(mine) == first + 1
    assert turn(mine) == first + 1
    (tmp_path / "lock").unlink()
    assert turn(mine) == first + 2
    mine.close()
    assert turn(mine) == first + 3


def test_the_generation_of_a_file_without_turns_is_read(tmp_path: Path) -> None:
    """A lock file of eight bytes holds a generation only."""
    (tmp_path / "lock").write_bytes((7).to_bytes(8, "little"))
    lock = StoreLock(tmp_path / "lock")
    lock.acquire()
    assert lock.generation() == 7
    lock.set_generation(8)
    assert lock.generation() == 8
    lock.release()
    assert lock.generation() == 8
    assert (tmp_path / "lock").read_bytes() == struct.pack("<QQQ", 8, 0, 1)


def is_free(path: Path) -> bool:
    """Whether another process could take the lock at once."""
    pid = os.fork()
    if pid == 0:
        try:
            with path.open("r+b") as file:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_turn_that_cannot_be_noted_is_none(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the lock file cannot be written, nothing else is, and points wait."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    bench.put("a", 1)
    bench.store.flush()
    group = next((bench.data_dir / "store").glob("group-*"))
    before = group.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("inapp_monitor.store.lock.os.pwrite", refuse)
        bench.put("a", 1)
        bench.store.flush()
        assert group.read_bytes() == before
    assert is_free(bench.data_dir / "store" / "lock")
    bench.wait(60)
    bench.store.flush()
    assert bench.total("a", store=bench.open()) == 2


def test_own_rows_are_not_read_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within an epoch a flush into the same interval reads nothing but the lock file."""
    ones = Batch([Scalar(f"n{n}", START, 1.0, Method.SUM) for n in range(20)], [])
    for _ in range(3):
        bench.store.add(ones)
        bench.store.flush()
    reads: list[str] = []
    read = "inapp_monitor.store.files.DiskFile.read"
    monkeypatch.setattr(read, lambda file, *_: reads.append(file.path.name))
    bench.store.add(ones)
    bench.store.flush()
    monkeypatch.undo()
    assert reads == []
    assert bench.total("n0") == 4


def test_what_another_process_wrote_in_between_is_added_to(bench: Bench) -> None:
    """Two processes that write in turn, for minutes: every interval has the points of both."""
    other = bench.open()
    for _ in range(40):
        for store in (bench.store, bench.store, other):
            bench.put("sum", 1, store=store)
            bench.put("average", 4, method=Method.AVERAGE, store=store)
            store.flush()
        bench.wait(5)
    for store in (bench.store, other, bench.open()):
        assert bench.total("sum", store=store) == 120
        assert set(bench.get("average", store=store).values()) == {4.0}
        sums = bench.get("sum", back=40_000, store=store)
        assert sum(sums.values()) == 120
        assert set(list(sums.values())[:-1]) <= {36.0, 6.0, 3.0}
