"""Capturing: once per exception object, counted exactly, with what a person needs to see."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from typing import Any

import pytest
from greenlet import GreenletExit

from inapp_monitor.ground import current_request
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.issues import scope
from inapp_monitor.issues.scope import (
    add_breadcrumb,
    new_scope,
    set_context,
    set_fingerprint,
    set_tag,
    set_user,
)

from .conftest import MakeMonitor, Monitor, Record, caught, environ


def divide(numerator: int, divisor: int) -> float:
    share = {"numerator": numerator}
    return share["numerator"] / divisor


def look_up(key: str) -> object:
    try:
        return {"a": 1}[key]
    except KeyError as error:
        raise LookupError(f"no such thing: {key}") from error


def test_an_exception_is_an_issue_with_its_event(monitor: Monitor) -> None:
    """Type, message, stack, locals, route and request of a failing view are kept."""
    issue_id = monitor.tracker.capture(caught(divide, 7, 0), environ(), route="/users/<int:id>")
    monitor.tick()
    issue = monitor.only_issue()
    assert issue.summary.id == issue_id
    assert issue.summary.type == "ZeroDivisionError"
    assert issue.summary.title == "ZeroDivisionError: division by zero"
    assert issue.summary.culprit.endswith("test_capture.divide")
    assert (issue.summary.status, issue.summary.count) == ("open", 1)
    assert (issue.summary.route, issue.summary.release) == ("/users/<int:id>", "r1")
    event = issue.events[0]
    frame = event["exceptions"][0]["frames"][-1]
    assert frame["function"] == "divide"
    assert frame["locals"]["numerator"] == "7"
    assert frame["locals"]["share"] == "{'numerator': 7}"
    failing = frame["source"]["lines"][frame["line"] - frame["source"]["first"]]
    assert failing[frame["column"] : frame["end_column"]] == 'share["numerator"] / divisor'
    assert event["route"] == "/users/<int:id>"
    assert event["request"]["method"] == "GET"
    assert event["request"]["path"] == "/users/7"
    assert ["User-Agent", "test"] in event["request"]["headers"]
    assert "remote_address" not in event["request"]


def test_once_per_exception_object(monitor: Monitor) -> None:
    """Several channels that see the same exception make one event; the later adds what it knows."""
    error = caught(divide, 1, 0)
    first = monitor.tracker.capture(error, channel="log record")
    request = environ()
    assert monitor.tracker.capture(error, request, route="/a") == first
    assert monitor.tracker.capture(error, request) == first
    monitor.tick()
    issue = monitor.only_issue()
    assert issue.summary.count == 1
    assert issue.events[0]["route"] == "/a"
    assert issue.events[0]["request"]["path"] == "/users/7"
    assert dict(issue.tags["route"]) == {"/a": 1}


def test_a_route_that_is_known_later_is_filled_in(monitor: Monitor) -> None:
    """An error handled inside a view is captured before the framework tells the route."""
    record = Record(environ())
    current_request.enter(record)
    request = environ(**{ENVIRON_KEY: record})
    record.environ = request
    monitor.tracker.capture(caught(divide, 1, 0))
    record.route = "/users/<int:id>"
    monitor.tick()
    issue = monitor.only_issue()
    assert issue.events[0]["route"] == issue.summary.route == "/users/<int:id>"


def test_one_object_raised_in_two_requests_counts_twice(monitor: Monitor) -> None:
    """A module-level exception that is raised again and again is as many errors."""
    error = ValueError("always the same")
    for _ in range(3):
        request = environ(**{ENVIRON_KEY: Record(None)})
        monitor.tracker.capture(error, request)
        monitor.tracker.capture(error, dict(request))
    assert monitor.only_issue().summary.count == 3


def test_what_is_not_written_is_shown(monitor: Monitor) -> None:
    """Lists and details are right before the first flush and while the disk refuses."""
    monitor.tracker.capture(caught(divide, 1, 0), environ(), route="/a")
    assert monitor.only_issue().summary.count == 1
    assert monitor.only_issue().events[0]["type"] == "ZeroDivisionError"
    monitor.settings.data_dir.write_text("a file in the way")
    for _ in range(3):
        monitor.tracker.capture(caught(divide, 1, 0), environ(), route="/a")
        monitor.tick()
    assert monitor.database.status().fault
    issue = monitor.only_issue()
    assert issue.summary.count == 4
    assert len(issue.events) == 4
    monitor.settings.data_dir.unlink()
    monitor.clock.advance(100)
    monitor.tick()
    monitor.tick()
    assert monitor.tracker.status().unwritten == 0
    assert monitor.only_issue().summary.count == 4


def test_cause_and_context_are_told_apart(monitor: Monitor) -> None:
    """The tree says how each exception came in, and suppressed contexts stay out."""

    def during() -> None:
        try:
            divide(1, 0)
        except ZeroDivisionError:
            look_up("zebra")

    def suppressed() -> None:
        try:
            divide(1, 0)
        except ZeroDivisionError:
            raise ValueError("clean") from None

    monitor.tracker.capture(caught(during))
    issue = monitor.only_issue()
    tree = [(e["type"], e["relation"], e["parent"]) for e in issue.events[0]["exceptions"]]
    assert tree == [
        ("LookupError", "raised", None),
        ("KeyError", "cause", 0),
        ("ZeroDivisionError", "context", 1),
    ]
    monitor.tracker.capture(caught(suppressed))
    titles = {found.title: found.id for found in monitor.tracker.list_issues()}
    detail = monitor.tracker.get_issue(titles["ValueError: clean"])
    assert detail is not None
    assert len(detail.events[0]["exceptions"]) == 1


def test_groups_notes_and_syntax_errors(monitor: Monitor) -> None:
    """Nested groups keep their members, notes stand apart, a SyntaxError has its position."""

    def fail() -> None:
        inner = ExceptionGroup("inner", [caught(divide, 1, 0), OSError(2, "gone")])
        error = ExceptionGroup("outer", [inner, caught(compile, "a b", "<input>", "exec")])
        error.add_note("while testing")
        raise error

    monitor.tracker.capture(caught(fail))
    exceptions = monitor.only_issue().events[0]["exceptions"]
    assert [(e["type"], e["relation"], e["parent"]) for e in exceptions] == [
        ("ExceptionGroup", "raised", None),
        ("ExceptionGroup", "member", 0),
        ("ZeroDivisionError", "member", 1),
        ("FileNotFoundError", "member", 1),
        ("SyntaxError", "member", 0),
    ]
    assert exceptions[4]["message"] == "invalid syntax (<input>, line 1)"
    assert exceptions[0]["message"] == "outer (2 sub-exceptions)"
    assert exceptions[0]["notes"] == ["while testing"]
    assert exceptions[4]["syntax"]["text"] == "a b"
    assert exceptions[4]["syntax"]["line"] == 1


def test_recursion_is_collapsed(monitor: Monitor) -> None:
    """A thousand equal frames are one, with their number."""

    def down(depth: int) -> None:
        if depth:
            down(depth - 1)
        raise ValueError("at the bottom")

    sys.setrecursionlimit(3000)
    monitor.tracker.capture(caught(down, 900))
    frames = monitor.only_issue().events[0]["exceptions"][0]["frames"]
    assert len(frames) <= 5
    assert max(frame["repeated"] for frame in frames) >= 898


def test_what_is_no_error(monitor: Monitor) -> None:
    """Closed generators, killed greenlets, clean exits and Ctrl-C are none; an exit with a code is
    one."""
    clean = SystemExit(), SystemExit(0), SystemExit(False)
    for error in (GeneratorExit(), GreenletExit(), KeyboardInterrupt(), *clean):
        assert monitor.tracker.capture(error) is None
    assert monitor.tracker.capture(caught(sys.exit, 1)) is not None


def test_nothing_below_our_own_mount(monitor: Monitor) -> None:
    """Requests to the dashboard are never captured, under any prefix."""
    error = caught(divide, 1, 0)
    for place in (
        {"PATH_INFO": "/_metrics"},
        {"PATH_INFO": "/_metrics/errors"},
        {"SCRIPT_NAME": "/app/_metrics", "PATH_INFO": "/errors"},
    ):
        assert monitor.tracker.capture(error, environ(**place)) is None
    assert monitor.tracker.capture(error, environ(PATH_INFO="/_metricsandmore")) is not None


def test_never_from_our_own_code(monitor: Monitor) -> None:
    """An exception raised by this package itself is the guard's business."""
    from inapp_monitor.ground.names import check_path

    assert monitor.tracker.capture(caught(check_path, "")) is None


