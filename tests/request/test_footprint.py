"""What an application pays for by importing the package: the heavy parts load on first use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import io, sys, threading
from inapp_monitor import Monitor

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]

monitor = Monitor(app, data_dir=sys.argv[1], token="only-for-this-test")
assert threading.active_count() == 1, "constructing a monitor starts nothing"
import os
assert not os.path.exists(sys.argv[1]), "and makes no files"
for number in range(100):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/{number}", "SCRIPT_NAME": ""}
    assert monitor(environ, lambda *given: None) == [b"hello"]
    monitor.incr("visits")
monitor.tick()
heavy = {"werkzeug", "pygal", "numpy", "jinja2", "sqlite_utils", "psutil", "click", "blinker",
         "regex"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
faults = monitor.guard.faults
assert not faults, faults
for page in ("/", "/routes", "/errors", "/not-found", "/status", "/explore"):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/_metrics" + page, "SCRIPT_NAME": "",
               "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
               "wsgi.input": io.BytesIO(), "HTTP_AUTHORIZATION": "Bearer only-for-this-test"}
    answered = []
    body = monitor(environ, lambda status, headers, exc_info=None: answered.append(status))
    assert b"".join(body) and answered == ["200 OK"], (page, answered)
    getattr(body, "close", list)()
needless = {"numpy.ma", "urllib.request", "sqlite_utils", "click", "regex"}
assert not needless & set(sys.modules), needless & set(sys.modules)
monitor.close()
"""


def test_what_a_hundred_requests_load(tmp_path: Path) -> None:
    """Over a plain application none of the dependencies is loaded, and nothing has failed; the
    dashboard's pages load what they need, and none of what costs memory for nothing.
    """
    arguments = [sys.executable, "-c", SCRIPT, str(tmp_path / "data")]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
