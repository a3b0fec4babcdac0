"""The standard library's own channels: log records, uncaught and unraisable exceptions.

A log record of level ERROR and above is an error, by its exception where it has one; others from
INFO become breadcrumbs of the next error in the same context. Threads that die, a process that ends
with a traceback and exceptions in `__del__` are errors too. What was installed before keeps being
called, and nothing here raises. It must not know the monitor, only its tracker.

Several monitors of a process hear each of what happens in their own requests; what happens outside
of any request all of them hear, because nobody can know whose it is.

Records are seen in `Logger.callHandlers`, not by a handler on the root logger: with one,
`logging.basicConfig` of the application would do nothing, and warnings that Python prints when
logging is not configured would be lost. So loggers that do not propagate are seen as well.
"""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from inapp_monitor.ground.process import hooks
from inapp_monitor.issues import log_records
from inapp_monitor.issues.tracker import Tracker


def _see(tracker: Tracker, log_errors: bool, record: logging.LogRecord) -> None:
    """Capture a record or note it as a breadcrumb."""
    if not log_records.is_heard(record) or not tracker.hears_here():
        return
    issue = None
    if record.levelno < logging.ERROR:
        text = log_records.text_by_structure(record)
    else:
        found = log_records.error_of(record, log_errors=log_errors)
        if found is not None:
            issue = log_records.capture(tracker, found)
        text = log_records.text_by_arguments(record) if found is None else found.text
    log_records.note_breadcrumb(record, text)
    if tracker.record_listener is not None:
        tracker.record_listener(record, text, issue)


def install(tracker: Tracker, *, log_errors: bool = True) -> Callable[[], None]:
    """Listen to all loggers and to the hooks of `sys` and `threading`.

    Args:
        tracker: Where errors go. It is held weakly: with it goes the listening.
        log_errors: Whether records of level ERROR and above are errors without a traceback.

    Returns:
        A function that removes all hooks; those that others have put over them stay and pass on
        what they get.
    """
    of = weakref.ref(tracker)

    def record(to: Tracker, given: tuple[Any, ...]) -> None:
        _see(to, log_errors, given[1])

    undo = [
        hooks.install(logging.Logger, "callHandlers", of, record),
        hooks.install(sys, "excepthook", of, _uncaught),
        hooks.install(threading, "excepthook", of, lambda to, given: _thread(to, given[0])),
        hooks.install(sys, "unraisablehook", of, lambda to, given: _unraisable(to, given[0])),
    ]

    def uninstall() -> None:
        for restore in undo:
            restore()

    return uninstall


def _uncaught(tracker: Tracker, arguments: tuple[Any, ...]) -> None:
    if tracker.hears_here() and len(arguments) == 3 and isinstance(arguments[1], BaseException):
        tracker.capture(arguments[1], channel="uncaught")


def _thread(tracker: Tracker, arguments: Any) -> None:
    error = arguments.exc_value
    exits = issubclass(type(error), SystemExit)  # the type cannot be faked
    if error is not None and not exits and tracker.hears_here():
        tracker.capture(error, channel="uncaught in a thread")


def _unraisable(tracker: Tracker, arguments: Any) -> None:
    if arguments.exc_value is not None and tracker.hears_here():
        tracker.capture(arguments.exc_value, channel="unraisable")
