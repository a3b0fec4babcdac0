"""Whether a lock is held by the thread that asks.

A handler of a signal, and a `__del__` that the garbage collector calls, run in the middle of
whatever their thread does. A lock that the same thread holds further out is free for nobody until
they return: they must neither wait for it nor change what it protects.
"""

from __future__ import annotations

import threading


def is_held_here(lock: threading.RLock) -> bool:
    """Whether this thread, further out, holds a lock. *Cost:* 0.05 µs.

    The answer stays right until the caller acquires the lock: what interrupts the thread in between
    has released it by then.
    """
    return bool(lock._is_owned())  # type: ignore[attr-defined]  # as `threading.Condition` asks it