def test_scope_goes_with_the_event(monitor: Monitor) -> None:
    """User, tags, contexts and breadcrumbs of the request are in its event and counted."""
    set_user({"id": 7, "email": "ada@example.org"})
    set_tag("plan", "gold")
    set_context("cart", {"items": 3, "object": object()})
    for number in range(80):
        add_breadcrumb(f"step {number}", category="test")
    monitor.tracker.capture(caught(divide, 1, 0))
    monitor.tick()
    issue = monitor.only_issue()
    event = issue.events[0]
    assert event["user"] == {"id": "7", "email": "ada@example.org"}
    assert event["tags"] == {"plan": "gold"}
    assert event["contexts"] == {"cart": {"items": "3", "object": "<object object>"}}
    assert [crumb["message"] for crumb in event["breadcrumbs"]][-1] == "step 79"
    assert len(event["breadcrumbs"]) == scope.MAX_BREADCRUMBS
    assert issue.tags["plan"] == [("gold", 1)]
    assert issue.summary.users == 1


def test_new_scope_is_forgotten_at_its_end(monitor: Monitor) -> None:
    """What is said in a block does not leak out of it."""
    set_tag("outer", "1")
    with new_scope():
        set_tag("inner", "1")
        monitor.tracker.capture(caught(divide, 1, 0))
    current = scope.current()
    assert current is not None
    assert current.tags == {"outer": "1"}
    assert monitor.only_issue().events[0]["tags"] == {"outer": "1", "inner": "1"}


