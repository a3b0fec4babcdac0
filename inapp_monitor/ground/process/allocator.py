"""Memory that large answers took goes back to the system: the C library keeps it otherwise.

glibc keeps tens of megabytes a thread for a next large answer that may never come. It gives them
back when it is asked to, which is done off the requests; other C libraries need not be asked.
"""

from __future__ import annotations

from collections.abc import Callable

from inapp_monitor.ground.process import late_imports

#: Times that it is asked for: the first time, the server may still hold the answer.
_TIMES = 2

#: How often it is still to be asked, and how; both are the process's own.
times_due = 0
trim: Callable[[int], object] | None = None


def give_back_soon() -> None:
    """A large answer has been made: its memory is to be given back once it is sent."""
    global times_due
    times_due = _TIMES


def give_back_if_due() -> bool:
    """Give back what is free after large answers; whether that was asked for.

    *Cost:* nothing as a rule, else 2 to 40 ms, without the interpreter's lock.
    """
    global times_due, trim
    if not times_due:
        return False
    times_due -= 1
    if trim is None:
        trim = _find_trim()
    trim(0)
    return True


def _find_trim() -> Callable[[int], object]:
    """`malloc_trim` of the C library, or what does nothing where there is none."""
    try:
        with late_imports.loading():
            import ctypes

        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (ImportError, OSError, AttributeError, TypeError):  # no ctypes, musl, macOS, Windows
        return lambda _pad: None
    return found
