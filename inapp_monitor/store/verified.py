"""Which stored rows a reader has checked, so that each checksum is computed once a process.

Rows do not change once their time has passed, except when a late point arrives; a row that is being
written while it is read, or that a crash tore, is among the newest. So a row is checked when it is
seen for the first time, and always while it is young.
"""

from __future__ import annotations

from array import array

from inapp_monitor.store import group_format
from inapp_monitor.store.retention import Archive

#: Rows at the end of a range that are checked each time.
_YOUNG = 3


class Verified:
    """The times of the rows that have been checked, by slot, for one ring."""

    __slots__ = ("_points", "_times")

    def __init__(self, points: int) -> None:
        self._points = points
        self._times: array[int] = array("Q")

    def bad_rows(
        self, view: memoryview, pitch: int, ring: Archive, start: int, count: int
    ) -> list[int]:
        """Numbers of the rows that are not intact rows of their interval.

        Args:
            view: `count` rows, the first that of the interval at `start`.
            pitch: Bytes a row.
            ring: The archive.
            start: Start of the first interval.
            count: How many rows.
        """
        if not self._times:
            self._times = array("Q", b"\xff" * (8 * self._points))
        expected = array("Q", range(start, start + count * ring.step, ring.step))
        stored = group_format.row_times(view, pitch)
        first = ring.slot(start)
        upto = min(count, self._points - first)
        known = self._times[first : first + upto] + self._times[: count - upto]
        if stored == expected == known:
            suspects = range(max(count - _YOUNG, 0), count)
        else:
            suspects = range(count)
        bad = []
        for number in suspects:
            time = expected[number]
            if stored[number] != time:
                bad.append(number)
            elif known[number] != time or number >= count - _YOUNG:
                if group_format.row_is_intact(view[number * pitch : (number + 1) * pitch]):
                    self._times[(first + number) % self._points] = time
                else:
                    bad.append(number)
        return bad
