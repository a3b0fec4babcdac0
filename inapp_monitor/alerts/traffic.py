"""Whether requests still come where they usually do at this hour: a Poisson CUSUM. Pure.

The least usual rate is the second smallest of the same hour on the last 14 days: no traffic on a
Sunday is nothing to say where Sundays are empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inapp_monitor.alerts.cusum import Arm, Spec
from inapp_monitor.alerts.usual import FAILED

_HOUR_S = 3_600
#: Days of the same hour that have to be known, and that are kept.
_LEAST_DAYS, _DAYS = 5, 14
_STOP = Spec(FAILED, "stop", 0.0, 0.0, 60, 0)


class Traffic:
    """The requests of the app as a whole, by the hour of the day.

    Attributes:
        arm: Evidence that only a tenth of what is least usual comes.
        least_per_s: The least usual rate at this hour; 0 when it is not known.
    """

    __slots__ = ("_calm", "_count", "_hour", "_hours", "_last_t", "arm", "least_per_s")

    def __init__(self) -> None:
        self.arm = Arm(_STOP)
        self.least_per_s = 0.0
        self._hours: dict[int, list[int]] = {}
        self._hour = -1
        self._count = 0
        self._last_t: float | None = None
        self._calm = 0.0

    def has_stopped(self, t: float, count: int, h: float) -> bool:
        """Whether the requests since the last step make it evident that they have stopped."""
        least, arm = self.least_per_s, self.arm
        gap = self._gap(t)
        if not least or not gap:
            return False
        gain = (0.9 * least * gap - 2.3 * count) / 3
        if gain <= 0 and arm.s <= 0:
            return False
        self._calm = 0.0
        found = arm.add(t, gap, count, 0, gain, max(h, arm.sent_at))
        return found and arm.count < 0.15 * least * (t - arm.onset)

    def has_come_back(self, t: float, count: int) -> bool:
        """Whether enough of them come again."""
        least = self.least_per_s
        self._calm = max(0.0, self._calm + count - 0.2 * least * self._gap(t))
        return not least or self._calm >= max(3, 0.5 * least * 20)

    def note(self, t: float, count: int, h: float, *, is_usual: bool) -> None:
        """Count the requests of a step; an hour that is over becomes a part of the past."""
        self._last_t = t
        hour = int(t // _HOUR_S)
        if self._hour < 0:
            self._hour = hour
        self._count += count
        if hour != self._hour:
            kept = self._hours.setdefault(self._hour % 24, [])
            if is_usual:
                kept.append(self._count)
                del kept[:-_DAYS]
            self._count, self._hour = 0, hour
            past = sorted(self._hours.get(hour % 24, ()))
            self.least_per_s = past[1] / _HOUR_S if len(past) >= _LEAST_DAYS else 0.0
            self.arm.s = min(self.arm.s, 0.5 * h)

    def remember(self, hours: Mapping[int, int], current: int) -> None:
        """Requests by the hour before `current`; an hour without any, in between, had none."""
        for hour in range(max(min(hours), current - _DAYS * 24), current):
            self._hours.setdefault(hour % 24, []).append(hours.get(hour, 0))
        self._hour, self._count = current, hours.get(current, 0)
        past = sorted(self._hours.get(current % 24, ()))
        self.least_per_s = past[1] / _HOUR_S if len(past) >= _LEAST_DAYS else 0.0

    def _gap(self, t: float) -> float:
        return max(t - self._last_t, 0.0) if self._last_t is not None else 0.0

    def dump(self) -> dict[str, Any]:
        """What has to survive a restart."""
        hours = {str(hour): counts for hour, counts in self._hours.items()}
        return {"hours": hours, "hour": self._hour, "count": self._count, "arm": self.arm.dump(),
                "least": self.least_per_s}  # fmt: skip

    def load(self, dumped: dict[str, Any]) -> None:
        """Take what `dump` gave."""
        self._hours = {int(hour): list(counts) for hour, counts in dumped["hours"].items()}
        self._hour, self._count = dumped["hour"], dumped["count"]
        self.least_per_s = dumped["least"]
        self.arm.load(dumped["arm"])
