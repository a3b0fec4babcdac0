"""Issues that an earlier rule of grouping made go on when the rule changes."""

from __future__ import annotations

from inapp_monitor.issues.code_places import CodePlaces
from inapp_monitor.issues.grouping import messages, v1, v2
from inapp_monitor.issues.shapes_v1 import shapes_of

from .conftest import MakeMonitor, Monitor, caught, environ


def fail(number: int) -> None:
    raise ValueError(f"order {number} is lost")


def store_by_rule_1(monitor: Monitor, found: v1.Grouping) -> str:
    """An issue as the version before wrote it."""
    issue = monitor.tracker.record_event({"type": "ValueError", "message": "lost"}, found)
    monitor.tick()
    assert issue is not None
    return issue


def test_an_exception_counts_in_the_issue_that_rule_1_made(make_monitor: MakeMonitor) -> None:
    """At once on the page, later on disk, with both fingerprints; what was resolved regresses."""
    monitor = make_monitor()
    old = store_by_rule_1(monitor, v1.group(shapes_of(caught(fail, 1), CodePlaces())))
    monitor.tracker.triage.resolve(old)
    monitor = make_monitor()  # the update
    monitor.clock.advance(60)
    monitor.tracker.capture(caught(fail, 2), environ())
    for _ in ("not written yet", "written"):
        detail = monitor.only_issue()
        assert (detail.summary.id, detail.summary.count) == (old, 2)
        assert detail.summary.status == "regressed"
        assert sorted(entry.version for entry in detail.fingerprints) == [1, v2.VERSION]
        monitor.tick()
    assert monitor.tracker.capture(caught(fail, 3), environ()) == old


def test_a_message_counts_in_the_issue_that_rule_1_made(monitor: Monitor) -> None:
    """Two that rule 1 took for one stay together there."""
    texts = ["{'event': 'payment declined'}", "{'event': 'mailbox full'}"]
    old = store_by_rule_1(monitor, v1.group_message(texts[0], place="shop"))
    assert v1.group_message(texts[0]) == v1.group_message(texts[1])
    assert messages.group_message(texts[0]) != messages.group_message(texts[1])
    for text in texts:
        monitor.tracker.capture_message(text, place="shop")
    monitor.tick()
    detail = monitor.only_issue()
    assert (detail.summary.id, detail.summary.count) == (old, 3)


def test_without_an_issue_of_rule_1_there_is_a_new_one(monitor: Monitor) -> None:
    """And the fingerprint of rule 1 is not stored."""
    monitor.tracker.capture(caught(fail, 1), environ())
    monitor.tick()
    assert [entry.version for entry in monitor.only_issue().fingerprints] == [v2.VERSION]


def test_rule_1_is_what_it_was() -> None:
    """Fingerprints on disk were made by it."""
    shape = v1.Shape("ValueError", "raised", [v1.Function("shop", "pay", in_app=True)], ["lost"])
    assert v1.group([shape]).fingerprint == "e01ab174344e9b48e51bbe96bce3f39a"
    assert (
        v1.group_message("user 7", place="shop").fingerprint == "257511efdff976751067d7b725944752"
    )
