"""mod_wsgi's own ways: a graceful restart, a daemon process that is killed, sub-interpreters."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from . import apache
from .harness import Served, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing("mod_wsgi daemon") != "", reason=missing("mod_wsgi daemon")),
]


@pytest.mark.parametrize("name", apache.KINDS)
def test_graceful_restart(name: str, tmp_path: Path) -> None:
    """A graceful restart replaces the processes and loses nothing."""
    with Served(name, tmp_path, FLUSH_S="60") as served:
        served.traffic(60)
        before = set(served.children())
        served.process.send_signal(signal.SIGUSR1)
        served.wait_for(lambda: served.children() and not before & set(served.children()))
        served.traffic(60)
        served.stop(signal.SIGWINCH)
        assert served.left_over() == []
    assert served.errors == []
    assert served.counted() == served.answered == 120, served.log()


@pytest.mark.parametrize("name", apache.KINDS)
def test_killed_process_is_told(name: str, tmp_path: Path) -> None:
    """A process killed in a request: another one tells which request it was, and since when."""
    with Served(name, tmp_path) as served:
        served.traffic(20)
        killed = int(served.get("/pid")[1])
        time.sleep(1.5)
        os.kill(killed, signal.SIGKILL)
        served.wait_for(lambda: served.get("/")[0] == 200 and killed not in served.children())
        victim = served.start_losing("/slow")
        served.wait_for(lambda: served.answering("/slow"))
        os.kill(served.answering("/slow"), signal.SIGKILL)
        victim.join()
        served.wait_for(lambda: served.get("/")[0] == 200 and served.issues("WorkerDied"))
        served.stop(signal.SIGTERM)
    (issue,) = served.issues("WorkerDied")
    assert "died while it answered GET /slow, begun at " in issue.title


@pytest.mark.parametrize("name", apache.KINDS)
def test_dashboard(name: str, tmp_path: Path) -> None:
    """The dashboard answers in Apache's processes and in a sub-interpreter, charts included."""
    with Served(name, tmp_path, INAPP_MONITOR_TOKEN="t" * 32) as served:
        served.traffic(20)
        headers = {"Authorization": "Bearer " + "t" * 32}
        status, body = served.get("/_metrics/", headers=headers)
        assert (status, b"<svg" in body) == (200, True), served.log()
        path = "/_metrics/render?target=requests.time.count&format=json"
        status, body = served.get(path, headers=headers)
        assert (status, body[:1]) == (200, b"["), served.log()
