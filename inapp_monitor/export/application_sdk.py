"""Hands exceptions to the `sentry_sdk` of the application, each failure once.

The SDK's own integrations report what they see. What was reported by one of them is not handed over
again, and what was handed over is not reported by them: a processor of events, which the SDK calls
for all of them, remembers with the exception which failure it was. Nothing is imported here: an
application that has the SDK has loaded it.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any, Final

from inapp_monitor.issues import recorded_exceptions

#: Identifies the SDK among those that remember exceptions, and whose event it was.
_KEY: Final = object()
_HANDED_OVER: Final = "handed over"
_SEEN: Final = "seen by an integration"
_is_handing_over: ContextVar[bool] = ContextVar("inapp_monitor_hands_over", default=False)


class ApplicationSdk:
    """The SDK of this process.

    Attributes:
        sent: Exceptions that it has taken.
        dropped: Those that it could not be given.
        last_error: Why not; "" after one that it was given.

    *Threads:* any; a lost count is acceptable.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.dropped = 0
        self.last_error = ""
        watch_events()

    def forked(self) -> None:
        """In a child process."""
        self.sent = self.dropped = 0

    def hand_over(self, error: BaseException) -> None:
        """Have it reported, unless it was. *Cost:* that of an event of the SDK's, a millisecond."""
        sdk = sys.modules.get("sentry_sdk")
        try:
            if sdk is None or not sdk.is_initialized():
                raise LookupError("the application has not called sentry_sdk.init")
            watch_events()
            before = _is_handing_over.set(True)
            try:
                self.sent += sdk.capture_exception(error) is not None
            finally:
                _is_handing_over.reset(before)
            self.last_error = ""
        except Exception as failure:  # noqa: BLE001  # the SDK's, or of one that is too old
            self.dropped += 1
            self.last_error = f"{type(failure).__name__}: {failure}"[:200]


def watch_events() -> None:
    """Have `_unless_reported` called for each event of this process, once there is an SDK."""
    if "sentry_sdk" not in sys.modules:
        return
    from sentry_sdk.scope import add_global_event_processor, global_event_processors

    if _unless_reported not in global_event_processors:
        add_global_event_processor(_unless_reported)


def _unless_reported(event: Any, hint: Any) -> Any:
    """A processor of events: the event, or None where this failure has been reported."""
    try:
        error = ((hint or {}).get("exc_info") or (None, None))[1]
        if not isinstance(error, BaseException):
            return event
        by_us = _is_handing_over.get()
        known = recorded_exceptions.find(error, _KEY, None)
        if known is not None and (by_us or known.issue == _HANDED_OVER):
            return None
        recorded_exceptions.remember(error, _KEY, _HANDED_OVER if by_us else _SEEN, "", None)
    except Exception:  # noqa: BLE001, S110  # rather twice than not at all
        pass
    return event
