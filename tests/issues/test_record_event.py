"""Events that were made elsewhere: counted, bounded, scrubbed and stored as our own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inapp_monitor.issues.as_text import event_markdown, event_text
from inapp_monitor.issues.finished_event import MAX_EVENT_BYTES, encode, finish
from inapp_monitor.issues.foreign_event import LEVELS, MAX_AGE_S, bounded_event
from inapp_monitor.issues.grouping.fingerprint import Grouping
from inapp_monitor.issues.grouping.messages import group_message
from inapp_monitor.issues.grouping.v2 import Function, Shape, group
from inapp_monitor.issues.safe_text import HIDDEN
from inapp_monitor.issues.scrub import Scrubber

from .conftest import NOW, MakeMonitor, Monitor, caught

FRAME = {
    "function": "pay",
    "module": "checkout",
    "file": "checkout.js",
    "line": 12,
    "in_app": True,
    "source": {"first": 11, "lines": ["function pay(cart) {", "  charge(cart.total)"]},
    "locals": {"cart": "[1, 2]", "password": "hunter2"},
}
EVENT: dict[str, Any] = {
    "id": "0123456789abcdef0123456789abcdef",
    "time": NOW - 60,
    "level": "error",
    "type": "TypeError",
    "message": "cart is undefined",
    "release": "frontend@3",
    "environment": "production",
    "exceptions": [{"type": "TypeError", "message": "cart is undefined", "frames": [FRAME]}],
    "request": {
        "method": "GET",
        "path": "/cart",
        "query": "token=abc123def456",
        "headers": [["Cookie", "session=abc123def456"], ["Accept", "text/html"]],
        "remote_address": "192.0.2.1",
    },
    "user": {"id": "7"},
    "tags": {"browser": "Firefox"},
}
SHAPE = Shape("TypeError", "raised", [Function("checkout", "pay", True)], ())
GROUPING = group([SHAPE])


def record(monitor: Monitor, **more: Any) -> str:
    """Record the event with some parts changed; its issue's id."""
    issue = monitor.tracker.record_event({**EVENT, **more}, GROUPING)
    assert issue is not None
    return issue


def test_details_are_made_of_events_that_are_kept(monitor: Monitor) -> None:
    """In a storm each is counted with its tags, and few are stored."""
    made = 0

    def details() -> dict[str, Any]:
        nonlocal made
        made += 1
        return {"breadcrumbs": [{"message": f"clicked {made}"}]}

    for number in range(100):
        event = {**EVENT, "id": f"{number:032x}"}
        monitor.tracker.record_event(event, GROUPING, details)
    monitor.tick()
    issue = monitor.only_issue()
    assert (issue.summary.count, issue.tags["browser"]) == (100, [("Firefox", 100)])
    assert 0 < made < 30
    assert issue.events[0]["breadcrumbs"][0]["message"].startswith("clicked")


def test_it_is_an_issue_with_an_event(monitor: Monitor) -> None:
    """Title, culprit, tags, users, release and the stack are those of the event."""
    record(monitor)
    monitor.tick()
    issue = monitor.only_issue()
    summary = issue.summary
    assert (summary.title, summary.culprit) == ("TypeError: cart is undefined", "checkout.pay")
    assert (summary.count, summary.users, summary.release) == (1, 1, "frontend@3")
    assert summary.first_seen == summary.last_seen == NOW - 60
    assert issue.tags["browser"] == [("Firefox", 1)]
    assert issue.tags["method"] == [("GET", 1)]
    assert issue.releases == ["frontend@3"]
    (event,) = issue.events
    assert event["environment"] == "production"
    assert "charge(cart.total)" in event_text(event)


def test_secrets_are_hidden(monitor: Monitor) -> None:
    """In variables, headers, queries; the client's address is left out."""
    record(monitor)
    monitor.tick()
    (event,) = monitor.only_issue().events
    text = json.dumps(event)
    assert HIDDEN in text
    for secret in ("hunter2", "abc123def456", "192.0.2.1"):
        assert secret not in text


