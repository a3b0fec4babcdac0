"""Modules are loaded late, in threads of ours, and the app may fork at any time: a child that
inherits a module's lock in the middle of an import waits for it for ever.

So whoever loads modules late holds `lock`, and a fork waits for it. Nothing else may be held by it,
and nothing slow may be done under it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: A fork goes on after that all the same.
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
