"""The way of points from any door into the store: named, checked, counted.

Points may be late, and then merge with what is stored; what is too early, too old or one name too
many is refused and counted at its door. A name keeps its method of its first point.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.known_names import KnownNames
from inapp_monitor.ingest.protocols.parsed import Parsed, RejectedError
from inapp_monitor.ingest.protocols.series_names import metric_of

#: How Graphite's own storage-aggregation.conf rolls up, by the last node of a name.
_BY_LAST_NODE = {
    "min": Method.MIN,
    "lower": Method.MIN,
    "max": Method.MAX,
    "upper": Method.MAX,
    "count": Method.SUM,
    "sum": Method.SUM,
}


class Intake:
    """Where all doors of a process hand over what they were sent.

    Args:
        add: `Store.add`.
        step_s: Finest step of the store; a point may be early by as much.
        longest_s: Longest retention; older points are refused.
        max_series: Series that outsiders may name.
        graphite_rollup: Whether a name's last node decides how it is rolled up, as in Graphite's
            example configuration; else the user's own configuration does.

    *Threads:* any.
    """

    def __init__(
        self,
        add: Callable[[Batch], object],
        clock: Clock,
        *,
        step_s: int,
        longest_s: int,
        max_series: int,
        graphite_rollup: bool = True,
    ) -> None:
        self._add = add
        self._clock = clock
        self._step_s = step_s
        self._longest_s = longest_s
        self._max_series = max_series
        self._graphite_rollup = graphite_rollup
        self._set_up()

    def _set_up(self) -> None:
        self._lock = threading.Lock()
        self._notes: dict[str, int] = {}
        self._names = KnownNames(self._max_series, self._note)

    def forked(self) -> None:
        """In a child process: what waits is the parent's, and so are the locks."""
        self._set_up()

    def take(self, door: Door, parsed: Parsed, client: str = "") -> int:
        """Store what a protocol found, and count it at its door. Returns how many were accepted.

        What is refused here is added to `parsed.rejects`, so that a door that answers can say so.
        """
        now = self._clock.wall()
        with self._lock:
            scalars = self._scalars(parsed, now)
            if self._notes:
                for what, count in self._notes.items():
                    parsed.note(what, count)
                self._notes.clear()
            accepted = len(scalars)
            door.count(parsed, accepted, client, now)
        if scalars:
            self._add(Batch(scalars, []))
        return accepted

    def tick(self, now: float, *, is_full: bool) -> None:
        """Hand over what was added up, and forget names that nobody sends any more.

        Args:
            is_full: Whether the disk has no room for series of outsiders.
        """
        with self._lock:
            self._names.is_full = is_full
            self._names.expire(now)

    @property
    def series_count(self) -> int:
        """Series that outsiders have named lately."""
        return len(self._names)

    def _note(self, what: str) -> None:
        self._notes[what] = self._notes.get(what, 0) + 1

    def _scalars(self, parsed: Parsed, now: float) -> list[Scalar]:
        """The points that are accepted. Needs the lock."""
        names, scalars = self._names, []
        oldest, newest, present = now - self._longest_s, now + self._step_s, int(now)
        for name, value, timestamp, method in parsed.points:
            path = names.get(name)
            if path is None:
                try:
                    path = names.meet(name)
                except RejectedError as error:
                    parsed.reject(error.reason, f"{name} {value!r}")
                    continue
            if timestamp is None:
                at = present
            elif oldest < timestamp <= newest:
                at = int(timestamp)
            else:
                parsed.reject("timestamp_range", f"{name} {value!r} {timestamp!r}")
                continue
            if method is None:
                method = self._method_of(path)
            scalars.append(Scalar(path, at, value, method))
        return scalars

    def _method_of(self, path: str) -> Method:
        if not self._graphite_rollup:
            return Method.AVERAGE
        last = metric_of(path).rpartition(".")[2]
        return _BY_LAST_NODE.get(last) or _BY_LAST_NODE.get(last.partition("_")[0], Method.AVERAGE)
