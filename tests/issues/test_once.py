"""One failure is one occurrence: not missed because it looks like an earlier one, not counted twice
because it is seen at two places."""

from __future__ import annotations

import copy
import gc
import logging
import marshal
import pickle
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from tests.environ import environ_of
from tests.request.battery import serve

from . import conftest
from .conftest import Record, caught, environ

logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
CLOSED = ConnectionError("queue closed")


@pytest.fixture(autouse=True)
def _closed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that no test before has raised, whose traceback goes on with each time."""
    monkeypatch.setitem(globals(), "CLOSED", ConnectionError("queue closed"))


App = Callable[[dict[str, Any], Any], Any]


class OneError:
    """A connection that keeps the error it was closed with."""

    def __init__(self) -> None:
        self.error = ValueError("closed")

    def send(self) -> None:
        raise self.error


def raise_closed() -> None:
    raise CLOSED


def raise_closed_elsewhere() -> None:
    raise CLOSED


def raise_closed_without_traceback() -> None:
    raise CLOSED.with_traceback(None)


def count(monitor: conftest.Monitor) -> int:
    """All occurrences of all issues."""
    monitor.tick()
    return sum(issue.count for issue in monitor.tracker.list_issues())


@pytest.mark.parametrize(
    "fail",
    [raise_closed, raise_closed_without_traceback, OneError().send],
    ids=lambda fail: fail.__name__,
)
def test_an_object_that_is_raised_anew_is_another_occurrence(
    monitor: conftest.Monitor, fail: Callable[[], None]
) -> None:
    """Libraries make an error once and raise it whenever it happens."""
    for _ in range(5):
        monitor.tracker.capture(caught(fail))
    assert count(monitor) == 5
    issue = monitor.only_issue()
    assert {len(event["exceptions"][0]["frames"]) for event in issue.events} == {2}


def through_a_layer() -> None:
    try:
        raise_closed()
    except ConnectionError as error:
        raise error  # as many do


def test_each_time_an_object_is_raised_has_its_own_traceback(monitor: conftest.Monitor) -> None:
    """The object's one goes on with those of before: they are no part of this failure, and an
    issue's place is not that of another one."""
    for fail in (through_a_layer, raise_closed_elsewhere, through_a_layer):
        for _ in range(3):
            monitor.tracker.capture(caught(fail))
    monitor.tick()
    issues = [monitor.tracker.get_issue(each.id) for each in monitor.tracker.list_issues()]
    functions = {
        (issue.summary.count, *(f["function"] for f in event["exceptions"][0]["frames"][1:]))
        for issue in issues
        if issue is not None
        for event in issue.events
    }
    assert functions == {
        (6, "through_a_layer", "through_a_layer", "raise_closed"),
        (3, "raise_closed_elsewhere"),
    }


def test_two_functions_may_raise_one_object(monitor: conftest.Monitor) -> None:
    """Each time is one, in whatever order, in requests and outside of any."""
    for fail in (raise_closed, raise_closed_elsewhere, raise_closed):
        monitor.tracker.capture(caught(fail))
    for number in range(2):
        given = environ(**{"inapp_monitor.request": Record(None), "HTTP_X": str(number)})
        monitor.tracker.capture(caught(raise_closed), given)
    assert count(monitor) == 5


def test_an_exception_on_its_way_is_one_occurrence(monitor: conftest.Monitor) -> None:
    """Raised again by whoever caught it, or handed over by a pool, it is the same failure."""

    def inner() -> None:
        try:
            raise LookupError("x")
        except LookupError as error:
            monitor.tracker.capture(error)
            raise

    def outer() -> None:
        try:
            inner()
        except LookupError as error:
            monitor.tracker.capture(error)
            raise error  # as many do

    monitor.tracker.capture(caught(outer))
    with ThreadPoolExecutor(1) as pool:
        error = caught(pool.submit(outer).result)
    monitor.tracker.capture(error)
    assert count(monitor) == 2


