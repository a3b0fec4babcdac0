"""What StatsD's samples add up to between two ticks, in series of our own.

Counters become sums, timers distributions with true percentiles, sets counts of distinct members of
a step. Gauges keep their last value; one that is moved before it was ever set here starts from what
is stored. A name may be sent as several kinds: `series_of_kinds` keeps them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.ingest.known_names import KnownNames
from inapp_monitor.ingest.protocols.parsed import (
    COUNTER,
    GAUGE_DELTA,
    SET,
    TIMER,
    RejectedError,
    Sample,
)
from inapp_monitor.ingest.series_of_kinds import Fits, SeriesOfKinds, fits_anything

#: Distinct members of a set within a step.
MAX_SET_MEMBERS = 10_000
#: Values of a timer kept before they are counted.
_FOLD_AT = 2_000
#: Looked at once in so many calls.
_FOLD_EVERY = 50
#: What is larger is no duration: a histogram's buckets end near it.
_FLOAT32_MAX = 3e38
#: Largest sum and gauge: adding two of them, a store's rollup for one, gives a finite number.
_LARGEST = 1e300
#: Samples that one of a timer may stand for.
_MAX_WEIGHT = 1e9


class Samples:
    """Samples of all doors of a process.

    Args:
        series_bytes: What an average takes on disk, about: twice as much as another series.
        distribution_bytes: What a distribution takes there, at most.
        step_s: Within which members of a set are counted once.
        fits: What the store knows of names, see `series_of_kinds`.

    *Threads:* for one at a time.
    """

    def __init__(
        self,
        step_s: int,
        series_bytes: int = 0,
        distribution_bytes: int = 0,
        fits: Fits = fits_anything,
    ) -> None:
        self._series_bytes = series_bytes // 2  # none of them is an average
        self._distribution_bytes = distribution_bytes
        self._step_s = step_s
        self._kinds = SeriesOfKinds(fits)
        self._gauges: dict[str, float] = {}
        self._changed: set[str] = set()
        self._moves: dict[str, float] = {}
        self._sums: dict[str, float] = {}
        self._values: dict[str, list[float]] = {}
        self._histograms: dict[str, Histogram] = {}
        #: What sampled timers stand for beyond whole samples: counts come out even.
        self._carried: dict[str, float] = {}
        self._members: dict[str, set[str]] = {}
        self._new_members: dict[str, int] = {}
        self._step = 0
        self._until_fold = _FOLD_EVERY

    def add_all(
        self,
        samples: Sequence[Sample],
        names: KnownNames,
        refuse: Callable[[str, Sample], object],
    ) -> int:
        """Add some samples; returns how many were accepted.

        Args:
            refuse: Called with the reason and the sample.
        """
        refused, sums, timers, get = 0, self._sums, self._values, names.get
        for sample in samples:
            kind, name, value, weight = sample
            try:
                known = get(name)
                if known is None:
                    known = names.meet(name, self._size_of(kind))
                path = known[0]
                if kind == TIMER and weight == 1.0 and path in timers and value < _FLOAT32_MAX:  # type: ignore[operator]
                    timers[path].append(value)  # type: ignore[arg-type]
                elif kind == COUNTER and path in sums:
                    total = sums[path] + value * weight  # type: ignore[operator]  # all but a set's
                    if not -_LARGEST < total < _LARGEST:
                        raise RejectedError("nonfinite")  # as those of `_add`
                    sums[path] = total
                else:
                    series = self._kinds.series(path, kind, names, self._size_of(kind))
                    self._add(kind, series, value, weight)
            except RejectedError as error:
                refused += 1
                refuse(error.reason, sample)
        return len(samples) - refused

    def _add(self, kind: str, path: str, value: float | str, weight: float) -> None:
        """Add one sample to the series of its kind.

        Raises:
            RejectedError: it cannot be counted.
        """
        if kind == COUNTER:
            assert isinstance(value, float)
            self._sums[path] = _bounded(self._sums.get(path, 0.0) + value * weight)
        elif kind == TIMER:
            assert isinstance(value, float)
            self._add_duration(path, value, weight)
        elif kind == SET:
            self._add_member(path, str(value))
        else:
            assert isinstance(value, float)
            self._set_gauge(path, value, is_move=kind == GAUGE_DELTA)

    def _size_of(self, kind: str) -> int:
        return self._distribution_bytes if kind == TIMER else self._series_bytes

    def _add_duration(self, path: str, value: float, weight: float) -> None:
        if not value < _FLOAT32_MAX:
            raise RejectedError("value")
        if weight > _MAX_WEIGHT:
            raise RejectedError("rate")
        if weight == 1.0:
            self._values.setdefault(path, []).append(value)
            return
        due = weight + self._carried.get(path, 0.0)
        times = max(1, round(due))
        self._carried[path] = due - times
        one = Histogram.of([value])
        number = next(iter(one.buckets))
        many = Histogram(times, value * times, value, value, {number: times})
        self._histograms.setdefault(path, Histogram()).merge(many)

    def _add_member(self, path: str, member: str) -> None:
        members = self._members.get(path)
        if members is None:
            members = self._members[path] = set()
        if member in members:
            return
        if len(members) >= MAX_SET_MEMBERS:
            raise RejectedError("too_many_members")
        members.add(member[:200])
        self._new_members[path] = self._new_members.get(path, 0) + 1

    def _set_gauge(self, path: str, value: float, *, is_move: bool) -> None:
        if is_move:
            if path not in self._gauges:
                self._moves[path] = _bounded(self._moves.get(path, 0.0) + value)
                return
            value += self._gauges[path]
        self._gauges[path] = _bounded(value)
        self._moves.pop(path, None)
        self._changed.add(path)

    def fold(self) -> None:
        """Count what many values have come of: memory stays small whatever is sent."""
        self._until_fold -= 1
        if self._until_fold > 0:
            return
        self._until_fold = _FOLD_EVERY
        for path, values in self._values.items():
            if len(values) >= _FOLD_AT:
                self._histograms.setdefault(path, Histogram()).add(values)
                self._values[path] = []

    def gauges_without_base(self) -> list[str]:
        """Gauges that were moved and never set here: what is stored of them has to be read."""
        return list(self._moves)

    def set_base(self, path: str, value: float) -> None:
        """What a moved gauge starts from."""
        move = self._moves.pop(path, None)
        if move is not None:
            self._gauges[path] = max(-_LARGEST, min(value + move, _LARGEST))
            self._changed.add(path)

    def take(self, now: int) -> Batch:
        """The deltas since the last call."""
        scalars = [Scalar(path, now, n, Method.SUM) for path, n in self._sums.items()]
        scalars += [
            Scalar(path, now, float(n), Method.SUM) for path, n in self._new_members.items()
        ]
        scalars += [Scalar(path, now, self._gauges[path], Method.LAST) for path in self._changed]
        for path, values in self._values.items():
            if values:
                self._histograms.setdefault(path, Histogram()).add(values)
        distributions = [Distribution(path, now, each) for path, each in self._histograms.items()]
        self._sums, self._new_members, self._changed = {}, {}, set()
        self._values, self._histograms = {}, {}
        if now // self._step_s != self._step:
            self._step = now // self._step_s
            self._members = {}
        return Batch(scalars, distributions)

    def forget(self, known: Callable[[str], bool]) -> None:
        """Forget kinds and gauges of names that are no longer known."""
        self._kinds.forget(known)
        self._gauges = {path: value for path, value in self._gauges.items() if known(path)}
        self._carried = {path: part for path, part in self._carried.items() if known(path)}


def _bounded(number: float) -> float:
    """A sum or a gauge that can be stored, and added to.

    Raises:
        RejectedError: `nonfinite`.
    """
    if not -_LARGEST < number < _LARGEST:
        raise RejectedError("nonfinite")
    return number
