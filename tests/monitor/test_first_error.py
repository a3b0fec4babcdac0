"""The first error of a process costs its request no import, and is recorded all the same."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor, set_tag
from inapp_monitor.monitor import first_errors
from inapp_monitor.signals import exception_captured
from inapp_monitor.testing import FakeClock

from .conftest import app, visit

Make = Callable[..., Monitor]

SCRIPT = """
    import sys, threading
    from importlib.abc import MetaPathFinder
    from wsgiref.util import setup_testing_defaults
    from inapp_monitor import Monitor

    class Noting(MetaPathFinder):
        '''Notes what the requests' thread loads.'''
        def find_spec(self, name, path, target=None):
            if threading.current_thread() is threading.main_thread():
                loaded.append(name)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/busy":
            start_response("503 Busy", [])
            return [b"busy"]
        raise ValueError("boom")

    def visit(path):
        environ = {"PATH_INFO": path}
        setup_testing_defaults(environ)
        try:
            list(monitor(environ, lambda *given: None))
        except ValueError:
            pass

    loaded = []
    monitor = Monitor(app, data_dir=sys.argv[1], collect_host=False)
    sys.meta_path.insert(0, Noting())
    for path in ("/busy", *["/boom"] * 30):
        visit(path)
    print([name for name in loaded if name.startswith("inapp_monitor.")])
    sys.meta_path.pop(0)
    print(sorted((issue.type, issue.count) for issue in monitor.tracker.list_issues()))
    monitor.close()
