"""Forks and the end of a process, as each server lets one know of them. It knows no monitor.

What servers do, as seen in `tests/servers`:
- uWSGI forks in C: no fork hook of Python's is called. Hence a monitor compares process ids, and
  the hooks here are an extra.
- mod_wsgi's daemons skip `atexit` of a sub-interpreter and call shutdown callbacks instead.
- A worker of uWSGI ends by C's `exit`, which cleans up OpenSSL before Python's exit handlers run:
  importing or using `hashlib` there crashes. See `must_load_early`.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable

from inapp_monitor import late_imports


def watch(after_fork: Callable[[], None], at_end: Callable[[], None]) -> None:
    """Call `after_fork` in each child of this process, and `at_end` once or twice at its end."""

    def in_child() -> None:
        late_imports.after_fork_in_child()
        after_fork()

    os.register_at_fork(
        before=late_imports.before_fork,
        after_in_parent=late_imports.after_fork_in_parent,
        after_in_child=in_child,
    )
    atexit.register(at_end)
    subscribe = getattr(sys.modules.get("mod_wsgi"), "subscribe_shutdown", None)
    if subscribe is not None:
        subscribe(lambda *_, **__: at_end())


def must_load_early() -> bool:
    """Whether nothing may be imported at the end of this process (and workers share what their
    master has loaded, so that it is no loss).
    """
    return "uwsgi" in sys.modules
