"""Requests that are looked at closer, a few a second: their processor time. No aggregation."""

from __future__ import annotations

import sys
from threading import get_ident

from inapp_monitor.ground.clock import thread_time

_GREENLETS = ("gevent", "eventlet")

#: Thread and its CPU seconds on entry.
Sample = tuple[int, float]


def cpu_s(sample: Sample) -> float | None:
    """CPU seconds of the request so far; None where its thread was not its own all the time.

    Greenlets share a thread and its CPU time; a body may be closed by another thread.
    """
    thread, begun = sample
    if thread != get_ident() or any(name in sys.modules for name in _GREENLETS):
        return None
    return thread_time() - begun
