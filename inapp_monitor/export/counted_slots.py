"""The values of a distribution's latest intervals, counted by bound: what is decoded once. Pure.

An interval is known again by the checksum of its bytes, so that one to which a worker that was late
has added is counted anew.
"""

from __future__ import annotations

from typing import Final

from inapp_monitor.export.bucket_bounds import bounds_of, counts_of
from inapp_monitor.export.totals import Totals
from inapp_monitor.ground.ranges import DistributionRange
from inapp_monitor.ground.stored_slots import StoredSlots

#: Counts by bound, and the sum of the values.
Counted = tuple[list[int], float]
_EMPTY: Final[dict[int, tuple[bytes, Counted]]] = {}


class CountedSlots:
    """The intervals of one distribution that hold values.

    Args:
        answer: As the store reads them.
        before: What was counted of the same distribution earlier.
    """

    __slots__ = ("_counted", "_kept", "_path", "_step")

    def __init__(self, answer: DistributionRange, before: CountedSlots | None) -> None:
        self._path, self._step = answer.path, answer.step
        self._counted: list[tuple[int, Counted]] = []
        self._kept: dict[int, tuple[bytes, Counted]] = {}
        known = before._kept if before is not None and before._step == answer.step else _EMPTY
        slots, bounds = answer.slots, bounds_of(answer.path)
        checksums: list[bytes | None] = [None] * len(slots)
        if isinstance(slots, StoredSlots):
            checksums = slots.checksums()
        begin = answer.start - answer.step
        for number, checksum in enumerate(checksums):
            begin += answer.step
            if checksum is not None:
                same = known.get(begin)
                if same is not None and same[0] == checksum:
                    self._kept[begin] = same
                    self._counted.append((begin, same[1]))
                    continue
            slot = slots[number]
            if slot is None:
                continue
            counted = counts_of(slot, bounds), slot.total
            self._counted.append((begin, counted))
            if checksum is not None:
                self._kept[begin] = checksum, counted

    def add_to(self, settled: Totals, open_: Totals, until: int) -> None:
        """Add the intervals that begin before a moment to the first, the others to the second."""
        for totals, is_before in ((settled, True), (open_, False)):
            some = [counted for begin, counted in self._counted if (begin < until) is is_before]
            if some:
                counts = list(map(sum, zip(*[each[0] for each in some], strict=True)))
                totals.add_counts(self._path, counts, sum([each[1] for each in some]))
