"""The monitor's numbers about itself: series `monitor.*`, and `errors.<issue>`. No I/O.

monitor.tick_ms          time that the last tick took
monitor.cpu_ms           CPU time of all ticks: 100 in 10 s is a hundredth of a processor
monitor.buffered_bytes   points that the disk has not taken yet
monitor.drops.<reason>   what was not kept
monitor.faults           parts that fail; no value while none does
errors.<issue>           occurrences of an issue
"""

from __future__ import annotations

from inapp_monitor.ground.facts import CostFacts
from inapp_monitor.ground.names import clean_node
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.self_cost import SelfCost
from inapp_monitor.monitor.services import Services

#: Seconds between two looks at what changes slowly.
_INTERVAL_S = 10


class SelfMetrics(Part):
    """Makes the scalars of one process, and says what it costs."""

    name = "own numbers"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._services = services
        self._cost = SelfCost(services.core.clock, services.core.recorder)
        self._interval = 0
        self._drops_before: dict[str, int] = {}

    def tick(self, now: float) -> None:
        """Hand over what is new."""
        scalars = self.take(int(now)) + self._core.live_requests.in_flight(int(now))
        self._services.store.add(Batch(scalars, []))

    def take(self, now: int) -> list[Scalar]:
        """What is new since the last call."""
        scalars = [
            Scalar(f"errors.{clean_node(issue)}", now, float(n), Method.SUM)
            for issue, n in self._services.tracker.take_counts().items()
        ]
        if now // _INTERVAL_S != self._interval:
            self._interval = now // _INTERVAL_S
            scalars += self._slow(now)
        return scalars

    def facts(self) -> CostFacts:
        """What the monitor costs, and what it did not keep."""
        core = self._core
        holders = [each for part in self._services.parts for each in part.holds]
        return CostFacts(
            dropped=self._services.drops(),
            cost_us=round(self._cost.us(), 2),
            memory_bytes=self._cost.held_bytes([*holders, core.web]),
            cpu_share=self._cpu_share(core.clock.wall() - core.attached_at),
        )

    def _cpu_share(self, seconds: float) -> float:
        """The part of one processor that all ticks have taken in that time."""
        cpu_s = self._core.ticks.cpu_total_ms / 1000.0
        return round(cpu_s / seconds, 5) if seconds > 0.0 else 0.0

    def _slow(self, now: int) -> list[Scalar]:
        ticks, buffered = self._core.ticks, self._services.store.status().buffered
        scalars = [
            Scalar("monitor.tick_ms", now, ticks.last_ms, Method.MAX),
            Scalar("monitor.buffered_bytes", now, float(buffered), Method.MAX),
            Scalar("monitor.cpu_ms", now, ticks.cpu_ms, Method.SUM),
        ]
        ticks.cpu_ms = 0.0
        faults = len(self._core.guard.faults)
        if faults:
            scalars.append(Scalar("monitor.faults", now, float(faults), Method.MAX))
        drops = self._services.drops()
        for reason, n in drops.items():
            new = n - self._drops_before.get(reason, 0)
            if new > 0:
                path = f"monitor.drops.{clean_node(reason)}"
                scalars.append(Scalar(path, now, float(new), Method.SUM))
        self._drops_before = drops
        return scalars
