"""Durations in the quarter-octave buckets that the judge counts in. Pure.

A bucket here is a histogram's bucket at shift 5, numbered from 0.5 ms up to two minutes. A limit is
always the edge of a bucket, so that counting what lies above it is exact.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate

from inapp_monitor.ground.histogram import Histogram, bucket_bounds, bucket_numbers

#: Buckets; the last one holds everything above.
COUNT = 72
#: How coarse they are.
SHIFT = 5
#: The number, at shift 5, of the first bucket.
FIRST = bucket_numbers([0.5])[0] >> SHIFT
_LOWER = tuple(bucket_bounds(FIRST + number, SHIFT)[0] for number in range(COUNT + 1))

#: Bucket and how many values it holds, in no order.
Counts = Sequence[tuple[int, int]]


def lower(bucket: int) -> float:
    """The smallest duration of a bucket, in ms."""
    return _LOWER[bucket]


@lru_cache(maxsize=4_096)
def bucket_above(ms: float) -> int:
    """The first bucket that lies wholly above a duration; the last one for very long ones."""
    for bucket in range(COUNT):
        if _LOWER[bucket] >= ms * (1 - 1e-9):
            return bucket
    return COUNT - 1


def bucket_of(ms: float) -> int:
    """The bucket of a duration."""
    return _place(bucket_numbers([ms])[0] >> SHIFT)


def counts_of(histogram: Histogram) -> dict[int, int]:
    """The values of a histogram by bucket."""
    found: dict[int, int] = {}
    down = SHIFT - histogram.shift
    for number, count in histogram.buckets.items():
        bucket = _place(number >> down if down >= 0 else number << -down)
        found[bucket] = found.get(bucket, 0) + count
    return found


def _place(number: int) -> int:
    return min(max(number - FIRST, 0), COUNT - 1)


def quantiles(counts: Sequence[float], *every_q: float, first: int = 0) -> list[float]:
    """The upper edges of the buckets that hold some quantiles, in ms; 0 of nothing.

    Args:
        counts: How much each bucket holds; may be weights.
        every_q: Each above 0, and 1 at most.
        first: The bucket of the first of these counts.
    """
    total = math.fsum(counts)
    if total <= 0.0:
        return [0.0] * len(every_q)
    passed = list(accumulate(counts))
    places = [bisect_left(passed, q * total) for q in every_q]
    return [_LOWER[first + place + 1] if place < len(passed) else 0.0 for place in places]


def above(counts: Iterable[tuple[int, int]], bucket: int) -> int:
    """How many values lie in a bucket or above it."""
    return sum(count for number, count in counts if number >= bucket)
