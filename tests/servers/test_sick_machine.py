"""The machine refuses something while requests go on: they stay fast, and every one is counted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: What the 99th percentile of requests may take more than without the fault.
MORE_MS = 5.0
#: What it may take where requests do the work of the thread in pieces: on a busy machine, where all
#: of that at once takes longer, three quarters of it. Loading the parts, once, is not looked at;
#: where there is no memory for it, it is tried every few seconds.
WITH_WORK_MS, OF_A_WHOLE_TICK, WITH_LOADING_MS = 5.0, 0.75, 20.0
ROOT = Path(__file__).parents[2]
#: The fault, what the status page shows meanwhile, and what it shows until the process ends.
CASES = {
    "nothing": ("", ""),
    "read-only": ("Read-only file system", ""),
    "no locks": ("No locks available", ""),
    "slow disk": ("", ""),
    "no threads": ("can't start new thread", "background thread (requests do its work)"),
    "address space": ("loading the parts", "background thread (requests do its work)"),
}
#: Tried once in a while only, and shown until then.
RARE = {"rows of workers"}


def run(fault: str, data_dir: Path) -> dict[str, Any]:
    """What the script saw; it fails when an exception reaches a request."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.servers.sick_machine", fault, str(data_dir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize("fault", CASES)
def test_requests_stay_fast_and_are_all_counted(fault: str, tmp_path: Path) -> None:
    """The page shows what is refused and, once it is not any more, only what is still so."""
    shown, left = CASES[fault]
    seen = run(fault, tmp_path / "data")
    assert seen["stored"] == seen["sent"]
    assert not any(seen["dropped"].values())
    before_ms = seen["p99_before_ms"]
    if before_ms is not None:
        assert seen["p99_ms"] <= before_ms + MORE_MS
    else:
        least_ms = WITH_LOADING_MS if fault == "address space" else WITH_WORK_MS
        assert seen["p99_ms"] <= max(least_ms, OF_A_WHOLE_TICK * seen["whole_tick_ms"])
    assert shown in str(seen["faults"])
    assert bool(seen["faults"]) == bool(shown)
    assert set(seen["left"]) - RARE == ({left} if left else set())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small ext4 of its own."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("needs root and mkfs.ext4")
    image, directory = tmp_path / "image", tmp_path / "disk"
    with image.open("wb") as handle:
        handle.truncate(32 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    directory.mkdir()
    done = subprocess.run(["mount", "-o", "loop", image, directory], capture_output=True)
    if done.returncode:
        pytest.skip(f"cannot mount a file: {done.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


@pytest.mark.slow
def test_a_disk_that_goes_read_only_under_open_files_and_is_replaced(disk: Path) -> None:
    """Nothing is lost, although the files that were open stay on the disk that refuses."""
    seen = run("broken disk", disk / "data")
    assert seen["stored"] == seen["sent"]
    assert not any(seen["dropped"].values())
    assert seen["p99_ms"] <= seen["p99_before_ms"] + MORE_MS
    # Writing is refused; a sync of what was written before tells that the disk lost it.
    refusals = ("Read-only file system", "Input/output error")
    assert any(refusal in seen["faults"]["store"] for refusal in refusals)
    assert set(seen["left"]) <= RARE
