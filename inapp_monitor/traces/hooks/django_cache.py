"""Django's caches: get, set and their like of every backend that is loaded. No keys are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.timed_calls import timed_cache

_METHODS = (
    *("get", "set", "add", "delete", "get_many", "set_many", "delete_many", "incr", "touch"),
    *("has_key", "clear", "get_or_set"),
)


class Hook:
    """`BaseCache` and what inherits from it, also what is loaded later."""

    def __init__(self, module: Any) -> None:
        self._base = module.BaseCache
        self._patches = Patches()
        self._seen: set[type] = set()

    def attach(self) -> None:
        """Replace what is not replaced yet; quick when there is nothing."""
        for backend in _with_subclasses(self._base):
            if backend in self._seen:
                continue
            self._seen.add(backend)
            for name in _METHODS:
                if name in vars(backend):
                    hit = _hit if name == "get" else _unknown
                    self._patches.replace(backend, name, timed_cache("django", _text(name), hit))

    def detach(self) -> None:
        """Put everything back."""
        self._patches.undo()
        self._seen.clear()


def _with_subclasses(base: Any) -> Iterator[Any]:
    yield base
    for subclass in base.__subclasses__():
        yield from _with_subclasses(subclass)


def _text(name: str) -> Any:
    return lambda cache, *_args, **_kwargs: f"{name} {type(cache).__name__}"


def _hit(answer: Any) -> int:
    return 0 if answer is None else 1


def _unknown(_answer: Any) -> None:
    return None
