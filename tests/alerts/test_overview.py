"""Rules with their states as the page and `alerts.json` show them."""

from __future__ import annotations

import pytest

from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.findings import words
from inapp_monitor.alerts.kept_states import Kept
from inapp_monitor.alerts.overview import Judged, rule_rows
from inapp_monitor.alerts.state import State
from inapp_monitor.alerts.status import Status


def test_a_problem_that_is_not_sure_yet_is_shown_before_what_is_well() -> None:
    """Soft: no message was sent, and still nobody reads OK beside it."""
    rules = {rule.name: rule for rule in built_in.DETECTED.values()}
    states = {
        ("slow-requests", "search.GET"): Kept(
            State(Status.CRITICAL, hard=False, attempt=4), None, "19 of 19 requests over 384 ms"
        ),
        ("failing-requests", "pay.POST"): Kept(State(Status.WARNING), None, "2 of 9 failed"),
    }
    rows = rule_rows(Judged(rules, states, 100.0, ""), 100.0)
    assert [(row["name"], row["status"], row["soft_status"]) for row in rows[:3]] == [
        ("failing-requests", "WARNING", "OK"),
        ("slow-requests", "OK", "CRITICAL"),
        ("broken-links", "OK", "OK"),
    ]


@pytest.mark.parametrize(
    ("name", "whole", "expected"),
    [
        ("disk-space", 270_553_174_016.0, "22.24 % of 252 GB in 120 s"),
        ("disk-space", 512.0, "22.24 % of 512 B in 120 s"),
    ],
)
def test_a_share_of_bytes_is_written_for_people(name: str, whole: float, expected: str) -> None:
    """The whole is no count of requests."""
    rule = next(rule for rule in built_in.queried() if rule.name == name)
    assert words(rule, 22.24, whole, Status.OK) == expected
