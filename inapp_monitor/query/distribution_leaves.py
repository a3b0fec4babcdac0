"""What is computed from distributions: their virtual leaves, from merged histograms. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.ranges import DistributionRange
from inapp_monitor.query.merged_columns import Array, MergedColumns
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
    slots = merged_slots(found.slots, (size - skipped) % size, size).without(1 if skipped else 0)
    return DistributionRange(found.path, start, start + len(slots) * step, step, slots)


class Computed(NamedTuple):
    """What was computed from the histograms of a distribution: values by leaf."""

    start: int
    end: int
    step: int
    values: dict[str, Floats]


#: Leaves other than percentiles. `rate` is per second; the step is known when it is asked for.
READERS: dict[str, Callable[[MergedColumns], Array]] = {
    "count": lambda columns: columns.counts(),
    "rate": lambda columns: columns.counts(),
    "sum": lambda columns: columns.total,
    "mean": lambda columns: columns.total / np.maximum(columns.counts(), 1),
    "min": lambda columns: columns.minimum,
    "max": lambda columns: columns.maximum,
    "stddev": lambda columns: columns.deviations(),
}
#: Leaves that are computed together with any other: most charts want one of them next.
_USUAL = ("count", "rate", "mean", "max", "p50", "p95", "p99")


def compute(found: DistributionRange, leaf: str) -> Computed:
    """The values of a leaf, and of those that will probably be asked for next."""
    slots = found.slots
    columns = slots if isinstance(slots, MergedColumns) else merged_slots(slots, 0, 1)
    filled, values = columns.filled, {}
    for name in (leaf, *_USUAL):
        if name not in values:
            read = READERS.get(name)
            known = columns.quantiles(percentile_fraction(name)) if read is None else read(columns)
            values[name] = np.where(filled, known, np.nan)
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
