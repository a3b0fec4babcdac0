"""Values that wait for a group as one piece: a run of columns instead of a dictionary. Pure."""

from __future__ import annotations

from array import array
from typing import NamedTuple


class Run(NamedTuple):
    """Values of neighbouring columns of a group, in one interval.

    Attributes:
        timestamp: Start of the interval.
        first: The first column.
        values: One a column, NaN where there is none.
    """

    timestamp: int
    first: int
    values: array[float]

    def cells(self) -> dict[int, float]:
        """The values by column."""
        return {at: value for at, value in enumerate(self.values, self.first) if value == value}