def test_what_is_remembered_does_not_travel(monitor: conftest.Monitor) -> None:
    """A copy, an unpickled exception or one with the same attributes is another one; the
    application finds nothing that it has not set."""
    error: Any = caught(raise_closed)
    error = ConnectionError("queue closed")
    error.order = 7
    monitor.tracker.capture(error)
    other: Any = ConnectionError("queue closed")
    other.__dict__.update(error.__dict__)
    shared: Any = ConnectionError("queue closed")
    shared.__dict__ = error.__dict__
    for each in (error, copy.copy(error), pickle.loads(pickle.dumps(error)), other, shared):
        assert vars(each) == {"order": 7}
        monitor.tracker.capture(each)
    assert count(monitor) == 5
    assert b"inapp_monitor" not in pickle.dumps(error)


class RefusedError(Exception):
    """One whose attributes somebody else may hold too."""

    def __init__(self, attributes: dict[str, Any] | None = None) -> None:
        super().__init__("refused")
        if attributes is not None:
            self.__dict__ = attributes


class Defaults(dict[str, Any]):
    """A dictionary of the application that notices its use."""

    used = 0

    def keys(self) -> Any:
        Defaults.used += 1
        raise LookupError

    get = __iter__ = __len__ = __contains__ = __getitem__ = items = keys

    def __missing__(self, name: str) -> str:
        return f"no {name}"


