"""A door's StatsD: keeps what the daemon would keep, and flushes what it would send to Graphite."""

from __future__ import annotations

import math
import threading

from inapp_monitor.ground.points import Method
from inapp_monitor.ingest.protocols import statsd_exact
from inapp_monitor.ingest.protocols.parsed import COUNTER, GAUGE_DELTA, SET, TIMER, Parsed, Point
from inapp_monitor.ingest.protocols.statsd_exact import ExactSample
from inapp_monitor.ingest.protocols.statsd_flush import (
    Names,
    StatsDConfig,
    method_of,
    timer_numbers,
)

#: Names kept at once, as a bound of memory; further ones are rejected until the next flush.
MAX_KEYS = 20_000
#: Values of a timer and members of a set kept until the next flush.
MAX_VALUES = 100_000
#: What JavaScript's objects do not count among their keys.
_NO_MEMBER = "__proto__"


class StatsDState:
    """Counters, timers, gauges and sets of one door.

    Args:
        packet_per_line: Whether each line counts as a packet, as with StatsD's TCP server.

    *Threads:* any.
    """

    def __init__(self, config: StatsDConfig, *, packet_per_line: bool = False) -> None:
        self.config = config
        self._packet_per_line = packet_per_line
        self._names = Names(config)
        self._lock = threading.Lock()
        own = config.prefix_stats
        self._bad_lines, self._packets, self._received = (
            f"{own}.{name}" for name in ("bad_lines_seen", "packets_received", "metrics_received")
        )
        self._counters = dict.fromkeys((self._bad_lines, self._packets, self._received), 0.0)
        self._timers: dict[str, list[float]] = {}
        self._timer_counts: dict[str, float] = {}
        self._gauges: dict[str, float] = {}
        self._gauge_ttls: dict[str, int] = {}
        self._sets: dict[str, set[str]] = {}
        self._flushed_at = 0
        self._last_timestamp = 0.0

    def parse(self, data: bytes, now: float) -> Parsed:  # noqa: ARG002
        """Take a datagram, or whole lines of a stream. What is taken is not in `samples`."""
        parsed = Parsed()
        text = data.decode("utf-8", "replace")
        found = statsd_exact.samples(text, parsed, sanitize=self.config.key_name_sanitize)
        with self._lock:
            counters = self._counters
            counters[self._packets] += parsed.lines if self._packet_per_line else 1.0
            counters[self._received] += parsed.lines
            counters[self._bad_lines] += len(parsed.rejects)
            for sample in found:
                if self._add(sample):
                    parsed.taken += 1
                    parsed.last_taken = sample.key, sample.value
                else:
                    parsed.reject("too_many_series", sample.key)
        return parsed

    def _add(self, sample: ExactSample) -> bool:
        kind, key, value, weight = sample
        table: dict[str, object] = self._table(kind)  # type: ignore[assignment]
        if key not in table and len(table) >= MAX_KEYS:
            return False
        if kind == SET:
            members = self._sets.setdefault(key, set())
            if len(members) < MAX_VALUES and value != _NO_MEMBER:
                members.add(str(value))
            return True
        assert isinstance(value, float)
        if kind == COUNTER:
            self._counters[key] = self._counters.get(key, 0.0) + value * weight
        elif kind == TIMER:
            values = self._timers.setdefault(key, [])
            if len(values) >= MAX_VALUES:
                return False
            values.append(value)
            self._timer_counts[key] = self._timer_counts.get(key, 0.0) + weight
        else:
            before = self._gauges.get(key, 0.0) if kind == GAUGE_DELTA else 0.0
            self._gauges[key] = before + value
            self._gauge_ttls[key] = self.config.gauges_max_ttl
        return True

    def _table(self, kind: str) -> object:
        if kind == SET:
            return self._sets
        if kind == TIMER:
            return self._timers
        return self._counters if kind == COUNTER else self._gauges

    def is_due(self, now: float) -> bool:
        """Whether a flush interval is over: they are those of the clock."""
        interval = int(now // self.config.interval_s)
        if not self._flushed_at:
            self._flushed_at = interval
        return interval != self._flushed_at

    def flush(self, now: float) -> list[Point]:
        """What StatsD would send, and begin the next interval."""
        timestamp = float(math.floor(now + 0.5))
        with self._lock:
            self._flushed_at = int(now // self.config.interval_s)
            points = [*self._counter_points(timestamp), *self._timer_points(timestamp)]
            names = self._names
            points += [
                (names.of(names.gauge, key), value, timestamp, Method.AVERAGE)
                for key, value in self._gauges.items()
            ]
            points += [
                (names.of(names.set, key, "count"), float(len(members)), timestamp, Method.SUM)
                for key, members in self._sets.items()
            ]
            lag = names.of(names.gauge, f"{self.config.prefix_stats}.timestamp_lag")
            points.append((lag, self._lag(timestamp), timestamp, Method.AVERAGE))
            sent = len(self._counters) + len(self._timers) + len(self._gauges) + len(self._sets)
            number = names.number_of_stats()
            points.append((number, sent + 1.0, timestamp, Method.AVERAGE))
            self._begin_interval()
        return points

    def _lag(self, timestamp: float) -> float:
        """Seconds by which this flush is later than an interval after the one before."""
        before, self._last_timestamp = self._last_timestamp, timestamp
        return timestamp - before - self.config.interval_s if before else 0.0

    def _counter_points(self, timestamp: float) -> list[Point]:
        config, names = self.config, self._names
        points: list[Point] = []
        for key, value in self._counters.items():
            rate = value / config.interval_s
            if config.legacy_namespace:
                points.append((names.of(names.counter, key), rate, timestamp, Method.AVERAGE))
                count = names.of(["stats_counts"], key)
            else:
                name = names.of(names.counter, key, "rate")
                points.append((name, rate, timestamp, Method.AVERAGE))
                count = names.of(names.counter, key, "count")
            if config.flush_counts:
                points.append((count, value, timestamp, Method.SUM))
        return points

    def _timer_points(self, timestamp: float) -> list[Point]:
        names = self._names
        return [
            (names.of(names.timer, key, *last.split(".")), number, timestamp, method_of(last))
            for key, values in self._timers.items()
            for last, number in timer_numbers(
                key, values, self._timer_counts[key], self.config
            ).items()
        ]

    def _begin_interval(self) -> None:
        config = self.config
        own = ("packets_received", "metrics_received", "bad_lines_seen")
        self._counters = {
            key: 0.0
            for key in self._counters
            if not config.delete_counters or any(name in key for name in own)
        }
        self._timers = {} if config.delete_timers else {key: [] for key in self._timers}
        self._timer_counts = dict.fromkeys(self._timers, 0.0)
        self._sets = {} if config.delete_sets else {key: set() for key in self._sets}
        if config.delete_gauges:
            ttls = {key: ttl - 1 for key, ttl in self._gauge_ttls.items()}
            self._gauge_ttls = {key: ttl for key, ttl in ttls.items() if ttl > 0}
            self._gauges = {key: v for key, v in self._gauges.items() if key in self._gauge_ttls}
