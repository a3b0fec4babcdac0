"""The part that keeps log records, and what joins it to the channel that hears them.

Thin: what a record becomes is `logs`' business, which request and user it belongs to is asked here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from inapp_monitor.ground import current_request
from inapp_monitor.issues import scope
from inapp_monitor.logs.buffer import HeardRecord
from inapp_monitor.logs.keeper import LogFacts
from inapp_monitor.logs.rows import LEVELS
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services

#: Attributes that every record has; what is beside them is the application's `extra`.
_STANDARD = {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName"}
_PLAIN = (str, int, float, bool)
_MAX_FIELDS, _MAX_FIELD_NAME, _MAX_FIELD = 10, 50, 300
_MAX_HEADER = 200


class Logs(Part):
    """Log records of all workers, in one file."""

    name = "log records"

    def __init__(self, services: Services) -> None:
        self._guard = services.core.guard
        self._early = services.core.early_records
        self._buffer = services.log_buffer
        self._keeper = services.log_keeper
        self.holds = (services.log_buffer, services.log_keeper)
        self._least = LEVELS.get(services.core.settings.log_level)
        if self._least is not None:
            services.tracker.record_listener = self._heard

    def _heard(self, record: logging.LogRecord, text: str, issue: str | None) -> None:
        """A log record, in the thread that logs it."""
        if self._least is not None and record.levelno >= self._least:
            try:
                self._buffer.add(_plain_record(record, text, issue))
            except Exception as error:  # noqa: BLE001  # the application must not see it
                self._guard.failed("hearing a log record", error)

    def _add_early(self) -> None:
        """What was logged before the parts were loaded."""
        for each in self._early.take():
            self._buffer.add(HeardRecord(**each._asdict()))

    def tick(self, now: float) -> None:  # noqa: ARG002
        self._add_early()
        try:
            if self._keeper.write():
                self._guard.recovered("file of log records")
        except OSError as error:  # shown until it works again, not until the next tick
            self._guard.failed("file of log records", error)

    def forked(self) -> None:
        self._keeper.forked()
        self._early.forked()

    def close(self) -> None:
        self._keeper.write()

    def drops(self) -> Mapping[str, int]:
        return {"log records": self._dropped()}

    def _dropped(self) -> int:
        return self._keeper.dropped() + self._early.dropped

    def facts(self) -> LogFacts:
        return LogFacts(self._dropped())


def _plain_record(record: logging.LogRecord, text: str, issue: str | None) -> HeardRecord:
    request = current_request.get()
    environ: Mapping[str, Any] = getattr(request, "environ", None) or {}
    known = scope.current()
    user = known.user if known is not None else {}
    file = "/".join(str(record.pathname).replace("\\", "/").split("/")[-2:])
    error = record.exc_info[1] if record.exc_info else None
    main = threading.main_thread().name
    return HeardRecord(
        time=record.created,
        level=record.levelno,
        logger=str(record.name),
        text=text,
        place=f"{file}:{record.lineno} in {record.funcName}",
        thread="" if record.threadName == main else str(record.threadName or ""),
        fields=_fields(record),
        error="" if error is None else type(error).__name__,
        request=request if environ else None,
        method=str(environ.get("REQUEST_METHOD", "")),
        request_id=str(environ.get("HTTP_X_REQUEST_ID", ""))[:_MAX_HEADER],
        traceparent=_trace_header(environ)[:_MAX_HEADER],
        user=next(iter(user.values()), ""),
        issue=issue or "",
    )


def _fields(record: logging.LogRecord) -> tuple[tuple[str, str], ...]:
    """The application's own, as far as they are plain values: no code of theirs runs."""
    given = vars(record)
    if given.keys() <= _STANDARD:
        return ()
    own = [
        (str(name)[:_MAX_FIELD_NAME], str(value)[:_MAX_FIELD])
        for name, value in list(given.items())
        if name not in _STANDARD and type(value) in _PLAIN
    ]
    return tuple(own[:_MAX_FIELDS])


def _trace_header(environ: Mapping[str, Any]) -> str:
    return str(environ.get("HTTP_TRACEPARENT") or environ.get("HTTP_SENTRY_TRACE") or "")
