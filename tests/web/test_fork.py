"""A process forked while its parent answers has all places of its own and no lock of the parent."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from werkzeug.test import Client

from inapp_monitor.web.app import WebApp
from inapp_monitor.web.kept.process_state import process_state
from tests.web.stored_backend import TOKEN, stored_backend

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def in_child(work: Callable[[], None]) -> int:
    """The exit code of a forked process: 0 when `work` succeeded, -14 when it hung."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=sys.stderr)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_answers_though_its_parent_was_at_its_limit(
    tmp_path: Path,
) -> None:
    """Renders, pages, events and tags: whatever the parent's threads held."""
    backend = stored_backend(tmp_path / "data")
    app = WebApp(backend)
    assert Client(app).get("/render?target=x", headers=HEADERS).status_code == 200
    held = process_state(backend)
    for places in (held.render_places, next(iter(app._places.values()))):
        while places.acquire():
            pass
    locks = (held.events._lock, held.tags._lock)

    def work() -> None:
        client = Client(app)
        for path in ("/render?target=x", "/events/get_data", "/tags", "/status"):
            assert client.get(path, headers=HEADERS).status_code == 200, path
        assert client.get("/status", headers=HEADERS).status_code == 200
        assert process_state(backend) is not held

    for lock in locks:
        lock.acquire()
    try:
        assert in_child(work) == 0
    finally:
        for lock in locks:
            lock.release()