def test_the_address_is_kept_when_the_setting_says_so(make_monitor: MakeMonitor) -> None:
    """As for our own events."""
    monitor = make_monitor(error_remote_address=True)
    record(monitor)
    monitor.tick()
    (event,) = monitor.only_issue().events
    assert event["request"]["remote_address"] == "192.0.2.1"


def test_every_occurrence_counts_and_few_events_are_kept(monitor: Monitor) -> None:
    """The token bucket of a fingerprint bounds events, never counts."""
    for number in range(100):
        record(monitor, id=f"{number:032x}")
    monitor.tick()
    issue = monitor.only_issue()
    assert issue.summary.count == 100
    assert len(issue.events) == 10


def test_an_event_that_is_sent_again_counts_once(monitor: Monitor) -> None:
    """While the first copy of the same id is queued."""
    record(monitor)
    record(monitor)
    monitor.tick()
    assert monitor.only_issue().summary.count == 1


def test_before_send_sees_it(monitor: Monitor) -> None:
    """It may change or refuse events; a refused one is counted all the same."""
    seen: list[str] = []

    def refuse(event: dict[str, Any]) -> None:
        seen.append(event["message"])

    monitor.tracker.before_send = refuse
    record(monitor)
    monitor.tick()
    assert seen == ["cart is undefined"]
    issue = monitor.only_issue()
    assert (issue.summary.count, issue.events) == (1, [])
    assert monitor.tracker.status().dropped_events == {"before_send": 1}


def test_the_release_of_the_sender_decides_about_a_regression(monitor: Monitor) -> None:
    """An event of a release older than the fix is none; one of a later release is."""
    issue_id = record(monitor, time=NOW)
    monitor.tick()
    monitor.clock.advance(60)
    monitor.tracker.record_event({"release": "frontend@4"}, group_message("other"))
    monitor.tick()
    monitor.tracker.triage.resolve(issue_id, release="frontend@4")
    record(monitor, id="1" * 32)
    monitor.tick()
    detail = monitor.tracker.get_issue(issue_id)
    assert detail is not None
    assert detail.summary.status == "resolved"
    monitor.clock.advance(60)
    record(monitor, id="2" * 32, release="frontend@5", time=monitor.clock.now)
    monitor.tick()
    detail = monitor.tracker.get_issue(issue_id)
    assert detail is not None
    assert (detail.summary.status, detail.summary.count) == ("regressed", 3)
    assert detail.releases == ["frontend@3", "frontend@5"]


def test_what_is_not_written_yet_is_shown(monitor: Monitor) -> None:
    """Also of two releases of one fingerprint."""
    record(monitor)
    record(monitor, id="1" * 32, release="frontend@4")
    issue = monitor.only_issue()
    assert issue.summary.count == 2
    assert len(issue.events) == 2
    assert monitor.tracker.status().unwritten == 2
    monitor.tick()
    assert monitor.tracker.status().unwritten == 0
    assert monitor.only_issue().summary.count == 2


def test_our_own_events_have_the_process_release(monitor: Monitor) -> None:
    """Recording those of others changes nothing about them."""
    record(monitor)
    monitor.tracker.capture(caught(int, "x"))
    monitor.tick()
    releases = {i.type: i.release for i in monitor.tracker.list_issues()}
    assert releases == {"TypeError": "frontend@3", "ValueError": "r1"}


@pytest.mark.parametrize("when", [NOW + 10, NOW - MAX_AGE_S - 1, -1, float("nan"), "now", None])
def test_an_odd_time_is_the_time_of_arrival(monitor: Monitor, when: object) -> None:
    """Clocks of browsers are wrong by days."""
    record(monitor, time=when)
    monitor.tick()
    assert monitor.only_issue().summary.last_seen == NOW


