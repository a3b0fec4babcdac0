"""What a signal's handler raises while our code runs, and where it belongs.

Python calls handlers in the main thread, which is none of ours. But where gevent stands for
`threading`, our threads are greenlets of the main thread: Ctrl-C may strike in one of them, and
`threading` would print the KeyboardInterrupt and go on, so that no server would ever hear of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def handed_on() -> Iterator[None]:
    """A block in a thread of ours: where it is a greenlet, an interrupt of it is raised in the main
    greenlet instead, as gevent does for its own, and the block is left.

    In a thread, such an exception is no signal's, and passes.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        patched = getattr(sys.modules.get("gevent.monkey"), "is_module_patched", None)
        if patched is None or not patched("threading"):
            raise
        hub = sys.modules["gevent"].get_hub()
        hub.handle_system_error(type(error), error, error.__traceback__)
