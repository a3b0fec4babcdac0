"""Flask-Caching: get, set and their like. No keys are kept."""

from __future__ import annotations

from typing import Any

from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.timed_calls import timed_cache

_METHODS = ("get", "set", "add", "delete", "get_many", "set_many", "delete_many", "has", "clear")


class Hook:
    """`Cache`."""

    def __init__(self, module: Any) -> None:
        self._cache = module.Cache
        self._patches = Patches()

    def attach(self) -> None:
        """Replace its methods once."""
        if self._patches.has(self._cache, "get"):
            return
        for name in _METHODS:
            if name in vars(self._cache):
                hit = _hit if name == "get" else _unknown
                make = timed_cache("flask-caching", _text(name), hit)
                self._patches.replace(self._cache, name, make)

    def detach(self) -> None:
        """Put them back."""
        self._patches.undo()


def _text(name: str) -> Any:
    return lambda *_args, **_kwargs: name


def _hit(answer: Any) -> int:
    return 0 if answer is None else 1


def _unknown(_answer: Any) -> None:
    return None
