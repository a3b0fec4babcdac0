"""werkzeug's own ways: a process for each request, and the reloader."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from .harness import PATIENCE_S, Served

pytestmark = pytest.mark.slow


def test_a_process_for_each_request_keeps_its_errors(tmp_path: Path) -> None:
    """What the process of a request knows besides counts is stored when it ends, at once."""
    with Served("werkzeug processes", tmp_path, FLUSH_S="60") as served:
        for path in ("/", "/boom", "/missing", "/stream", "/boom"):
            served.get(path)
        served.wait_for(lambda: not served.children())
        (issue,) = served.issues("RuntimeError")
        served.stop(signal.SIGINT)
    assert issue.count == 2
    assert served.counted() == served.answered == 5


def test_a_process_for_each_request_that_hears_ctrl_c(tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to all processes: one that is ending still writes what it has."""
    with Served("werkzeug processes", tmp_path, FLUSH_S="60") as served:
        served.get("/ctrl-c")  # while it writes
        for _ in range(20):  # between its answer and its end
            child = int(served.get("/stream")[1].split()[0])
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGINT)
        served.stop(signal.SIGINT)
        assert served.left_over() == []
    assert served.counted() == served.answered == 21


def test_a_process_for_each_request_leaves_other_forks_alone(tmp_path: Path) -> None:
    """What an application forks in the process of a request is not taken for one of a request."""
    with Served("werkzeug processes", tmp_path, FLUSH_S="60") as served:
        for _ in range(5):
            assert served.get("/fork")[0] == 200
        served.stop(signal.SIGINT)
        assert served.left_over() == []
    assert served.counted() == served.answered == 5


def test_reloads(tmp_path: Path) -> None:
    """A changed file: the process that served so far loses nothing, and the next one goes on."""
    with Served("werkzeug reloader", tmp_path, FLUSH_S="60") as served:
        served.traffic(40)
        (before,) = served.children()
        later = time.time() + 10  # than the file was when werkzeug looked
        os.utime(tmp_path / "watched.py", (later, later))
        served.wait_for(lambda: served.children() not in ([before], []))
        served.traffic(40)
        (serving,) = served.children()
        os.kill(serving, signal.SIGTERM)  # the reloader makes an exit of it, and its parent ends
        served.process.wait(PATIENCE_S)
        assert served.left_over() == []
    assert served.errors == []
    assert served.counted() == served.answered == 80
