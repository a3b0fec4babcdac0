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
import re
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

from inapp_monitor.ground import current_request
from inapp_monitor.issues.exception_tree import class_module
from inapp_monitor.issues.scope import add_breadcrumb_once, text_of
from inapp_monitor.issues.tracker import MAX_TEXT_CHARS, Tracker

_OWN_LOGGER = "inapp_monitor"
#: Logs each answer of 5xx, which the request path sees itself and counts by route.
_ANSWER_LOGGERS, _ANSWER_LOGGER = "django", "django.request"
_TRACEBACK = "Traceback (most recent call last)"
#: The address of an object in a logger's name, as CherryPy has it: another one in each process.
_ADDRESS = re.compile(r"\.\d{6,}")
_LOGGING_FILE = logging.__file__
#: They ask what they hold for its text.
_CONTAINERS = (list, tuple, dict, set, frozenset)
#: Attribute of the hooks that are installed here: their `_Hook`.
_HOOK_ATTRIBUTE = "_inapp_monitor_hook"


def _see(tracker: Tracker, log_errors: bool, record: logging.LogRecord) -> None:
    """Capture a record or note it as a breadcrumb; our own logger is left out."""
    if record.levelno < logging.INFO or record.name.partition(".")[0] == _OWN_LOGGER:
        return
    if not tracker.hears_here():
        return
    level = record.levelname.lower()
    if record.levelno < logging.ERROR:
        add_breadcrumb_once(
            _text_by_structure(record), category=record.name, level=level, time=record.created
        )
        return
    error = record.exc_info[1] if record.exc_info else None
    text = _text(record)
    if error is None and _TRACEBACK in text:
        error = sys.exception()  # logged as text where it is handled
    if not _only_reports_an_answer(record, error):
        if error is not None:
            tracker.capture(error, channel=f"log record of {record.name}")
        elif log_errors:
            _capture_text(tracker, record, text, level)
    add_breadcrumb_once(text, category=record.name, level=level, time=record.created)


def _capture_text(tracker: Tracker, record: logging.LogRecord, text: str, level: str) -> None:
    name = _ADDRESS.sub("", record.name)
    tracker.capture_message(
        text,
        level=level,
        template=_template(record),
        place=name,
        kind=f"{name} {record.levelname}",
        channel=f"log record of {name}",
        frame=_caller(),
    )


def _only_reports_an_answer(record: logging.LogRecord, error: BaseException | None) -> bool:
    """Whether the record is about an answer: one of 4xx, which is none, one that will be an issue
    without it, or one to a client that has left."""
    if error is not None and current_request.is_of_client(error):
        return True
    status = getattr(record, "status_code", None)
    if type(status) is not int or record.name.partition(".")[0] != _ANSWER_LOGGERS:
        return False
    if status < 500:
        return True
    if error is not None or record.name != _ANSWER_LOGGER:
        return False
    return getattr(current_request.get(), "environ", None) is not None  # None: it is over


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
    undo = [
        _hook(logging.Logger, "callHandlers", of, lambda to, given: _see(to, log_errors, given[1])),
        _hook(sys, "excepthook", of, _uncaught),
        _hook(threading, "excepthook", of, lambda to, given: _thread(to, given[0])),
        _hook(sys, "unraisablehook", of, lambda to, given: _unraisable(to, given[0])),
    ]

    def uninstall() -> None:
        for restore in undo:
            restore()

    return uninstall


class _Hook:
    """What is known of a hook that is installed here.

    Attributes:
        function: The hook.
        before: What was there before it, which it calls.
        tracker: Returns what errors are reported to, or None: then the hook only passes on.
    """

    __slots__ = ("before", "function", "tracker")

    def __init__(self, before: Callable[..., Any], tracker: Callable[[], Tracker | None]) -> None:
        self.before = before
        self.tracker = tracker
        self.function: Callable[..., Any] = before


def _hook(
    place: Any,
    name: str,
    tracker: Callable[[], Tracker | None],
    see: Callable[[Tracker, tuple[Any, ...]], None],
) -> Callable[[], None]:
    """Put a hook that looks and passes on over the present one; returns what removes it."""
    _remove_idle(place, name)
    own = _Hook(getattr(place, name), tracker)

    def hook(*arguments: Any) -> Any:
        listening = own.tracker()
        if listening is not None:
            try:
                see(listening, arguments)
            except Exception:  # noqa: BLE001, S110  # odd arguments: what was here goes on
                pass
        return own.before(*arguments)

    def restore() -> None:
        own.tracker = _no_tracker
        _remove_idle(place, name)

    own.function = hook
    setattr(hook, _HOOK_ATTRIBUTE, own)
    setattr(place, name, hook)
    return restore


def _no_tracker() -> None:
    """What a removed hook reports to."""


def _remove_idle(place: Any, name: str) -> None:
    """Remove hooks without a tracker, except below a hook of others: they must not accumulate
    where monitors come and go."""
    top = getattr(place, name)
    hook = _first_active(top)
    if hook is not top:
        setattr(place, name, hook)
    while (own := _own_hook(hook)) is not None:
        hook = own.before = _first_active(own.before)


def _first_active(hook: Any) -> Any:
    """The hook, or the first one beneath that has a tracker or is of others."""
    while (own := _own_hook(hook)) is not None and own.tracker() is None:
        hook = own.before
    return hook


def _own_hook(hook: Any) -> _Hook | None:
    """What is known of a hook; None when it was not installed here."""
    own = getattr(hook, _HOOK_ATTRIBUTE, None)
    # A hook of others may have every attribute, or a copy of this one.
    return own if type(own) is _Hook and own.function is hook else None


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


def _text(record: logging.LogRecord) -> str:
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


def _text_by_structure(record: logging.LogRecord) -> str:
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
    """The frame that logged."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename in (_LOGGING_FILE, __file__):
        frame = frame.f_back
    return frame
