"""`heatmap`: the shape of a distribution over time, one series for each range of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.histogram import Histogram, bucket_bounds
from inapp_monitor.query.registry import Param, function
from inapp_monitor.query.series import Series

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_MAX_ROWS = 64
#: Coarseness of the rows tried in turn: two an octave, then one, then whole octaves together.
_FINEST_SHIFT = 6


@function(
    "heatmap",
    "Special",
    Param("path", "path", required=True),
    Param("rows", "integer", default=24),
)
def heatmap(context: Context, path: str, rows: int = 24) -> list[Series]:
    """How often values fell into each range: a distribution over time, lowest range first.

    Not a function of Graphite. The ranges grow with the values; there are at most `rows` of them.
    """
    if not 1 <= rows <= _MAX_ROWS:
        raise QueryError(f"parameter 'rows' must be 1 to {_MAX_ROWS}, got {rows}")
    path = path or context.first_path()
    found = context.distribution(path)
    if found is None:
        return []
    known = [h for h in found.slots if h is not None and h.count]
    if not known:
        return []
    shift, low, high = _ranges(known, rows)
    table = np.zeros((high - low + 1, len(found.slots)))
    for column, histogram in enumerate(found.slots):
        if histogram is not None:
            for number, count in histogram.buckets.items():
                table[_row(number, histogram.shift, shift) - low, column] += count
    made = []
    for row, number in zip(table, range(low, high + 1), strict=True):
        bottom, top = bucket_bounds(number << shift)[0], bucket_bounds((number + 1) << shift)[0]
        name = f"heatmap({path}, {bottom:g}, {top:g})"
        tags = {"name": path, "heatmap": f"{bottom:g}", "le": f"{top:g}"}
        made.append(Series(name, found.start, found.end, found.step, row, tags=tags, whole=True))
        made[-1].consolidation = "sum"
    return made


def _row(number: int, own_shift: int, shift: int) -> int:
    return (number << own_shift) >> shift


def _ranges(known: list[Histogram], rows: int) -> tuple[int, int, int]:
    """The shift at which all buckets fit into `rows`, and the first and last row."""
    numbers = [(min(h.buckets), max(h.buckets), h.shift) for h in known]
    shift = max(_FINEST_SHIFT, max(s for _, _, s in numbers))
    while True:
        low = min(_row(first, s, shift) for first, _, s in numbers)
        high = max(_row(last, s, shift) for _, last, s in numbers)
        if high - low < rows or shift > 15:
            return shift, low, min(high, low + rows - 1 if shift > 15 else high)
        shift += 1
