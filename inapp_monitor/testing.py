"""For tests: what code records, what a collector publishes, a clock that is stepped by hand."""

from __future__ import annotations

from inapp_monitor.collectors import Collector
from inapp_monitor.collectors.base import Sink, prefix_of
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.series_description import Description
from inapp_monitor.monitor.recorded import Recorded as Recorded
from inapp_monitor.monitor.recorded import recorded as recorded


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


def collected(collector: Collector) -> dict[str, float]:
    """Run a collector once. Returns what it published: series by value.

    A counter shows from the second call on an object, which holds what was added since the first.
    """
    sink = collector._sink = collector._sink or Sink(
        prefix_of(collector), collector.per_worker, collector.max_names
    )
    collector.collect()
    values = {scalar.path: scalar.value for scalar in sink.take(0.0, 10.0)}
    return values | {path: shared.value for path, shared in sink.shared.items()}


def described(collector: Collector) -> dict[str, Description]:
    """What a collector has said of its series, by path; `collected` has run it."""
    return {} if collector._sink is None else dict(collector._sink.descriptions)
