"""What pages read of the store: sums and percentiles in columns as wide as a chart needs.

A distribution is fetched once and gives count, percentiles, apdex and heatmap: its slots are
merged, never its percentiles averaged. Closed over one `Backend` and one window; nothing is drawn
or worded here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.ranges import DistributionRange, ScalarRange
from inapp_monitor.ground.stored_slots import StoredSlots
from inapp_monitor.query.merged_columns import MergedColumns
from inapp_monitor.query.merging import merged_slots
from inapp_monitor.query.series import Floats
from inapp_monitor.web.backend import Backend

#: Share of a column that must be over before a rate is made of it.
_SETTLED = 0.3
#: Columns of a chart: about two pixels each on a wide screen.
COLUMNS = 240


class Columns(NamedTuple):
    """How slots of a window are joined for a chart.

    Columns begin at multiples of their width, so that a chart that moves with the time keeps its
    shape; the first and the last one may therefore be covered in part.

    Attributes:
        start, step: Epoch seconds of the first column, seconds of one.
        lead: Slots missing from the first column.
        factor: Slots a column.
        covered: Seconds of each column that lie in the window and are over.
    """

    start: int
    step: int
    lead: int
    factor: int
    covered: Floats

    @classmethod
    def of(cls, start: int, step: int, count: int, wanted: int, now: int) -> Columns:
        """Join `count` slots from `start` on into at most about `wanted` columns."""
        factor = max(math.ceil(count / wanted), 1)
        lead = start // step % factor
        width = factor * step
        begin = start - lead * step
        number = max(math.ceil((lead + count) / factor), 1)
        edges = begin + width * np.arange(number + 1, dtype=np.float64)
        over = min(start + count * step, now)
        covered = np.minimum(edges[1:], over) - np.maximum(edges[:-1], start)
        return cls(begin, width, lead, factor, covered)


@dataclass(frozen=True, slots=True)
class Sums:
    """A counter over a window: column i covers `start + i * step` onwards; NaN is no data."""

    start: int
    step: int
    values: Floats
    covered: Floats

    @property
    def total(self) -> float:
        """The whole window's sum."""
        return float(np.nansum(self.values)) if len(self.values) else 0.0

    def rate(self) -> Floats:
        """A second's worth of each column, see `rates`."""
        return rates(self.values, self.covered, self.step)


@dataclass(frozen=True, slots=True)
class Durations:
    """A distribution of milliseconds over a window, in columns, and all of it in one."""

    start: int
    step: int
    slots: MergedColumns
    whole: Histogram
    covered: Floats

    def quantile(self, q: float) -> Floats:
        """The q-quantile of each column; NaN where nothing happened."""
        return self.slots.quantiles(q)

    def counts(self) -> Floats:
        """How many values each column has; NaN where nothing happened."""
        return np.where(self.slots.filled, self.slots.counts(), np.nan)

    def is_sparse(self) -> bool:
        """Whether most columns between the first and the last value have none."""
        filled = self.filled()
        return len(filled) > 1 and len(filled) < 0.5 * (filled[-1] - filled[0] + 1)

    def filled(self) -> list[int]:
        """Numbers of the columns that have values."""
        return np.flatnonzero(self.slots.filled).tolist()

    def rate(self) -> Floats:
        """Values a second of each column, see `rates`."""
        return rates(self.counts(), self.covered, self.step)

    def apdex(self, target_ms: float) -> float | None:
        """The whole window's apdex, see `apdex`."""
        return apdex(self.whole, target_ms)


def rates(values: Floats, covered: Floats, step: int) -> Floats:
    """What happened a second; NaN for an edge of which too little is over to say."""
    settled = covered >= step * _SETTLED
    return np.where(settled, values / np.where(settled, covered, 1.0), np.nan)


def apdex(durations_ms: Histogram, target_ms: float) -> float | None:
    """Share of satisfied plus half the tolerating (up to four times the target) requests."""
    if not durations_ms.count:
        return None
    satisfied = durations_ms.fraction_at_most(target_ms)
    return (satisfied + durations_ms.fraction_at_most(4 * target_ms)) / 2


