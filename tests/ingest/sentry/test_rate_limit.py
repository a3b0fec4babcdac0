"""The rate of a key holds for all workers together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inapp_monitor.ground.file_lock import LockFile
from inapp_monitor.ingest.sentry.rate_limit import FILE_NAME, SLOTS, RateLimit

KEY = "0123456789abcdef0123456789abcdef"
_WORKER = """
import sys
from pathlib import Path
from inapp_monitor.ingest.sentry.rate_limit import RateLimit
limit = RateLimit(Path(sys.argv[1]), tries=10**9)
print(sum(not limit.wait_s("k" * 32, 600, 1000.0) for _ in range(150)))
"""


def test_several_processes_share_a_bucket(tmp_path: Path) -> None:
    """Three workers accept together what one would, and the rate flows in once."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    accepted = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(accepted) == 300
    later = RateLimit(tmp_path)
    assert later.wait_s("k" * 32, 600, 1000.0) == 1
    assert [later.wait_s("k" * 32, 600, 1001.0) for _ in range(11)].count(0) == 10
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_process_that_overtakes_another_fills_no_bucket(tmp_path: Path) -> None:
    """Each reads the clock before it has the lock, so that time may seem to go back."""
    limit, other = RateLimit(tmp_path), RateLimit(tmp_path)
    accepted = 0
    for number in range(100):
        accepted += not limit.wait_s(KEY, 60, 1000.0 + number / 1e6)
        accepted += not other.wait_s(KEY, 60, 999.999 + number / 1e6)
    assert accepted == 30


def test_what_was_refused_is_refused_without_a_look_into_the_file(tmp_path: Path) -> None:
    """Until enough has flowed in: others only took from it meanwhile."""
    limit = RateLimit(tmp_path)
    while not limit.wait_s(KEY, 60, 1000.0):
        pass
    (tmp_path / FILE_NAME).write_bytes(b"")  # where a look would find a full bucket
    assert limit.wait_s(KEY, 60, 1000.9) == 1
    assert limit.wait_s(KEY, 60, 1001.0) == 0


def test_each_key_has_its_own(tmp_path: Path) -> None:
    """Also where there are more than the file has slots: the oldest begins again."""
    limit = RateLimit(tmp_path)
    for number in range(SLOTS + 50):
        assert limit.wait_s(f"key {number}", 60, 1000.0 + number) == 0
    assert (tmp_path / FILE_NAME).stat().st_size <= SLOTS * 24


@pytest.mark.parametrize("damage", [b"\xff" * 12_288, b"\0" * 12_288, b"x"])
def test_a_damaged_file_costs_at_most_the_level(tmp_path: Path, damage: bytes) -> None:
    """Whatever is in it, a key is limited."""
    (tmp_path / FILE_NAME).write_bytes(damage)
    limit = RateLimit(tmp_path)
    assert [limit.wait_s(KEY, 60, 1000.0) for _ in range(40)].count(0) == 30


def test_a_machine_that_was_started_again_begins_anew(tmp_path: Path) -> None:
    """Its clock is behind what the file says."""
    limit = RateLimit(tmp_path)
    while not limit.wait_s(KEY, 60, 50_000.0):
        pass
    assert RateLimit(tmp_path).wait_s(KEY, 60, 10.0) == 0


def test_a_worker_counts_alone_while_the_file_is_not_to_be_had(tmp_path: Path) -> None:
    """A process that was stopped holds the lock: nobody waits, and what was accepted is owed."""
    limit, other = RateLimit(tmp_path), LockFile(tmp_path / FILE_NAME)
    for _ in range(10):
        assert limit.wait_s(KEY, 60, 1000.0) == 0
    assert other.acquire(0, 1)
    assert [limit.wait_s(KEY, 60, 1000.0) for _ in range(30)].count(0) == 20
    other.close()
    assert limit.wait_s(KEY, 60, 1000.0) == 1
    assert RateLimit(tmp_path).wait_s(KEY, 60, 1000.0) == 1
    limit.forked()
    assert limit.wait_s(KEY, 60, 1001.5) == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_nobody_may_write_to(tmp_path: Path) -> None:
    """The rate holds for this process."""
    tmp_path.chmod(0o500)
    limit = RateLimit(tmp_path)
    assert [limit.wait_s(KEY, 60, 1000.0) for _ in range(40)].count(0) == 30


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    """The rate holds for this process."""
    limit = RateLimit(tmp_path / "gone")
    assert [limit.wait_s(KEY, 60, 1000.0) for _ in range(40)].count(0) == 30
