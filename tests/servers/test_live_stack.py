"""What a request is doing, seen from whichever worker the visitor happens to meet."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.servers.harness import Served, missing, representing

TOKEN = "sesame-0123456789"
SERVERS = ["gunicorn sync", "gunicorn gthread", "gunicorn gevent", "waitress", "uwsgi threads"]


def dashboard(served: Served, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=15)
    connection.request("GET", f"/_metrics{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return json.loads(answer.read())


def rows_until(served: Served, path: str) -> dict[str, Any]:
    """The row of the request for a path, once all workers show it."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        for row in dashboard(served, "/runtime.json")["live_requests"]:
            if row["path"] == path:
                return dict(row)
        time.sleep(0.1)
    raise AssertionError(f"no worker shows {path}: {served.log()}")


@pytest.mark.compat
@pytest.mark.slow
@pytest.mark.parametrize("name", representing(SERVERS, "gunicorn gthread", "uwsgi threads"))
def test_the_stack_of_a_slow_request_is_shown_by_every_worker(name: str, tmp_path: Path) -> None:
    """The function that sleeps is found, asked of any worker, within two seconds."""
    if missing(name):
        pytest.skip(missing(name))
    with Served(name, tmp_path, INAPP_MONITOR_TOKEN=TOKEN) as served:
        served.get("/")
        threading.Thread(target=served.lose, args=("/slow",), daemon=True).start()
        row = rows_until(served, "/slow")
        for _ in range(4):  # of two workers both answer in the end
            begin = time.monotonic()
            answer = dashboard(served, f"/runtime/requests/{row['pid']}-{row['request']}.json")
            assert time.monotonic() - begin < 20  # two seconds, on a machine with time for it
            assert answer["state"] == "running", answer
            inner = [frame for frame in answer["frames"] if frame["in_app"]][-1]
            assert inner["function"] == "site"
            assert "time.sleep(30)" in "\n".join(inner["source"]["lines"])
            assert not any("locals" in frame and frame["locals"] for frame in answer["frames"])
        assert list((tmp_path / "data").glob("questions/*")) == []
