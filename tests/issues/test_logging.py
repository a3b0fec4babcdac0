"""The channels of the standard library: log records, threads, uncaught and unraisable errors."""

from __future__ import annotations

import inspect
import logging
import sys
import threading
import traceback
from collections.abc import Iterator

import pytest

from inapp_monitor.issues.channels import install

from .conftest import Monitor, caught, environ

logger = logging.getLogger("shop")


@pytest.fixture(autouse=True)
def installed(monitor: Monitor) -> Iterator[None]:
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    # Other hooks of the test run would report what these tests do on purpose.
    sys.excepthook = threading.excepthook = sys.unraisablehook = lambda *_: None  # type: ignore[assignment]
    logger.setLevel(logging.DEBUG)
    uninstall = install(monitor.tracker)
    yield
    uninstall()
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


def fail() -> None:
    raise ValueError("bad")


def test_a_record_with_a_traceback_is_that_exception(monitor: Monitor) -> None:
    """logger.exception and a later propagation of the same exception are one event."""
    try:
        fail()
    except ValueError as error:
        logger.exception("while paying")
        monitor.tracker.capture(error, environ(), route="/pay")
    issue = monitor.only_issue()
    assert issue.summary.count == 1
    assert issue.summary.title == "ValueError: bad"
    assert issue.events[0]["channel"] == "log record of shop"
    assert issue.events[0]["route"] == "/pay"


@pytest.mark.parametrize("frames_left", [30, 60])
def test_an_error_logged_just_below_the_recursion_limit_is_that_exception(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch, frames_left: int
) -> None:
    """There are too few frames left to compare it; a thread of its own has them."""
    # Whatever writes the record would need more frames.
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [logging.NullHandler()])

    def down(frames: int) -> None:
        if frames:
            down(frames - 1)
            return
        try:
            fail()
        except ValueError:
            logger.exception("at the edge")

    depth = len(inspect.stack(0))
    down(sys.getrecursionlimit() - depth - frames_left)
    issue = monitor.only_issue()
    assert (issue.summary.title, issue.summary.count) == ("ValueError: bad", 1)
    assert len(issue.events) == 1


def test_an_error_record_without_one_is_a_message(monitor: Monitor) -> None:
    """Grouped by its template and logger, shown with the place that logged."""
    for user in ("ada", "bob"):
        logger.error("cannot bill %s", user)
    logging.getLogger("other").error("cannot bill %s", "ada")
    issues = {issue.count: issue for issue in monitor.tracker.list_issues()}
    assert set(issues) == {2, 1}
    detail = monitor.tracker.get_issue(issues[2].id)
    assert detail is not None
    assert detail.summary.type == "shop ERROR"
    assert detail.events[0]["message"] == "cannot bill ada"
    frames = detail.events[0]["exceptions"][0]["frames"]
    assert frames[-1]["function"] == "test_an_error_record_without_one_is_a_message"


def test_a_traceback_logged_as_text_is_that_exception(monitor: Monitor) -> None:
    """As CherryPy does with a body that fails: one event, however else it becomes known."""
    try:
        fail()
    except ValueError as error:
        logger.error("[23/Nov/2026:11:20:15] %s", traceback.format_exc())
        logger.error("cannot bill")  # a message of its own, also here
        monitor.tracker.capture(error, environ(), route="/pay")
    logger.error("Traceback (most recent call last) of another process")
    titles = sorted((issue.type, issue.count) for issue in monitor.tracker.list_issues())
    assert titles == [("ValueError", 1), ("shop ERROR", 1), ("shop ERROR", 1)]


def test_an_address_in_a_loggers_name_tells_nothing_apart(monitor: Monitor) -> None:
    """CherryPy names its loggers by `id`: the same message of two workers is one issue."""
    for name in ("cherrypy.error.140323631591760", "cherrypy.error.140323631590416"):
        logging.getLogger(name).error("cannot answer")
    issue = monitor.only_issue()
    assert (issue.summary.type, issue.summary.count) == ("cherrypy.error ERROR", 2)


def test_lower_records_are_breadcrumbs(monitor: Monitor) -> None:
    """INFO and WARNING go with the next error, DEBUG does not."""
    logger.debug("detail")
    logger.info("step %d", 1)
    logger.warning("slow")
    monitor.tracker.capture(caught(fail))
    crumbs = monitor.only_issue().events[0]["breadcrumbs"]
    assert [(crumb["level"], crumb["message"]) for crumb in crumbs] == [
        ("info", "step 1"),
        ("warning", "slow"),
    ]


def test_our_own_logger_is_left_out(monitor: Monitor) -> None:
    """What we log about ourselves is no error of the app."""
    logging.getLogger("inapp_monitor").error("flush failed")
    logging.getLogger("inapp_monitor.web").error("page failed")
    assert monitor.tracker.list_issues() == []