def test_a_request_never_sees_what_an_earlier_one_said(monitor: Monitor) -> None:
    """User and tags belong to the request, also when one thread answers many."""
    set_user("ada")
    set_tag("plan", "gold")
    current_request.enter(Record(environ(PATH_INFO="/second")))
    monitor.tracker.capture(caught(divide, 1, 0))
    event = monitor.only_issue().events[0]
    assert (event["user"], event["tags"]) == ({}, {})
    assert event["request"]["path"] == "/second", "its environ is known without being handed over"


def test_users_are_counted_once_each(monitor: Monitor) -> None:
    """Users affected are distinct, over flushes."""
    for user in ("ada", "bob", "ada"):
        set_user(user)
        monitor.tracker.capture(caught(divide, 1, 0))
        monitor.tick()
    assert monitor.only_issue().summary.users == 2


def test_a_fingerprint_of_ones_own(monitor: Monitor) -> None:
    """`set_fingerprint` replaces or extends the rule."""
    set_fingerprint(["payment", "{{ default }}"])
    monitor.tracker.capture(caught(divide, 1, 0))
    set_fingerprint(None)
    monitor.tracker.capture(caught(divide, 1, 0))
    issues = [monitor.tracker.get_issue(found.id) for found in monitor.tracker.list_issues()]
    reasons = sorted(issue.fingerprints[0].reason[0] for issue in issues if issue)
    assert len(reasons) == 2
    assert reasons[1] == "given: payment"


