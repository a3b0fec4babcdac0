"""How many values lie in a few wide buckets, by column, of many distributions at once. Pure.

For who needs no finer histogram than that: equal to what `query.merging` makes of the slots, its
buckets joined. Nothing is sorted, and slots of all distributions and shifts are decoded together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.stored_slots import StoredSlots
from inapp_monitor.query.merged_columns import Array
from inapp_monitor.query.merging import HeldSlots, decoded, held_slots, tally

#: Slots decoded at a time: what they take stays in the processor's cache.
_AT_A_TIME = 512
#: Slots of a column that are worth adding up before they are counted.
_MANY = 4


class Wide(NamedTuple):
    """Buckets to count in: `most` of them, at a shift, numbered from `lowest` on.

    What is below or above all of them is counted in the first or the last one.
    """

    shift: int
    lowest: int
    most: int


class CoarseCounts:
    """Counts of distributions that are added one after the other.

    Args:
        wide: The buckets.
    """

    def __init__(self, wide: Wide) -> None:
        self._wide = wide
        self._counts: list[Array] = []
        self._waiting: list[tuple[HeldSlots, Array, Array]] = []
        self._rows = 0

    def add(self, slots: Sequence[Histogram | None], lead: int, factor: int) -> None:
        """Columns of `factor` slots each, of which the first one lacks `lead`."""
        columns = -(-(lead + len(slots)) // factor)
        counts = np.zeros((columns, self._wide.most), np.int64)
        self._counts.append(counts)
        read = held_slots(slots, lead, factor) if isinstance(slots, StoredSlots) else None
        known = slots.known.items() if isinstance(slots, StoredSlots) else enumerate(slots)
        apart = [((at + lead) // factor, each) for at, each in known if each is not None]
        shift = np.zeros(columns, np.int64)
        if read is not None:
            np.maximum.at(shift, read.column, read.shift)
        for column, each in apart:
            shift[column] = max(shift[column], each.shift) if each.count else shift[column]
        for column, each in apart:
            number = np.fromiter(each.buckets, np.int64, len(each.buckets))
            count = np.fromiter(each.buckets.values(), np.int64, len(each.buckets))
            place = self._place(number, shift[column], each.shift)
            np.add.at(counts[column], place, count)
        if read is not None and len(read.column):
            self._wait(read, counts, shift)

    def counts(self) -> list[Array]:
        """By distribution, in the order in which they were added: a row a column."""
        self._decode()
        return self._counts

    def _wait(self, read: HeldSlots, counts: Array, shift: Array) -> None:
        if self._waiting and self._waiting[0][0].payload.shape[1] != read.payload.shape[1]:
            self._decode()
        self._waiting.append((read, counts, shift))
        self._rows += len(read.column)
        if self._rows >= _AT_A_TIME:
            self._decode()

    def _decode(self) -> None:
        """Count what waits."""
        if not self._waiting:
            return
        some, most = self._waiting, self._wide.most
        self._waiting, self._rows = [], 0
        before = np.cumsum([0, *(len(counts) for _, counts, _ in some)])
        column = np.concatenate(
            [read.column + at for (read, _, _), at in zip(some, before.tolist(), strict=False)]
        )
        shift = np.concatenate([shift for _, _, shift in some])
        level, first = (
            np.concatenate([getattr(read, name) for read, _, _ in some])
            for name in ("shift", "first")
        )
        payload = np.concatenate([read.payload for read, _, _ in some])
        every = np.zeros(int(before[-1]) * most)
        for into, bucket, count, known in self._filled(payload, first, column, level):
            place = self._place(bucket, shift[into], known)
            every += np.bincount(into * most + place, count, len(every))
        rows = every.astype(np.int64).reshape(-1, most)
        for (_, counts, _), begin, end in zip(some, before[:-1], before[1:], strict=True):
            counts += rows[begin:end]

    @staticmethod
    def _filled(
        payload: Array, first: Array, column: Array, level: Array
    ) -> Iterator[tuple[Array, Array, Array, Array | int]]:
        """(column, bucket, count, level) of filled buckets; those of a column and level once,
        where columns have many slots.
        """
        if len(column) < _MANY * (int(column[-1]) - int(column[0]) + 1):
            for begin in range(0, len(column), _AT_A_TIME):
                some = slice(begin, begin + _AT_A_TIME)
                slot, bucket, count = decoded(payload[some], first[some])
                yield column[some][slot], bucket, count, level[some][slot]
            return
        for each in sorted(set(level.tolist())):
            chosen = np.flatnonzero(level == each)
            for begin in range(0, len(chosen), _AT_A_TIME):
                one = chosen[begin : begin + _AT_A_TIME]
                yield *tally(payload[one], first[one], column[one]), each

    def _place(self, number: Array, shift: Array, level: Array | int) -> Array:
        """The wide bucket of buckets at a level, in columns of a shift."""
        wide = self._wide
        down = np.maximum(shift, wide.shift) - level
        place = number >> down << np.maximum(shift - wide.shift, 0)
        found: Array = np.clip(place - wide.lowest, 0, wide.most - 1)
        return found
