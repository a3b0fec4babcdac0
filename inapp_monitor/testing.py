"""For tests, ours and yours: a clock that is stepped by hand."""

from __future__ import annotations

from inapp_monitor.clock import Clock


class FakeClock(Clock):
    """A clock that stands still until `advance` is called.

    Args:
        wall: Seconds since the epoch to begin with.
    """

    __slots__ = ("now", "ticks")

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.now = wall
        self.ticks = 1_000.0
        super().__init__(wall=lambda: self.now, perf=lambda: self.ticks)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.ticks += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forwards or back, as an administrator would."""
        self.now += seconds
