"""Notices and messages for tests."""

from __future__ import annotations

from typing import Any

from inapp_monitor.alerts.message import Message
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.state import Kind, Notification
from inapp_monitor.alerts.status import Status

AT = 1_700_000_000.0
#: What clients can put into a route, a title or a note.
HOSTILE = (
    "/x\r\nBcc: all@example.org\r\n\r\n<script>alert(1)</script> <!channel> @everyone @here"
    " [click](http://evil.example) `code` | a=1;2 \x1b[31m \u202e \ud800 " + "y" * 5_000
)


def notice(**changes: Any) -> Notice:
    known: dict[str, Any] = {
        "key": "pay-fails//1",
        "kind": "PROBLEM",
        "status": "CRITICAL",
        "app": "shop",
        "rule": "pay-fails",
        "series": "routes.pay.POST.errors",
        "title": "/pay fails",
        "detail": "34 of 34 requests failed for 44 s",
        "at": AT + 44,
        "since": AT,
        "value": 100.0,
        "unit": "%",
        "warning": "2",
        "critical": "5",
    }
    return Notice(**{**known, **changes})


def message(
    number: int = 1,
    *,
    kind: Kind = Kind.PROBLEM,
    status: Status = Status.CRITICAL,
    rule: str = "pay-fails",
    series: str = "",
    at: float = AT,
) -> Message:
    table = {"critical": "requests.errors > 5", "severity": "page"}
    made = Rule.parse(rule, table, "test")
    sent = Notification(kind, status, at, number)
    return Message(made, series, sent, "/pay fails", "34 of 34 requests", 100.0, at - 44)
