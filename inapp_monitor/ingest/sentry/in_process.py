"""The transport for an SDK in this very application: it hands over without HTTP.

An exception that the SDK and the monitor both see is one event: the monitor's, which knows more of
it, with the user, tags, contexts and breadcrumbs that were set with the SDK. What the SDK made of a
log record is left out where the monitor records those itself. Everything else goes where it goes by
HTTP. Nothing of the library is imported before somebody asks for a transport.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from inapp_monitor.ingest.sentry.envelope import (
    LIMITS,
    MAX_ATTACHMENT,
    OPTIONAL,
    Envelope,
    Item,
)
from inapp_monitor.ingest.sentry.event import event_of
from inapp_monitor.ingest.sentry.inbox import Inbox

#: Under which what this application sends is counted.
PROJECT = "this application"
#: Of its own data that an SDK adds to each event.
_NOT_ADDED = ("trace", "runtime", "mechanism", "log", "logger")
_MAX_CALLERS = 6


class Recorder(Protocol):
    """What records exceptions, see `Tracker`."""

    def capture(self, exception: BaseException, *, channel: str) -> str | None: ...
    def add_facts(self, exception: BaseException, facts: Mapping[str, Any]) -> None: ...


class HandOver(Protocol):
    """Hands an SDK's envelope and the exception that it is about to the monitor."""

    def __call__(self, envelope: Any, exception: BaseException | None) -> None: ...


def make_transport(hand_over: HandOver) -> Any:
    """A transport for `sentry_sdk.init(transport=...)`.

    Raises:
        ImportError: `sentry_sdk` is not installed.
    """
    library = importlib.import_module("sentry_sdk.transport")

    def capture_envelope(_: object, envelope: Any) -> None:
        hand_over(envelope, _exception())

    return type(
        "InProcessTransport", (library.Transport,), {"capture_envelope": capture_envelope}
    )()


def receive(
    envelope: Any,
    exception: BaseException | None,
    inbox: Inbox,
    recorder: Recorder,
    *,
    log_errors: bool,
) -> None:
    """Record what an SDK in this process hands over.

    Args:
        envelope: An `Envelope` of `sentry_sdk`.
        exception: That the event is about, if it is about one.
        inbox: Where items go.
        recorder: Records exceptions.
        log_errors: Whether the monitor records log records itself.
    """
    for item in list(envelope.items)[:200]:
        event = item.get_event()
        kind = str(dict(item.headers).get("type"))
        if kind in OPTIONAL:  # the monitor keeps traces of these requests itself
            inbox.count(PROJECT, "item", kind)
        elif event is None:
            inbox.accept(Envelope({}, [_plain(item)]), PROJECT)
        elif exception is not None and _is_about(event, exception):
            facts = event_of(event)
            for name in _NOT_ADDED:
                facts["contexts"].pop(name, None)
            recorder.capture(exception, channel=facts["channel"])
            recorder.add_facts(exception, facts)
            inbox.count(PROJECT, "event", "python")
        elif log_errors and _is_log_record(event):
            inbox.count(PROJECT, "item", "log record")
        else:
            payload = json.dumps(event, default=str).encode()
            kept = payload if len(payload) <= LIMITS["event"] else None
            inbox.accept(Envelope({}, [Item("event", {}, kept, len(payload))]), PROJECT)


def _plain(item: Any) -> Item:
    """An item of the library as an `Item`."""
    headers = {str(name): value for name, value in dict(item.headers).items()}
    kind = str(headers.get("type"))
    limit = MAX_ATTACHMENT if kind == "attachment" else LIMITS.get(kind, 0)
    data = item.get_bytes() if limit else b""
    return Item(kind, headers, data if data and len(data) <= limit else None, len(data))


def _exception() -> BaseException | None:
    """What the event is about: the SDK's client holds it while it calls, else what is handled."""
    frame = sys._getframe(1)
    for _ in range(_MAX_CALLERS):
        if frame.f_back is None:
            break
        frame = frame.f_back
        hint = frame.f_locals.get("hint") if frame.f_code.co_name == "capture_event" else None
        given = hint.get("exc_info") if isinstance(hint, dict) else None
        if isinstance(given, tuple) and len(given) == 3:
            given = given[1]
        if isinstance(given, BaseException):
            return given
    return sys.exc_info()[1]


def _is_about(event: Mapping[str, Any], exception: BaseException) -> bool:
    found = event.get("exception")
    raised = found.get("values") if isinstance(found, dict) else None
    if not raised or not isinstance(raised[-1], dict):
        return False
    return raised[-1].get("type") in (type(exception).__name__, type(exception).__qualname__)


def _is_log_record(event: Mapping[str, Any]) -> bool:
    is_error = event.get("level") in ("error", "fatal", "critical")
    return is_error and bool(event.get("logger")) and not event.get("exception")
