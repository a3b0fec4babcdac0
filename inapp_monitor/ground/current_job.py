"""Which piece of work a thread is doing outside of any request, found from its stack alone.

A thread pool, a worker's loop or a server beside the watched application does one job after the
other in one thread. What one of them said about itself must not be found by the next. No pool is
asked and nothing is patched: a `Job` remembers the calls that lead to the place where it was made,
outermost first. Code that comes from the same calls belongs to it, and so does what a function on
the way calls afterwards. Where a function has made its call anew, from the same instruction or from
one before it, the loop has gone round: that is the next job.

Nothing else may be kept of a frame: it would keep the application's objects alive. So what tells
one call of a function from the next is a mark in the frame's `f_trace`, the one slot that ends with
the call; it is there for debuggers, and one that needs it may have it.
"""

from __future__ import annotations

import sys
import weakref
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_ITERABLE_COROUTINE
from types import FrameType, TracebackType

#: Calls that are remembered, the outermost ones.
MAX_CALLS = 100
_COROUTINE = CO_COROUTINE | CO_ITERABLE_COROUTINE | CO_ASYNC_GENERATOR


class _Call:
    """Marks one call of a function; when it is over, so is this."""

    __slots__ = ("__weakref__",)

    def __call__(self, *_: object) -> None:
        """A debugger that traces the thread calls what it finds in the slot."""


class Job:
    """The work that is being done where this is made.

    *Cost:* about 0.5 us for each function on the stack.
    """

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls = [(mark(frame), frame.f_lasti) for frame in _outermost_first()]

    def is_current(self) -> bool:
        """Whether the caller does the same work."""
        for (call, instruction), frame in zip(self._calls, _outermost_first(), strict=False):
            here = frame.f_trace
            if call is None or type(here) is not _Call or call() is not here:
                return False
            if frame.f_lasti != instruction:
                return frame.f_lasti > instruction
        return bool(self._calls)

    def ended_by(self, traceback: TracebackType | None) -> bool:
        """Whether the work ended with this traceback, which nothing on the stack shows any more."""
        if traceback is None or not self._calls:
            return False
        call = traceback.tb_frame.f_trace
        first = self._calls[0][0]
        return first is not None and type(call) is _Call and first() is call


def mark(frame: FrameType) -> weakref.ref[_Call] | None:
    """What identifies one call of a function, and ends with it; None when a debugger or a coverage
    tool has the slot."""
    call = frame.f_trace
    if call is None:
        call = frame.f_trace = _Call()
    return weakref.ref(call) if type(call) is _Call else None


def is_marked(frame: FrameType, call: weakref.ref[_Call]) -> bool:
    """Whether this is the very call that was marked."""
    return frame.f_trace is not None and frame.f_trace is call()


def _outermost_first() -> list[FrameType]:
    """The stack of the caller's caller; of a task no more than its own coroutines, because a
    loop goes on with it from wherever it is."""
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        frames.append(frame)
        before = frame.f_back
        if frame.f_code.co_flags & _COROUTINE and not (
            before is not None and before.f_code.co_flags & (_COROUTINE | CO_GENERATOR)
        ):
            break
        frame = before
    frames.reverse()
    return frames[:MAX_CALLS]
