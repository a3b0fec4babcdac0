"""Forks and the end of a process, as each server lets one know of them, told to the monitors.

Hooks are set once a process, when the first monitor begins to live; monitors are held weakly.

What servers do, as seen in `tests/servers`:
- uWSGI forks in C: no fork hook of Python's is called. Hence a monitor compares process ids, and
  the hooks here are an extra.
- mod_wsgi's daemons skip `atexit` of a sub-interpreter and call shutdown callbacks instead.
- A worker of uWSGI ends by C's `exit`, which cleans up OpenSSL before Python's exit handlers run:
  importing or using `hashlib` there crashes. See `must_load_early`.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import weakref
from typing import Protocol

from inapp_monitor import late_imports


class Living(Protocol):
    """What is told."""

    def _forked(self) -> None:
        """This is a child process."""

    def close(self) -> None:
        """The process ends; may be called twice."""


_living: weakref.WeakSet[Living] = weakref.WeakSet()


def join(living: Living) -> None:
    """Be told from now on."""
    _watch()
    _living.add(living)


def leave(living: Living) -> None:
    """Not any more."""
    _living.discard(living)


def must_load_early() -> bool:
    """Whether nothing may be imported at the end of this process (and workers share what their
    master has loaded, so that it is no loss).
    """
    return "uwsgi" in sys.modules


@functools.cache
def _watch() -> None:
    os.register_at_fork(
        before=late_imports.before_fork,
        after_in_parent=late_imports.after_fork_in_parent,
        after_in_child=_after_fork,
    )
    atexit.register(_at_end)
    subscribe = getattr(sys.modules.get("mod_wsgi"), "subscribe_shutdown", None)
    if subscribe is not None:
        subscribe(lambda *_, **__: _at_end())


def _after_fork() -> None:
    late_imports.after_fork_in_child()
    for living in list(_living):
        living._forked()


def _at_end() -> None:
    for living in list(_living):
        living.close()
