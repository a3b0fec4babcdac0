"""Forks and the end of a process, as each server makes them known, passed on to the monitors.

Hooks are set once a process: those that look which server forks when the first monitor is made, the
others when the first one begins to work. Monitors are held weakly.

What servers do, as seen in `tests/servers`:
- uWSGI forks in C: no fork hook of Python's is called. Hence a monitor compares process ids, and
  the hooks here are an extra.
- mod_wsgi's daemons skip `atexit` of a sub-interpreter and call shutdown callbacks instead.
- A worker of uWSGI ends by C's `exit`, which cleans up OpenSSL before Python's exit handlers run:
  importing or using `hashlib` there crashes. So everything is loaded when a monitor is made, which
  is no loss: the workers share what their master has loaded.
- `socketserver.ForkingMixIn`, and with it werkzeug's `processes=`, forks for each request, and the
  child ends by `os._exit`, without exit handlers. So do the children of `multiprocessing` (and with
  them granian's workers) and of `billiard`: these run finalizers of their own before, see
  `_finalize_child`. Of the former only the parent, which answers nothing, stays: it loads what
  all its children need, and each child writes when its connection is closed.
"""

from __future__ import annotations

import atexit
import functools
import os
import signal
import sys
import weakref
from typing import Any, Protocol

from inapp_monitor.ground.guard import logger
from inapp_monitor.ground.process import late_imports, ticker


class Observer(Protocol):
    """What hears of forks and of the end of its process: a monitor."""

    def forked(self) -> None:
        """This is a child process."""

    def load_early(self, *, errors: bool) -> None:
        """Load now what the end of a process needs; also what it needs for `errors`, or not."""

    def requests_are_over(self) -> None:
        """Nobody will close the requests that were not closed: Ctrl-C struck in the server."""

    def close(self) -> None:
        """The process ends; may be called twice."""


#: Finalizers with larger numbers run before.
_LAST = -1_000

_prepared: weakref.WeakSet[Observer] = weakref.WeakSet()
#: Those that hear of forks and of the end.
observers: weakref.WeakSet[Observer] = weakref.WeakSet()


def prepare(observer: Observer) -> None:
    """It was made, and may be added in this process or in one that is forked from it."""
    if "uwsgi" in sys.modules:
        observer.load_early(errors=False)
    _watch_forks_for_requests()
    _prepared.add(observer)


def add(observer: Observer) -> None:
    """It hears of what happens from now on."""
    _watch()
    _finalize_child(os.getpid())
    observers.add(observer)


def remove(observer: Observer) -> None:
    """It hears of nothing any more."""
    observers.discard(observer)


@functools.cache
def _watch() -> None:
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
    atexit.register(at_end)
    subscribe = getattr(sys.modules.get("mod_wsgi"), "subscribe_shutdown", None)
    if subscribe is not None:
        subscribe(lambda *_, **__: at_end())


@functools.lru_cache(maxsize=1)
def _finalize_child(_pid: int) -> None:
    """In a child of `multiprocessing`: close at its end, after what the app has set for then."""
    for name in ("multiprocessing", "billiard"):
        processes, util = (sys.modules.get(f"{name}.{part}") for part in ("process", "util"))
        process = getattr(processes, "current_process", lambda: None)()
        if util is not None and getattr(process, "_parent_pid", None) is not None:
            util.Finalize(None, at_end, exitpriority=_LAST)


def _before_fork() -> None:
    ticker.before_fork()
    late_imports.before_fork()


def _after_fork_in_parent() -> None:
    late_imports.after_fork_in_parent()
    ticker.after_fork_in_parent()


def _after_fork_in_child() -> None:
    late_imports.after_fork_in_child()
    ticker.after_fork_in_child()
    for observer in list(observers):
        observer.forked()


def at_end() -> None:
    """The process ends: close all observers."""
    for observer in list(observers):
        try:
            observer.close()
        except Exception as error:  # noqa: BLE001  # the others have to be closed, too
            logger.warning("inapp-monitor: closing failed: %r", error)


@functools.cache
def _watch_forks_for_requests() -> None:
    os.register_at_fork(before=_before_fork_for_request, after_in_child=_after_fork_for_request)


def _before_fork_for_request() -> None:
    if _server_that_forks() is not None:
        for observer in list(_prepared):
            observer.load_early(errors=True)


def _after_fork_for_request() -> None:
    server = _server_that_forks()
    if server is None:
        return
    answer, close_connection = server.finish_request, server.shutdown_request

    def answer_and_ignore_ctrl_c(*request: object) -> None:
        try:
            answer(*request)
        finally:  # a terminal sends Ctrl-C to all processes, and this one ends anyway
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def close_connection_and_write(request: object) -> None:
        try:
            close_connection(request)
        finally:  # after it comes `os._exit`
            for observer in list(observers):
                observer.requests_are_over()
            at_end()

    # Of the child's own copy.
    server.finish_request = answer_and_ignore_ctrl_c
    server.shutdown_request = close_connection_and_write


def _server_that_forks() -> Any:
    """The server that is forking for a request, as the hook that asks sees it; else None."""
    mixin = getattr(sys.modules.get("socketserver"), "ForkingMixIn", None)
    caller = sys._getframe(2)
    if mixin is not None and caller.f_code is mixin.process_request.__code__:
        return caller.f_locals["self"]
    return None
