"""Imports that happen late, in threads of the package, and the forks that must wait for them.

The application may fork at any time, and a child that inherits a module's lock in the middle of an
import waits for it for ever. So late imports hold one lock, and a fork waits for it. Nothing else
may be protected by it, and nothing slow may be done under it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds after which a fork does not wait any longer.
LONGEST_WAIT_S = 5.0

_lock = threading.RLock()
_taken_by_fork: list[bool] = []


@contextmanager
def loading() -> Iterator[None]:
    """A block that may import modules: no fork happens in the middle of it."""
    lock = _lock
    with lock:
        yield


def before_fork() -> None:
    """Wait until nothing is being loaded."""
    _taken_by_fork.append(_lock.acquire(timeout=LONGEST_WAIT_S))


def after_fork_in_parent() -> None:
    """Go on."""
    if _taken_by_fork.pop():
        _lock.release()


def after_fork_in_child() -> None:
    """Begin with a lock that nobody holds."""
    global _lock
    _lock = threading.RLock()
    _taken_by_fork.clear()
