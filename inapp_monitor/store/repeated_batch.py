"""Batches that name the same series as the one before: as columns at C speed, not point by point.

Most recorders send the same names in the same order once a second. For such a batch the values of a
group are picked with one call, and wait as one run of columns instead of a dictionary entry each.
Whatever is unusual about a batch (another order, two steps, a value that is not finite) makes it go
the long way. Nothing here knows locks or files.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from inapp_monitor.store.rollup import NAN
from inapp_monitor.store.run import Run

if TYPE_CHECKING:
    from inapp_monitor.store.groups import Group, StoredSeries


_Pick = Callable[[Sequence[float]], Sequence[float]]


class _GroupPart(NamedTuple):
    """What one group gets of a batch."""

    group: Group
    first: int
    cells: int
    pick: _Pick


class RepeatedBatch:
    """Where the values of a batch go when it names certain series in a certain order.

    Attributes:
        paths: The names.
        version: Of the buffer when this was worked out; it holds for no other.
        count: Cells that a batch fills.
    """

    __slots__ = ("count", "parts", "paths", "version")

    def __init__(self, paths: list[str], known: Mapping[str, StoredSeries], version: int) -> None:
        """All of `paths` are in `known`, each once."""
        self.paths = paths
        self.version = version
        wanted: dict[int, dict[int, int]] = {}  # by group: column to place in the batch
        groups: dict[int, Group] = {}
        for place, path in enumerate(paths):
            series = known[path]
            groups[id(series.group)] = series.group
            columns = wanted.setdefault(id(series.group), {})
            columns[series.column] = place
            if series.paired:
                columns[series.column + 1] = -1  # a one: the count
        self.count = sum(map(len, wanted.values()))
        self.parts = [_part(groups[key], columns) for key, columns in wanted.items()]

    def runs(self, values: list[float], timestamp: int) -> list[tuple[Group, Run]]:
        """The values of a batch, by group."""
        values = [*values, NAN, 1.0]
        result = []
        for group, first, _, pick in self.parts:
            start = timestamp - timestamp % group.step
            result.append((group, Run(start, first, array("d", pick(values)))))
        return result


def _part(group: Group, columns: dict[int, int]) -> _GroupPart:
    first, last = min(columns), max(columns)
    places = [columns.get(column, -2) for column in range(first, last + 1)]
    start, count = places[0], len(places)
    if count == 1:
        pick: _Pick = itemgetter(slice(start, start + 1 or None))
    elif start >= 0 and places == list(range(start, start + count)):
        pick = itemgetter(slice(start, start + count))
    else:
        pick = itemgetter(*places)
    return _GroupPart(group, first, len(columns), pick)
