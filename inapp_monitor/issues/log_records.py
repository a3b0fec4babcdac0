"""Which log records are errors, and what of one is kept until it is recorded.

It must load fast: the first record of a process may come before the tracker is imported.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from inapp_monitor.ground import current_request
from inapp_monitor.issues.exception_tree import class_module
from inapp_monitor.issues.safe_text import MAX_TEXT_CHARS
from inapp_monitor.issues.scope import add_breadcrumb_once, text_of

if TYPE_CHECKING:
    from inapp_monitor.issues.tracker import Tracker

_OWN_LOGGER = "inapp_monitor"
#: Logs each answer of 5xx, which the request path sees itself and counts by route.
_ANSWER_LOGGERS, _ANSWER_LOGGER = "django", "django.request"
#: The line that Django's development server prints for each answer: those that fail are recorded.
_ACCESS_LOGGER = "django.server"
_TRACEBACK = "Traceback (most recent call last)"
#: The address of an object in a logger's name, as CherryPy has it: another one in each process.
_ADDRESS = re.compile(r"\.\d{6,}")
_LOGGING_FILE = logging.__file__
#: They ask what they hold for its text.
_CONTAINERS = (list, tuple, dict, set, frozenset)


@dataclass(frozen=True, slots=True, eq=False)
class ErrorRecord:
    """A record that is an error.

    Attributes:
        error: Its exception, if it has one.
        text, template: The message; as the application gave it, before its arguments are put in.
        logger, level_name: Their names.
        frame: Where it was logged.
    """

    error: BaseException | None
    text: str
    template: str
    logger: str
    level_name: str
    frame: FrameType | None


def logger_of(record: logging.LogRecord) -> str:
    """The name of its logger; `makeLogRecord` makes records without one."""
    return record.name if type(record.name) is str else "root"


def is_heard(record: logging.LogRecord) -> bool:
    """Whether a record matters at all; those of our own loggers do not."""
    return record.levelno >= logging.INFO and logger_of(record).partition(".")[0] != _OWN_LOGGER


def error_of(record: logging.LogRecord, *, log_errors: bool) -> ErrorRecord | None:
    """The error that a record of level ERROR or above is; None: it is none, or only reports an
    answer. Called where it was logged.

    Args:
        record: The record.
        log_errors: Whether it is one without an exception.
    """
    error = record.exc_info[1] if record.exc_info else None
    text = text_by_arguments(record)
    if error is None and _TRACEBACK in text:
        error = sys.exception()  # logged as text where it is handled
    if (error is None and not log_errors) or _only_reports_an_answer(record, error):
        return None
    name, level_name = logger_of(record), record.levelname
    return ErrorRecord(error, text, _template(record), name, level_name, _caller())


def capture(
    tracker: Tracker,
    found: ErrorRecord,
    environ: Mapping[str, Any] | None = None,
    route: str | None = None,
) -> str | None:
    """Record an error that was logged; `environ`, `route` and result as of `Tracker.capture`."""
    if found.error is not None:
        channel = f"log record of {found.logger}"
        return tracker.capture(found.error, environ, route=route, channel=channel)
    name = _ADDRESS.sub("", found.logger)
    return tracker.capture_message(
        found.text,
        level=found.level_name.lower(),
        template=found.template,
        place=name,
        kind=f"{name} {found.level_name}",
        environ=environ,
        route=route,
        channel=f"log record of {name}",
        frame=found.frame,
    )


def note_breadcrumb(record: logging.LogRecord, text: str) -> None:
    """Note a record as a breadcrumb of the next error in the same context."""
    level = str(record.levelname).lower()
    add_breadcrumb_once(text, category=logger_of(record), level=level, time=record.created)


def _only_reports_an_answer(record: logging.LogRecord, error: BaseException | None) -> bool:
    """Whether the record is about an answer: one of 4xx, which is none, one that will be an issue
    without it, or one to a client that has left."""
    if error is not None and current_request.is_of_client(error):
        return True
    if error is None and record.name == _ACCESS_LOGGER:
        return True
    status = getattr(record, "status_code", None)
    if type(status) is not int or logger_of(record).partition(".")[0] != _ANSWER_LOGGERS:
        return False
    if status < 500:
        return True
    if error is not None or record.name != _ANSWER_LOGGER:
        return False
    return getattr(current_request.get(), "environ", None) is not None  # None: it is over


def text_by_arguments(record: logging.LogRecord) -> str:
    """Its text, as logging makes it."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # arguments that do not fit: logging reports that itself
        return _template(record)


def _template(record: logging.LogRecord) -> str:
    """What the application gave as the message, before its arguments are put in."""
    try:
        return str(record.msg)
    except Exception:  # noqa: BLE001  # an object without a text is an error all the same
        return text_of(record.msg, MAX_TEXT_CHARS)


def text_by_structure(record: logging.LogRecord) -> str:
    """The text of a record that perhaps nobody prints: no code of the application runs for it."""
    message = text_of(record.msg, MAX_TEXT_CHARS)
    try:
        if not record.args:
            return message
        if type(record.args) is dict:
            return message % {name: _plain(value) for name, value in record.args.items()}
        return message % tuple(map(_plain, record.args))
    except Exception:  # noqa: BLE001  # arguments that do not fit, or a format of their own
        return message


def _plain(value: object) -> object:
    """A value of the standard library as it is, another one as the text that a variable has."""
    kind = type(value)
    if class_module(kind).partition(".")[0] in sys.stdlib_module_names:
        return value if kind not in _CONTAINERS else text_of(value, MAX_TEXT_CHARS)
    return text_of(value, MAX_TEXT_CHARS)


def _caller() -> FrameType | None:
    """The frame that logged: the first one outside of `logging`, which has called us."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != _LOGGING_FILE:
        frame = frame.f_back
    while frame is not None and frame.f_code.co_filename == _LOGGING_FILE:
        frame = frame.f_back
    return frame
