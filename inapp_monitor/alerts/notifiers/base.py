"""What a notifier is: something that a notice, or a snapshot of all states, can be sent to.

    Notifier    `send`: one notice, tried again until it succeeds
    Pusher      `push`: all states, at once after a change and every `every_s` seconds; what is lost
                is made good by the next one

Both may take long and fail: they are called in a thread of their own, never by a request or a tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from inapp_monitor.alerts.notice import Notice


class RefusedError(Exception):
    """The receiver said no for good: another attempt would be refused as well."""


class FailedError(Exception):
    """It did not work this time."""


class BusyError(FailedError):
    """It asks for another attempt in a moment."""


class Standing(NamedTuple):
    """One state in a snapshot.

    Attributes:
        rule, series: Whose.
        status: Of the last result: a number as of `Status`.
        hard: Whether it counts.
        hard_status: The last HARD status.
        title, detail: In words.
        value, unit, warning, critical: What was measured, and its ranges; NaN and "" for nothing.
        since: When the problem began; 0 while there is none.
        silent: Whether a downtime is in effect.
        severity, labels, runbook: Of the rule.
    """

    rule: str
    series: str
    status: int
    hard: bool
    hard_status: int
    title: str
    detail: str
    value: float
    unit: str
    warning: str
    critical: str
    since: float
    silent: bool
    severity: str
    labels: Mapping[str, str]
    runbook: str


class Notifier(Protocol):
    """Sends notices."""

    def send(self, notice: Notice) -> None:
        """Send one.

        Raises:
            RefusedError: it must not be tried again.
            FailedError, OSError: it may work later.
        """


class Pusher(Protocol):
    """Sends snapshots."""

    @property
    def every_s(self) -> float:
        """Seconds from one to the next while nothing changes."""

    def push(self, standings: Sequence[Standing], now: float) -> None:
        """Send the present states.

        Raises:
            FailedError, OSError: the next one will do.
        """
