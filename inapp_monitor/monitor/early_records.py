"""Log records of the moment before the parts are loaded, as plain values: bounded, without imports.

Nothing of the application is kept but its request, and none of its code runs: arguments that are no
plain values leave the message as it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import logging

#: Records that are kept; what comes on top is counted.
MAX_RECORDS: Final = 500
_MAX_TEXT: Final = 4_000
_PLAIN = (str, int, float, bool, type(None))


class EarlyRecord(NamedTuple):
    """One; fields as of `logs.buffer.HeardRecord`."""

    time: float
    level: int
    logger: str
    text: str
    place: str
    request: Any
    method: str
    request_id: str
    traceparent: str


class EarlyRecords:
    """Those of one process.

    Attributes:
        dropped: Records that did not fit.

    *Threads:* any; a count may be missed where two are dropped at once.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._records: list[EarlyRecord] = []

    def add(self, record: logging.LogRecord, request: Any) -> None:
        """Keep a record that was logged in a request, or in none."""
        if len(self._records) >= MAX_RECORDS:
            self.dropped += 1
            return
        environ: Mapping[str, Any] = getattr(request, "environ", None) or {}
        file = "/".join(str(record.pathname).replace("\\", "/").split("/")[-2:])
        self._records.append(
            EarlyRecord(
                time=record.created,
                level=record.levelno,
                logger=str(record.name),
                text=_text(record)[:_MAX_TEXT],
                place=f"{file}:{record.lineno} in {record.funcName}",
                request=request if environ else None,
                method=str(environ.get("REQUEST_METHOD", "")),
                request_id=str(environ.get("HTTP_X_REQUEST_ID", ""))[:200],
                traceparent=str(environ.get("HTTP_TRACEPARENT", ""))[:200],
            )
        )

    def take(self) -> list[EarlyRecord]:
        """All of them, once."""
        taken, self._records = self._records, []
        return taken

    def forked(self) -> None:
        """In a child process: they are the parent's."""
        self._records, self.dropped = [], 0


def _text(record: logging.LogRecord) -> str:
    message = record.msg if type(record.msg) is str else f"(a {type(record.msg).__name__})"
    args = record.args
    if type(args) is tuple and args and all(type(each) in _PLAIN for each in args):
        try:
            return message % args
        except Exception:  # noqa: BLE001  # arguments that do not fit
            return message
    return message
