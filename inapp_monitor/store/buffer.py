"""The write buffer: what was added and is not on disk, bounded, and visible to queries at once.

No I/O here. Each series has a place, on disk or (a *newcomer*) not yet; its points wait beside
that place, combined by interval, until the writer takes them. When the bound is reached because the
disk refuses, the oldest intervals go first, counted.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from inapp_monitor.ground.points import (
    Batch,
    Distribution,
    Method,
    Scalar,
)
from inapp_monitor.store.catalog import Catalog
from inapp_monitor.store.distributions import DistributionFile
from inapp_monitor.store.groups import Group, StoredSeries
from inapp_monitor.store.repeated_batch import RepeatedBatch
from inapp_monitor.store.retention import Retention
from inapp_monitor.store.schemas import Schemas

#: Memory that one buffered value takes, measured: a dict entry, a float, its share of the dict.
CELL_BYTES: Final = 100
#: Names refused for want of room are remembered, so many of them, for so long.
_REFUSED_LIMIT: Final = 10_000
_REFUSED_S: Final = 60.0
#: Fewer scalars than this are not worth comparing with the batch before.
_FEW: Final = 8

_PATH, _TIMESTAMP, _VALUE = itemgetter(0), itemgetter(1), itemgetter(2)

#: What waits is kept with the file, or the future file, that it will be written to.
AnyRingFile = Group | DistributionFile


class Buffer:
    """Points on their way to the disk.

    Attributes:
        lock: Guards everything here; held for microseconds, never during I/O.
        series: All known scalars, also newcomers.
        distributions: All known distributions, also newcomers.
        drops: Dropped points by reason.
        version: Grows when a newcomer appears or goes.

    *Threads:* `add` takes the lock; other methods say when they need it.
    """

    def __init__(self, schemas: Schemas, distribution_retention: Retention, size: int) -> None:
        self.lock = threading.Lock()
        self.series: dict[str, StoredSeries] = {}
        self.distributions: dict[str, DistributionFile] = {}
        self.drops: Counter[str] = Counter()
        self.version = 0
        self._newcomers: dict[Retention, Group] = {}
        self._schemas = schemas
        self._distribution_retention = distribution_retention
        self._limit = max(size // CELL_BYTES, 1)
        self._cells = 0
        self._refused: dict[str, float] = {}
        self._repeated: RepeatedBatch | None = None
        self._paths: list[str] = []

    @property
    def bytes(self) -> int:
        """Memory that waiting points take, about."""
        return self._cells * CELL_BYTES

    def add(self, batch: Batch, now: float) -> None:
        """Combine points into what waits already."""
        with self.lock:
            if len(batch.scalars) < _FEW or not self._add_repeated(batch.scalars, now):
                self._add_scalars(batch.scalars, now)
            for point in batch.distributions:
                self._add_distribution(point, now)
            if self._cells > self._limit:
                self._make_room()

    # -- for the writer; all need the lock

    def newcomers(self) -> list[list[StoredSeries]]:
        """Scalars without a place on disk, by retention."""
        result: dict[int, list[StoredSeries]] = {}
        if self._newcomers:
            for series in self.series.values():
                if series.group.file is None:
                    result.setdefault(id(series.group), []).append(series)
        return list(result.values())

    def new_distributions(self) -> list[DistributionFile]:
        """Distributions without a file."""
        return [d for d in self.distributions.values() if d.file is None]

    def adopt(self, catalog: Catalog) -> None:
        """Take over where the catalog has put each series; waiting points move along."""
        self._give_up_other_kinds(catalog)
        for path, series in list(self.series.items()):
            target = catalog.series.get(path)
            if target is series or (target is None and series.group.file is None):
                continue
            if target is None and not _waits(series):
                del self.series[path]  # its place was given away, or lost
                continue
            if target is None:
                target = self._newcomer(path, series.method, series.entry.x_files_factor, series)
            lost = _move(series, target)
            if lost:
                self.drops["other_method"] += lost
            self.series[path] = target
        self.series.update(catalog.series)
        for path, distribution in list(self.distributions.items()):
            here = catalog.distributions.get(path)
            if here is distribution or (here is None and distribution.file is None):
                continue
            if here is None and not distribution.unwritten():
                del self.distributions[path]
                continue
            if here is None:
                here = DistributionFile(path, distribution.retention, None, None)
            for timestamp, delta in distribution.unwritten().items():
                older = here.pending.get(timestamp)
                here.pending[timestamp] = delta if older is None else here.joined(older, delta)
            self.distributions[path] = here
        self.distributions.update(catalog.distributions)
        used = {id(series.group) for series in self.series.values()}
        self._newcomers = {r: g for r, g in self._newcomers.items() if id(g) in used}
        self.version += 1

    def _give_up_other_kinds(self, catalog: Catalog) -> None:
        """What another process has stored as the other kind meanwhile was first."""
        for path in catalog.distributions.keys() & self.series.keys():
            if path not in catalog.series:
                self.drops["other_kind"] += _remove(self.series.pop(path))
        for path in catalog.series.keys() & self.distributions.keys():
            if path not in catalog.distributions:
                self.drops["other_kind"] += len(self.distributions.pop(path).unwritten())

    def refuse(self, path: str, reason: str, now: float) -> None:
        """Give a newcomer up, and its points with it."""
        series = self.series.pop(path, None)
        if series is not None:
            lost = _remove(series)
        else:
            distribution = self.distributions.pop(path, None)
            lost = 0 if distribution is None else len(distribution.unwritten())
        if lost:
            self.drops[reason] += lost
        if len(self._refused) >= _REFUSED_LIMIT:
            self._refused.pop(next(iter(self._refused)))
        self._refused[path] = now + _REFUSED_S
        self.version += 1

    def take(self, places: Iterable[AnyRingFile]) -> list[AnyRingFile]:
        """Set apart what waits in some places; returns those that have something to write."""
        taken = []
        for rings in places:
            if rings.waits:
                rings.take()
                taken.append(rings)
            elif rings.unfinished:
                taken.append(rings)
        self._cells = 0
        return taken

    def has_before(self, timestamp: float, stored: Iterable[AnyRingFile]) -> bool:
        """Whether an interval that ended by then has points that are not on disk.

        `stored` is every place that there is on disk.
        """
        return any(
            at is not None and at + rings.step <= timestamp
            for rings in (*stored, *self._newcomers.values(), *self.new_distributions())
            for at in (rings.oldest_pending, rings.oldest_taken)
        )

    def recount(self) -> None:
        """Count exactly what waits."""
        places: dict[int, AnyRingFile] = {id(s.group): s.group for s in self.series.values()}
        places.update((id(d), d) for d in self.distributions.values())
        total = 0
        for rings in places.values():
            for deltas in (rings.pending, rings.writing):
                for delta in deltas.values():
                    total += rings.weigh(delta)  # type: ignore[arg-type]
        self._cells = total

    # -- adding

    def _add_repeated(self, scalars: list[Scalar], now: float) -> bool:
        """Add a batch that names the series of the one before; False when it does not.

        The second such batch pays for working out where its values go.
        """
        if len(scalars) != len(self._paths) or scalars[-1][0] != self._paths[-1]:
            self._paths = list(map(_PATH, scalars))
            return False
        # Not `zip(*scalars)`: an iterator a point, at once, would start the garbage collector.
        paths = list(map(_PATH, scalars))
        if paths != self._paths:
            self._paths = paths
            return False
        repeated = self._repeated
        if (
            repeated is None
            or repeated.paths is not self._paths
            or repeated.version != self.version
        ):
            known = self.series
            if len(set(paths)) != len(paths) or not all(path in known for path in paths):
                return False
            repeated = self._repeated = RepeatedBatch(self._paths, known, self.version)
        times, values = list(map(_TIMESTAMP, scalars)), list(map(_VALUE, scalars))
        timestamp = times[0]
        if times.count(timestamp) != len(times) or not math.isfinite(sum(values)):
            return False
        runs = repeated.runs(values, timestamp)
        for group, run in runs:
            if not group.idle or not self._is_in_time(group, run.timestamp, now):
                return False
        for group, run in runs:
            group.put_run(run)
        self._cells += repeated.count
        return True

    def _add_scalars(self, scalars: list[Scalar], now: float) -> None:
        known = self.series
        fresh = 0
        group: Group | None = None
        at = -1
        cells: dict[int, float] | None = None
        for path, timestamp, value, method in scalars:
            series = known.get(path)
            if series is None:
                series = self._meet(path, method, now)
                if series is None:
                    continue
            if value - value != 0.0:  # NaN or infinite; a call would cost a tenth of the whole
                self.drops["not_finite"] += 1
                continue
            if cells is None or series.group is not group or timestamp != at:
                group, at = series.group, timestamp
                cells = self._cells_at(group, timestamp - timestamp % group.step, now)
                if cells is None:
                    continue
            column = series.column
            if column in cells:
                cells[column] = series.combine(cells[column], value)
                if series.paired:
                    cells[column + 1] += 1.0
            else:
                cells[column] = value
                fresh += 1
                if series.paired:
                    cells[column + 1] = 1.0
                    fresh += 1
        self._cells += fresh

    def _cells_at(self, group: Group, start: int, now: float) -> dict[int, float] | None:
        """What waits for an interval; None when it is not to be had."""
        pending = group.pending
        cells = pending.get(start)
        if cells is None and self._in_time(group, start, now):
            cells = pending[start] = {}
        return cells

    def _add_distribution(self, point: Distribution, now: float) -> None:
        path, timestamp, histogram = point
        if not histogram.count:
            return
        distribution = self.distributions.get(path)
        if distribution is None:
            if path in self.series:
                self.drops["other_kind"] += 1
                return
            if self._is_refused(path, now):
                return
            distribution = DistributionFile(path, self._distribution_retention, None, None)
            self.distributions[path] = distribution
            self.version += 1
        start = timestamp - timestamp % distribution.step
        waiting = distribution.pending.get(start)
        if waiting is not None:
            before = len(waiting.buckets)
            waiting.merge(histogram)
            self._cells += len(waiting.buckets) - before
        elif self._in_time(distribution, start, now):
            distribution.pending[start] = histogram.copy()
            self._cells += distribution.weigh(histogram)

    def _meet(self, path: str, method: Method, now: float) -> StoredSeries | None:
        """A series that was not known becomes a newcomer, unless a distribution has its name."""
        if path in self.distributions:
            self.drops["other_kind"] += 1
            return None
        if self._is_refused(path, now):
            return None
        method, x_files_factor = self._schemas.rollup_for(path, method)
        series = self._newcomer(path, method, x_files_factor, None)
        self.series[path] = series
        self.version += 1
        return series

    def _newcomer(
        self, path: str, method: Method, x_files_factor: float, former: StoredSeries | None
    ) -> StoredSeries:
        retention = self._schemas.retention_for(path) if former is None else former.group.retention
        group = self._newcomers.get(retention)
        if group is None:
            group = self._newcomers[retention] = Group(retention, None, None)
        return group.append(path, method, x_files_factor)

    def _is_refused(self, path: str, now: float) -> bool:
        until = self._refused.get(path)
        if until is None:
            return False
        if now < until and until - now <= _REFUSED_S:
            self.drops["no_room"] += 1
            return True
        del self._refused[path]
        return False

    def _in_time(self, rings: AnyRingFile, start: int, now: float) -> bool:
        if self._is_in_time(rings, start, now):
            return True
        self.drops["future" if start > now + rings.step else "too_old"] += 1
        return False

    @staticmethod
    def _is_in_time(rings: AnyRingFile, start: int, now: float) -> bool:
        return max(now - rings.retention.longest, -1) < start <= now + rings.step

    def _make_room(self) -> None:
        """Drop the oldest intervals until a tenth of the bound is free."""
        self.recount()
        places: dict[int, AnyRingFile] = {id(s.group): s.group for s in self.series.values()}
        places.update((id(d), d) for d in self.distributions.values())
        while self._cells > self._limit * 0.9:
            waiting = [rings for rings in places.values() if rings.pending]
            if not waiting:
                return
            oldest = min(min(rings.pending) for rings in waiting)
            for rings in waiting:
                delta = rings.pending.pop(oldest, None)
                if delta is not None:
                    weight = rings.weigh(delta)  # type: ignore[arg-type]
                    self._cells -= weight
                    self.drops["buffer_full"] += weight if isinstance(rings, Group) else 1


def _move(series: StoredSeries, target: StoredSeries) -> int:
    """Waiting values of a series go to its new place; returns how many could not.

    These are values of a series that another process has made with another method meanwhile.
    """
    source, group, lost = series.group, target.group, 0
    for deltas in (source.writing, source.pending):
        for timestamp, cells in list(deltas.items()):
            moved = {
                target.column + at: cells.pop(series.column + at)
                for at in range(series.entry.columns)
                if series.column + at in cells
            }
            if not cells:
                del deltas[timestamp]
            if not moved:
                continue
            if target.method is not series.method:
                lost += 1
                continue
            timestamp -= timestamp % group.step
            there = group.pending.setdefault(timestamp, {})
            for column, value in moved.items():
                there[column] = series.combine(there[column], value) if column in there else value
    if source.file is None:
        source.entries.pop(series.column, None)
    return lost


def _waits(series: StoredSeries) -> bool:
    """Whether a series has values that are not on disk."""
    places = (series.group.writing, series.group.pending)
    return any(series.column in cells for deltas in places for cells in deltas.values())


def _remove(series: StoredSeries) -> int:
    """Drop the waiting values of a series; returns how many intervals had one."""
    group, lost = series.group, 0
    for deltas in (group.writing, group.pending):
        for timestamp, cells in list(deltas.items()):
            if series.column in cells:
                del cells[series.column]
                lost += 1
            if series.paired:
                cells.pop(series.column + 1, None)
            if not cells:
                del deltas[timestamp]
    if group.file is None:
        group.entries.pop(series.column, None)
    return lost
