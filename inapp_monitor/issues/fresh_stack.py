"""Calls something again on a stack of its own where the recursion limit stopped it.

An application that logs an error just below the limit leaves too few frames to compare it with
others; another thread has all of them. It knows nothing of errors or of what it calls.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from typing import TypeVar

from inapp_monitor.issues import reentrance

T = TypeVar("T")


def call(work: Callable[[], T]) -> T:
    """What `work` returns; it is called a second time, in a new thread, after a RecursionError.

    Raises:
        RecursionError: There is no room for a thread, or the work needs more than one has.
        Exception: What `work` raises.
    """
    try:
        return work()
    except RecursionError:
        pass
    results: list[T] = []
    failures: list[BaseException] = []
    ended = _thread.allocate_lock()
    ended.acquire()

    def run() -> None:
        try:
            results.append(reentrance.run(work))
        except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits
            failures.append(error)
        finally:
            ended.release()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError as error:
        raise RecursionError("the system gives no thread with room for it") from error
    ended.acquire()
    if failures:
        raise failures.pop()
    return results[0]
