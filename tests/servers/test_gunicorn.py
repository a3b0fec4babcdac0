"""gunicorn's own ways with workers: more, fewer, reloaded, re-executed, stopped by the watchdog."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .harness import Served, missing, representing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing("gunicorn sync") != "", reason=missing("gunicorn sync")),
]

#: The watchdog's patience: workers that are only short of a busy machine's time are not ended.
PATIENT_S = 6


@pytest.mark.parametrize(
    "name", representing(["gunicorn sync", "gunicorn preload"], "gunicorn preload")
)
def test_workers_come_and_go(name: str, tmp_path: Path) -> None:
    """More workers, fewer, a reload and a new master: no answered request is lost."""
    with Served(name, tmp_path, FLUSH_S="60") as served:
        served.traffic(40)
        served.process.send_signal(signal.SIGTTIN)
        served.wait_for(lambda: len(served.ready()) == 3)
        served.traffic(40)
        served.process.send_signal(signal.SIGTTOU)
        served.wait_for(lambda: len(served.children()) == 2)
        before = set(served.children())
        served.process.send_signal(signal.SIGHUP)
        served.wait_for(lambda: len(served.ready() - before) == len(served.children()) == 2)
        served.traffic(40)
        served.process.send_signal(signal.SIGUSR2)
        served.wait_for(lambda: served.another_master() is not None)
        new = served.another_master()
        assert new is not None
        served.stop(signal.SIGTERM)
        served.traffic(40)
        os.kill(new, signal.SIGTERM)
        assert served.left_over() == []
    assert served.errors == []
    assert served.counted() == served.answered == 160


def test_watchdog(tmp_path: Path) -> None:
    """A worker stopped by `--timeout` leaves an error with the stack of the slow line; one that
    does not listen and is killed is told by another, with its route and when it began.
    """
    with Served("gunicorn sync", tmp_path, options=f"--timeout {PATIENT_S} -w 3") as served:
        served.get("/")
        served.lose("/slow")
        served.lose("/deaf")
        served.wait_for(lambda: served.get("/")[0] == 200 and len(served.issues()) >= 2)
        served.stop(signal.SIGTERM)
    by_type = {issue.type: issue for issue in served.issues()}
    assert set(by_type) == {"SystemExit", "WorkerDied"}
    assert "served_site" in by_type["SystemExit"].culprit
    assert "died while it answered GET /deaf, begun at " in by_type["WorkerDied"].title
    assert served.counted() == served.answered


@pytest.mark.parametrize(
    "name", representing(["gunicorn gthread", "gunicorn gevent"], "gunicorn gthread")
)
def test_watchdog_of_workers_that_hang(name: str, tmp_path: Path) -> None:
    """A request that keeps its whole worker from running, deaf to the watchdog's first signal: the
    worker is killed, and another one tells which request that was. Nothing answered is lost.
    """
    if missing(name):
        pytest.skip(missing(name))
    with Served(name, tmp_path, options=f"--timeout {PATIENT_S} -w 3") as served:
        served.traffic(40)
        served.lose("/hang")
        served.wait_for(lambda: served.get("/")[0] == 200 and served.issues("WorkerDied"))
        served.stop(signal.SIGTERM)
    (issue,) = served.issues("WorkerDied")
    assert "died while it answered GET /hang, begun at " in issue.title
    assert served.counted() == served.answered


@pytest.mark.skipif(missing("gunicorn gevent") != "", reason=missing("gunicorn gevent"))
def test_watchdog_of_a_busy_greenlet(tmp_path: Path) -> None:
    """A request that computes without a pause, so that no other greenlet runs, is ended by the
    watchdog: an error with the stack of the line. Nothing answered is lost.
    """
    options = f"--timeout {PATIENT_S} --graceful-timeout 10 -w 3"
    with Served("gunicorn gevent", tmp_path, options=options) as served:
        served.traffic(40)
        served.wait_until_counted()
        served.lose("/busy")
        served.wait_for(lambda: served.get("/")[0] == 200 and served.issues("SystemExit"))
        served.wait_for(lambda: served.counted() == served.answered + 1)  # the one that was ended
        served.stop(signal.SIGTERM)
    (issue,) = served.issues("SystemExit")
    assert "served_site" in issue.culprit
    assert served.issues("WorkerDied") == []
    assert served.counted() == served.answered + 1