def test_messages_are_grouped_by_their_template(monitor: Monitor) -> None:
    """A message with values is one issue; its kind and level are shown."""
    for user in ("ada", "bob"):
        monitor.tracker.capture_message(f"cannot bill '{user}' 12 times", level="warning")
    monitor.tick()
    issue = monitor.only_issue()
    assert issue.summary.count == 2
    assert issue.summary.level == "warning"
    assert issue.summary.title == "cannot bill 'ada' 12 times"


def test_a_5xx_without_an_exception_is_an_issue_per_route(monitor: Monitor) -> None:
    """`503` from two routes is two issues, whatever the path."""
    for path, route in (("/a/1", "/a/<id>"), ("/a/2", "/a/<id>"), ("/b", "/b")):
        monitor.tracker.capture_status(
            "503 Service Unavailable", environ(PATH_INFO=path), route=route
        )
    counts = sorted(issue.count for issue in monitor.tracker.list_issues())
    assert counts == [1, 2]


def test_storm_counts_exactly_and_keeps_first_and_last_events(monitor: Monitor) -> None:
    """Thousands from several threads: none lost, few events, memory bounded."""
    errors = [caught(divide, number, 0) for number in range(4_000)]

    def work(part: list[BaseException]) -> None:
        for error in part:
            monitor.tracker.capture(error, environ(), route="/a")

    threads = [threading.Thread(target=work, args=(errors[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monitor.tick()
    issue = monitor.only_issue()
    assert issue.summary.count == 4_000
    assert 1 <= len(issue.events) <= 21
    assert sum(issue.summary.hours.values()) == 4_000
    assert dict(issue.tags["route"]) == {"/a": 4_000}


def test_first_and_last_twenty_events_are_kept(monitor: Monitor) -> None:
    """Of a hundred events, spread over flushes, the first and the last 20 remain."""
    for number in range(100):
        monitor.clock.advance(2)
        monitor.tracker.capture(caught(divide, number, 0))
        if number % 7 == 0:
            monitor.tick()
    monitor.tick()
    events = monitor.only_issue().events
    numerators = [e["exceptions"][0]["frames"][-1]["locals"]["numerator"] for e in events]
    assert numerators == ["0", *(str(number) for number in range(80, 100))]


def test_several_processes_add_up(make_monitor: MakeMonitor) -> None:
    """Two workers with one directory: one issue, counts added, the first event kept."""
    one, two = make_monitor(), make_monitor()
    for _ in range(3):
        one.tracker.capture(caught(divide, 1, 0), environ(), route="/a")
        two.tracker.capture(caught(divide, 2, 0), environ(), route="/a")
        one.tick()
        two.tick()
    for monitor in (one, two):
        issue = monitor.only_issue()
        assert issue.summary.count == 6
        assert issue.events[0]["exceptions"][0]["frames"][-1]["locals"]["numerator"] == "1"


def test_a_child_does_not_write_what_its_parent_counted(monitor: Monitor) -> None:
    """After a fork the parent's unwritten counts are written once."""
    monitor.tracker.capture(caught(divide, 1, 0))
    pid = os.fork()
    if pid == 0:
        monitor.tracker.capture(caught(divide, 1, 0))
        monitor.tick()
        os._exit(0)
    os.waitpid(pid, 0)
    monitor.tick()
    assert monitor.only_issue().summary.count == 2


def test_nothing_of_the_application_stays_alive(monitor: Monitor) -> None:
    """Neither frames nor objects are kept after capture."""

    class Big:
        pass

    seen: list[weakref.ref[Any]] = []

    def fail() -> None:
        big = Big()
        seen.append(weakref.ref(big))
        raise ValueError(big)

    try:
        fail()
    except ValueError as error:
        monitor.tracker.capture(error, environ())
    gc.collect()
    assert seen[0]() is None, "this frame still runs: its own variables must not keep the error"


def test_a_dictionary_that_the_app_got_from_locals_is_left_alone(monitor: Monitor) -> None:
    """`locals()` held by the application keeps its content."""
    value = 7
    held = locals()
    monitor.tracker.capture(caught(divide, value, 0))
    try:
        divide(value, 0)
    except ZeroDivisionError as error:
        monitor.tracker.capture(error)
    assert held["value"] == 7


def test_capture_inside_capture_is_left_out(monitor: Monitor) -> None:
    """A before_send that fails and captures does not loop."""
    monitor.tracker.before_send = lambda event: monitor.tracker.capture(ValueError()) and None
    monitor.tracker.capture(caught(divide, 1, 0))
    monitor.tick()
    monitor.tick()
    assert monitor.guard.faults == {}


def test_before_send_changes_drops_and_may_fail(monitor: Monitor) -> None:
    """The hook sees scrubbed events; when it fails only the stack is kept."""

    def hook(event: dict[str, Any]) -> dict[str, Any] | None:
        if event["route"] == "/dropped":
            return None
        if event["route"] == "/fails":
            raise RuntimeError("hook")
        return {**event, "extra": "by hook"}

    monitor.tracker.before_send = hook
    for route in ("/changed", "/dropped", "/fails"):
        monitor.tracker.capture(caught(divide, 1, 0), environ(), route=route)
    monitor.tick()
    issue = monitor.only_issue()
    assert issue.summary.count == 3, "counts do not depend on events"
    changed, failed = issue.events
    assert changed["extra"] == "by hook"
    assert failed["exceptions"][0]["frames"][-1]["locals"] == {}
    assert failed["cuts"][-1] == "before_send failed: only the stack is kept"


def test_a_handled_error_counts_for_its_route(monitor: Monitor) -> None:
    """It is captured before its request is routed; also those that are counted without an event."""
    for _ in range(15):
        record = Record(environ())
        monitor.tracker.capture(caught(divide, 1, 0), environ(**{ENVIRON_KEY: record}))
        record.route = "/late"
    monitor.tick()
    issue = monitor.only_issue()
    assert dict(issue.tags["route"]) == {"/late": 15}
    assert {event["route"] for event in issue.events} == {"/late"}


def test_listeners_hear_of_new_issues(monitor: Monitor) -> None:
    """Who listens is told once the issue is in the database."""
    told: list[tuple[str, str]] = []
    monitor.tracker.listeners.append(lambda what, issue: told.append((what, issue)))
    issue = monitor.tracker.capture(caught(divide, 1, 0))
    monitor.tick()
    monitor.tracker.capture(caught(divide, 1, 0))
    monitor.tick()
    assert told == [("new", issue)]


def test_too_many_fingerprints_are_one_issue(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the cap of a process further issues are counted as one."""
    monkeypatch.setattr("inapp_monitor.issues.pending.MAX_FINGERPRINTS", 5)
    for number in range(20):
        monitor.tracker.capture_message("x", place=f"logger {number}")
    monitor.tick()
    counts = sorted(issue.count for issue in monitor.tracker.list_issues())
    assert counts == [1, 1, 1, 1, 1, 15]


def test_an_issue_gets_its_title_from_a_later_event(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When there was no room for the first events, the name comes with the first one kept."""
    monkeypatch.setattr("inapp_monitor.issues.occurrences.MAX_WAITING_NEW", 0)
    monitor.tracker.capture(caught(divide, 1, 0))
    monitor.tick()
    assert monitor.only_issue().summary.title == "ZeroDivisionError"
    monkeypatch.undo()
    monitor.tracker.capture(caught(divide, 1, 0))
    monitor.tick()
    assert monitor.only_issue().summary.title == "ZeroDivisionError: division by zero"
    assert monitor.tracker.status().dropped_events == {"too many at once": 1}


def test_counts_for_series(monitor: Monitor) -> None:
    """What was counted since the last call, by issue."""
    issue = monitor.tracker.capture(caught(divide, 1, 0))
    monitor.tracker.capture(caught(divide, 1, 0))
    assert monitor.tracker.take_counts() == {issue: 2}
    assert monitor.tracker.take_counts() == {}
