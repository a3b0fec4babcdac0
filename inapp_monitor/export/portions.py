"""What is sent on at once: the numbers of some closed intervals. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Method


class Number(NamedTuple):
    """One value of one series: of the interval that begins at `timestamp`."""

    path: str
    method: Method
    timestamp: int
    step_s: int
    value: float


class Counted(NamedTuple):
    """A distribution's values in one interval."""

    path: str
    timestamp: int
    step_s: int
    histogram: Histogram


@dataclass(slots=True)
class Portion:
    """Everything whose interval ended after `after`, up to and with `until`."""

    after: int
    until: int
    numbers: list[Number] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.numbers) + len(self.counted)
