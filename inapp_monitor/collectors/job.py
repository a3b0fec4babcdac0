"""One collector and how it fares: loaded, run under the guard, left alone while it fails.

Everything that runs somebody's code here is called in a `JobThread`.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from inapp_monitor.collectors.base import Collector, Sink
from inapp_monitor.collectors.discovery import (
    Candidate,
    Facts,
    Kind,
    facts_of,
)
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Scalar
from inapp_monitor.ground.series_description import Description

#: A run that takes longer is slow.
SLOW_S = 2.0
#: A run that has not returned for so long, and not for its interval, is reported.
HANGING_S = 10.0
#: After failures a collector is left alone for 1, 2, 4... intervals, at most so many.
MOST_INTERVALS_OFF = 8


class Job:
    """One collector.

    Attributes:
        facts: What it says of itself, once it is loaded.
        outbox: What it published and nobody has fetched.
        described: What it said of its series, likewise.
        slot: Number of the interval that it was last begun in.
        queued: It waits for the thread, or runs.
        began: When the run under way began (performance counter).

    *Threads:* `run` is called by one thread at a time; the rest by the ticking thread.
    """

    def __init__(self, candidate: Candidate, interval_s: float, clock: Clock, guard: Guard) -> None:
        self.source = candidate.source
        self.facts: Facts | None = None
        self.outbox: deque[list[Scalar]] = deque()
        self.described: deque[dict[str, Description]] = deque(maxlen=10)
        self.sink: Sink | None = None
        self.slot = -1
        self.queued = False
        self.began: float | None = None
        self.collector: Collector | None = None
        self._candidate = candidate
        self._kind: Kind | None = None
        self._default_interval_s = interval_s
        self._clock = clock
        self._guard = guard
        self._not_before = float("-inf")
        self._reported_at = float("-inf")
        self._retired = ""
        self._runs = self._failures = self._failures_in_a_row = 0
        self._last_run = 0.0
        self._took_ms = 0.0

    @property
    def part(self) -> str:
        """What the guard calls it."""
        return f"collector {self.name}"

    @property
    def name(self) -> str:
        """Its name, as far as it is known."""
        return self._candidate.label if self.facts is None else self.facts.name

    @property
    def interval_s(self) -> float:
        """Seconds between two runs."""
        return self._default_interval_s if self.facts is None else self.facts.interval_s

    def is_due(self, slot: int, now: float) -> bool:
        """Whether it is to run in an interval; never while it is switched off or left alone."""
        if self.queued or self._retired or slot == self.slot or now < self._not_before:
            return False
        return self._guard.allows(self.part)

    def load(self) -> None:
        """Import its class and hear what it says of itself."""
        begin = self.began = self._clock.perf()
        try:
            kind = self._candidate.load()
            facts = facts_of(kind, self.source, self._default_interval_s)
            self._guard.recovered(self.part)
            self.sink = Sink(facts.prefix, facts.per_worker, facts.max_names)
            self._kind, self.facts = kind, facts
            self.slot = -1  # and now it is to run
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever somebody's code does
            self._failed(error)
        finally:
            self._ended(begin)

    def run(self) -> None:
        """Run the collector once and leave what it published in the outbox."""
        begin = self.began = self._clock.perf()
        try:
            if self.collector is None:
                kind = self._kind
                self.collector = kind() if isinstance(kind, type) else kind
            assert self.collector is not None
            self.collector._sink = self.sink
            self.collector.collect()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever somebody's code does
            self._failed(error)
        else:
            self._failures_in_a_row = 0
            self._guard.recovered(self.part)
        finally:
            self._runs += 1
            self._last_run = self._clock.wall()
            assert self.sink is not None
            scalars = self.sink.take(self._last_run, self.interval_s)
            if scalars:
                self.outbox.append(scalars)
            if self.sink.descriptions:
                self.described.append(self.sink.descriptions)
                self.sink.descriptions = {}
            self._ended(begin)

    def is_same(self, other: Job) -> bool:
        """Whether two stand for one class: it was registered in two ways."""
        mine, its = self._kind, other._kind
        return (mine if isinstance(mine, type) else type(mine)) is (
            its if isinstance(its, type) else type(its)
        )

    def retire(self, reason: str) -> None:
        """It will never run."""
        self._retired = reason

    def report_hanging(self, now: float) -> None:
        """Tell, once an interval, of a run that does not return."""
        began = self.began
        if began is None or now - began < max(HANGING_S, self.interval_s):
            return
        if now - self._reported_at >= self.interval_s:
            self._reported_at = now
            error = TimeoutError(f"it has not returned for {now - began:.0f} s")
            self._guard.failed(self.part, error)

    def row(self, is_leader: bool) -> dict[str, Any]:
        """For the status page."""
        facts, sink = self.facts, self.sink
        return {
            "name": self.name,
            "source": self.source,
            "per_worker": facts is not None and facts.per_worker,
            "interval_s": self.interval_s,
            "state": self._state(is_leader),
            "runs": self._runs,
            "failures": self._failures,
            "last_run": self._last_run,
            "took_ms": round(self._took_ms, 3),
            "series": len(sink.paths) if sink else 0,
            "refused": sink.refused if sink else 0,
            "paths": sink.paths[:50] if sink else [],
        }

    def _state(self, is_leader: bool) -> str:
        if self._retired:
            return self._retired
        began = self.began
        if began is not None and self._clock.perf() - began > SLOW_S:
            return f"has not returned for {self._clock.perf() - began:.0f} s"
        fault = self._guard.faults.get(self.part)
        if fault is not None:
            return "switched off" if fault.disabled else "failing"
        if self.facts is not None and not self.facts.per_worker and not is_leader:
            return "runs in another worker"
        return "ok" if self._runs else "not run yet"

    def _failed(self, error: BaseException) -> None:
        self._failures += 1
        self._failures_in_a_row += 1
        self._guard.failed(self.part, error)
        intervals = min(2 ** (self._failures_in_a_row - 1), MOST_INTERVALS_OFF)
        self._not_before = self._clock.perf() + (intervals - 0.5) * self.interval_s

    def _ended(self, begin: float) -> None:
        self._took_ms = (self._clock.perf() - begin) * 1000.0
        self.began = None
        self.queued = False
