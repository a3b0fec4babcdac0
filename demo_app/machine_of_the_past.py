"""The processes and the machine of the demo's made-up past: what the built-in collectors publish.

Four workers, whose memory grows from deploy to deploy, on a machine of two cores that follows the
traffic. Pure: numbers from a time and how busy it was.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from inapp_monitor.ground.points import Method, Scalar

WORKERS, CORES = 4, 2
_MB, _GB = 2**20, 2**30
_MEMORY, _DISK = 8 * _GB, 80 * _GB


def resources(
    chance: random.Random, start: int, seconds: int, busy: float, age_s: float, slow: bool
) -> Iterator[Scalar]:
    """The series of one step.

    Args:
        start, seconds: The step.
        busy: Times of the average traffic.
        age_s: Since the last deploy.
        slow: Whether a route takes much more CPU than it should.
    """

    def last(path: str, value: float, method: Method = Method.LAST) -> Scalar:
        return Scalar(path, start, value, method)

    def added(path: str, a_second: float) -> Scalar:
        return Scalar(path, start, max(a_second, 0.0) * seconds, Method.SUM)

    wobble = chance.gauss(1.0, 0.06)
    user_ms = (150 * busy + (420 if slow else 0)) * wobble
    system_ms = 0.22 * user_ms
    in_flight = max(round(busy * chance.expovariate(1.0) + (3 if slow else 0)), 0)
    worker_mb = 66 + 9 * (1 - math.exp(-age_s / 90_000)) + chance.gauss(0, 0.15)
    gc_ms = abs(chance.gauss(4.0, 1.5)) * (2 if slow else 1)
    load = 1.25 * (user_ms + system_ms) / 1_000 + 0.08
    used = _MEMORY * 0.34 + WORKERS * worker_mb * _MB + 40 * _MB * math.sin(start / 9_000)
    yield last("requests.in_flight", in_flight, Method.MAX)
    yield last("process.workers", WORKERS)
    yield last("process.threads", WORKERS * 9 + min(in_flight, 6))
    yield last("process.descriptors.open", WORKERS * 24 + round(5 * busy) + in_flight)
    yield last("process.descriptors.fullest_percent", 3.1, Method.MAX)
    yield last("process.memory.rss_bytes", WORKERS * worker_mb * _MB)
    yield last("process.memory.largest_bytes", (worker_mb + 3) * _MB, Method.MAX)
    yield last("process.cpu.busiest_percent", (user_ms + system_ms) / 28, Method.MAX)
    yield added("process.cpu.user_ms", user_ms)
    yield added("process.cpu.system_ms", system_ms)
    yield last("process.gc.longest_ms", gc_ms, Method.MAX)
    yield added("process.gc.pause_ms", 1.1 * busy * wobble)
    yield added("process.context_switches.voluntary", 210 * busy * wobble)
    yield added("process.context_switches.involuntary", 9 * busy * wobble)
    yield added("process.io.written_bytes", 21_000 * busy * wobble)
    yield added("process.io.read_bytes", 1_500 * wobble)
    yield last("host.cpu.cores", CORES)
    yield added("host.cpu.user_ms", 1.3 * user_ms)
    yield added("host.cpu.system_ms", 1.5 * system_ms)
    yield added("host.cpu.iowait_ms", 18 * wobble)
    yield added("host.cpu.steal_ms", 0.0)
    yield added("host.cpu.idle_ms", max(CORES * 1_000 - 1.35 * (user_ms + system_ms) - 18, 30))
    for minutes, lag in ((1, 1.0), (5, 0.96), (15, 0.93)):
        yield last(f"host.load.{minutes}m", load * lag, Method.MAX)
    yield from _memory(start, used)
    yield last("host.disk.total_bytes", _DISK)
    yield last("host.disk.used_bytes", 0.41 * _DISK + start % 86_400 * 2_000)
    yield added("host.disk.written_bytes", 62_000 * busy * wobble)
    yield added("host.disk.read_bytes", 8_000 * wobble)
    yield added("host.network.received_bytes", 34_000 * busy * wobble)
    yield added("host.network.sent_bytes", 410_000 * busy * wobble)
    yield last("monitor.tick_ms", 3.4 * wobble + 0.8 * busy, Method.MAX)
    yield last("monitor.buffered_bytes", 0, Method.MAX)


def _memory(start: int, used: float) -> Iterator[Scalar]:
    yield Scalar("host.memory.total_bytes", start, _MEMORY, Method.LAST)
    yield Scalar("host.memory.used_bytes", start, used, Method.MAX)
    yield Scalar("host.memory.available_bytes", start, _MEMORY - used, Method.MIN)
