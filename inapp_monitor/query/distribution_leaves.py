"""What is computed from distributions: their virtual leaves, from merged histograms. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.ranges import DistributionRange
from inapp_monitor.query.merging import merged_slots
from inapp_monitor.query.series import Floats

#: Virtual leaves that are listed below a distribution; any other `pNN` can be fetched as well.
VIRTUAL_LEAVES = (
    "count", "rate", "sum", "mean", "min", "max", "stddev",
    "p50", "p75", "p90", "p95", "p99", "p999",
)  # fmt: skip
PERCENTILE = re.compile(r"p([0-9]{1,6})")


def merge_slots(found: DistributionRange, max_points: int | None) -> DistributionRange:
    """Merge neighbours until at most `max_points` are left; buckets start at multiples.

    A first bucket of which only a part was fetched is dropped, as for every consolidation.
    """
    count = (found.end - found.start) / found.step
    if not max_points or count <= max_points:
        return found
    step = math.ceil(count / max_points) * found.step
    start = -(-found.start // step) * step
    skipped = (start - found.start) // found.step
    size = step // found.step
    slots = merged_slots(found.slots, (size - skipped) % size, size)[1 if skipped else 0 :]
    return DistributionRange(found.path, start, start + len(slots) * step, step, slots)


class Computed(NamedTuple):
    """What was computed from the histograms of a distribution: values by leaf."""

    start: int
    end: int
    step: int
    values: dict[str, Floats]


#: Leaves other than percentiles. `rate` is per second; the step is known when it is asked for.
READERS: dict[str, Callable[[Histogram], float]] = {
    "count": lambda h: float(h.count),
    "rate": lambda h: float(h.count),
    "sum": lambda h: h.total,
    "mean": lambda h: h.mean,
    "min": lambda h: h.minimum,
    "max": lambda h: h.maximum,
    "stddev": lambda h: h.stddev,
}
#: Leaves that are computed together with any other: most charts want one of them next.
_USUAL = ("count", "rate", "mean", "max", "p50", "p95", "p99")


def compute(found: DistributionRange, leaf: str) -> Computed:
    """The values of a leaf, and of those that will probably be asked for next."""
    leaves = (leaf, *(name for name in _USUAL if name != leaf))
    percentiles = [name for name in leaves if name not in READERS]
    fractions = [percentile_fraction(name) for name in percentiles]
    values = {name: np.full(len(found.slots), math.nan) for name in leaves}
    for i, h in enumerate(found.slots):
        if h is None or not h.count:
            continue
        for name in leaves:
            if name in READERS:
                values[name][i] = READERS[name](h)
        for name, value in zip(percentiles, h.quantiles(fractions), strict=True):
            values[name][i] = value
    values["rate"] = values["rate"] / found.step
    return Computed(found.start, found.end, found.step, values)


def percentile_fraction(leaf: str) -> float:
    """`p95` is 0.95, `p999` 0.999, `p5` 0.05, `p100` 1."""
    match = PERCENTILE.fullmatch(leaf)
    if match is None:
        raise QueryError(f"{leaf!r} is no leaf of a distribution: {', '.join(VIRTUAL_LEAVES)}")
    digits = match[1]
    if digits == "100":
        return 1.0
    return int(digits) / 100 if len(digits) <= 2 else int(digits) / 10 ** len(digits)
