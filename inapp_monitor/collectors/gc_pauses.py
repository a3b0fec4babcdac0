"""How long the garbage collector stops this process, by `gc.callbacks`.

*Cost:* two clock reads and some additions a collection, of which a busy app has some ten a second.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping

from inapp_monitor.ground.clock import perf_counter


class GcPauses:
    """Totals since it was made.

    Attributes:
        collections: Runs of the collector, of any generation.
        pause_s: Seconds that all took together.

    *Threads:* a collection runs in whatever thread allocates, and never two at once.
    """

    def __init__(self) -> None:
        self.collections = 0
        self.pause_s = 0.0
        self._longest_s = 0.0
        self._began: float | None = None

    def watch_for(self, owner: object) -> None:
        """Watch as long as `owner` lives."""
        callback = self._called
        gc.callbacks.append(callback)
        weakref.finalize(owner, _forget, callback).atexit = False

    def take_longest_s(self) -> float:
        """The longest pause since the last call."""
        longest, self._longest_s = self._longest_s, 0.0
        return longest

    def _called(self, phase: str, info: Mapping[str, int]) -> None:  # noqa: ARG002
        if phase == "start":
            self._began = perf_counter()
        elif self._began is not None:
            took = perf_counter() - self._began
            self._began = None
            self.collections += 1
            self.pause_s += took
            if took > self._longest_s:
                self._longest_s = took


def _forget(callback: object) -> None:
    if callback in gc.callbacks:
        gc.callbacks.remove(callback)
