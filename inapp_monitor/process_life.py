"""Forks and the end of this process, told to the monitors that live in it.

Hooks are set once a process, when the first monitor begins to live; monitors are held weakly.
"""

from __future__ import annotations

import atexit
import functools
import os
import weakref
from typing import Protocol

from inapp_monitor import late_imports


class Living(Protocol):
    """What is told."""

    def _forked(self) -> None:
        """This is a child process."""

    def close(self) -> None:
        """The process ends."""


_living: weakref.WeakSet[Living] = weakref.WeakSet()


def join(living: Living) -> None:
    """Be told from now on."""
    _watch()
    _living.add(living)


def leave(living: Living) -> None:
    """Not any more."""
    _living.discard(living)


@functools.cache
def _watch() -> None:
    os.register_at_fork(
        before=late_imports.before_fork,
        after_in_parent=late_imports.after_fork_in_parent,
        after_in_child=_after_fork,
    )
    atexit.register(_at_exit)


def _after_fork() -> None:
    late_imports.after_fork_in_child()
    for living in list(_living):
        living._forked()


def _at_exit() -> None:
    for living in list(_living):
        living.close()