def fail_with(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("held", ["by the caller", "by an object", "of a class"])
def test_a_dictionary_that_somebody_holds_stays_the_exceptions(
    monitor: conftest.Monitor, held: str
) -> None:
    """What is written to it arrives at the exception; and it is one occurrence all the same."""
    context = types.SimpleNamespace()
    attributes: dict[str, Any] = Defaults() if held == "of a class" else vars(context)
    error: Any = RefusedError(None if held == "by the caller" else attributes)
    if held == "by the caller":
        attributes = vars(error)
    caught(fail_with, error)
    for _ in range(3):
        monitor.tracker.capture(error)
    dict.__setitem__(attributes, "order", 7)
    assert vars(error) is attributes and error.order == 7
    assert Defaults.used == 0
    assert count(monitor) == 1


def test_exceptions_that_share_a_dictionary_are_remembered_apart(
    monitor: conftest.Monitor,
) -> None:
    """The last few, also when one gets the address of one that is gone; none of them is kept."""
    shared: dict[str, Any] = {}
    for _ in range(300):
        error = RefusedError(shared)
        monitor.tracker.capture(error)
        monitor.tracker.capture(error)
    alive = weakref.ref(error)
    del error
    gc.collect()
    assert alive() is None
    assert count(monitor) == 300


def test_the_attributes_of_an_application_s_error_stay_a_plain_dictionary(
    monitor: conftest.Monitor,
) -> None:
    """Serializers that take nothing but a `dict` can write them."""
    error: Any = caught(fail_with, RefusedError())
    error.order = 7
    monitor.tracker.capture(error)
    assert type(vars(error)) is dict
    assert marshal.loads(marshal.dumps(vars(error))) == {"order": 7}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_exception_that_refers_to_its_attributes_is_copied(
    monitor: conftest.Monitor, copied: Callable[[Any], Any]
) -> None:
    """Whether it began to before or after it was recorded."""
    error: Any = caught(fail_with, ValueError("no"))
    error.order = 7
    monitor.tracker.capture(error)
    error.own = vars(error)
    assert vars(copied(error))["own"]["own"]["order"] == 7


@pytest.mark.parametrize("instruction", [-1, 10**6])
def test_a_traceback_that_a_program_made_is_one_occurrence(
    monitor: conftest.Monitor, instruction: int
) -> None:
    """Template engines make some, whose instruction need not be in the code."""
    made = types.TracebackType(None, sys._getframe(), instruction, 1)
    error = ValueError("no").with_traceback(made)
    for _ in range(3):
        monitor.tracker.capture(error)
    assert count(monitor) == 1


def test_an_exception_in_a_traced_function_is_one_occurrence(monitor: conftest.Monitor) -> None:
    """A debugger has the slot that tells one call of a function from the next."""

    def trace(*_: object) -> Any:
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        error = caught(fail_with, ValueError("no"))
        for _ in range(3):
            monitor.tracker.capture(error)
    finally:
        sys.settrace(before)
    assert count(monitor) == 1


def test_classes_made_in_functions_are_not_kept(monitor: conftest.Monitor) -> None:
    """Nor what they refer to; and they are one issue, found as fast as any."""
    alive: weakref.WeakSet[type] = weakref.WeakSet()

    def fail() -> None:
        big = bytearray(1000)

        class RefusedError(Exception):
            def size(self) -> int:
                return len(big)

        alive.add(RefusedError)
        raise RefusedError("no")

    def generated() -> None:
        space: dict[str, Any] = {}
        exec("def fail():\n    raise ValueError('no')", space)
        space["fail"]()

    for function in (fail, generated):
        for _ in range(20):
            monitor.tracker.capture(caught(function))
    assert count(monitor) == 40
    gc.collect()
    assert len(alive) == 0


# -- log records


def of(app: App, tmp_path: Path, **settings: Any) -> Iterator[Monitor]:
    """A monitor that listens."""
    quiet = {"collect_process": False, "collect_host": False, "flush_interval_s": 60}
    monitor = Monitor(app, data_dir=tmp_path, **{**quiet, **settings})
    monitor.refresh()
    yield monitor
    monitor.close()


def issues_of(app: App, tmp_path: Path, *, flushes: int = 1, **settings: Any) -> list[str]:
    """The titles of what one request leads to, as often as they occurred."""
    for monitor in of(app, tmp_path, **settings):
        serve(monitor, environ_of("/"))
        for _ in range(flushes):
            monitor.refresh()
        return titles(monitor)
    raise AssertionError


def titles(monitor: Monitor) -> list[str]:
    monitor.refresh()
    found = monitor.tracker.list_issues(500)
    return sorted(issue.title for issue in found for _ in range(issue.count))


def handled(log: Callable[[], object], *, late: bool = False) -> App:
    """An application that handles its failure: it logs and answers 500."""

    def app(given: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            return [{}["price"]]
        except KeyError:
            if not late:
                log()
            start_response("500 Oops", [("Content-Type", "text/plain")])
            if late:
                log()
            return [b""]

    return app


@pytest.mark.parametrize("late", [False, True])
def test_a_failure_that_is_logged_and_answered_5xx_is_one_issue(tmp_path: Path, late: bool) -> None:
    """Whether the record comes before the answer or after it, with a traceback or without."""
    with_traceback = handled(lambda: logger.exception("failed"), late=late)
    without = handled(lambda: logger.error("back end is down"), late=late)
    assert issues_of(with_traceback, tmp_path / "a") == ["KeyError: 'price'"]
    assert issues_of(without, tmp_path / "b") == ["shop ERROR: back end is down"]


def test_a_5xx_of_which_nothing_is_recorded_is_an_issue(tmp_path: Path) -> None:
    """Below ERROR nothing is an error, and with `log_errors` off records are none."""
    bare = ["500 Oops without an exception"]
    assert issues_of(handled(lambda: None), tmp_path / "a") == bare
    assert issues_of(handled(lambda: logger.warning("slow", exc_info=True)), tmp_path / "b") == bare
    off = issues_of(handled(lambda: logger.error("down")), tmp_path / "c", log_errors=False)
    assert off == bare


def test_the_hook_of_the_application_feeds_nothing(tmp_path: Path) -> None:
    """What `before_send` logs is not an event that it would be asked about, and so on."""

    def logs(event: Any) -> Any:
        logger.error(f"kept {event['id']}")
        return event

    def app(given: dict[str, Any], start_response: Any) -> list[bytes]:
        raise ValueError("boom")

    found = issues_of(app, tmp_path, flushes=3, before_send=logs)
    assert found == ["ValueError: boom"]


def test_a_message_without_a_text_is_an_error_all_the_same(tmp_path: Path) -> None:
    """An object as message whose `__str__` fails, as an argument, and as a breadcrumb."""

    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    def app(given: dict[str, Any], start_response: Any) -> list[bytes]:
        logger.info("looked at %s", Bad())
        logger.error(Bad())
        logger.error("failed: %s", Bad())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    raising, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        found = issues_of(app, tmp_path)
    finally:
        logging.raiseExceptions = raising
    assert len(found) == 2
    assert "shop ERROR: failed: %s" in found


def test_breadcrumbs_run_no_code_of_the_application(tmp_path: Path) -> None:
    """A record that nobody prints is not asked for its text; plain values are put in."""
    asked = []

    class Row:
        def __str__(self) -> str:
            asked.append(1)
            return "row"

    def app(given: dict[str, Any], start_response: Any) -> list[bytes]:
        quiet.info("looked at %s of %d, %s", Row(), 7, KeyError("x"))
        raise ValueError("boom")

    quiet = logging.getLogger("shop.quiet")
    quiet.setLevel(logging.INFO)
    quiet.propagate = False
    quiet.addHandler(logging.NullHandler())
    for monitor in of(app, tmp_path):
        with pytest.raises(ValueError, match="boom"):
            monitor(environ_of("/"), lambda *_: None)
        titles(monitor)
        issue = monitor.tracker.get_issue(monitor.tracker.list_issues()[0].id)
        assert issue is not None
        crumb = issue.events[0]["breadcrumbs"][0]["message"]
    assert (crumb, asked) == ("looked at <Row object> of 7, 'x'", [])


# -- several monitors


def test_a_monitor_inside_another_one(tmp_path: Path) -> None:
    """Both have the issue, raised, logged or answered; and each breadcrumb once."""

    def app(given: dict[str, Any], start_response: Any) -> list[bytes]:
        logger.warning("nearly empty")
        if given["PATH_INFO"] == "/raised":
            raise ValueError("boom")
        if given["PATH_INFO"] == "/logged":
            logger.error("trouble")
        start_response("503 Busy", [("Content-Type", "text/plain")])
        return [b""]

    for inner in of(app, tmp_path / "inner"):
        for outer in of(inner, tmp_path / "outer"):
            for path in ("/raised", "/logged", "/busy"):
                serve(outer, environ_of(path))
            expected = [
                "503 Busy without an exception",
                "ValueError: boom",
                "shop ERROR: trouble",
            ]
            assert titles(inner) == titles(outer) == expected
            for monitor in (inner, outer):
                for summary in monitor.tracker.list_issues():
                    issue = monitor.tracker.get_issue(summary.id)
                    assert issue is not None
                    crumbs = [crumb["message"] for crumb in issue.events[0]["breadcrumbs"]]
                    assert crumbs.count("nearly empty") == 1


def test_monitors_side_by_side(tmp_path: Path) -> None:
    """Each has what happens in its own requests; what happens outside of any both have."""

    def app(name: str) -> App:
        def answer(given: dict[str, Any], start_response: Any) -> list[bytes]:
            logger.error(f"trouble in {name}")
            try:
                raise_closed()
            except ConnectionError:
                logger.exception("closed")
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b""]

        return answer

    for shop in of(app("shop"), tmp_path / "shop"):
        for admin in of(app("admin"), tmp_path / "admin"):
            for monitor in (shop, admin, shop):
                serve(monitor, environ_of("/"))
            thread = threading.Thread(target=lambda: logger.error("nightly"))
            thread.start()
            thread.join()
            closed, nightly = "ConnectionError: queue closed", "shop ERROR: nightly"
            in_shop, in_admin = "shop ERROR: trouble in shop", "shop ERROR: trouble in admin"
            assert titles(shop) == [closed, closed, nightly, in_shop, in_shop]
            assert titles(admin) == [closed, nightly, in_admin]
