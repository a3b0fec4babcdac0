"""The way of points from any door into the store: named, checked, counted.

Points may be late, and then merge with what is stored; what is too early, too old or one name too
many is refused and counted at its door. A name keeps its method of its first point.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.names import metric_of
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.known_names import Known, KnownNames
from inapp_monitor.ingest.protocols.parsed import (
    Check,
    Columns,
    Event,
    Parsed,
    Point,
    RejectedError,
    Sample,
)
from inapp_monitor.ingest.samples import Samples
from inapp_monitor.ingest.series_of_kinds import Fits, fits_anything

#: How Graphite's own storage-aggregation.conf rolls up, by the last node of a name.
_BY_LAST_NODE = {
    "min": Method.MIN,
    "lower": Method.MIN,
    "max": Method.MAX,
    "upper": Method.MAX,
    "count": Method.SUM,
    "sum": Method.SUM,
    "sum_squares": Method.SUM,
}
#: What StatsD appends to them for a percentile.
_PERCENTILE = re.compile(r"_(?:top)?[0-9]+(?:_[0-9]+)?$", re.ASCII)
#: Events that wait for the next tick; each is a write of the database.
MAX_EVENTS = 100
#: Service checks whose last state waits for it.
MAX_CHECKS = 1_000
#: Characters kept of what a client says with a check.
MAX_MESSAGE_LENGTH = 500
#: Service checks are series below it: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
_CHECKS = "checks"


class Intake:
    """Where all doors of a process hand over what they were sent.

    Args:
        add: `Store.add`.
        step_s: Finest step of the store; a point may be early by as much.
        longest_s: Longest retention; older points are refused.
        max_series: Series that outsiders may name.
        series_bytes: What an average takes on disk, about: twice as much as another series.
        distribution_bytes: What a distribution takes there, at most.
        graphite_rollup: Whether a name's last node decides how it is rolled up, as in Graphite's
            example configuration; else the user's own configuration does.
        fits: What the store knows of names, see `series_of_kinds`.

    Attributes:
        dropped_events: Events of the application past the cap of a tick.

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
        series_bytes: int = 0,
        distribution_bytes: int = 0,
        graphite_rollup: bool = True,
        fits: Fits = fits_anything,
    ) -> None:
        self._add = add
        self._clock = clock
        self._step_s = step_s
        self._longest_s = longest_s
        self._max_series = max_series
        self._series_bytes = series_bytes
        self._distribution_bytes = distribution_bytes
        self._graphite_rollup = graphite_rollup
        self._fits = fits
        self._set_up()

    def _set_up(self) -> None:
        self._lock = threading.Lock()
        self._notes: dict[str, int] = {}
        self._names = KnownNames(self._max_series, self._method_of, self._note)
        self._names.room_bytes = self._max_series * self._series_bytes or 1  # until the first tick
        self._samples = Samples(
            self._step_s, self._series_bytes, self._distribution_bytes, self._fits
        )
        self._events: list[Event] = []
        self._checks: dict[str, Check] = {}
        self._posted: deque[Event] = deque()
        self.dropped_events = 0

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
            accepted = len(scalars) + parsed.taken
            if parsed.samples:
                accepted += self._add_samples(parsed)
            if parsed.events:
                accepted += self._keep_events(parsed)
            if parsed.checks:
                self._keep_checks(parsed.checks, now)
            if self._notes:
                for what, count in self._notes.items():
                    parsed.note(what, count)
                self._notes.clear()
            if scalars:
                door.latest = scalars[-1][0], scalars[-1][2]
            elif accepted and parsed.samples:
                door.latest = parsed.samples[-1][1:3]
            elif parsed.last_taken is not None:
                door.latest = parsed.last_taken
            door.count(parsed, accepted, client, now)
        if scalars:
            self._add(Batch(scalars, []))
        return accepted

    def hand_over(self, door: Door, points: list[Point]) -> None:
        """Store what a door's own state has made of earlier samples; only refusals are counted."""
        now = self._clock.wall()
        parsed = Parsed(points=points)
        with self._lock:
            scalars = self._scalars(parsed, now)
            self._notes.clear()
            door.count_rejects(parsed, "", now)
        if scalars:
            self._add(Batch(scalars, []))

    def post(self, title: str, text: str, tags: tuple[str, ...], timestamp: float) -> None:
        """Keep an event of the application itself until the next tick."""
        # Without the lock: a handler of a signal may call this in the thread that holds it.
        if len(self._posted) < MAX_EVENTS:
            self._posted.append(Event(title, text, tags, timestamp))
        else:
            self.dropped_events += 1

    def tick(
        self, now: float, *, room_bytes: int | None, stored_value: Callable[[str], float | None]
    ) -> list[Event]:
        """Hand over what was added up, and forget names that nobody sends any more.

        Args:
            room_bytes: What further series of outsiders may take on disk; None: as known so far.
            stored_value: The last value of a gauge, to begin with where it is only moved.

        Returns:
            Events to be written down.
        """
        with self._lock:
            moved = self._samples.gauges_without_base()
        bases = {path: stored_value(path) or 0.0 for path in moved}
        with self._lock:
            for path, value in bases.items():
                self._samples.set_base(path, value)
            batch = self._samples.take(int(now))
            if room_bytes is not None:
                self._names.room_bytes = room_bytes
            if self._names.expire(now):
                self._samples.forget(self._names.knows)
            events, self._events = self._events, []
        events += [self._posted.popleft() for _ in range(len(self._posted))]
        if batch.scalars or batch.distributions:
            self._add(batch)
        return events

    def _add_samples(self, parsed: Parsed) -> int:
        def refuse(reason: str, sample: Sample) -> None:
            kind, name, value, _ = sample
            parsed.reject(reason, f"{name}:{value}|{kind}")

        accepted = self._samples.add_all(parsed.samples, self._names, refuse)
        self._samples.fold()
        return accepted

    def _keep_events(self, parsed: Parsed) -> int:
        room = max(0, MAX_EVENTS - len(self._events))
        self._events += parsed.events[:room]
        for event in parsed.events[room:]:
            parsed.reject("too_many_events", event.title)
        return min(room, len(parsed.events))

    def _keep_checks(self, checks: Iterable[Check], now: float) -> None:
        """What was said with the last state of each check; its series has been named by now."""
        for check in checks:
            known = self._names.get(_as_point(check)[0])
            at = now if check.timestamp is None else check.timestamp
            if known is None or not now - self._longest_s < at <= now + self._step_s:
                continue
            before = self._checks.get(known[0])
            if before is None and len(self._checks) >= MAX_CHECKS:
                continue  # its state is in the series
            if before is None or (before.timestamp or 0.0) <= at:
                message = check.message[:MAX_MESSAGE_LENGTH]
                self._checks[known[0]] = check._replace(message=message, timestamp=at)

    def take_checks(self) -> dict[str, Check]:
        """The last of each service check since the last call, by series; each with its time."""
        with self._lock:
            checks, self._checks = self._checks, {}
        return checks

    @property
    def series_count(self) -> int:
        """Series that outsiders have named lately."""
        return len(self._names)

    @property
    def further_series(self) -> int:
        """How many more they may name: those left of the cap that the disk has room for."""
        with self._lock:
            of_cap = self._max_series - len(self._names)
            room_bytes = max(0, self._names.room_bytes)
        if not self._series_bytes:
            return of_cap
        return min(of_cap, -(-room_bytes // self._series_bytes))

    def _note(self, what: str) -> None:
        self._notes[what] = self._notes.get(what, 0) + 1

    def _scalars(self, parsed: Parsed, now: float) -> list[Scalar]:
        """The points that are accepted. Needs the lock."""
        get, scalars = self._names.get, []
        oldest, newest, present = now - self._longest_s, now + self._step_s, int(now)
        points: Iterable[Point] = parsed.points
        columns = parsed.columns
        if columns is not None:
            known_names = list(map(get, columns.names))
            if oldest < columns.earliest and columns.latest <= newest and None not in known_names:
                return _rows(known_names, columns)
            points = zip(columns.names, columns.values, columns.times, repeat(None), strict=False)
        if parsed.checks:
            points = (*points, *map(_as_point, parsed.checks))
        for point in points:
            name, value, timestamp, method = point
            known = get(name) or self._meet(point, parsed)
            if known is None:
                continue
            if timestamp is None:
                at = present
            elif oldest < timestamp <= newest:
                at = int(timestamp)
            else:
                parsed.reject("timestamp_range", f"{name} {value!r} {timestamp!r}")
                continue
            if value - value != 0.0:  # NaN or infinite; a call for each point would cost more
                parsed.reject("nonfinite", f"{name} {value!r}")
                continue
            # A plain tuple is one in a third of the time.
            scalars.append((known[0], at, value, method or known[1]))
        return scalars  # type: ignore[return-value]

    def _meet(self, point: Point, parsed: Parsed) -> Known | None:
        method = point[3] or self._method_of(point[0])
        size_bytes = self._series_bytes // (1 if method is Method.AVERAGE else 2)
        try:
            return self._names.meet(point[0], size_bytes)
        except RejectedError as error:
            parsed.reject(error.reason, f"{point[0]} {point[1]!r}")
            return None

    def _method_of(self, path: str) -> Method:
        if not self._graphite_rollup:
            return Method.AVERAGE
        last = metric_of(path).rpartition(".")[2]
        return _BY_LAST_NODE.get(_PERCENTILE.sub("", last), Method.AVERAGE)


def _rows(known: list[Known | None], columns: Columns) -> list[Scalar]:
    """Points whose series are all known, as rows for the store."""
    series: list[Known] = known  # type: ignore[assignment]  # none of them is None
    if columns.earliest == columns.latest:
        at = int(columns.latest)
        made = [
            (one[0], at, value, one[1]) for one, value in zip(series, columns.values, strict=False)
        ]
    else:
        whole = zip(series, columns.values, columns.times, strict=False)
        made = [(path, int(time), value, method) for (path, method), value, time in whole]
    return made  # type: ignore[return-value]  # plain tuples, as above


def _as_point(check: Check) -> Point:
    """The worst state in a step counts."""
    tags = "".join(f";{key}={value}" for key, value in check.tags)
    return f"{_CHECKS}.{check.name}{tags}", float(check.status), check.timestamp, Method.MAX
