"""Several processes on one directory: no count is lost, whoever dies."""

from __future__ import annotations

import os
import random
import select
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inapp_monitor.histogram import Histogram
from inapp_monitor.points import Batch, Method, Scalar
from tests.store.conftest import START, Bench

NAMES = [f"n{number}" for number in range(50)]
_COUNT = struct.Struct("<q")


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


def increments(bench: Bench, total: int, chunk: int) -> Callable[[int], None]:
    """Add one to each of fifty series in turn; after each flush say how many are on disk."""

    def run(out: int) -> None:
        store = bench.open()
        done = 0
        while done < total:
            some = min(chunk, total - done)
            per_name, rest = divmod(some, len(NAMES))
            points = [
                Scalar(name, START, float(per_name + (number < rest)), Method.SUM)
                for number, name in enumerate(NAMES)
            ]
            store.add(Batch([p for p in points if p.value], []))
            store.flush()
            while store.status().buffered:
                store.flush()
            done += some
            os.write(out, _COUNT.pack(done))

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


def total(bench: Bench) -> float:
    """Everything counted, as a process that only reads sees it."""
    answers = bench.open(read_only=True).fetch(NAMES, START - 60, START, START)
    return sum(value for answer in answers for value in answer.values if value == value)


def test_eight_processes_lose_nothing(bench: Bench) -> None:
    """Eight processes add to fifty series while another reads: the totals grow, and are exact."""
    each = int(os.environ.get("INAPP_TEST_INCREMENTS", "200000"))
    children = [child(increments(bench, each, 500)) for _ in range(8)]
    seen = 0.0
    for pid, reader in children:
        ended = 0
        while not ended:
            now = total(bench)
            assert now >= seen, "a reader saw a count shrink"
            seen = now
            ended, status = os.waitpid(pid, os.WNOHANG)
        assert os.waitstatus_to_exitcode(status) == 0
        os.close(reader)
    assert total(bench) == 8 * each


def test_killed_processes_lose_only_what_was_not_acknowledged(bench: Bench) -> None:
    """With one process killed again and again, every total stays between acknowledged and sent."""
    steady = [child(increments(bench, 20_000, 500)) for _ in range(2)]
    chance = random.Random(7)
    lowest = highest = 0
    for _ in range(12):
        pid, reader = child(increments(bench, 10**9, 500))
        time.sleep(chance.uniform(0.02, 0.15))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        done = acknowledged(reader)
        os.close(reader)
        lowest += done
        highest += done + 500
        assert total(bench) >= lowest
    for pid, reader in steady:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os.close(reader)
    assert lowest + 40_000 <= total(bench) <= highest + 40_000
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
        other = bench.open()
        other._lock.acquire()
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
        places = bench.store._buffer
        rings = places.series["a"].group if series == "a" else places.distributions["t"]
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

        monkeypatch.setattr("inapp_monitor.store.rings.sleep", finish)
        write(whole[:20] + b"half" + whole[24:])
        now = START
        if series == "a":
            assert bench.get("a", store=other) == {START: 1}
        else:
            found = other.fetch_distribution("t", now - 60, now, now)
            assert found is not None and found.slots[-1] == Histogram.of([1.0])
    assert len(pauses) == 6
