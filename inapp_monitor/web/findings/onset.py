"""When something began: the place in a row of counts from which on there are more. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inapp_monitor.query.series import Floats

#: From the onset on there is this many times what there was before, at least.
FACTOR = 3.0
#: The last of so many parts of the row tells whether it still goes on.
_PARTS = 6


class Onset(NamedTuple):
    """A rise that has not ended.

    Attributes:
        column: The first column of the rise.
        times: How many times more a column than before; None when there was nothing before.
        total: The sum since.
    """

    column: int
    times: float | None
    total: float


def onset(counts: Floats) -> Onset | None:
    """Where counts by column rose and stayed up; None when they did not.

    The cumulative sum of the distances from the mean is lowest where a level below the mean turns
    into one above it. NaN is nothing counted.
    """
    values = np.nan_to_num(counts)
    if len(values) < _PARTS or not values.any():
        return None
    index = int(np.argmin(np.cumsum(values - values.mean()))) + 1
    if index >= len(values):
        return None
    before, since = float(values[:index].mean()), float(values[index:].mean())
    latest = float(values[-max(len(values) // _PARTS, 1) :].mean())
    if min(since, latest) < FACTOR * before:
        return None
    return Onset(index, since / before if before else None, float(values[index:].sum()))
