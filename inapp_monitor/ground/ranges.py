"""What is read back: stored series, and their values over a window of time. Pure.

The store returns these values, queries and pages read them. Plain data: nothing here knows a file,
an archive or a query.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Literal, NamedTuple

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Method

Kind = Literal["scalar", "distribution", "whisper"]


class Leaf(NamedTuple):
    """One stored or buffered series.

    Attributes:
        path: Its name.
        kind: What it holds: numbers, histograms, or a Whisper file's numbers.
        method: How its values combine (SUM for distributions: counts add up).
    """

    path: str
    kind: Kind
    method: Method


class ScalarRange(NamedTuple):
    """The values of one series.

    Attributes:
        path: Its name.
        start: Time of the first value, seconds since the epoch.
        end: Time of the last value plus `step`.
        step: Seconds from one value to the next.
        values: float64, NaN where nothing is known.
        method: How they combine when consolidated.
        x_files_factor: Share of known values that a rollup needed.
    """

    path: str
    start: int
    end: int
    step: int
    values: array[float] | memoryview[float]
    method: Method
    x_files_factor: float


class DistributionRange(NamedTuple):
    """The histograms of one distribution; None where nothing was recorded. Times as above.

    Slots that a store has read are `stored_slots.StoredSlots`, which decode what is looked at.
    """

    path: str
    start: int
    end: int
    step: int
    slots: Sequence[Histogram | None]
