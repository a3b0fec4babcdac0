"""Which signals are sent: those of `inapp_monitor.signals` once somebody has imported it.

Before that nobody can have connected, so nothing of it (or of blinker) is loaded, and what is
announced goes to `NoSignals`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Scalar


class Signals(Protocol):
    """What the module `inapp_monitor.signals` sends."""

    def anybody_wants_requests(self) -> bool: ...
    def anybody_wants_exceptions(self) -> bool: ...
    def send_requests(
        self, sender: object, requests: Iterable[Sequence[Any]], guard: Guard
    ) -> None: ...
    def send_not_found(
        self, sender: object, hits: Iterable[tuple[str, str, float]], guard: Guard
    ) -> None: ...
    def send_exception(
        self, sender: object, exception: BaseException, issue_id: str | None, guard: Guard
    ) -> None: ...
    def send_issue(self, sender: object, what: str, issue_id: str, guard: Guard) -> None: ...
    def send_datapoints(self, sender: object, scalars: Iterable[Scalar], guard: Guard) -> None: ...


class NoSignals:
    """Nobody listens."""

    def anybody_wants_requests(self) -> bool:
        """Whether each request must be kept until it is sent."""
        return False

    def anybody_wants_exceptions(self) -> bool:
        """Whether somebody hears of an exception while its request lasts."""
        return False

    def send_nothing(self, *_: object) -> None:
        """Whatever happened."""

    send_requests = send_not_found = send_exception = send_issue = send_datapoints = send_nothing


_NO_SIGNALS: Signals = NoSignals()


def signals() -> Signals:
    """Where to send. *Cost:* a look into `sys.modules`."""
    return cast(Signals, sys.modules.get("inapp_monitor.signals", _NO_SIGNALS))
