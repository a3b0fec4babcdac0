"""Histograms of many columns as arrays: what charts and tables compute is one pass over all. Pure.

Each column is what `Histogram.merge` would make of its slots; one is made a `Histogram` only where
it is asked for. How stored slots become such arrays is `query.merging`'s business.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.lazy_histograms import LazyHistograms

#: Bucket numbers have as many bits.
BUCKET_BITS = 16
#: The first bucket beyond the largest finite value.
_INFINITE = 0x7F80

Array = np.ndarray[Any, Any]


class MergedColumns(LazyHistograms):
    """A histogram a column; None where nothing was recorded.

    Attributes:
        edges: Where the buckets of each column begin; one more than there are columns.
        numbers: Of the filled buckets, at the shift of their column, sorted within it.
        bucket_counts: How many values each of these buckets has.
        shift, total, minimum, maximum: By column, as of a `Histogram`.
    """

    def __init__(
        self, key: Array, count: Array, shift: Array, total: Array, minimum: Array, maximum: Array
    ) -> None:
        """`key` is column and bucket number in one, sorted, each once."""
        self.shift, self.total, self.minimum, self.maximum = shift, total, minimum, maximum
        self.bucket_counts, self.numbers = count, key & (1 << BUCKET_BITS) - 1
        self.edges = np.searchsorted(key, np.arange(len(shift) + 1) << BUCKET_BITS)
        self._seen = np.concatenate(([0], np.cumsum(count)))

    def __len__(self) -> int:
        return len(self.shift)

    def _at(self, number: int) -> Histogram | None:
        begin, end = self.edges[number : number + 2].tolist()
        if begin == end:
            return None
        buckets = dict(
            zip(
                self.numbers[begin:end].tolist(),
                self.bucket_counts[begin:end].tolist(),
                strict=True,
            )
        )
        return Histogram(
            int(self._seen[end] - self._seen[begin]),
            float(self.total[number]),
            float(self.minimum[number]),
            float(self.maximum[number]),
            buckets,
            int(self.shift[number]),
        )

    def without(self, some: int) -> MergedColumns:
        """All columns but the first ones."""
        made = copy.copy(self)
        made.edges, made.shift = self.edges[some:], self.shift[some:]
        made.total, made.minimum = self.total[some:], self.minimum[some:]
        made.maximum = self.maximum[some:]
        return made

    @property
    def filled(self) -> Array:
        """Whether anything was recorded, by column."""
        return self.edges[1:] > self.edges[:-1]

    def counts(self) -> Array:
        """How many values each column has."""
        return self._seen[self.edges[1:]] - self._seen[self.edges[:-1]]

    def joined(self, begin: int, end: int) -> Histogram:
        """Some neighbouring columns as one; an empty histogram where they are."""
        first, last = self.edges[[begin, end]].tolist()
        if first == last:
            return Histogram()
        filled = self.filled[begin:end]
        shift = int(self.shift[begin:end].max(where=filled, initial=0))
        apart = np.repeat(shift - self.shift[begin:end], np.diff(self.edges[begin : end + 1]))
        bucket = self.numbers[first:last] >> np.maximum(apart, 0)
        lowest = int(bucket.min())
        counts = np.zeros(int(bucket.max()) - lowest + 1, np.int64)
        np.add.at(counts, bucket - lowest, self.bucket_counts[first:last])
        known = np.flatnonzero(counts)
        buckets = dict(zip((known + lowest).tolist(), counts[known].tolist(), strict=True))
        return Histogram(
            int(self._seen[last] - self._seen[first]),
            float(self.total[begin:end][filled].sum()),
            float(self.minimum[begin:end].min()),
            float(self.maximum[begin:end].max()),
            buckets,
            shift,
        )

    def quantiles(self, q: float) -> Array:
        """`Histogram.quantile` of each column; NaN where nothing was recorded."""
        count = self.counts()
        wanted = q * count
        whole = np.rint(wanted)  # 0.07 * 100 is a little over 7
        rank = np.where(np.abs(wanted - whole) <= 5e-10, whole, np.ceil(wanted))
        rank = np.clip(rank, 1, np.maximum(count, 1)).astype(np.int64)
        if not len(self.numbers):
            return np.full(len(self), np.nan)
        place = np.searchsorted(self._seen[1:], self._seen[self.edges[:-1]] + rank)
        place = np.minimum(place, len(self.numbers) - 1)
        middle = self._middles(self.numbers[place], np.arange(len(self)))
        found = np.where(rank >= count, self.maximum, middle)
        found = np.where((rank <= 1) & (count > 1), self.minimum, found)
        return np.where(count > 0, found, np.nan)

    def deviations(self) -> Array:
        """`Histogram.stddev` of each column; NaN where nothing was recorded."""
        count = self.counts()
        column = np.repeat(np.arange(len(self)), np.diff(self.edges))
        here = slice(*self.edges[[0, -1]])
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.total / count
            apart = self._middles(self.numbers[here], column) - mean[column]
            return np.sqrt(
                np.bincount(column, self.bucket_counts[here] * apart**2, len(self)) / count
            )

    def _middles(self, bucket: Array, column: Array) -> Array:
        """What a value of some buckets is reported as: the midpoint, within the extremes."""
        shift = self.shift[column]
        lower, upper = _bound(bucket << shift), _bound((bucket + 1) << shift)
        middle = np.where(np.isinf(upper), lower, (lower + upper) / 2)
        return np.minimum(np.maximum(middle, self.minimum[column]), self.maximum[column])


def _bound(number: Array) -> Array:
    """Where buckets of shift 0 begin: their numbers are the upper halves of a float32."""
    bits = np.minimum(number, _INFINITE).astype(np.uint32) << np.uint32(16)
    return bits.view(np.float32).astype(np.float64)
