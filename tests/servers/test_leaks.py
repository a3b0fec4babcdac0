"""Dozens of workers come and go: nothing grows in the process that they are forked from."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from .harness import Served, missing

CYCLES = 16
ROUNDS = 4
WORKERS = 4
OPTIONS = {
    "gunicorn preload": f"--max-requests 1 -w {WORKERS}",
    "uwsgi prefork": f"--max-requests 1 --min-worker-lifetime 0 --processes {WORKERS}",
}


def held(pid: int) -> tuple[int, int]:
    """Open descriptors and threads of a process."""
    process = Path(f"/proc/{pid}")
    return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))


def no_more(now: tuple[int, int], before: tuple[int, int]) -> bool:
    """Whether as much is held as before; one connection or worker may be on its way."""
    return now[0] <= before[0] + 1 and now[1] <= before[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_nothing_grows_in_the_master(name: str, tmp_path: Path) -> None:
    """Each worker answers one request and ends; the master holds what it held, and all count."""
    if missing(name):
        pytest.skip(missing(name))
    with Served(name, tmp_path, options=OPTIONS[name], FLUSH_S="60") as served:
        served.traffic(12)
        served.wait_for(lambda: len(served.children()) == WORKERS)
        before, workers = held(served.process.pid), set(served.children())
        for _ in range(4 * CYCLES // WORKERS):  # a worker that ends at once may never be seen
            served.traffic(2 * WORKERS)
            served.wait_for(lambda: len(served.children()) == WORKERS)
            workers |= set(served.children())
            if len(workers) > CYCLES:
                break
        served.wait_for(lambda: no_more(held(served.process.pid), before))
        served.wait_until_counted()
    assert served.errors == []
    assert len(workers) > CYCLES


@pytest.mark.slow
def test_nothing_grows_in_a_worker_that_forks(tmp_path: Path) -> None:
    """An application that forks children which use the monitor: its own process holds what it
    held, and no child inherits a descriptor of the monitor's that stays open.

    What grows does so with each sixteen children; a file that the monitor opens late, only once.
    """
    with Served("waitress", tmp_path) as served:
        served.get("/boom")
        served.wait_for(lambda: served.issues() and served.counted())
        for _ in range(ROUNDS):
            before = held(served.process.pid)
            children = [served.get("/fork") for _ in range(CYCLES)]
            after = held(served.process.pid)
            assert {status for status, _ in children} == {200}
            if no_more(after, before):
                break
    assert no_more(after, before)
    # Not the most: a child forked in the middle of a tick has the file that this had open, too.
    usual = median(int(body) for _, body in children)
    # The connection, the one before that may be on its way, a pipe, and what reads the directory.
    assert usual <= before[0] + 5
