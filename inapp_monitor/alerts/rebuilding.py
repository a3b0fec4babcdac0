"""What is usual, made of the archives: for a judge that begins in the middle of an app's life.

The last 14 days of each route lie in the store in slots of ten minutes. They are read one route a
tick: until then a route is judged by the target alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from inapp_monitor.alerts import buckets
from inapp_monitor.alerts.cusum import DAY_S
from inapp_monitor.alerts.detector import Detector
from inapp_monitor.alerts.measuring import SeriesStore
from inapp_monitor.alerts.usual import FADING
from inapp_monitor.ground.histogram import Histogram

_DAYS = 14
#: Slots that are as wide as that are read: the archive of ten minutes.
_SLOT_S = 600


class Rebuilding:
    """Fills a detector's past, one route a call.

    Args:
        store: Where the archives are.
        detector: A new one.
        now: Until when its past reaches.
    """

    def __init__(self, store: SeriesStore, detector: Detector, now: float) -> None:
        self._store, self._detector, self._now = store, detector, int(now)
        self._routes: Iterator[str] | None = None

    def go_on(self) -> bool:
        """Read one route. Returns whether that was the last one."""
        if self._routes is None:
            self._routes = iter(self._known())
            self._read_traffic()
            return False
        route = next(self._routes, None)
        if route is not None:
            self._read(route)
        return route is None

    def _known(self) -> list[str]:
        nodes = [leaf.path.split(".") for leaf in self._store.leaves()]
        return [
            f"{each[1]}.{each[2]}"
            for each in nodes
            if len(each) == 4 and each[0] == "routes" and each[3] == "time"
        ]

    def _slots(self, path: str) -> Iterator[tuple[float, Histogram]]:
        """The slots that are over, with their ends."""
        start = self._now - _DAYS * int(DAY_S)
        found = self._store.fetch_distribution(path, start, self._now, self._now, _SLOT_S)
        for number, slot in enumerate(found.slots if found is not None else ()):
            end = found.start + (number + 1) * found.step if found is not None else 0
            if slot is not None and slot.count and end <= self._now - 60:
                yield end, slot

    def _read(self, route: str) -> None:
        detector = self._detector
        watched = detector.watched(route, self._now)
        if watched.usual.is_known:
            return
        day = 0
        for end, slot in self._slots(f"routes.{route}.time"):
            if day and int(end // DAY_S) != day:
                watched.usual.fade(FADING ** (int(end // DAY_S) - day))
            day = int(end // DAY_S)
            watched.usual.fold(end - 1, buckets.counts_of(slot), slot.count, 0)
        path = f"routes.{route}.errors"
        start = self._now - _DAYS * int(DAY_S)
        for found in self._store.fetch([path], start, self._now, self._now):
            watched.usual.errors += sum(value for value in found.values if value == value)
        watched.usual.errors = min(watched.usual.errors, watched.usual.requests)
        detector.aim(route, self._now)

    def _read_traffic(self) -> None:
        """Requests a day, and by the hour."""
        hours: dict[int, int] = {}
        for end, slot in self._slots("requests.time"):
            hour = int((end - 1) // 3_600)
            hours[hour] = hours.get(hour, 0) + slot.count
        if hours:
            self._detector.remember_traffic(hours, self._now)
