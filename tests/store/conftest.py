"""A store on a clock that the test steps, and short ways to add and read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.ground import config
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import (
    Batch,
    Distribution,
    Method,
    Scalar,
)
from inapp_monitor.ground.ranges import ScalarRange
from inapp_monitor.store.distributions import DistributionFile
from inapp_monitor.store.groups import Group
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

#: A multiple of two hours, so that the default archives all begin an interval here.
START = 1_699_999_200


class Bench:
    """A data directory, a clock that stands still, and stores on it."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.data_dir = data_dir
        self.clock = FakeClock(float(START))
        self.settings = {"sync_interval_s": 3600, **settings}
        self.guard = Guard()
        self.store = self.open()

    @property
    def loaded(self) -> Settings:
        """The settings of a store that is opened now."""
        given = dict(self.settings)
        budget = given.pop("disk_budget", None)  # may be smaller than an app may ask for
        settings = config.load(given, environ={}).settings
        return settings if budget is None else replace(settings, disk_budget=budget)

    def open(self, **options: Any) -> Store:
        """Another store on the same directory, as another process would have."""
        return Store(self.data_dir, self.loaded, self.clock, self.guard, **options)

    def group_of(self, path: str) -> Group:
        """The file that a series is in, to be damaged."""
        return self.store._buffer.series[path].group

    def distribution(self, path: str) -> DistributionFile:
        """The file of a distribution, to be damaged."""
        return self.store._buffer.distributions[path]

    @property
    def now(self) -> float:
        """The wall clock, which a test may also set."""
        return self.clock.now

    @now.setter
    def now(self, seconds: float) -> None:
        self.clock.now = seconds

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def put(
        self,
        path: str,
        value: float,
        *,
        at: float | None = None,
        method: Method = Method.SUM,
        store: Store | None = None,
    ) -> None:
        """Add one value."""
        point = Scalar(path, int(self.now if at is None else at), value, method)
        (store or self.store).add(Batch([point], []))

    def observe(
        self,
        path: str,
        values: list[float],
        *,
        at: float | None = None,
        store: Store | None = None,
    ) -> None:
        """Add a histogram of some values."""
        time = int(self.now if at is None else at)
        point = Distribution(path, time, Histogram.of(values))
        (store or self.store).add(Batch([], [point]))

    def get(self, path: str, *, back: float = 3600, store: Store | None = None) -> dict[int, float]:
        """The known values of the last seconds, by time."""
        now = int(self.now)
        answers = (store or self.store).fetch([path], now - int(back), now, now)
        return known(answers[0]) if answers else {}

    def total(self, path: str, *, back: float = 3600, store: Store | None = None) -> float:
        """The sum of the known values of the last seconds."""
        return math.fsum(self.get(path, back=back, store=store).values())


def known(answer: ScalarRange) -> dict[int, float]:
    """Time to value, without the unknown ones."""
    times = range(answer.start, answer.end, answer.step)
    return {t: v for t, v in zip(times, answer.values, strict=True) if v == v}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A store in an empty directory, with default settings."""
    return Bench(tmp_path / "data")


@pytest.fixture
def make_bench(tmp_path: Path) -> Callable[..., Bench]:
    """Stores in an empty directory, with settings of the test's choice."""

    def make(**settings: Any) -> Bench:
        return Bench(tmp_path / "data", **settings)

    return make
