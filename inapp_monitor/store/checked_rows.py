"""Which stored rows a reader has checked, so that each checksum is computed once a process.

Rows do not change once their time has passed, except when a late point arrives; a row that is being
written while it is read, or that a crash tore, is among the newest. So a row is checked when it is
seen for the first time, and always while it is young.
"""

from __future__ import annotations

from array import array
from functools import lru_cache

from inapp_monitor.store import group_format
from inapp_monitor.store.retention import Archive


@lru_cache(maxsize=64)
def _times(start: int, end: int, step: int) -> array[int]:
    """The same for all groups that a request reads; not to be changed."""
    return array("Q", range(start, end, step))


class CheckedRows:
    """The times of the rows that have been checked, by slot, for one ring."""

    __slots__ = ("_points", "_times")

    def __init__(self, points: int) -> None:
        self._points = points
        self._times: array[int] = array("Q")

    @property
    def times(self) -> array[int]:
        """By slot; to be changed by who has checked a row."""
        if not self._times:
            self._times = array("Q", b"\xff" * (8 * self._points))
        return self._times

    def bad_rows(
        self, view: memoryview, pitch: int, ring: Archive, start: int, young: int
    ) -> list[int]:
        """Numbers of the rows that are not intact rows of their interval.

        Args:
            view: Rows in the slots of one ring, without a wrap, the first that of `start`.
            pitch: Bytes a row.
            ring: The archive.
            start: Start of the first interval.
            young: Rows from this time on are checked even when they were sound before.
        """
        times = self.times
        count = len(view) // pitch
        end = start + count * ring.step
        expected = _times(start, end, ring.step)
        stored = group_format.row_times(view, pitch)
        slot = ring.slot(start)
        known = times[slot : slot + count]
        if stored == expected == known:
            if end <= young:
                return []
            suspects = range(max((young - start) // ring.step, 0), count)
        else:
            suspects = range(count)
        bad = []
        for number in suspects:
            time = expected[number]
            if stored[number] != time:
                bad.append(number)
            elif known[number] != time or time >= young:
                if group_format.row_is_intact(view[number * pitch : (number + 1) * pitch]):
                    times[slot + number] = time
                else:
                    bad.append(number)
        return bad
