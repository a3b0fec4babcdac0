"""The profile of one chosen request, taken in its own thread: which functions its time went to.

A thread that samples others gets the interpreter when they give it up, so it hardly sees what they
compute. Here the request's own thread looks at the clock at each call and return (`sys.setprofile`)
and, when a millisecond has gone by, puts that time to the stack it has at that moment. Nothing
crosses threads, and requests that are not chosen pay nothing.

A stack is a tuple of code objects, innermost first; a function of C in front is its name as text.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final, Protocol

from inapp_monitor.ground import current_request

INTERVAL_S: Final = 0.001
#: Frames of a stack, stacks of a profile, calls and returns after which a profile ends itself.
MAX_FRAMES: Final = 64
MAX_STACKS: Final = 2_000
MAX_EVENTS: Final = 300_000
#: Seconds after which it ends itself.
MAX_S: Final = 30.0

Stack = tuple[CodeType | str, ...]
#: Stands for the time after a profile has ended itself.
NOT_PROFILED: Final = "(not profiled)"


class Profiled(Protocol):
    """The request; `environ` is None once it is over."""

    environ: Any


class RequestProfile:
    """Stacks of one request with the seconds spent in each, waiting included.

    Args:
        request: Whose time it is.
        clock: Performance counter.

    Attributes:
        stacks: Seconds by stack.
        known_until: When it ended itself before the request did, by `clock`; else None.

    *Cost:* 0.15 us a call or return, 5 us a millisecond.
    """

    __slots__ = ("__weakref__", "_clock", "_look", "known_until", "stacks")

    def __init__(self, request: Profiled, clock: Callable[[], float]) -> None:
        self.stacks: dict[Stack, float] = {}
        self.known_until: float | None = None
        self._clock = clock
        self._look = _looking(self, request, clock)

    def start(self) -> bool:
        """Begin, in the thread of the request. False where a debugger or a profiler of somebody
        else has this place."""
        if sys.getprofile() is not None:
            return False
        sys.setprofile(self._look)
        return True

    def stop(self) -> None:
        """End it; another thread ends by itself when it looks the next time."""
        if sys.getprofile() is self._look:
            sys.setprofile(None)
        if self.known_until is not None:
            self.stacks[NOT_PROFILED,] = self._clock() - self.known_until
            self.known_until = None


def _looking(
    profile: RequestProfile, request: Profiled, clock: Callable[[], float]
) -> Callable[[FrameType, str, Any], None]:
    stacks, variable_of = profile.stacks, current_request.variable_of
    last = begin = clock()
    left = MAX_EVENTS
    pid = os.getpid()

    def look(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal last, left
        now = clock()
        passed = now - last
        left -= 1
        if passed < INTERVAL_S and left:
            return
        is_over = request.environ is None
        if is_over or not left or now - begin > MAX_S or pid != os.getpid():
            profile.known_until = None if is_over else last
            sys.setprofile(None)
            return
        # At a call the time was the caller's, at a return it was this function's own.
        at: FrameType | None = frame.f_back if event == "call" else frame
        codes: list[CodeType | str] = []
        if event == "c_return" or event == "c_exception":
            codes.append(_name_of(argument))
        while at is not None and len(codes) < MAX_FRAMES:
            if variable_of(at) is not None:
                break
            codes.append(at.f_code)
            at = at.f_back
        stack = tuple(codes)
        if stack in stacks or len(stacks) < MAX_STACKS:
            stacks[stack] = stacks.get(stack, 0.0) + passed
        last = clock()

    return look


def _name_of(function: Any) -> str:
    """Of a function of C, such as `time.sleep` or `Connection.execute`."""
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", "")
    module = getattr(function, "__module__", None)
    return f"{module}.{name}"[:100] if type(module) is str and module != "builtins" else str(name)
