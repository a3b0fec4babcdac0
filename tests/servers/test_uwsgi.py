"""uWSGI's own ways with workers: reloads, harakiri, recycling, no threads."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from .harness import PATIENCE_S, Served, missing, representing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing("uwsgi prefork") != "", reason=missing("uwsgi prefork")),
]
RECYCLE = "--max-requests 10 --min-worker-lifetime 0"
NAMES = ["uwsgi prefork", "uwsgi threads", "uwsgi lazy"]


def times_loaded(directory: Path) -> int:
    """How often a uWSGI says that it has loaded the application."""
    return (directory / "server.log").read_text("utf-8", "replace").count(" ready in ")


@pytest.mark.parametrize("name", representing(NAMES, "uwsgi prefork", "uwsgi lazy"))
def test_reloads(name: str, tmp_path: Path) -> None:
    """A graceful reload by signal and by a touched file: no answered request is lost."""
    touched = tmp_path / "touched"
    touched.touch()
    with Served(name, tmp_path, options=f"--touch-reload {touched}", FLUSH_S="60") as served:
        ready = 2 if name == "uwsgi lazy" else 1  # it does not reload a worker that loads
        served.wait_for(lambda: times_loaded(tmp_path) == ready)
        served.traffic(40)
        before = set(served.children())
        served.process.send_signal(signal.SIGHUP)
        served.wait_for(lambda: len(served.children()) == 2 and not before & set(served.children()))
        served.wait_for(lambda: times_loaded(tmp_path) == 2 * ready)
        served.traffic(40)
        before = set(served.children())
        later = time.time() + 10  # than the file was when uWSGI looked
        os.utime(touched, (later, later))
        served.wait_for(lambda: len(served.children()) == 2 and not before & set(served.children()))
        served.traffic(40)
        served.stop(signal.SIGTERM)
        assert served.left_over() == []
    assert served.errors == []
    assert served.counted() == served.answered == 120


@pytest.mark.parametrize("delay_s", [0.0, 0.1])
def test_a_worker_that_ends_young(delay_s: float, tmp_path: Path) -> None:
    """A worker that is stopped while the parts would be loading elsewhere loses nothing."""
    with Served("uwsgi prefork", tmp_path) as served:
        for path in ("/", "/missing", "/file", "/"):
            served.get(path)
        served.lose("/boom")
        time.sleep(delay_s)
        served.stop(signal.SIGTERM)
        assert "Segmentation" not in served.log()
    assert served.counted() == served.answered + 1 == 5


def strike(served: Served) -> None:
    """Have harakiri kill a worker.

    With threads uWSGI 2.0.30 misses many a request that is too long: around an application without
    any monitor, 19 of 60 were still being answered after 12 s with `--harakiri 2`.
    """
    for _ in range(6):
        served.start_losing("/slow")
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            if "HARAKIRI" in served.log():
                return
            time.sleep(0.1)
    raise AssertionError(served.log())


@pytest.mark.parametrize("name", representing(NAMES, "uwsgi prefork"))
def test_harakiri(name: str, tmp_path: Path) -> None:
    """The request that harakiri killed is reported by another worker, with route and beginning."""
    with Served(name, tmp_path, options="--harakiri 2") as served:
        served.get("/")
        strike(served)
        served.wait_for(lambda: served.get("/")[0] == 200 and served.issues())
        served.stop(signal.SIGTERM)
    (issue,) = served.issues()
    assert issue.type == "WorkerDied"
    assert "died while it answered GET /slow, begun at " in issue.title


def test_recycled_workers(tmp_path: Path) -> None:
    """Workers that end after some requests lose nothing."""
    with Served("uwsgi prefork", tmp_path, options=RECYCLE, FLUSH_S="60") as served:
        served.traffic(40)
        served.stop(signal.SIGTERM, settled_s=3.0)  # deaf while it respawns fast
    assert served.errors == []
    assert served.counted() == served.answered == 40


def test_without_threads(tmp_path: Path) -> None:
    """Where Python's threads are frozen between requests, requests do the work of the thread."""
    with Served("uwsgi no threads", tmp_path) as served:
        deadline = time.monotonic() + PATIENCE_S
        while not served.counted():
            assert served.get("/")[0] == 200
            assert time.monotonic() < deadline, served.log()
            time.sleep(0.05)
        served.stop(signal.SIGTERM)
    assert served.counted() == served.answered
