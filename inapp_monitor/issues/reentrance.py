"""Whether this thread is recording an error already, or runs what the app hooked into that.

What is logged meanwhile would be recorded about itself, again and again: by the same tracker, or by
two that hear of each other's records. What a handler of a signal records in between is an error of
its own: it waits until the thread has done the first.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes members of enumerations, slowly
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from types import CodeType
from typing import TypeVar

T = TypeVar("T")

_SIGNALS = sorted(_signal.valid_signals())
#: What handlers of signals may record while one error is recorded.
MAX_WAITING = 1_000


class _ThisThread(threading.local):
    def __init__(self) -> None:
        self.records = False
        self.waiting: deque[Callable[[], object]] = deque()


_thread = _ThisThread()


def is_recording() -> bool:
    """Whether nothing that happens in this thread is to be recorded now."""
    return _thread.records


def run(work: Callable[[], T]) -> T:
    """Call something during which this thread records nothing else; then what waits for that."""
    if _thread.records:
        return work()
    _thread.records = True
    try:
        return work()
    finally:
        _thread.records = False
        _do_what_waits(_thread.waiting)


def _do_what_waits(waiting: deque[Callable[[], object]]) -> None:
    while waiting:
        try:
            work = waiting.popleft()
        except IndexError:  # a handler of a signal has done the last meanwhile
            return
        work()


def may_wait(work: Callable[[], object]) -> bool:
    """Do something when this thread has recorded its error: if a handler of a signal asks."""
    if len(_thread.waiting) >= MAX_WAITING or not _in_signal_handler():
        return False
    _thread.waiting.append(work)
    return True


def _in_signal_handler() -> bool:
    """Whether the thread was interrupted while it recorded: Python calls handlers in the main one,
    between two steps of whatever it does."""
    if threading.current_thread() is not threading.main_thread():
        return False
    set_handlers = filter(callable, map(_signal.getsignal, _SIGNALS))
    handlers = set(map(_code_of, set_handlers)) - {None}
    frame = sys._getframe(1)
    while frame.f_code is not run.__code__:
        if frame.f_code in handlers:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _code_of(handler: object) -> CodeType | None:
    while isinstance(handler, partial):
        handler = handler.func
    function = getattr(handler, "__func__", handler)
    if not hasattr(function, "__code__"):
        function = type(handler).__call__
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None
