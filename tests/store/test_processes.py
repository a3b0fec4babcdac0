"""Several processes on one directory: no count is lost, whoever dies, and one of them leads."""

from __future__ import annotations

import os
import select
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.ground.workers.leader import Leadership
from inapp_monitor.store.lock import StoreLock
from tests.store.conftest import START, Bench

NAMES = [f"n{number}" for number in range(50)]
_COUNT = struct.Struct("<q")
#: How often a process adds one to each series before it flushes, by turns.
ROUNDS = (1, 10, 19)


def child(run: Callable[[int], None]) -> tuple[int, int]:
    """Fork; the child gets a pipe to report to. Returns its id and our end."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    status = 1
    try:
        os.close(reader)
        run(writer)
        status = 0
    finally:
        os._exit(status)


def increments(bench: Bench, total: int) -> Callable[[int], None]:
    """Add one to each of fifty series in turn; after each flush say how many are on disk."""

    def run(out: int) -> None:
        store = bench.open()
        ones = Batch([Scalar(name, START, 1.0, Method.SUM) for name in NAMES], [])
        done = 0
        for rounds in cycle(ROUNDS):
            for _ in range(rounds):
                if done < total:
                    store.add(ones)
                    done += len(NAMES)
            store.flush()
            while store.status().buffered:
                store.flush()
            os.write(out, _COUNT.pack(done))
            if done >= total:
                break

    return run


def acknowledged(reader: int) -> int:
    """The last count that a child reported."""
    last, data = 0, b""
    while select.select([reader], [], [], 0)[0]:
        some = os.read(reader, 65_536)
        if not some:
            break
        data += some
    whole = len(data) // _COUNT.size * _COUNT.size
    if whole:
        last = _COUNT.unpack(data[whole - _COUNT.size : whole])[0]
    return last


def by_name(bench: Bench) -> dict[str, float]:
    """What was counted, by series, as a process that only reads sees it."""
    answers = bench.open(read_only=True).fetch(NAMES, START - 60, START, START)
    return {each.path: sum(value for value in each.values if value == value) for each in answers}


def total(bench: Bench) -> float:
    """Everything that was counted."""
    return sum(by_name(bench).values())


class Killed:
    """One process after the other that adds without end, killed every 0.3 s.

    Attributes:
        acknowledged: What the dead ones had been told is on disk.
        sent: That, and what each of them may have been writing when it died.
        times: How many have died.
    """

    def __init__(self, bench: Bench) -> None:
        self.acknowledged = self.sent = self.times = 0
        self._bench = bench
        self._start()

    def _start(self) -> None:
        self._born = time.monotonic()
        self._pid, self._reader = child(increments(self._bench, 10**12))

    def tick(self) -> None:
        """Kill and replace it when it is old enough."""
        if time.monotonic() - self._born >= 0.3:
            self.kill()
            self._start()

    def kill(self) -> None:
        """End it the hard way."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        done = acknowledged(self._reader)
        os.close(self._reader)
        self.acknowledged += done
        self.sent += done + max(ROUNDS) * len(NAMES)
        self.times += 1


def watch(bench: Bench, children: list[tuple[int, int]], killed: Killed | None) -> None:
    """Read until all children have ended well: no count shrinks, none is below what was told."""
    told = dict.fromkeys((reader for _, reader in children), 0)
    running, seen = dict(children), 0.0
    while running:
        for reader in told:
            told[reader] = max(told[reader], acknowledged(reader))
        lowest = sum(told.values()) + (killed.acknowledged if killed else 0)
        now = total(bench)
        assert now >= lowest, "a count that was acknowledged is missing"
        assert now >= seen, "a reader saw a count shrink"
        seen = now
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                assert os.waitstatus_to_exitcode(status) == 0
                del running[pid]
        if killed is not None:
            killed.tick()
    for reader in told:
        os.close(reader)


@pytest.mark.slow
def test_eight_processes_lose_nothing(bench: Bench) -> None:
    """Eight add a quarter of a million each to fifty series while another reads: all arrive."""
    each = int(os.environ.get("INAPP_TEST_INCREMENTS", "250000"))
    children = [child(increments(bench, each)) for _ in range(8)]
    watch(bench, children, killed=None)
    assert total(bench) == 8 * each
    assert set(by_name(bench).values()) == {8 * each / len(NAMES)}


@pytest.mark.slow
def test_killed_processes_lose_only_what_was_not_acknowledged(bench: Bench) -> None:
    """The same while one more is killed every 0.3 s: between acknowledged and sent, at any time."""
    each = int(os.environ.get("INAPP_TEST_INCREMENTS", "250000"))
    children = [child(increments(bench, each)) for _ in range(8)]
    killed = Killed(bench)
    watch(bench, children, killed)
    killed.kill()
    per_name = by_name(bench)
    lowest, highest = (n / len(NAMES) for n in (killed.acknowledged, killed.sent))
    for name, count in per_name.items():
        assert 8 * each / len(NAMES) + lowest <= count, name
        assert count <= 8 * each / len(NAMES) + highest, name
    assert killed.times >= 3
    from inapp_monitor.store.check import check_directory

    assert check_directory(bench.data_dir, START).clean


def test_a_forked_child_starts_with_nothing(bench: Bench) -> None:
    """A child does not write what its parent has buffered, and both go on."""
    bench.put("a", 1)
    bench.store.flush()
    bench.put("a", 10)

    def run(_out: int) -> None:
        bench.put("a", 100)
        bench.store.flush()

    pid, reader = child(run)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(reader)
    bench.store.flush()
    assert bench.get("a") == {START: 111}


