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
from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from itertools import islice
from typing import Any, Protocol

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.recorder.instruments import SET, member
from inapp_monitor.recorder.verbs import Calls

__all__ = ("decr", "event", "gauge", "incr", "observe", "set", "timed", "timer", "timing")

#: Calls kept until there is a monitor.
MAX_BACKLOG = 10_000
#: Characters kept of an event's title, text and tag, and how many tags.
MAX_TITLE, MAX_TEXT, MAX_TAG, MAX_TAGS = 500, 10_000, 200, 100
#: Characters kept of a name that waits: more than a name may have.
_MAX_NAME = 1_000
_EVENT = "event"
#: A kind that there is not, so that the monitor counts it.
_MISUSE = "misuse"


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
        self._backlog: deque[tuple[str, Any, Any]] = deque()
        self._dropped = 0
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def connect(self, target: Target) -> None:
        """Calls go there from now on; what has waited goes first."""
        with self._lock:
            alive = [each for each in self._targets if each() not in (None, target)]
            self._targets = [*alive, weakref.ref(target)]
            dropped, self._dropped = self._dropped, 0
            if self._pid != os.getpid():
                self._backlog.clear()
                return
        self._hand_backlog(target)
        if dropped:
            target.dropped(dropped)

    def _hand_backlog(self, target: Target) -> None:
        while True:
            try:
                call = self._backlog.popleft()
            except IndexError:
                return
            _hand(target, *call)

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
            self._backlog, self._dropped = deque(), 0
            self._lock = threading.Lock()
        if len(self._backlog) >= MAX_BACKLOG:
            self._dropped += 1
            return
        try:
            call = (kind, *_small(kind, name, value))
        except Exception as error:  # noqa: BLE001  # whatever a caller's objects do
            call = (_MISUSE, None, type(error).__name__)
        self._backlog.append(call)
        target = self.current()
        if target is not None:  # another thread has connected it meanwhile
            self._hand_backlog(target)

    def event(self, title: str, text: str = "", tags: Iterable[str] = ()) -> None:
        """Note that something has happened, such as a deployment: an annotation of all charts."""
        self.record(_EVENT, title, (text, tags))


def _hand(target: Target, kind: str, name: Any, value: Any) -> None:
    if kind == _EVENT:
        target.event(name, *value)
    else:
        target.record(kind, name, value)


def event_of(
    title: object, text: object, tags: Iterable[object]
) -> tuple[str, str, tuple[str, ...]]:
    """Title, text and tags as plain texts of bounded size. Raises what objects raise."""
    words = (str(tag)[:MAX_TAG] for tag in islice(tags, MAX_TAGS))
    return str(title)[:MAX_TITLE], str(text)[:MAX_TEXT], tuple(words)


def _small(kind: str, name: Any, value: Any) -> tuple[Any, Any]:
    """Name and value of a call that waits: nothing large or foreign is kept alive for it."""
    if kind == _EVENT:
        title, text, tags = event_of(name, *value)
        return title, (text, tags)
    if type(name) is not str or len(name) > _MAX_NAME:
        name = str.__str__(name)[:_MAX_NAME] if isinstance(name, str) else None
    if kind is SET:
        return name, member(value)
    if type(value) is float or (type(value) is int and -(2**64) < value < 2**64):
        return name, value
    if isinstance(value, timedelta):
        return name, timedelta(seconds=timedelta.total_seconds(value))
    if isinstance(value, (bool, str, bytes)):
        return name, type(value)()  # no number: counted as misuse then
    return name, float(value)


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
