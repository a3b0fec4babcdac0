"""Fixed bucket bounds for histograms that go out, and how our fine buckets fall into them. Pure.

A fine bucket goes whole below the first bound that it reaches, so that counts only ever grow; what
lies up to 0.8 % above a bound may be counted at it.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import Final

from inapp_monitor.ground.histogram import Histogram, bucket_numbers

#: Milliseconds and bytes, ascending.
TIME_BOUNDS_MS: Final = (
    *(1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0),
    *(1_000.0, 2_500.0, 5_000.0, 10_000.0, 30_000.0, 60_000.0),
)
SIZE_BOUNDS: Final = (100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)


def bounds_of(path: str) -> tuple[float, ...]:
    """The bounds of a distribution, by its name: sizes end with `bytes`, all else is durations."""
    return SIZE_BOUNDS if path.partition(";")[0].endswith("bytes") else TIME_BOUNDS_MS


def counts_of(histogram: Histogram, bounds: tuple[float, ...]) -> list[int]:
    """How many values fall between each bound and the one before it; the last: above all."""
    limits = _limits(bounds, histogram.shift)
    counts = [0] * (len(bounds) + 1)
    for number, n in histogram.buckets.items():
        counts[bisect_left(limits, number)] += n
    return counts


@cache
def _limits(bounds: tuple[float, ...], shift: int) -> list[int]:
    return [number >> shift for number in bucket_numbers(bounds)]
