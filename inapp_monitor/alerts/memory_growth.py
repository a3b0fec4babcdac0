"""Whether the memory of a worker grows until it is full, from six hours of its size.

Memory of a healthy app grows too: caches fill, and a morning is busier than its night. So only
growth counts that is steady, does not flatten, has left behind all that was usual in the days
before, and fills what is left within a day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from inapp_monitor.alerts.looks import Seen
from inapp_monitor.alerts.measuring import SeriesStore
from inapp_monitor.alerts.status import Status

_LARGEST = "process.memory.largest_bytes"
_AVAILABLE = "host.memory.available_bytes"
_LIMIT, _USED = "host.container.memory_limit_bytes", "host.container.memory_bytes"
#: Growth is looked for in so long, in parts; what was usual, in the days before.
_WINDOW_S, _PARTS = 6 * 3_600, 12
_PAST_S = 3 * 86_400
#: Of the eleven steps from part to part, so many must rise.
_RISES = 10
_SHARE, _BYTES = 0.2, 64 * 2**20
#: The last quarter must have its part in it: half of what a straight line would give it.
_NOT_FLAT = 1 / 8
_ABOVE_USUAL = 1.1
#: Full within: a warning, critical; an open problem ends later only.
_WARNING_S, _CRITICAL_S, _OVER_S = 86_400.0, 7_200.0, 129_600.0
#: After so many seconds a problem was found thrice.
_CONFIRMED_S = 900.0
_MIB = 2**20


class Growth(NamedTuple):
    """Steady growth: bytes an hour, and bytes now."""

    an_hour: float
    now: float


def growth_of(
    values: Sequence[float], past: Iterable[float] = (), *, goes_on: bool = False
) -> Growth | None:
    """Steady growth in six hours, or None.

    Args:
        values: Of the six hours, evenly spaced; NaN where nothing is known.
        past: Those of the days before, as far as they are known.
        goes_on: It was found before, and ends only when the last quarter does not grow any more.
    """
    size = len(values) / _PARTS
    medians = []
    for part in range(_PARTS):
        known = [v for v in values[int(part * size) : int((part + 1) * size)] if v == v]
        if not known:
            return None
        known.sort()
        middle = len(known) // 2
        medians.append((known[middle] + known[~middle]) / 2)
    rises = [after - before for before, after in pairwise(medians)]
    whole = medians[-1] - medians[0]
    is_steady = sum(rise > 0 for rise in rises) >= _RISES
    if not (goes_on or (is_steady and whole >= max(_SHARE * medians[0], _BYTES))):
        return None
    if medians[-1] - medians[-4] < _NOT_FLAT * max(whole, _BYTES):
        return None
    usual = max((value for value in past if value == value), default=0.0)
    if medians[-1] < _ABOVE_USUAL * usual:
        return None
    hours = (_PARTS - 1 - _PARTS // 2) * _WINDOW_S / _PARTS / 3_600
    return Growth((medians[-1] - medians[_PARTS // 2]) / hours, medians[-1])


class MemoryGrowth:
    """Looks at one store."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._is_critical = False

    def __call__(self, now: float, open_: Mapping[str, float]) -> list[Seen]:
        """A problem while memory grows until it is full within a day; see `looks.Find`."""
        end = int(now) // 60 * 60
        past = () if open_ else self._values(_LARGEST, end - _PAST_S, end - _WINDOW_S, end)
        goes_on = bool(open_) and now - min(open_.values()) >= _CONFIRMED_S
        self._is_critical = self._is_critical and goes_on
        latest = self._values(_LARGEST, end - _WINDOW_S, end, end)
        growth = growth_of(latest, past, goes_on=goes_on)
        left = self._left(end)
        if growth is None or left is None or growth.an_hour <= 0:
            return []
        full_in_s = 3_600 * left / growth.an_hour
        if full_in_s >= (_OVER_S if open_ else _WARNING_S):
            return []
        # It stays critical until it is over, or each noise would be a message.
        self._is_critical = self._is_critical or full_in_s < _CRITICAL_S
        status = Status.CRITICAL if self._is_critical else Status.WARNING
        detail = (
            f"the largest worker has {growth.now / _MIB:.0f} MiB and grows by"
            f" {growth.an_hour / _MIB:.0f} MiB an hour; {left / _MIB:.0f} MiB are left,"
            f" for {full_in_s / 3_600:.1f} h"
        )
        return [Seen("app", status, "", detail, growth.an_hour)]

    def _left(self, end: int) -> float | None:
        """Bytes until the machine or the container is full."""
        latest = {}
        for name in (_AVAILABLE, _LIMIT, _USED):
            known = [v for v in self._values(name, end - 600, end, end) if v == v]
            latest[name] = known[-1] if known else math.nan
        rooms = (latest[_AVAILABLE], latest[_LIMIT] - latest[_USED])
        return min((room for room in rooms if room == room), default=None)

    def _values(self, path: str, start: int, end: int, now: int) -> Sequence[float]:
        found = self._store.fetch([path], start - 1, end - 1, now)
        return found[0].values if found else ()
