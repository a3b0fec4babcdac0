"""The variables of a frame, read without leaving anything behind in it."""

from __future__ import annotations

import sys
from types import FrameType

#: Flag of the code of functions, whose variables are not in a dictionary.
OPTIMIZED = 0x1
#: The frame's, that of `local_variables` and the argument's of `getrefcount`.
_OWN_REFERENCES = 3


def local_variables(frame: FrameType) -> dict[str, object]:
    """A copy of a frame's variables that leaves nothing behind.

    Until Python 3.12 `f_locals` of a function is a dictionary that the frame keeps. In a frame
    that goes on running, such as a worker's loop, it would keep the exception it has just handled,
    and with it everything that failed, alive for as long as the loop is idle. So it is emptied,
    unless the application holds it too (it called `locals()`). Not while the thread is traced or
    profiled: what such a function finds in it is written back into the variables.
    """
    names = frame.f_locals
    if not frame.f_code.co_flags & OPTIMIZED:  # a module or class body: the real names
        return dict(names) if type(names) is dict else {}
    copy = dict(names)
    if type(names) is not dict or sys.getrefcount(names) > _OWN_REFERENCES:
        return copy
    if sys.gettrace() is None and sys.getprofile() is None:
        names.clear()
    return copy


def first_argument(frame: FrameType) -> object:
    """What a frame's function was called with first: of a method its object; None without any."""
    code = frame.f_code
    return local_variables(frame).get(code.co_varnames[0]) if code.co_argcount else None
