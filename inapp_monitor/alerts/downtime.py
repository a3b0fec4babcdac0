"""Planned downtimes: when one is in effect. Pure.

A *fixed* downtime lasts from `start` to `end`. A *flexible* one begins with the first problem
between them and lasts `duration_s`. A *weekly* one comes back every seven days (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

WEEK_S = 7 * 86400


@dataclass(frozen=True, slots=True)
class Downtime:
    """A time in which problems are expected and nobody is notified of them.

    Attributes:
        id: Names it.
        start: When it begins, seconds since the epoch; a weekly one's first time.
        end: When it ends.
        duration_s: Of a flexible one: how long it lasts from the first problem on.
        weekly: Whether it comes back.
        author: Who planned it.
        note: Why.
        began: Since when it is in effect; None while it is not.
    """

    id: str
    start: float
    end: float
    duration_s: float | None = None
    weekly: bool = False
    author: str = ""
    note: str = ""
    began: float | None = None

    def window(self, now: float) -> tuple[float, float]:
        """Begin and end of the time that is running, or comes next, or was the last."""
        if not self.weekly or now < self.end:
            return self.start, self.end
        weeks = (now - self.end) // WEEK_S + 1
        return self.start + weeks * WEEK_S, self.end + weeks * WEEK_S

    def ends_at(self) -> float:
        """When one that is in effect ends.

        Raises:
            ValueError: it is not in effect.
        """
        if self.began is None:
            raise ValueError(f"downtime {self.id} is not in effect")
        if self.duration_s is not None:
            return self.began + self.duration_s
        return self.window(self.began)[1]

    def is_over(self, now: float) -> bool:
        """Whether it will never again be in effect."""
        if self.began is not None:
            return not self.weekly and now >= self.ends_at()
        return not self.weekly and now >= self.end

    def at(self, now: float, *, problem: bool) -> Downtime:
        """The downtime as it is now: begun, running, or (a weekly one) between two times."""
        if self.began is not None:
            return replace(self, began=None) if now >= self.ends_at() else self
        start, end = self.window(now)
        if not start <= now < end or (self.duration_s is not None and not problem):
            return self
        return replace(self, began=now)
