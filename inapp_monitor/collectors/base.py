"""`Collector`: the class that samplers are made of; what it publishes goes into a `Sink`.

A collector knows neither its thread nor the store: it is called once an interval and publishes. No
clock, no I/O here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from inapp_monitor.ground.exceptions import SeriesNameError
from inapp_monitor.ground.names import check_path, clean_node, refuse_reserved
from inapp_monitor.ground.points import Method, Scalar
from inapp_monitor.ground.series_description import Description

#: How the values of several workers, and of the steps that a coarser archive joins, become one.
Combine = Literal["", "sum", "max", "min", "average", "last"]

#: Series of one collector; further names are refused and counted.
MAX_NAMES: Final = 1_000
#: Bytes of gauges that one worker shows to the leader; see `Shared`.
MAX_SHARED_BYTES: Final = 6_000
#: A shared value that was not renewed for so many intervals is forgotten.
_GOOD_FOR_INTERVALS = 3
#: A gauge is dated back by at most so much.
_SHORT_S = 5.0
_METHODS: Final[dict[str, Method]] = {
    "max": Method.MAX,
    "min": Method.MIN,
    "average": Method.AVERAGE,
    "last": Method.LAST,
}
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Collector:
    """Samples numbers on an interval. Subclass it, publish in `collect`, register the class:

        class Queue(Collector):
            def collect(self):
                self.gauge("length", redis.llen("jobs"))      # series queue.length
                self.counter("done", stats.jobs_done)         # a total: what is new is counted

        Monitor(app, collectors=[Queue])

    It runs in one process of all workers, off the requests; another one takes over when that ends.
    An exception is logged once, shown on the status page and tried again later and later.

    Attributes:
        name: First nodes of its series; default: the class's name, `DiskSpaceCollector` is
            `disk_space`.
        prefix: First nodes of its series where they are not its name; "" for none.
        interval_s: Seconds between two runs; 0 takes the setting `collect_interval_s`.
        per_worker: True runs it in every worker process.
        max_names: Series it may have; further names are refused and counted.

    *Threads:* `collect` runs in a thread of the monitor, never twice at once in a process.
    """

    name: str = ""
    prefix: str | None = None
    interval_s: float = 0.0
    per_worker: bool = False
    max_names: int = MAX_NAMES
    _sink: Sink | None = None

    def collect(self) -> None:
        """Publish what is to be known now."""
        raise NotImplementedError(f"{type(self).__name__} must define collect(self)")

    def gauge(self, name: str, value: float | None, combine: Combine = "") -> None:
        """Publish what something measures now.

        Args:
            name: Goes below the collector's name; what no series may contain becomes `_`.
            value: A number; None or NaN: not known, a gap.
            combine: How values become one, of several workers and in coarser archives: `last`
                (default; with `per_worker` it is `sum`, the total of all workers), `max`, `min`,
                `average`.

        Raises:
            TypeError, ValueError: not a number, or a name that is used as a counter.
        """
        if self._sink is not None:
            self._sink.gauge(name, value, combine)

    def counter(self, name: str, total: float | None, resets: bool = True) -> None:
        """Publish a total that only grows: the series holds what was added in each step.

        The first total is where counting begins. A lower one than before means that it began anew
        at zero.

        Args:
            name, total: As for a gauge.
            resets: False for a sum whose parts come and go, such as over network interfaces: a
                lower total adds nothing.

        Raises:
            TypeError, ValueError: as for a gauge.
        """
        if self._sink is not None:
            self._sink.counter(name, total, resets)

    def add(self, name: str, n: float | None) -> None:
        """Publish what was counted since the last run, where the source begins anew each time.

        Raises:
            TypeError, ValueError: as for a gauge.
        """
        if self._sink is not None:
            self._sink.add(name, n)

    def describe(self, name: str, description: Description) -> None:
        """Say what a series is: its unit, the range it should be in."""
        if self._sink is not None:
            self._sink.describe(name, description)


def prefix_of(collector: type[Collector] | Collector) -> str:
    """First nodes of a collector's series."""
    return name_of(collector) if collector.prefix is None else collector.prefix


def name_of(collector: type[Collector] | Collector) -> str:
    """A collector's name: its own, or one made of its class's."""
    given = str(getattr(collector, "name", "") or "")
    if given:
        return given
    kind = collector if isinstance(collector, type) else type(collector)
    words = _WORD.sub("_", kind.__name__.removesuffix("Collector") or kind.__name__)
    return clean_node(words.lower())


class Shared(NamedTuple):
    """A gauge of one worker that the leader joins with those of the others.

    Attributes:
        combine: `sum` or `average`.
        value: The number.
        until: Epoch seconds; a value that nobody renews is no longer true.
    """

    combine: str
    value: float
    until: int


