"""The standard library's own channels: log records, uncaught and unraisable exceptions.

A log record with a traceback is an error, and so is one of level ERROR and above; others from INFO
become breadcrumbs of the next error in the same context. Threads that die, a process that ends with
a traceback and exceptions in `__del__` are errors too. What was installed before keeps being
called, and nothing here raises. It must not know the monitor, only its tracker.

Records are seen in `Logger.callHandlers`, not by a handler on the root logger: with one,
`logging.basicConfig` of the application would do nothing, and warnings that Python prints when
nobody configured logging would be lost. So loggers that do not propagate are seen as well.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from inapp_monitor import current_request
from inapp_monitor.issues import Tracker, add_breadcrumb

_OWN_LOGGER = "inapp_monitor"
#: Tells of each answer of 5xx, which the request path sees itself and counts by route.
_TELLS_OF_ANSWERS = "django.request"
_TRACEBACK = "Traceback (most recent call last)"
#: The address of an object in a logger's name, as CherryPy has it: another one in each process.
_ADDRESS = re.compile(r"\.\d{6,}")
_LOGGING_FILE = logging.__file__


def _see(tracker: Tracker, log_errors: bool, record: logging.LogRecord) -> None:
    """Capture a record or note it as a breadcrumb; our own logger is left out."""
    if record.levelno < logging.INFO or record.name.partition(".")[0] == _OWN_LOGGER:
        return
    error = record.exc_info[1] if record.exc_info else None
    text = _text(record)
    if error is None and record.levelno >= logging.ERROR and _TRACEBACK in text:
        error = sys.exception()  # logged as text where it is handled
    level = record.levelname.lower()
    if error is not None:
        tracker.capture(error, channel=f"log record of {record.name}")
    elif record.levelno >= logging.ERROR and log_errors and not _only_tells_of_an_answer(record):
        name = _ADDRESS.sub("", record.name)
        tracker.capture_message(
            text,
            level=level,
            template=str(record.msg),
            place=name,
            kind=f"{name} {record.levelname}",
            channel=f"log record of {name}",
            frame=_caller(),
        )
    add_breadcrumb(text, category=record.name, level=level, time=record.created)


def _only_tells_of_an_answer(record: logging.LogRecord) -> bool:
    """Whether the record is about a status that will be an issue without it."""
    if record.name != _TELLS_OF_ANSWERS or not hasattr(record, "status_code"):
        return False
    return getattr(current_request.get(), "environ", None) is not None  # None: it is over


def install(tracker: Tracker, *, log_errors: bool = True) -> Callable[[], None]:
    """Listen to all loggers and to the hooks of `sys` and `threading`.

    Args:
        tracker: Where errors go.
        log_errors: Whether records of level ERROR and above are errors without a traceback.

    Returns:
        A function that takes everything back; hooks that others have put over ours stay and pass
        on what they get.
    """
    undo = [
        _hook(logging.Logger, "callHandlers", lambda given: _see(tracker, log_errors, given[1])),
        _hook(sys, "excepthook", lambda arguments: _uncaught(tracker, arguments)),
    ]
    undo.append(_hook(threading, "excepthook", lambda arguments: _thread(tracker, arguments[0])))
    undo.append(_hook(sys, "unraisablehook", lambda given: _unraisable(tracker, given[0])))

    def uninstall() -> None:
        for take_back in undo:
            take_back()

    return uninstall


def _hook(place: Any, name: str, see: Callable[[tuple[Any, ...]], None]) -> Callable[[], None]:
    """Put a hook that looks and passes on over the present one; returns how to take it back."""
    before = getattr(place, name)
    active = True

    def hook(*arguments: Any) -> Any:
        if active:
            try:
                see(arguments)
            except Exception:  # noqa: BLE001, S110  # odd arguments: what was here goes on
                pass
        return before(*arguments)

    def take_back() -> None:
        nonlocal active
        active = False
        if getattr(place, name) is hook:
            setattr(place, name, before)

    setattr(place, name, hook)
    return take_back


def _uncaught(tracker: Tracker, arguments: tuple[Any, ...]) -> None:
    if len(arguments) == 3 and isinstance(arguments[1], BaseException):
        tracker.capture(arguments[1], channel="uncaught")


def _thread(tracker: Tracker, arguments: Any) -> None:
    error = arguments.exc_value
    if error is not None and not issubclass(type(error), SystemExit):  # the type cannot be faked
        tracker.capture(error, channel="uncaught in a thread")


def _unraisable(tracker: Tracker, arguments: Any) -> None:
    if arguments.exc_value is not None:
        tracker.capture(arguments.exc_value, channel="unraisable")


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # arguments that do not fit: logging reports that itself
        return str(record.msg)


def _caller() -> FrameType | None:
    """The frame that logged."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename in (_LOGGING_FILE, __file__):
        frame = frame.f_back
    return frame
