"""How many 404s are usual, and the test for more of them. Pure."""

from __future__ import annotations

from typing import Any

from inapp_monitor.alerts.cusum import Arm, Spec
from inapp_monitor.alerts.usual import FADING

_PRIOR_COUNT, _PRIOR_BAD = 50.0, 0.5


class MissingPages:
    """404s of one kind, of all requests of the app.

    Attributes:
        arm: The test.
    """

    __slots__ = ("_bad", "_count", "_least", "_slot_bad", "_slot_count", "arm")

    def __init__(self, spec: Spec, least: float) -> None:
        self.arm = Arm(spec)
        self._least = least
        self._count = self._bad = 0.0
        self._slot_count = self._slot_bad = 0
        self.arm.aim(least)

    def note(self, count: int, bad: int) -> None:
        """Requests of a step, for the slot that is open."""
        self._slot_count += count
        self._slot_bad += bad

    def close_slot(
        self, t: float, h: float, age_s: float, *, is_usual: bool, new_day: bool
    ) -> None:
        """Learn from what is over, unless it is a trouble."""
        if is_usual and self.arm.s <= 0.3 * h:
            self._count += self._slot_count
            self._bad += self._slot_bad
        self._slot_count = self._slot_bad = 0
        if new_day:
            self._count *= FADING
            self._bad *= FADING
        usual = (self._bad + _PRIOR_BAD) / (self._count + _PRIOR_COUNT)
        self.arm.aim(max(self._least, usual if self._count >= _PRIOR_COUNT else 0.0))
        self.arm.learn(t, h, age_s)

    def dump(self) -> list[Any]:
        """What has to survive a restart."""
        return [self._count, self._bad, self.arm.dump()]

    def load(self, dumped: list[Any]) -> None:
        """Take what `dump` gave."""
        self._count, self._bad, arm = dumped
        self.arm.load(arm)