def test_a_child_forked_while_locks_are_held(bench: Bench) -> None:
    """Locks that other threads held at the moment of the fork do not stop the child."""
    bench.put("a", 1)
    bench.store.flush()

    def run(_out: int) -> None:
        signal.alarm(20)
        bench.put("a", 1)
        bench.store.flush()
        assert bench.get("a") == {START: 2}

    with bench.store._io_lock, bench.store._buffer.lock:
        pid, reader = child(run)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(reader)


def test_a_stopped_holder_of_the_lock_stops_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process keeps the lock for ever, points wait and the flush returns."""
    bench.put("a", 1)
    bench.store.flush()

    def run(out: int) -> None:
        StoreLock(bench.data_dir / "store" / "lock").acquire()
        os.write(out, b"x")
        signal.pause()

    pid, reader = child(run)
    os.read(reader, 1)
    monkeypatch.setattr("inapp_monitor.store.lock.sleep", lambda _seconds: None)
    bench.put("a", 1)
    bench.store.flush()
    assert bench.get("a") == {START: 2}
    assert bench.guard.faults == {}
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    bench.store.flush()
    assert bench.get("a", store=bench.open(read_only=True)) == {START: 2}


def test_the_last_flush_waits_until_others_have_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all workers end together, one has the lock for seconds: what is not written is lost."""
    bench.put("a", 1)
    bench.store.flush()
    bench.put("a", 1)
    other = StoreLock(bench.data_dir / "store" / "lock")
    other.acquire()
    waited_s = 0.0

    def wait(seconds: float) -> None:
        nonlocal waited_s
        waited_s += seconds
        if waited_s > 3:
            other.release()

    monkeypatch.setattr("inapp_monitor.store.lock.sleep", wait)
    bench.store.close()
    other.close()
    assert bench.get("a", store=bench.open(read_only=True)) == {START: 2}


def test_one_process_leads_until_it_dies(tmp_path: Path) -> None:
    """Only one is the leader; after a SIGKILL another takes over at its next tick."""

    def run(out: int) -> None:
        leadership = Leadership(tmp_path)
        os.write(out, b"1" if leadership.tick() else b"0")
        signal.pause()

    pid, reader = child(run)
    assert os.read(reader, 1) == b"1"
    mine = Leadership(tmp_path)
    assert not mine.tick()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    assert mine.tick()
    assert mine.is_leader


def test_a_child_of_the_leader_is_no_leader(tmp_path: Path) -> None:
    """Leadership is not inherited, and a child that ticks does not take it away."""
    mine = Leadership(tmp_path)
    assert mine.tick()

    def run(out: int) -> None:
        os.write(out, b"1" if mine.is_leader or mine.tick() else b"0")

    pid, reader = child(run)
    assert os.read(reader, 1) == b"0"
    os.waitpid(pid, 0)
    os.close(reader)
    assert mine.tick()


def test_a_leader_whose_file_is_deleted_stands_again(tmp_path: Path) -> None:
    """With the lock file gone, the old leader and a rival settle on one."""
    mine = Leadership(tmp_path)
    assert mine.tick()
    (tmp_path / "leader").unlink()

    def run(out: int) -> None:
        rival = Leadership(tmp_path)
        os.write(out, b"1" if rival.tick() else b"0")
        signal.pause()

    pid, reader = child(run)
    assert os.read(reader, 1) == b"1"
    assert not mine.tick()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    assert mine.tick()


def test_no_lock_no_leader(tmp_path: Path) -> None:
    """Where no lock is possible nobody leads, and the error names the file."""
    mine = Leadership(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="leader"):
        mine.tick()
    assert not mine.is_leader


def test_a_row_in_the_middle_of_being_written_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that meets half a row gives its writer some time to finish, once."""
    bench.put("a", 1)
    bench.observe("t", [1.0])
    bench.store.flush()
    other = bench.open(read_only=True)
    pauses: list[float] = []
    for kind, series in (("group", "a"), ("dist", "t")):
        path = next((bench.data_dir / "store").glob(f"{kind}-*"))
        rings = bench.group_of("a") if series == "a" else bench.distribution("t")
        offset = rings.offset(0, START)
        whole = path.read_bytes()[offset : offset + 400]

        def write(data: bytes, path: Path = path, offset: int = offset) -> None:
            with path.open("r+b", buffering=0) as file:
                file.seek(offset)
                file.write(data)

        def finish(seconds: float, whole: bytes = whole) -> None:
            pauses.append(seconds)
            if len(pauses) % 3 == 0:
                write(whole)

        monkeypatch.setattr("inapp_monitor.store.ring_file.sleep", finish)
        write(whole[:20] + b"half" + whole[24:])
        now = START
        if series == "a":
            assert bench.get("a", store=other) == {START: 1}
        else:
            found = other.fetch_distribution("t", now - 60, now, now)
            assert found is not None and found.slots[-1] == Histogram.of([1.0])
    assert len(pauses) == 6


def test_stores_of_one_process_lose_nothing(tmp_path: Path) -> None:
    """Apps behind a dispatcher share a directory, with a store and a thread each."""
    benches = [Bench(tmp_path / "data") for _ in range(4)]
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def use(bench: Bench) -> None:
        for _ in range(150):
            bench.put("hits", 1)
            bench.store.flush()

    threads = [threading.Thread(target=use, args=(bench,)) for bench in benches]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    for bench in benches:
        bench.store.close()
    assert benches[0].total("hits", store=benches[0].open()) == 600