def sums(
    backend: Backend, paths: Sequence[str], start: int, end: int, columns: int = COLUMNS
) -> dict[str, Sums]:
    """Counters by path; a path that is not stored is left out."""
    result = {}
    now = backend.now()
    for found in backend.store.fetch(list(paths), start, end, now):
        result[found.path] = _sums(found, columns, now)
    return result


def durations(
    backend: Backend,
    path: str,
    start: int,
    end: int,
    columns: int = COLUMNS,
    max_step_s: int = 0,
) -> Durations | None:
    """A distribution, or None when it is not stored.

    Args:
        max_step_s: Read a coarser archive, of at most this step, where there is one.
    """
    now = backend.now()
    found = backend.store.fetch_distribution(path, start, end, now, max_step_s)
    return None if found is None else _in_columns(found, start, columns, now)


def summary(backend: Backend, path: str, start: int, end: int, columns: int) -> Durations | None:
    """As `durations`, read from the coarsest archive that gives so many columns.

    Only the window's edges come from the finest archive, so the values are the same; what has been
    rolled up is a little coarser. For tables, which read a window of each of many routes.
    """
    now = backend.now()
    edge = backend.store.fetch_distribution(path, start, start, now)
    wide_s = widest_step_s(start, now, columns)
    middle = backend.store.fetch_distribution(path, start, end, now, wide_s)
    if middle is None:
        return None
    if edge is not None and middle.step % edge.step:
        return durations(backend, path, start, end, columns)
    if edge is None or middle.step == edge.step:  # older than all that is kept: the coarsest
        return _in_columns(middle, start, columns, now)
    step = middle.step
    until = end - end % edge.step + edge.step  # what the finest archive would answer up to
    begin, stop = start - start % step + step, until - until % step
    slots, count = middle.slots, len(middle.slots)
    tail: list[Histogram | None] = []
    if end < now:
        count = min(max((stop - middle.start) // step, 0), count)
        tail = [_all_of(backend.store.fetch_distribution(path, max(stop, start) - 1, end, now))]
    if middle.start != begin or stop <= begin:
        return durations(backend, path, start, end, columns)
    head = _all_of(backend.store.fetch_distribution(path, start, begin - 1, now))
    if isinstance(slots, StoredSlots):
        slots = slots.between(head, count, *tail)
    else:
        slots = [head, *slots[:count], *tail]
    first = begin - step
    joined = DistributionRange(path, first, first + len(slots) * step, step, slots)
    return _in_columns(joined, start, columns, now)


def widest_step_s(start: int, now: int, columns: int) -> int:
    """The step at which the time from `start` until now still has so many columns."""
    return (now - start) // columns


def _all_of(found: DistributionRange | None) -> Histogram | None:
    if found is None or not found.slots:
        return None
    return merged_slots(found.slots, 0, len(found.slots))[0]


def _in_columns(found: DistributionRange, start: int, columns: int, now: int) -> Durations:
    """Slots merged into columns; what lies before `start` is not covered."""
    parts = Columns.of(found.start, found.step, len(found.slots), columns, now)
    parts.covered[:1] -= max(start - found.start, 0)
    slots = merged_slots(found.slots, parts.lead, parts.factor)
    whole = slots.joined(0, len(slots))
    return Durations(parts.start, parts.step, slots, whole, parts.covered)


def _sums(found: ScalarRange, columns: int, now: int) -> Sums:
    values = np.asarray(found.values)
    parts = Columns.of(found.start, found.step, len(values), columns, now)
    trail = -(parts.lead + len(values)) % parts.factor
    padded = np.concatenate([np.full(parts.lead, np.nan), values, np.full(trail, np.nan)])
    rows = padded.reshape(-1, parts.factor)
    known = np.isfinite(rows)
    sums = np.where(known.any(axis=1), np.where(known, rows, 0.0).sum(axis=1), np.nan)
    return Sums(parts.start, parts.step, sums, parts.covered[: len(sums)])
