"""What the detector is given each step, and what it answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from inapp_monitor.alerts.trouble import Trouble
from inapp_monitor.alerts.watched import SPECS

What = Literal["begins", "sent", "over", "new life", "not seen", "as ever"]


class Row(NamedTuple):
    """What ended on one route in a step: requests, failed ones, and durations by bucket."""

    route: str
    requests: int
    errors: int
    counts: Mapping[int, int]


class UnderWay(NamedTuple):
    """A request that has not ended, and what people call it."""

    route: str
    age_ms: float
    label: str = ""


class Change(NamedTuple):
    """A trouble began, is worth a message, or ended (and why)."""

    t: float
    what: What
    trouble: Trouble


class Sums:
    """Evidence of all routes together, by the number of the test."""

    __slots__ = ("bad", "counts", "gains")

    def __init__(self) -> None:
        self.gains = [0.0] * len(SPECS)
        self.counts = [0] * len(SPECS)
        self.bad = [0] * len(SPECS)

    def add(self, number: int, gain: float, count: int, bad: int) -> None:
        """Add those of one route."""
        self.gains[number] += gain
        self.counts[number] += count
        self.bad[number] += bad
