"""False alarms and found faults of the rules that look every now and then: memory, statements,
threads, own faults; on a clock that is stepped by hand, through the product's own store and engine.

    .venv/bin/python -m bench.looks_simulation healthy DAYS [--seed 1] [--only memory,threads]
    .venv/bin/python -m bench.looks_simulation planted [--seed 1] [--only memory]

`healthy` counts PROBLEM notices where nothing is wrong; `planted` puts one fault into each shape
and prints after how long it was sent and whether its end was.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.busy_threads import Busy, BusyThreads
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.looks import Look, Looks
from inapp_monitor.alerts.measuring import Measuring
from inapp_monitor.alerts.memory_growth import MemoryGrowth
from inapp_monitor.alerts.slow_statements import SlowStatements
from inapp_monitor.database.file import Database
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

DAY, HOUR, MIB = 86_400, 3_600, 2**20
#: A Monday.
EPOCH = 1_700_438_400
#: In planted runs the fault begins after so many days, and lasts so many hours.
FAULT_DAY, FAULT_HOURS = 4, 10


def busy(t: float) -> float:
    """The share of a day's peak traffic, 0.15 at night; weekends have half."""
    day = 0.575 - 0.425 * math.cos(2 * math.pi * (t % DAY - 4 * HOUR) / DAY)
    return day * (0.5 if t // DAY % 7 >= 5 else 1.0)


# -- memory of the largest worker in MiB, minute by minute

Walk = Callable[[float, random.Random], float]


def _flat(t: float, rng: random.Random) -> float:
    return 220 + rng.gauss(0, 4)


def _cache(t: float, rng: random.Random) -> float:
    age = t % (3 * DAY)  # restarted twice a week
    return 150 + 900 * (1 - math.exp(-age / (9 * HOUR))) + rng.gauss(0, 5)


def _daily(t: float, rng: random.Random) -> float:
    return 200 + 700 * busy(t) + rng.gauss(0, 10)


def _recycled(t: float, rng: random.Random) -> float:
    return 180 + 60 * (t % (8 * HOUR)) / HOUR + rng.gauss(0, 5)  # max_requests ends it


def _batch(t: float, rng: random.Random) -> float:
    at = t % DAY - 2 * HOUR
    return 250 + (1_500 * at / (2 * HOUR) if 0 <= at < 2 * HOUR else 0) + rng.gauss(0, 5)


def _slowly(t: float, rng: random.Random) -> float:
    return 300 + 12 * (t % (7 * DAY)) / DAY + rng.gauss(0, 3)


def _imports(t: float, rng: random.Random) -> float:
    steps = sum(t % (2 * DAY) > hour * HOUR for hour in (1, 2, 4, 7, 11))  # first uses of features
    return 160 + 90 * steps + rng.gauss(0, 4)


MEMORY: dict[str, Walk] = {
    "flat": _flat,
    "cache": _cache,
    "daily": _daily,
    "recycled": _recycled,
    "batch": _batch,
    "slowly": _slowly,
    "imports": _imports,
}
#: MiB an hour of a planted leak, in 4 GiB.
LEAK = 300.0


# -- medians of statements in ms, and calls in ten minutes


@dataclass(frozen=True, slots=True)
class Ten:
    """Ten minutes of a statement."""

    start: int
    durations: Histogram


@dataclass(frozen=True, slots=True)
class Named:
    """A statement."""

    shape: str
    sites: Sequence[str]


#: What is old lies in rows of so many seconds.
_LONG_S = 10_800

STATEMENTS: dict[str, Callable[[float, random.Random], tuple[float, int]]] = {
    "quick": lambda t, rng: (1.5 * rng.lognormvariate(0, 0.2), int(4_000 * busy(t))),
    "nightly": lambda t, rng: (40 if 2 * HOUR <= t % DAY < 4 * HOUR else 4, int(900 * busy(t))),
    "bimodal": lambda t, rng: (rng.choice((2.0, 2.0, 90.0)), int(200 * busy(t))),
    "noisy": lambda t, rng: (30 * rng.lognormvariate(0, 0.5), int(300 * busy(t))),
    "seldom": lambda t, rng: (200 * rng.lognormvariate(0, 0.6), rng.randrange(0, 9)),
    "growing": lambda t, rng: (5 + 0.5 * t / DAY, int(500 * busy(t))),
    "loaded": lambda t, rng: (20 + 60 * busy(t) ** 3, int(2_000 * busy(t))),
    "report": lambda t, rng: (  # on Mondays alone, and slow as ever
        800 * rng.lognormvariate(0, 0.3),
        400 if t // DAY % 7 == 0 and 6 * HOUR <= t % DAY < 10 * HOUR else 0,
    ),
    "fridays": lambda t, rng: (
        400 if t // DAY % 7 == 4 and 0 <= t % DAY - 5 * HOUR - 2_400 * (t // DAY % 4) < HOUR else 9,
        int(300 * busy(t)),
    ),
    "weekly": lambda t, rng: (
        500 if t // DAY % 7 == 0 and 6 * HOUR <= t % DAY < 8 * HOUR else 60,
        int(300 * busy(t)),
    ),
}
#: How much slower a planted fault makes each.
SLOWER = 8.0


# -- requests in ten seconds and those under way

#: Requests a second at the peak, and requests that stream or poll for minutes.
THREADS: dict[str, tuple[float, int]] = {
    "shop": (8.0, 0),
    "small": (0.02, 0),
    "streams": (0.5, 3),
    "polled": (0.1, 1),
    "bursts": (2.0, 0),
}
_WORKERS, _AT_ONCE = 2, 8


class World:
    """One app under the rules, and what was sent."""

    def __init__(self, data_dir: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.clock = FakeClock(EPOCH)
        settings = load({"data_dir": data_dir, "sync_interval_s": 3_600}, environ={}).settings
        guard = Guard(self.clock)
        self.store = Store(data_dir, settings, self.clock, guard)
        self.database = Database(data_dir, settings, self.clock, guard)
        self.engine = Engine(Measuring(self.store), self.database, guard)
        self.engine.enqueue = self._enqueue
        self.sent: list[tuple[float, str, str]] = []
        self.rows: dict[str, list[Ten]] = {}
        self.long_rows: dict[str, list[Ten]] = {}
        self.under_way: list[Busy] = []
        looks = [
            Look(built_in.MEMORY, MemoryGrowth(self.store), 300.0),
            Look(
                built_in.STATEMENTS,
                SlowStatements(self._figures, self._statement, self._past),
                60.0,
            ),
            Look(built_in.BUSY, BusyThreads(self.store, *self._threads()), 5.0),
        ]
        self.looks = Looks(self.engine, looks)
        for rule in built_in.queried():
            self.engine.add_default(rule)

    def _threads(self) -> tuple[Callable[[], list[Busy]], Callable[[], int], Callable[[], int]]:
        return lambda: self.under_way, lambda: _WORKERS, lambda: len(self.under_way)

    def _enqueue(self, _connection: Any, messages: Any) -> None:
        for each in messages:
            kind = each.notification.kind.value
            self.sent.append((self.clock.now - EPOCH, kind, f"{each.rule.name} {each.series}"))

    def _figures(self, start: int, end: int) -> Mapping[str, Sequence[Ten]]:
        return {
            name: [row for row in rows[-200:] if start <= row.start <= end]
            for name, rows in self.rows.items()
        }

    def _past(self, key: str, start: int, end: int) -> Sequence[Ten]:
        return [row for row in self.long_rows[key] if start - _LONG_S < row.start <= end]

    def _statement(self, key: str) -> Named:
        return Named(f"select {key}", ("app.py:1",))

    def tick(self, scalars: list[Scalar], durations: list[Distribution]) -> None:
        """Points of a step, then the leader's tick."""
        self.store.add(Batch(scalars, durations))
        self.store.flush()
        self.looks.tick(self.clock.now)
        self.engine.tick(self.clock.now)
        self.database.write_pending()

    def close(self) -> None:
        """Close the files."""
        self.store.close()
        self.database.close()


def memory(world: World, walk: Walk, t: float, leaked_mib: float) -> None:
    """A minute of memory."""
    size = walk(t, world.rng) + leaked_mib
    left = 4_096 - 2 * size + world.rng.gauss(0, 60)
    now = int(world.clock.now)
    points = {
        "process.memory.largest_bytes": size * MIB,
        "host.memory.available_bytes": max(left, 10) * MIB,
    }
    world.tick([Scalar(name, now, value, Method.AVERAGE) for name, value in points.items()], [])


def statements(world: World, only: str, t: float, times: float) -> None:
    """Ten minutes of statements."""
    median_ms, calls = STATEMENTS[only](t, world.rng)
    some = [times * median_ms * world.rng.lognormvariate(0, 0.6) for _ in range(min(calls, 60))]
    whole = Histogram.of(some * max(calls // 60, 1)) if some else Histogram()
    start = int(world.clock.now) - 600
    world.rows.setdefault(only, []).append(Ten(start, whole))
    del world.rows[only][:-200]
    long_rows = world.long_rows.setdefault(only, [])
    if not long_rows or start >= long_rows[-1].start + _LONG_S:
        long_rows.append(Ten(start // _LONG_S * _LONG_S, Histogram()))
    long_rows[-1].durations.merge(whole)
    world.tick([], [])


def threads(world: World, only: str, t: float, stuck_s: float) -> None:
    """Ten seconds of requests; `stuck_s`: for so long none has ended."""
    peak, streams = THREADS[only]
    rate = peak * busy(t) * (20 if only == "bursts" and t % DAY < 600 else 1)
    count = 0 if stuck_s else _poisson(10 * rate, world.rng)
    long = [Busy(number % _WORKERS, 60.0 + t % 300) for number in range(streams)]
    short = [Busy(n % _WORKERS, stuck_s or 0.1) for n in range(_AT_ONCE if stuck_s else 1)]
    world.under_way = [*long, *short]
    now = int(world.clock.now)
    ended = [Distribution("requests.time", now - 1, Histogram.of([40.0] * count))] if count else []
    at_once = Scalar("requests.in_flight", now - 1, float(len(world.under_way)), Method.MAX)
    world.tick([at_once], ended)


def _poisson(mean: float, rng: random.Random) -> int:
    if mean > 50:
        return max(int(rng.gauss(mean, math.sqrt(mean))), 0)
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _shapes(only: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    for kind, names, step_s in (
        ("memory", MEMORY, 60),
        ("statements", STATEMENTS, 600),
        ("threads", THREADS, 10),
    ):
        if not only or kind in only:
            yield from ((kind, name, step_s) for name in names)


def run(kind: str, name: str, step_s: int, days: float, seed: int, *, faulty: bool) -> World:
    """One shape's life."""
    begin = FAULT_DAY * DAY + 10 * HOUR
    length_s = 300 if kind == "threads" else FAULT_HOURS * HOUR
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory), seed)
        for number in range(int(days * DAY / step_s)):
            t = float(number * step_s)
            bad_s = t - begin if faulty and begin <= t < begin + length_s else 0.0
            if kind == "memory":
                memory(world, MEMORY[name], t, LEAK * bad_s / HOUR)
            elif kind == "statements":
                statements(world, name, t, SLOWER if bad_s else 1.0)
            else:
                threads(world, name, t, bad_s)
            world.clock.advance(step_s)
        world.close()
    return world


def healthy(days: float, seed: int, only: Sequence[str]) -> None:
    """Every notice is a false alarm."""
    sent, months = 0, 0.0
    for kind, name, step_s in _shapes(only):
        length = days / 10 if kind == "threads" else days
        world = run(kind, name, step_s, length, seed, faulty=False)
        problems = [each for each in world.sent if each[1] == "PROBLEM"]
        print(
            f"{kind:10} {name:10} {length:g} days: {len(problems)} sent", problems[:3], flush=True
        )
        sent, months = sent + len(problems), months + length / 30
    print(f"in all {sent} notifications in {months:.1f} app-months")


def planted(seed: int, only: Sequence[str]) -> None:
    """A fault in each shape; what is seldom, or as long as ever, need not be found."""
    for kind, name, step_s in _shapes(only):
        world = run(kind, name, step_s, FAULT_DAY + 1.5, seed, faulty=True)
        begin = FAULT_DAY * DAY + 10 * HOUR
        problems = [round(at - begin) for at, what, _ in world.sent if what == "PROBLEM"]
        ends = [round(at - begin) for at, what, _ in world.sent if what == "RECOVERY"]
        print(f"{kind:10} {name:10} sent after {problems} s, over after {ends} s", flush=True)


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.looks_simulation")
    parser.add_argument("mode", choices=("healthy", "planted"))
    parser.add_argument("days", type=float, nargs="?", default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=("memory", "statements", "threads"))
    asked = parser.parse_args(arguments)
    if asked.mode == "healthy":
        healthy(asked.days, asked.seed, asked.only or ())
    else:
        planted(asked.seed, asked.only or ())


if __name__ == "__main__":
    main(sys.argv[1:])
