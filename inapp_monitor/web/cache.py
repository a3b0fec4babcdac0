"""Answers that took long are kept for a while: a costly table must not hold the app's workers."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from inapp_monitor.ground.clock import Clock

T = TypeVar("T")
#: An answer is kept for this many times as long as it took: one part in 100 of a core...
_KEPT_FACTOR = 100
#: ...or, where that is longer than is wanted, one part in 20.
_LEAST_FACTOR = 20
_MOST = 64


class Cache:
    """Values by key, fresh for a time that follows from what they cost.

    *Threads:* two at once may both compute; the dict's own operations keep it whole.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[Hashable, tuple[float, Any]] = {}

    def __len__(self) -> int:
        """How many values are kept, fresh ones and others."""
        return len(self._entries)

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()

    def get(self, key: Hashable, make: Callable[[], T], longest_s: float = 60.0) -> T:
        """The kept value, or a new one from `make`.

        It is kept for `longest_s` at most, unless that would take more than a part in 20 of a core.
        """
        begin = self._clock.perf()
        found = self._entries.get(key)
        if found is not None and begin < found[0]:
            kept: T = found[1]
            return kept
        value = make()
        end = self._clock.perf()
        if len(self._entries) >= _MOST:
            self._entries.clear()
        cost = end - begin
        kept_s = min(cost * _KEPT_FACTOR, max(longest_s, cost * _LEAST_FACTOR))
        self._entries[key] = (end + kept_s, value)
        return value
