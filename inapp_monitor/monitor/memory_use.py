"""How many bytes the monitor's own data takes in memory. Counted when somebody asks, never kept.

Everything that the given objects refer to counts, but for what is code or somebody else's: modules,
classes and functions, objects of the application's classes, and what is named as a stranger. No
code of theirs runs: an object is known by its type alone.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
import types
from collections.abc import Iterable

#: Objects looked at, at most: 0.4 us each.
MAX_OBJECTS = 100_000
#: Packages whose objects are the monitor's data, beside the standard library's.
_OWN = frozenset(
    (
        *("inapp_monitor", "blinker", "jinja2", "markupsafe", "psutil", "pygal"),
        *("sqlite_utils", "werkzeug", *sys.stdlib_module_names),
    )
)
#: What leads out of the data.
_NO_DATA = (
    *(types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType, types.MethodType),
    *(types.CodeType, types.FrameType, threading.Thread, logging.Logger),
)


def held_bytes(roots: Iterable[object], strangers: Iterable[object] = ()) -> int:
    """Bytes of the roots and of all that they refer to; of the first `MAX_OBJECTS` of it.

    Args:
        roots: Where to begin; they count.
        strangers: What does not count, nor what only they refer to.
    """
    seen = set(map(id, strangers))
    waiting = list(roots)
    size_bytes = 0
    while waiting and len(seen) < MAX_OBJECTS:
        one = waiting.pop()
        kind = type(one)
        if id(one) in seen or issubclass(kind, _NO_DATA) or not _is_own(kind):
            continue
        seen.add(id(one))
        size_bytes += sys.getsizeof(one, 0)
        waiting += gc.get_referents(one)
    return size_bytes


def _is_own(kind: type) -> bool:
    try:
        module = type.__getattribute__(kind, "__module__")
    except AttributeError:  # made in a namespace without a name
        return False
    return type(module) is str and module.partition(".")[0] in _OWN
