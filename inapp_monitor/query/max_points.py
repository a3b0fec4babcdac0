"""Fewer points for the screen: what `maxDataPoints` does to a whole answer. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.series import Series


def fit(series_list: Sequence[Series], max_points: int) -> list[Series]:
    """Consolidate the series that have more points over the common range than `max_points`.

    As in Graphite, buckets are counted from a multiple of their length, and points before the
    first whole bucket are dropped.

    Raises:
        QueryError: `max_points` is not positive, or a series has no step.
    """
    if max_points < 1:
        raise QueryError(f"maxDataPoints must be at least 1, got {max_points}")
    if not series_list:
        return []
    length = max(s.end for s in series_list) - min(s.start for s in series_list)
    return [_fitted(s, length, max_points) for s in series_list]


def _fitted(series: Series, length: int, max_points: int) -> Series:
    if series.step <= 0:
        raise QueryError(f"series {series.name[:80]!r} has a step of less than a second")
    if max_points == 1:
        return series.consolidated(len(series))
    points = length / series.step
    if max_points >= points:
        return series
    factor = math.ceil(points / max_points)
    seconds = int(factor * series.step)
    nudge = seconds + series.start % series.step - series.start % seconds
    lost = max(0, int(nudge / series.step) - 1)
    moved = series.derive(start=series.start + nudge, values=series.values[lost:])
    return moved.consolidated(factor)
