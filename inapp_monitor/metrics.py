"""The verbs for any place that has no `Monitor` at hand: `from inapp_monitor import metrics`.

metrics.incr("orders")                    # at import, in a view, a thread, a library
metrics.timing("render", 12.5, tags={"template": "cart"})

They speak to the monitor of the process, the one made last. What is recorded before there is one
waits, bounded; where there never is one it costs next to nothing and is forgotten. Nothing of the
monitor is known here: it connects itself.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable
from typing import Any, Protocol

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.recorder.verbs import Calls

__all__ = ("decr", "event", "gauge", "incr", "observe", "set", "timed", "timer", "timing")

#: Calls kept until there is a monitor.
MAX_BACKLOG = 10_000
_EVENT = "event"


class Target(Protocol):
    """What a monitor offers here."""

    def record(self, kind: str, name: Any, value: Any) -> None:
        """Record one call, see `Instruments.record`."""
        ...

    def event(self, title: str, text: str, tags: Iterable[str]) -> None:
        """Keep an event."""
        ...

    def dropped(self, count: int) -> None:
        """So many calls were made before there was a monitor, and not kept."""
        ...


class Switch:
    """Hands calls to the target that was connected last and still exists; keeps them before.

    *Threads:* any. *Fork:* what waits is the parent's.
    """

    def __init__(self) -> None:
        self._targets: list[weakref.ref[Target]] = []
        self._backlog: list[tuple[str, Any, Any]] = []
        self._dropped = 0
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def connect(self, target: Target) -> None:
        """Calls go there from now on; what has waited goes first."""
        with self._lock:
            alive = [each for each in self._targets if each() not in (None, target)]
            self._targets = [*alive, weakref.ref(target)]
            backlog, self._backlog = self._backlog, []
            dropped, self._dropped = self._dropped, 0
        if self._pid == os.getpid():
            for kind, name, value in backlog:
                _hand(target, kind, name, value)
            if dropped:
                target.dropped(dropped)

    def disconnect(self, target: Target) -> None:
        """It is closed: calls go to the one before, or wait."""
        with self._lock:
            self._targets = [each for each in self._targets if each() not in (None, target)]

    def current(self) -> Target | None:
        """The target that calls go to, where there is one."""
        for reference in reversed(self._targets):
            target = reference()
            if target is not None:
                return target
        return None

    def record(self, kind: str, name: Any, value: Any) -> None:
        """Record one call. Never raises, unless the monitor is strict."""
        target = self.current()
        if target is not None:
            _hand(target, kind, name, value)
            return
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._backlog, self._dropped = [], 0
            self._lock = threading.Lock()
        if len(self._backlog) < MAX_BACKLOG:
            self._backlog.append((kind, name, value))
        else:
            self._dropped += 1

    def event(self, title: str, text: str = "", tags: Iterable[str] = ()) -> None:
        """Note that something has happened, such as a deployment: an annotation of all charts."""
        self.record(_EVENT, title, (text, tags))


def _hand(target: Target, kind: str, name: Any, value: Any) -> None:
    if kind == _EVENT:
        target.event(name, *value)
    else:
        target.record(kind, name, value)


switch = Switch()
_calls = Calls(switch.record, perf_counter)
incr = _calls.incr
decr = _calls.decr
gauge = _calls.gauge
timing = _calls.timing
observe = _calls.observe
set = _calls.set
timer = _calls.timer
timed = _calls.timed
event = switch.event
