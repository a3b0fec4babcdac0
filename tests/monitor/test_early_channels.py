"""What is logged, dies or ends in the first moment of a process is recorded as anything later."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

PRELUDE = """
    import logging, sys, threading
    from wsgiref.util import setup_testing_defaults
    from inapp_monitor import Monitor

    def app(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/logged":
            logging.getLogger("shop").error("paid twice: %s", 7)
        if path == "/answered":
            try:
                raise KeyError("stock")
            except KeyError:
                logging.getLogger("shop").exception("no stock")
            start_response("500 Down", [])
            return [b"down"]
        if path == "/thread":
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
        start_response("200 OK", [])
        return [b"x"]

    def visit(monitor, path):
        environ = {"PATH_INFO": path}
        setup_testing_defaults(environ)
        body = monitor(environ, lambda *given: None)
        getattr(body, "close", list)()

    def issues(monitor):
        return sorted((issue.title, issue.count) for issue in monitor.tracker.list_issues())

    first = Monitor(app, data_dir=sys.argv[1], collect_host=False)
    second = Monitor(app, data_dir=sys.argv[1] + "-2", collect_host=False)
"""


def run(script: str, tmp_path: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PRELUDE + script), str(tmp_path / "data")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_the_first_requests_log_is_recorded(tmp_path: Path) -> None:
    """Once each: a logged 5xx is one error, and a dying thread is heard as well."""
    script = """
    for path in ("/logged", "/answered", "/thread", "/logged"):
        visit(first, path)
    print("loaded", "inapp_monitor.issues.tracker" in sys.modules)
    print(issues(first))
    """
    for attempt in range(6):  # a busy machine may come to the first tick before the fourth visit
        loaded, issues = run(script, tmp_path / str(attempt))
        if loaded == "loaded False":
            break
    assert loaded == "loaded False"
    assert "shop ERROR: paid twice: 7', 2)" in issues
    assert issues.count("KeyError") == 1
    assert "ZeroDivisionError" in issues
    assert "HTTP 500" not in issues
    assert "500 Down" not in issues


def test_the_request_of_an_early_record_is_kept(tmp_path: Path) -> None:
    """It is over when the record is written down, and the page shows its address all the same."""
    script = """
    visit(first, "/logged")
    first.tick()
    issue = first.tracker.triage.get_issue(first.tracker.list_issues()[0].id)
    print(issue.events[0]["request"]["path"])
    """
    assert run(script, tmp_path) == ["/logged"]


def test_each_of_two_monitors_hears_its_own_requests(tmp_path: Path) -> None:
    """Before the parts are loaded as afterwards."""
    script = """
    visit(first, "/")
    visit(second, "/logged")
    print(len(issues(first)), len(issues(second)))
    """
    assert run(script, tmp_path) == ["0 1"]


def test_nobody_listens_twice(tmp_path: Path) -> None:
    """Once the parts listen, the early listener is out of the way."""
    script = """
    before = logging.Logger.callHandlers
    visit(first, "/logged")
    first.tick()
    visit(first, "/logged")
    print(issues(first))
    first.close(); second.close()
    print(logging.Logger.callHandlers is before)
    """
    assert run(script, tmp_path) == ["[('shop ERROR: paid twice: 7', 2)]", "True"]