"""


#: The application's code runs while the parts are loaded (as a `__del__` may at any moment), and
#: while a first error is recorded.
ENTERING = """
    import logging, sys
    from importlib.abc import MetaPathFinder
    from inapp_monitor import Monitor

    class Entering(MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name == "inapp_monitor.issues.tracker":
                monitor.capture_message("connection not closed")
                try:
                    monitor.tracker
                except RuntimeError as error:
                    print(error)

    class Asking(logging.Handler):
        def emit(self, record):
            print(monitor.tracker.status().unwritten)

    monitor = Monitor(lambda *given: [], data_dir=sys.argv[1], collect_host=False)
    sys.meta_path.insert(0, Entering())
    logging.getLogger("inapp_monitor").addHandler(Asking())
    monitor.life.attach_if_needed()
    monitor.life.when_loaded(lambda services: 1 / 0)
    print([(issue.title, issue.count) for issue in monitor.tracker.list_issues()])
    monitor.close()
"""


def run(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "data")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_first_failing_requests_load_nothing(tmp_path: Path) -> None:
    """What records errors takes tenths of a second to load: the ticking thread does it."""
    result = run(SCRIPT, tmp_path)
    assert result.stdout.splitlines() == ["[]", "[('HTTP 503', 1), ('ValueError', 30)]"], result


def fail(monitor: Monitor) -> None:
    with pytest.raises(ValueError, match="boom"):
        visit(monitor, "/boom")


def test_whoever_asks_sees_the_error_of_before(make: Make) -> None:
    """Also at once, and with the issue at the slow request."""
    monitor = make()
    fail(monitor)
    (issue,) = monitor.tracker.list_issues()
    assert (issue.type, issue.count) == ("ValueError", 1)


def test_the_end_of_a_process_writes_the_error_of_before(make: Make) -> None:
    """Although no tick has come."""
    monitor = make()
    fail(monitor)
    monitor.close()
    assert monitor.database.read("select count(*) as n from issue_events")[0]["n"] == 1


def test_it_is_of_its_request(make: Make) -> None:
    """What the application said of the request is with the event, whoever records it."""

    def tagging(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        set_tag("shop", environ["QUERY_STRING"])
        return app(environ, start_response)

    monitor = make(tagging)
    for name in ("one", "two"):
        with pytest.raises(ValueError, match="boom"):
            visit(monitor, "/boom", QUERY_STRING=name)
    (issue,) = monitor.tracker.list_issues()
    detail = monitor.tracker.get_issue(issue.id)
    assert detail is not None
    assert sorted(event["tags"]["shop"] for event in detail.events) == ["one", "two"]
    assert [event["request"]["method"] for event in detail.events] == ["GET", "GET"]


def test_it_is_recorded_once(make: Make) -> None:
    """Although the application hands it over itself as well, before or after."""

    def handing_over(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            return app(environ, start_response)
        except ValueError as error:
            monitor.capture_exception(error)
            raise

    monitor = make(handing_over)
    fail(monitor)
    (issue,) = monitor.tracker.list_issues()
    assert issue.count == 1


def test_a_child_does_not_record_the_errors_of_its_parent(make: Make) -> None:
    """They are the parent's, which records them."""
    monitor = make()
    fail(monitor)
    child = os.fork()
    if child == 0:
        try:
            visit(monitor)
            monitor.close()
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    monitor.refresh()
    (issue,) = monitor.tracker.list_issues()
    assert issue.count == 1


def test_whom_it_is_told_is_told_in_the_request(make: Make) -> None:
    """A receiver may ask what request it is."""
    heard: list[object] = []

    def hear(sender: object, **told: object) -> None:
        heard.append(told["issue_id"])

    monitor = make()
    exception_captured.connect(hear)
    try:
        fail(monitor)
        assert [bool(issue) for issue in heard] == [True]
    finally:
        exception_captured.disconnect(hear)


def test_many_first_errors_are_bounded(make: Make) -> None:
    """Those that wait keep what they hold alive: past some, a request loads the parts itself."""
    monitor = make(flush_interval_s=60)
    for _ in range(120):
        fail(monitor)
    (issue,) = monitor.tracker.list_issues()
    assert issue.count == 120


def test_code_of_the_application_may_run_while_the_parts_are_loaded(tmp_path: Path) -> None:
    """It never hangs: a message waits, who asks for the parts themselves is refused."""
    result = run(ENTERING, tmp_path)
    assert result.stdout.splitlines() == [
        "the parts of the monitor are being loaded",
        "0",
        "[('connection not closed', 1)]",
    ], result


def test_the_exception_stays_as_it_is(make: Make) -> None:
    """The application may be handling it again while it is recorded as it was."""
    error = ValueError("shared")

    def raising(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise error

    def look(frame: object, event: str, argument: object) -> None:
        seen.add(error.__traceback__)

    monitor = make(raising)
    with pytest.raises(ValueError, match="shared"):
        visit(monitor)
    error.__traceback__ = None
    seen: set[object] = set()
    sys.setprofile(look)
    try:
        (issue,) = monitor.tracker.list_issues()
    finally:
        sys.setprofile(None)
    assert seen == {None}
    detail = monitor.tracker.get_issue(issue.id)
    assert detail is not None
    assert detail.events[0]["exceptions"][0]["frames"][-1]["function"].endswith("raising")


class Held:
    """Stands for what a failed request keeps alive."""


def count_of(held: weakref.WeakSet[Held]) -> int:
    """How many are alive, apart from cycles that `pytest.raises` makes."""
    gc.collect()
    return len(held)


def holding(held: weakref.WeakSet[Held]) -> Any:
    """An application that fails at `/boom`, with an object in a variable."""

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        local = Held()
        held.add(local)
        return app(environ, start_response)

    return application


def test_a_request_records_what_has_waited_too_long(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread may not run at all; until it is recorded an error keeps its frames alive."""
    held: weakref.WeakSet[Held] = weakref.WeakSet()
    clock = FakeClock()
    monitor = make(holding(held), clock=clock)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", lambda thread: None)  # as in uWSGI
        visit(monitor)
    fail(monitor)
    assert count_of(held) == 1
    clock.advance(first_errors.LONGEST_WAIT_S + 1)
    visit(monitor)
    assert count_of(held) == 0
    (issue,) = monitor.tracker.list_issues()
    assert issue.count == 1


def test_errors_that_cannot_be_recorded_are_dropped_and_counted(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the parts cannot be loaded, few are kept alive, and those not for long."""
    held: weakref.WeakSet[Held] = weakref.WeakSet()
    clock = FakeClock()
    monitor = make(holding(held), clock=clock)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "inapp_monitor.monitor.parts", None)
        patched.delattr("inapp_monitor.monitor.parts", raising=False)
        for _ in range(3 * first_errors.MOST_WAITING):
            fail(monitor)
        assert count_of(held) <= first_errors.MOST_WAITING
        assert monitor.guard.faults["request path"].count == 1  # further ones did not try it
        clock.advance(first_errors.LONGEST_WAIT_S + 1)
        monitor.tick()
        assert count_of(held) == 0
    monitor.tick()
    assert monitor.life.services.drops()["error not loaded"] == 3 * first_errors.MOST_WAITING