class Sink:
    """What one collector publishes, until it is taken. Bounded.

    Args:
        prefix: First nodes of its series; with "" names may not begin with a reserved one.
        per_worker: Whether other workers publish the same.
        max_names: Series it may have.

    Attributes:
        refused: Values not taken because of the bounds.
        descriptions: What is said of series, by path; taken by the owner.

    *Threads:* filled by the collector, taken by the same thread after it.
    """

    def __init__(self, prefix: str, per_worker: bool, max_names: int = MAX_NAMES) -> None:
        self.refused = 0
        self._max_names = max_names
        self.shared: dict[str, Shared] = {}
        self.descriptions: dict[str, Description] = {}
        self._prefix = prefix
        self._default = "sum" if per_worker else "last"
        self._per_worker = per_worker
        self._shared_bytes = 0
        self._paths: dict[str, str] = {}
        self._kinds: dict[str, str] = {}
        self._gauges: dict[str, tuple[float, str]] = {}
        self._totals: dict[str, float] = {}
        self._added: dict[str, float] = {}

    @property
    def paths(self) -> list[str]:
        """All series so far."""
        return list(self._kinds)

    def forget_totals(self) -> None:
        """Somebody else has counted meanwhile: the next totals are where counting begins."""
        self._totals.clear()

    def gauge(self, name: str, value: float | None, combine: str) -> None:
        """See `Collector.gauge`."""
        combine = combine or self._default
        if combine not in _METHODS and not (combine == "sum" and self._per_worker):
            known = ", ".join([*_METHODS, *(["sum"] if self._per_worker else [])])
            raise ValueError(f"combine must be one of {known}, got {combine!r}")
        number = _number(value)
        path = self._path(name, "gauge")
        if path is not None and number is not None:
            self._gauges[path] = (number, combine)

    def counter(self, name: str, total: float | None, resets: bool) -> None:
        """See `Collector.counter`."""
        number = _number(total)
        path = self._path(name, "counter")
        if path is None or number is None or total is None:
            return
        before = self._totals.get(path)
        self._totals[path] = total  # as it was given: the difference of large integers is exact
        if before is None:
            return
        added = total - before if total >= before else total if resets else 0.0
        self._added[path] = self._added.get(path, 0.0) + float(added)

    def add(self, name: str, n: float | None) -> None:
        """See `Collector.add`."""
        number = _number(n)
        path = self._path(name, "counter")
        if path is not None and number is not None:
            self._added[path] = self._added.get(path, 0.0) + number

    def describe(self, name: str, description: Description) -> None:
        """See `Collector.describe`."""
        path = self._paths.get(name) or _path_of(self._prefix, name)
        if len(self.descriptions) < self._max_names:
            self.descriptions[path] = description

    def take(self, wall: float, interval_s: float) -> list[Scalar]:
        """What was published since the last call; what needs the others is left in `shared`.

        What a counter grew by happened in the interval before; a gauge stands at its end.
        """
        before, end = int(wall - interval_s / 2), int(end_of_interval(wall, interval_s))
        gauges, self._gauges = self._gauges, {}
        added, self._added = self._added, {}
        scalars = [Scalar(path, before, value, Method.SUM) for path, value in added.items()]
        until = math.ceil(wall + _GOOD_FOR_INTERVALS * interval_s)
        for path, (value, combine) in gauges.items():
            if self._per_worker and combine in ("sum", "average"):
                self._share(path, Shared(combine, value, until))
            else:
                scalars.append(Scalar(path, end, value, _METHODS[combine]))
        return scalars

    def _share(self, path: str, shared: Shared) -> None:
        if path not in self.shared:
            size = len(json.dumps(path)) + 60
            if self._shared_bytes + size > MAX_SHARED_BYTES:
                self.refused += 1
                return
            self._shared_bytes += size
        self.shared[path] = shared

    def _path(self, name: str, kind: str) -> str | None:
        """The series of a name; None when there are too many."""
        path = self._paths.get(name)
        if path is None:
            if len(self._paths) >= self._max_names:
                self.refused += 1
                return None
            path = _path_of(self._prefix, name)
            self._paths[name] = path
        if self._kinds.setdefault(path, kind) != kind:
            raise ValueError(f"{path!r} is a {self._kinds[path]} and cannot be a {kind} too")
        return path


def end_of_interval(wall: float, interval_s: float) -> float:
    """A time within the interval that ends at `wall`: samples are taken at round times, and what is
    sampled at 12:00:10 is shown beside what was counted until then."""
    return wall - min(interval_s / 2, _SHORT_S)


def joined(
    workers: Iterable[Mapping[str, Sequence[Any]]], now: float, timestamp: int
) -> list[Scalar]:
    """The gauges of all workers as one series each; a value is what `Shared` is."""
    values: dict[str, list[float]] = {}
    combines: dict[str, str] = {}
    for shared in workers:
        for path, (combine, value, until) in shared.items():
            if now <= until:
                values.setdefault(path, []).append(value)
                combines[path] = combine
    return [
        Scalar(path, timestamp, sum(found) / len(found), Method.AVERAGE)
        if combines[path] == "average"
        else Scalar(path, timestamp, sum(found), Method.LAST)
        for path, found in values.items()
    ]


def _path_of(prefix: str, name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a series' name must be a string, got {type(name).__name__}")
    before = [prefix] if prefix else []
    try:
        path = check_path(".".join([*before, name]))
    except SeriesNameError:
        nodes = [clean_node(node) for node in name.split(".") if node]
        path = check_path(".".join([*before, *nodes]))
    if not prefix:
        refuse_reserved(path)
    return path


def _number(value: object) -> float | None:
    """A finite number, or None for what is not known."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"a value must be a number, got {type(value).__name__}")
    number = float(value)
    return number if math.isfinite(number) else None