def test_a_circle_of_exceptions_is_a_chain(monitor: Monitor) -> None:
    """Each exception belongs to an earlier one, whatever was sent."""
    circle = [
        {"type": "A", "parent": 1, "relation": "cause", "frames": [FRAME]},
        {"type": "B", "parent": 1, "relation": "cause", "frames": [FRAME]},
        {"type": "C", "parent": 2, "relation": "nonsense"},
    ]
    record(monitor, exceptions=circle)
    monitor.tick()
    (event,) = monitor.only_issue().events
    assert [(e["parent"], e["relation"]) for e in event["exceptions"]] == [
        (None, "raised"),
        (0, "cause"),
        (1, "cause"),
    ]
    assert "direct cause" in event_text(event)


@pytest.mark.parametrize(
    "part",
    ["exceptions", "request", "tags", "user", "contexts", "breadcrumbs", "message", "release"],
)
def test_a_part_as_large_as_the_wire_allows_is_cut(monitor: Monitor, part: str) -> None:
    """No part of an event makes it larger than an event may be."""
    large = "\u20ac" * 50_000
    names = {f"{large}{number}": large for number in range(200)}
    frame = {**dict.fromkeys(("function", "module", "file"), large), "in_app": True, "line": 5}
    frame.update(source={"first": 1, "lines": [large] * 200}, locals=names)
    parts: dict[str, object] = {
        "exceptions": [{"type": large, "message": large, "frames": [frame] * 200}] * 50,
        "request": {"path": large, "query": large, "headers": [[large, large]] * 200},
        "tags": names,
        "user": names,
        "contexts": {f"{n}": names for n in range(50)},
        "breadcrumbs": [{"message": large, "data": names}] * 200,
    }
    record(monitor, **{part: parts.get(part, large)})
    monitor.tick()
    (event,) = monitor.only_issue().events
    assert len(encode(event)) <= MAX_EVENT_BYTES
    assert monitor.guard.faults == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
FRAMES = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FRAME, JSON)), max_size=2)
EXCEPTIONS = st.lists(
    JSON
    | st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("type", "message", "relation", "parent", "notes", "group"), JSON),
            "frames": JSON | FRAMES,
        },
    ),
    max_size=3,
)
ANYTHING = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys([*EVENT, "route", "contexts", "breadcrumbs", "cuts", "worker"], JSON),
        "exceptions": JSON | EXCEPTIONS,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING)
def test_whatever_is_sent_can_be_stored_and_shown(sent: dict[str, Any]) -> None:
    """Any JSON becomes an event that every reader of events can rely on."""
    event = bounded_event(sent, NOW, Scrubber().hides)
    assert event["level"] in LEVELS
    shown = json.loads(encode(finish({**event, "why": []}, Scrubber())))
    assert event_text(shown)
    assert event_markdown(shown)


def test_a_grouping_cannot_grow_without_bound(monitor: Monitor) -> None:
    """Its reason is shown to people, so it is cut like everything else that was sent."""
    found = Grouping("ab" * 16, ("x" * 100_000,) * 100, 1)
    monitor.tracker.record_event(EVENT, found)
    monitor.tick()
    (fingerprint,) = monitor.only_issue().fingerprints
    assert len(fingerprint.reason) <= 30
    assert max(map(len, fingerprint.reason)) == 1_000


def test_releases_are_bounded(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends events may name any release; the newest are kept."""
    monkeypatch.setattr("inapp_monitor.issues.merge_counts.MAX_RELEASES", 3)
    for number in range(6):
        record(monitor, id=f"{number:032x}", release=f"v{number}", time=NOW + number)
        monitor.clock.advance(1)
        monitor.tick()
    assert monitor.tracker.triage.releases() == ["v5", "v4", "v3"]
    issue = monitor.only_issue()
    assert issue.releases == ["v3", "v4", "v5"]
    assert issue.summary.count == 6
