"""The monitor's numbers about itself: series `monitor.*`, and `errors.<issue>`. No I/O.

monitor.tick_ms          time that the last tick took
monitor.cpu_ms           CPU time of all ticks: 100 in 10 s is a hundredth of a processor
monitor.buffered_bytes   points that the disk has not taken yet
monitor.drops.<reason>   what was not kept
errors.<issue>           occurrences of an issue
"""

from __future__ import annotations

from collections.abc import Callable

from inapp_monitor.ground.names import clean_node
from inapp_monitor.ground.points import Method, Scalar
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.store.series import Store

#: Seconds between two looks at what changes slowly.
_INTERVAL_S = 10


class OwnNumbers:
    """Makes the scalars of one process.

    Args:
        recorder, store, tracker: What they saw.
        drops_elsewhere: Return what others did not keep, by reason.

    Attributes:
        tick_ms: Set by the owner after each tick.
        cpu_ms: CPU time of the ticks since it was last written down.
        cpu_total_ms: The same since the beginning.

    *Threads:* for the ticking thread.
    """

    def __init__(
        self,
        recorder: Recorder,
        store: Store,
        tracker: Tracker,
        *drops_elsewhere: Callable[[], dict[str, int]],
    ) -> None:
        self.tick_ms = 0.0
        self.cpu_ms = 0.0
        self.cpu_total_ms = 0.0
        self._recorder = recorder
        self._store = store
        self._tracker = tracker
        self._drops_elsewhere = drops_elsewhere
        self._interval = 0
        self._drops_before: dict[str, int] = {}

    def add_tick(self, tick_s: float, cpu_s: float) -> None:
        """A tick has ended: what it took by the clock and of a processor."""
        self.tick_ms = tick_s * 1000.0
        self.cpu_ms += cpu_s * 1000.0
        self.cpu_total_ms += cpu_s * 1000.0

    def cpu_share(self, seconds: float) -> float:
        """The part of one processor that all ticks have taken in that time."""
        return round(self.cpu_total_ms / 1000.0 / seconds, 5) if seconds > 0.0 else 0.0

    def take(self, now: int) -> list[Scalar]:
        """What is new since the last call."""
        scalars = [
            Scalar(f"errors.{clean_node(issue)}", now, float(n), Method.SUM)
            for issue, n in self._tracker.take_counts().items()
        ]
        if now // _INTERVAL_S != self._interval:
            self._interval = now // _INTERVAL_S
            scalars += self._slow(now)
        return scalars

    def drops(self) -> dict[str, int]:
        """What this process did not keep, by reason."""
        recorder = self._recorder
        drops = {
            "requests": recorder.dropped_requests,
            "not found hits": recorder.dropped_not_found,
            **recorder.instruments.refused,
            **{f"event {k}": n for k, n in self._tracker.status().dropped_events.items()},
        }
        for elsewhere in self._drops_elsewhere:
            drops |= elsewhere()
        return {reason: n for reason, n in drops.items() if n}

    def _slow(self, now: int) -> list[Scalar]:
        status = self._store.status()
        scalars = [
            Scalar("monitor.tick_ms", now, self.tick_ms, Method.MAX),
            Scalar("monitor.buffered_bytes", now, float(status.buffered), Method.MAX),
            Scalar("monitor.cpu_ms", now, self.cpu_ms, Method.SUM),
        ]
        self.cpu_ms = 0.0
        drops = {**status.drops, **self.drops()}
        for reason, n in drops.items():
            new = n - self._drops_before.get(reason, 0)
            if new > 0:
                path = f"monitor.drops.{clean_node(reason)}"
                scalars.append(Scalar(path, now, float(new), Method.SUM))
        self._drops_before = drops
        return scalars
