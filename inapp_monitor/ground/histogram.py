"""A mergeable histogram of durations or sizes. Pure: no I/O, no clock, standard library only.

A value's bucket number is the upper half of its float32: 8 bits of exponent and 7 of mantissa, so
128 buckets an octave, each within 1/256 (0.39 %) of its midpoint, over the whole float32 range.
Numbering values is then one C-speed pass over an `array`, and merging is adding counts.
`shift` makes buckets coarser: bucket numbers are shifted right by that many bits, each step
doubling the width; histograms of different shift merge at the coarser one.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

#: Buckets of one octave at shift 0, as a power of two.
MANTISSA_BITS = 7
#: Largest shift: one bucket an octave.
MAX_SHIFT = MANTISSA_BITS
_UPPER_HALVES = slice(1, None, 2) if sys.byteorder == "little" else slice(0, None, 2)
_FLOAT = struct.Struct("<f")
_UINT = struct.Struct("<I")
#: Largest finite float32: larger values are counted in its bucket.
_FLOAT32_MAX = 3.4028234663852886e38


def bucket_numbers(values: Iterable[float]) -> list[int]:
    """The bucket number (shift 0) of each value; values must be finite and not negative."""
    return memoryview(array("f", values)).cast("B").cast("H")[_UPPER_HALVES].tolist()


def bucket_bounds(number: int, shift: int = 0) -> tuple[float, float]:
    """Lower (inclusive) and upper (exclusive) bound of a bucket."""
    lower = _FLOAT.unpack(_UINT.pack(min(number << shift, 0x7F80) << 16))[0]
    upper = _FLOAT.unpack(_UINT.pack(min((number + 1) << shift, 0x7F80) << 16))[0]
    return lower, upper


def relative_error(shift: int) -> float:
    """Largest relative distance between a value of a bucket and the value reported for it."""
    return 2.0 ** (shift - MANTISSA_BITS - 1)


def nearest_rank(q: float, count: int) -> int:
    """Which of `count` ordered values, from 1 on, is the `q`-quantile: ceil(q n), at least 1."""
    return min(max(math.ceil(round(q * count, 9)), 1), count)  # 0.07 * 100 is a little over 7


class Histogram:
    """Count, sum, extremes and bucket counts of a set of values.

    Attributes:
        count: How many values.
        total: Their sum.
        minimum, maximum: Their extremes (inf and -inf when empty).
        buckets: Bucket number (at `shift`) to count.
        shift: Coarseness, 0 (finest) to 7.
    """

    __slots__ = ("buckets", "count", "maximum", "minimum", "shift", "total")

    def __init__(
        self,
        count: int = 0,
        total: float = 0.0,
        minimum: float = math.inf,
        maximum: float = -math.inf,
        buckets: dict[int, int] | None = None,
        shift: int = 0,
    ) -> None:
        self.count = count
        self.total = total
        self.minimum = minimum
        self.maximum = maximum
        self.buckets = {} if buckets is None else buckets
        self.shift = shift

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        """The histogram of some values (finite, not negative)."""
        histogram = cls()
        histogram.add(list(values))
        return histogram

    def add(self, values: list[float]) -> None:
        """Count a list of values (finite, not negative); an empty list changes nothing."""
        if not values:
            return
        lowest, highest, total = min(values), max(values), math.fsum(values)
        if not (lowest >= 0.0 and highest <= _FLOAT32_MAX and total == total):  # NaN hides in min
            raise ValueError(f"histogram values must be finite and >= 0, got {lowest}..{highest}")
        numbers = bucket_numbers(values)
        if self.shift:
            numbers = [number >> self.shift for number in numbers]
        counts = Counter(numbers)
        for number, n in counts.items():
            self.buckets[number] = self.buckets.get(number, 0) + n
        self.count += len(values)
        self.total += total
        self.minimum = min(self.minimum, float(lowest))
        self.maximum = max(self.maximum, float(highest))

    def merge(self, other: Histogram) -> None:
        """Add the values of another histogram to this one; `other` is not changed."""
        if other.shift > self.shift:
            self.coarsen(other.shift)
        difference = self.shift - other.shift
        buckets, known = self.buckets, self.buckets.get
        if not difference:  # the usual case, and most of the work of reading a long window
            for number, n in other.buckets.items():
                buckets[number] = known(number, 0) + n
        else:
            for number, n in other.buckets.items():
                number >>= difference
                buckets[number] = known(number, 0) + n
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def coarsen(self, shift: int) -> None:
        """Merge neighbouring buckets until `shift` is reached (no effect when already there)."""
        difference = shift - self.shift
        if difference <= 0:
            return
        if shift > MAX_SHIFT:
            raise ValueError(f"shift must be at most {MAX_SHIFT}, got {shift}")
        merged: dict[int, int] = {}
        for number, n in self.buckets.items():
            number >>= difference
            merged[number] = merged.get(number, 0) + n
        self.buckets = merged
        self.shift = shift

    def copy(self) -> Histogram:
        """An independent copy."""
        return Histogram(
            self.count, self.total, self.minimum, self.maximum, dict(self.buckets), self.shift
        )

    def quantile(self, q: float) -> float:
        """The smallest value that a share `q` (0..1) of all values does not exceed: nearest rank,
        the value number ceil(q n) in order, within `relative_error(shift)`.

        Returns NaN when empty. The extremes are exact: of two values, p99 is the larger one.
        """
        return self.quantiles((q,))[0]

    def quantiles(self, fractions: Sequence[float]) -> list[float]:
        """As `quantile`, of several fractions in one pass over the buckets."""
        if not self.count:
            return [math.nan] * len(fractions)
        numbers = sorted(self.buckets)
        seen = list(accumulate(self.buckets[number] for number in numbers))
        found = []
        for q in fractions:
            rank = nearest_rank(q, self.count)
            if rank <= 1 or rank >= self.count:
                found.append(self.minimum if rank <= 1 < self.count else self.maximum)
            else:
                place = min(bisect_left(seen, rank), len(numbers) - 1)
                found.append(self._middle(numbers[place]))
        return found

    def _middle(self, number: int) -> float:
        """What a value of a bucket is reported as: the midpoint, within the extremes."""
        lower, upper = bucket_bounds(number, self.shift)
        middle = lower if math.isinf(upper) else (lower + upper) / 2
        return min(max(middle, self.minimum), self.maximum)

    @property
    def mean(self) -> float:
        """Sum over count; NaN when empty."""
        return self.total / self.count if self.count else math.nan

    @property
    def stddev(self) -> float:
        """Population standard deviation estimated from the bucket midpoints; NaN when empty."""
        if not self.count:
            return math.nan
        mean = self.mean
        squares = 0.0
        for number, n in self.buckets.items():
            squares += n * (self._middle(number) - mean) ** 2
        return math.sqrt(squares / self.count)

    def fraction_at_most(self, limit: float) -> float:
        """Share (0..1) of the values that are at most `limit`, linear inside its bucket.

        NaN when empty. This is what apdex is made of.
        """
        if not self.count:
            return math.nan
        if limit >= self.maximum:
            return 1.0
        below = 0.0
        for number, n in self.buckets.items():
            lower, upper = bucket_bounds(number, self.shift)
            if upper <= limit:
                below += n
            elif lower <= limit:
                below += n * (limit - lower) / (upper - lower)
        return min(below / self.count, 1.0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # mutable, so unhashable

    def __repr__(self) -> str:
        return (
            f"Histogram(count={self.count}, total={self.total!r}, min={self.minimum!r}, "
            f"max={self.maximum!r}, buckets={len(self.buckets)}, shift={self.shift})"
        )


def merged(histograms: Iterable[Histogram | None]) -> Histogram | None:
    """All histograms in one, None where none has a value; a single one is returned as it is."""
    known = [each for each in histograms if each is not None and each.count]
    if len(known) < 2:
        return known[0] if known else None
    whole = known[0].copy()
    for other in known[1:]:
        whole.merge(other)
    return whole
