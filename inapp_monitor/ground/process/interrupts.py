"""An exception of a signal's handler that strikes in a thread of the package, and where it belongs.

Python calls the handlers of signals in the main thread, and the package starts others. But where
gevent has replaced `threading`, those are greenlets of the main thread: Ctrl-C may strike in one of
them, and `threading` would print the KeyboardInterrupt and go on, so that no server would ever
learn of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def raised_in_main_greenlet() -> Iterator[None]:
    """A block in a thread of the package: where that is a greenlet, an interrupt of it is raised in
    the main greenlet instead, as gevent does for its own, and the block is left.

    In a true thread such an exception comes from no signal, and passes.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        patched = getattr(sys.modules.get("gevent.monkey"), "is_module_patched", None)
        if patched is None or not patched("threading"):
            raise
        hub = sys.modules["gevent"].get_hub()
        hub.handle_system_error(type(error), error, error.__traceback__)
