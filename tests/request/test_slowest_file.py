"""The slowest requests of all workers: merged, bounded, still there after a restart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.recorder.slowest import KEPT, MAX_AGE_S, Slow
from inapp_monitor.request import slowest_file
from inapp_monitor.request.slowest_file import (
    FILE_NAME,
    INTERVAL_S,
    SlowRequests,
    as_rows,
    stored,
)
from inapp_monitor.testing import FakeClock

NOW = 1_700_000_000.0
GET = ("checkout", "GET")


class Worker:
    """One process's slow requests over a shared directory."""

    def __init__(self, data_dir: Path, clock: FakeClock) -> None:
        self.clock = clock
        self.recorder = Recorder(
            clock, max_routes=9, max_series=9, max_pending=9, strict=False, first_use=lambda: None
        )
        self.shared = SlowRequests(
            data_dir, clock, self.recorder, lambda text: text.replace("secret", "***")
        )

    def answer(self, ms: float, path: str = "/checkout", key: tuple[str, str] = GET) -> None:
        entry = Slow(ms, path, self.clock.wall() - ms / 1000, "200 OK", "abc" if ms > 900 else None)
        self.recorder.slowest.offer(key, entry)

    def durations(self) -> list[object]:
        return [row["ms"] for row in self.shared.rows()]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(wall=NOW)


def test_all_workers_see_the_slowest_of_all(tmp_path: Path, clock: FakeClock) -> None:
    """Of what two workers answered the few slowest remain, each once, slowest first."""
    first, second = Worker(tmp_path, clock), Worker(tmp_path, clock)
    given = [950.0 - 100.0 * n for n in range(KEPT - 2)]
    for ms in given:
        first.answer(ms)
        second.answer(ms + 10)
    expected = sorted([*given, *(ms + 10 for ms in given)], reverse=True)[:KEPT]
    first.shared.share()
    second.shared.share()
    for worker in (first, second):
        assert worker.durations() == expected
    row = first.shared.rows()[0]
    assert row == {
        "slug": "checkout", "method": "GET", "ms": 960.0, "path": "/checkout",
        "started": NOW - 0.96, "status": "200 OK", "issue": "abc",
    }  # fmt: skip


def test_they_outlive_their_worker(tmp_path: Path, clock: FakeClock) -> None:
    """The next process shows them, also one that only reads; after an hour nobody does."""
    worker = Worker(tmp_path, clock)
    worker.answer(700.0)
    worker.shared.share()
    assert Worker(tmp_path, clock).durations() == [700.0]
    assert [row["ms"] for row in as_rows(stored(tmp_path, clock.wall()))] == [700.0]
    clock.advance(MAX_AGE_S + 1)
    assert Worker(tmp_path, clock).durations() == []


def test_what_is_old_leaves_the_file(tmp_path: Path, clock: FakeClock) -> None:
    """The next merge drops routes that were not slow for an hour."""
    worker = Worker(tmp_path, clock)
    worker.answer(700.0, key=("old", "GET"))
    worker.shared.share()
    clock.advance(MAX_AGE_S + 1)
    worker.answer(10.0, key=("new", "POST"))
    worker.shared.share()
    (line,) = (tmp_path / FILE_NAME).read_bytes().splitlines()
    assert line.startswith(b"new\tPOST\t")


def test_secrets_do_not_reach_the_disk(tmp_path: Path, clock: FakeClock) -> None:
    """Paths are cleaned, and bytes of a client are read as the text they mean."""
    worker = Worker(tmp_path, clock)
    worker.answer(5.0, path="/reset/secret/caf\xc3\xa9")
    assert worker.shared.rows()[0]["path"] == "/reset/***/café"
    worker.shared.share()
    assert b"secret" not in (tmp_path / FILE_NAME).read_bytes()
    assert len(worker.shared.rows()) == 1


def test_sharing_is_rare_and_waits_for_nobody(tmp_path: Path, clock: FakeClock) -> None:
    """Nothing new, or shared a moment ago, or another worker is at it: the file stays as it is."""
    worker = Worker(tmp_path, clock)
    worker.shared.share()
    assert not (tmp_path / FILE_NAME).exists()
    worker.answer(1.0)
    worker.shared.share()
    worker.answer(2.0)
    worker.shared.share()
    assert len(stored(tmp_path, NOW)[GET]) == 1
    worker.shared.share(at_once=True)
    assert len(stored(tmp_path, NOW)[GET]) == 2


def test_a_busy_lock_is_tried_again(tmp_path: Path, clock: FakeClock) -> None:
    """News are kept while another process merges its own."""
    code = (
        "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.lockf(f,fcntl.LOCK_EX);"
        "print('held',flush=True); sys.stdin.readline()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "slowest.lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    worker = Worker(tmp_path, clock)
    worker.answer(1.0)
    worker.shared.share()
    assert not (tmp_path / FILE_NAME).exists()
    holder.communicate("go\n")
    clock.advance(INTERVAL_S)
    worker.shared.share()
    assert stored(tmp_path, NOW)[GET]


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe\tGET\t1\t[]\n",
        b"checkout\tGET\tsoon\t[[1]]\n",
        b"checkout\tGET\t1700000000\t{\n",
        b"checkout\tGET\t1700000000\t[[1,2,3,4,5,6]]\nhalf a li",
        b"\n\n\t\t\t\n",
        b"[" * 100_000 + b"\n",
        b"checkout\tGET\t1700000000\t" + b"[" * 100_000 + b"\n",
    ],
)
def test_a_damaged_file_heals(damage: bytes, tmp_path: Path, clock: FakeClock) -> None:
    """What cannot be read is passed over; the next merge writes what is sound."""
    (tmp_path / FILE_NAME).write_bytes(damage)
    worker = Worker(tmp_path, clock)
    worker.answer(3.0)
    assert worker.durations() == [3.0]
    worker.shared.share()
    assert Worker(tmp_path, clock).durations() == [3.0]


def test_the_file_is_bounded(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past its size the routes that were slow longest ago go."""
    monkeypatch.setattr(slowest_file, "MAX_SIZE_BYTES", 2_000)
    worker = Worker(tmp_path, clock)
    for number in range(50):
        clock.advance(10)
        worker.answer(1.0, path="/x" * 80, key=(f"route-{number}", "GET"))
    worker.shared.share()
    assert (tmp_path / FILE_NAME).stat().st_size <= 2_000
    kept = stored(tmp_path, clock.wall())
    assert ("route-49", "GET") in kept
    assert ("route-0", "GET") not in kept


def test_a_disk_that_refuses_keeps_the_news(tmp_path: Path, clock: FakeClock) -> None:
    """The error goes to the guard; later the same news are written."""
    (tmp_path / "data").write_text("in the way")
    worker = Worker(tmp_path / "data", clock)
    worker.answer(3.0)
    with pytest.raises(OSError, match="data"):
        worker.shared.share()
    (tmp_path / "data").unlink()
    worker.shared.share(at_once=True)
    assert json.loads((tmp_path / "data" / FILE_NAME).read_text().split("\t")[3])[0][0] == 3.0
