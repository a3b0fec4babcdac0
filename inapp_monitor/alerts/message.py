"""What the engine hands over to be sent: a notification with what it is about. Pure."""

from __future__ import annotations

from typing import NamedTuple

from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.state import Notification


class Message(NamedTuple):
    """One notification of one state.

    Attributes:
        rule: Whose.
        series: Which of its states; "" for the rule as a whole.
        notification: PROBLEM, RECOVERY, ...; its number is counted for each state.
        title: The problem in some words, such as `/pay fails`.
        detail: The evidence, such as `34 of 34 requests failed for 44 s`.
        value: What was measured; None when nothing was.
        since: When the problem began, seconds since the epoch.
        incident: The incident that it belongs to; 0 for none.
    """

    rule: Rule
    series: str
    notification: Notification
    title: str
    detail: str
    value: float | None
    since: float
    incident: int = 0

    @property
    def key(self) -> str:
        """The same for the same notification, so that it is sent once."""
        return f"{self.rule.name}/{self.series}/{self.notification.number}"