def test_records_that_cannot_be_formatted(monitor: Monitor) -> None:
    """Arguments that do not fit do not hide the record."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        logger.error("%d items of %s", "five")
    finally:
        logging.raiseExceptions = before
    assert monitor.only_issue().events[0]["message"] == "%d items of %s"


def test_the_apps_own_configuration_is_as_without_us(
    monitor: Monitor, capsys: pytest.CaptureFixture[str]
) -> None:
    """basicConfig still configures, warnings are printed while nobody does, nothing twice."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        logging.getLogger("unconfigured").warning("printed by Python itself")
        logging.basicConfig(stream=sys.stdout, format="ours: %(message)s")
        logging.getLogger("configured").warning("printed as configured")
    finally:
        root.handlers = before
    printed = capsys.readouterr()
    assert printed.err == "printed by Python itself\n"
    assert printed.out == "ours: printed as configured\n"


def test_loggers_that_do_not_propagate_are_seen(monitor: Monitor) -> None:
    """As gunicorn's and uvicorn's."""
    quiet = logging.getLogger("quiet")
    quiet.propagate = False
    quiet.addHandler(logging.NullHandler())
    quiet.error("alone")
    assert monitor.only_issue().summary.count == 1


def test_a_record_that_is_handed_over_by_name(monitor: Monitor) -> None:
    """As the signature of `Logger.callHandlers` allows it."""
    logger = logging.getLogger("shop.named")
    record = logger.makeRecord(logger.name, logging.ERROR, __file__, 1, "by name", (), None)
    logger.callHandlers(record=record)
    monitor.tick()
    assert monitor.only_issue().summary.title == "by name"


def test_a_record_of_no_logger(monitor: Monitor) -> None:
    """`makeLogRecord` makes one without a name, as from what another process sent."""
    sent = {"msg": "sent", "levelno": logging.ERROR, "levelname": "ERROR"}
    logger.handle(logging.makeLogRecord(sent))
    monitor.tick()
    assert monitor.only_issue().summary.title == "root ERROR: sent"


def test_a_thread_that_dies(monitor: Monitor) -> None:
    """threading.excepthook is listened to, sys.exit in a thread is none."""
    for target in (fail, sys.exit):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert monitor.only_issue().events[0]["channel"] == "uncaught in a thread"


def test_an_uncaught_exception(monitor: Monitor) -> None:
    """What ends the process is captured, Ctrl-C is not."""
    for error in (caught(fail), KeyboardInterrupt()):
        sys.excepthook(type(error), error, error.__traceback__)
    assert monitor.only_issue().events[0]["channel"] == "uncaught"


def test_an_unraisable_exception(monitor: Monitor) -> None:
    """Exceptions in `__del__` are seen."""

    class Odd:
        def __del__(self) -> None:
            fail()

    Odd()
    assert monitor.only_issue().events[0]["channel"] == "unraisable"


def test_hooks_are_chained_and_taken_back(monitor: Monitor) -> None:
    """What was there before is still called, and is there again afterwards."""
    seen: list[object] = []
    before = sys.excepthook
    sys.excepthook = lambda *arguments: seen.append(arguments[1])
    present = sys.excepthook
    uninstall = install(monitor.tracker)
    error = caught(fail)
    sys.excepthook(type(error), error, None)
    uninstall()
    assert seen == [error]
    assert sys.excepthook is present
    sys.excepthook = before


def test_what_django_answers_4xx_is_no_error(monitor: Monitor) -> None:
    """It logs a refused request at ERROR or with a traceback, and says which status it answers."""
    error = caught(fail)
    security = logging.getLogger("django.security.DisallowedHost")
    security.error("bad host", exc_info=error, extra={"status_code": 400})
    answers = logging.getLogger("django.request")
    answers.warning("Forbidden: /", exc_info=error, extra={"status_code": 403})
    monitor.tick()
    assert monitor.tracker.list_issues() == []
    security.error("bad key", exc_info=error)
    monitor.tick()
    assert monitor.only_issue().summary.type == "ValueError"


def test_the_access_log_of_djangos_server_is_no_error(monitor: Monitor) -> None:
    """Its line about an answer of 500 says nothing that the answer's own issue does not."""
    line = logging.getLogger("django.server")
    line.error('"%s" %s %s', "GET /fail/ HTTP/1.1", "500", "145", extra={"status_code": 500})
    line.error("You're accessing the development server over HTTPS, but it only supports HTTP.")
    monitor.tick()
    assert monitor.tracker.list_issues() == []


def test_a_record_below_error_is_a_breadcrumb_with_a_traceback_too(monitor: Monitor) -> None:
    """What the application finds worth a warning is no error."""
    logger.info("again", exc_info=caught(fail))
    logger.warning("again", exc_info=caught(fail))
    logger.error("down")
    monitor.tick()
    issue = monitor.only_issue()
    assert issue.summary.title == "shop ERROR: down"
    assert [crumb["level"] for crumb in issue.events[0]["breadcrumbs"]] == ["info", "warning"]
