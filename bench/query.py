"""Functions, parsing and JSON against graphite-web's own, on the same numbers in one run.

    python -m bench.query [--series 1000] [--points 1440] [--quick] [--alone]

1,000 series of a day in minutes, 10 % nulls. The peer runs in an environment of its own, made on
first need in `.venv-graphite`; `--alone` leaves it out. Times are the best of seven for ours, one
run for the peer, whose functions take seconds; processor time, because machines are shared.

Beside each function stands what the machine's memory allows: the share of its time that
`np.copyto` of all values takes.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from bench.comparison import note
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.grammar import parse
from inapp_monitor.query.memory_source import MemorySource
from inapp_monitor.query.request import Limits, RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.query.sources import Window
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.registry import FORMATS

ROOT = Path(__file__).parents[1]
STEP, START = 60, 1_700_000_040
#: Name shown: (function, arguments after the series, points before the window that it looks at).
FUNCTIONS: dict[str, tuple[str, list[Any], int]] = {
    "sumSeries": ("sumSeries", [], 0),
    "averageSeries": ("averageSeries", [], 0),
    "percentileOfSeries": ("percentileOfSeries", [95], 0),
    "movingAverage": ("movingAverage", [10], 10),
    "movingMedian": ("movingMedian", [10], 10),
    "summarize": ("summarize", ["10min", "sum"], 0),
    "nonNegativeDerivative": ("nonNegativeDerivative", [], 0),
    "groupByNode": ("groupByNode", [2, "sum"], 0),
    "asPercent": ("asPercent", [], 0),
    "mostDeviant": ("mostDeviant", [5], 0),
    "holtWintersConfidenceBands": ("holtWintersConfidenceBands", [3, "1d"], 1440),
    "highestMax": ("highestMax", [5], 0),
}
TARGETS = [
    "servers.web1.cpu",
    "sumSeries(servers.web*.{cpu,disk.used})",
    'alias(scale(nonNegativeDerivative(servers.web*.net.rx,maxValue=4294967295),8),"in, bit/s")',
    'aliasByNode(highestMax(movingAverage(summarize(a.b.c,"10min","sum"),5),3),1,2)|sortByName()',
    "asPercent(servers.web1.disk.used,sumSeries(servers.web*.disk.used))",
]


class Prepared(MemorySource):
    """Series that are there already: what is measured is the functions."""

    def __init__(self, count: int, points: int, most: int) -> None:
        super().__init__()
        rng = random.Random(1)
        self._points = points
        self._made = []
        for i in range(count):
            values = [
                np.nan if rng.random() < 0.1 else rng.randrange(100_000) / 100
                for _ in range(points + most)
            ]
            self._made.append((f"servers.web{i}.group{i % 50}.cpu", np.array(values)))
        self._most = most
        self._rooms = np.empty((count, points))

    def fetch(self, pattern: str, window: Window) -> list[Series]:
        """All series, from the window's start on."""
        skip = self._most - (START - window.start) // STEP
        first = START - (self._most - skip) * STEP
        end = START + self._points * STEP
        return [
            Series(name, first, end, STEP, values[skip:], path_expression=pattern,
                   tags={"name": name})
            for name, values in self._made
        ]  # fmt: skip

    def copied(self) -> None:
        """Copy the values of a window, series by series."""
        for (_, values), room in zip(self._made, self._rooms, strict=True):
            np.copyto(room, values[self._most :])


def best(call: Callable[[], object], rounds: int = 7) -> float:
    """Seconds of the fastest of some calls."""
    times = []
    for _ in range(rounds):
        begin = process_time()
        call()
        times.append(process_time() - begin)
    return min(times)


def ours(count: int, points: int) -> dict[str, float]:
    """Seconds of each function, of parsing all targets 200 times, of 100 series as JSON."""
    source = Prepared(count, points, max(extra for *_, extra in FUNCTIONS.values()))
    limits = Limits(series=10**6, points=10**9, time_s=600)
    end = START + points * STEP
    request = RenderRequest(start=START, end=end, now=end, limits=limits)
    seconds = {}
    for name, (function, arguments, extra) in FUNCTIONS.items():
        rest = "".join(f',"{a}"' if isinstance(a, str) else f",{a}" for a in arguments)
        target = f"{function}(servers.*.*.cpu{rest})"
        whole = best(lambda target=target: evaluate([target], request, source))
        # The peer's functions are given their series: what it takes to get ours does not count.
        early = replace(request, start=START - extra * STEP)
        fetching = best(lambda: evaluate(["servers.*.*.cpu"], request, source))
        if extra:
            fetching += best(lambda early=early: evaluate(["servers.*.*.cpu"], early, source))
        seconds[name] = whole - fetching
    seconds["copyto"] = best(source.copied)
    seconds["parse"] = best(lambda: [parse(target) for target in TARGETS * 200])
    answer = evaluate(["servers.*.*.cpu"], request, source)[:100]
    seconds["json"] = best(lambda: FORMATS["json"].write(answer, Options()))
    return seconds


def peers(count: int, points: int, environment: Path) -> dict[str, float]:
    """The same of graphite-web, in its own environment."""
    script = ROOT / "tests/compat/graphite/venv.sh"
    subprocess.run(["sh", str(script), str(environment), sys.executable], check=True)
    request = {
        "root": str(environment / "graphite-web-1.1.10"),
        "series": count,
        "points": points,
        "step": STEP,
        "start": START,
        "functions": FUNCTIONS,
        "targets": TARGETS * 200,
    }
    done = subprocess.run(
        [str(environment / "bin/python"), str(ROOT / "bench/graphite_functions.py")],
        input=json.dumps(request), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    seconds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--points", type=int, default=1440)
    parser.add_argument("--quick", action="store_true", help="100 series")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument("--environment", type=Path, default=ROOT / ".venv-graphite")
    options = parser.parse_args()
    count = 100 if options.quick else options.series
    mine = ours(count, options.points)
    theirs = {} if options.alone else peers(count, options.points, options.environment)
    print(f"{count} series x {options.points} points, milliseconds")
    print(f"{'':28}{'ours':>10}{'graphite-web':>14}{'ratio':>8}")
    copying = mine.pop("copyto")
    print(f"{'np.copyto of all values':28}{copying * 1000:10.2f}")
    for name, seconds in mine.items():
        peer = theirs.get(name)
        share = f"np.copyto: {copying / seconds:.0%}" if name in FUNCTIONS else ""
        shown = f"{peer * 1000:14.1f}{peer / seconds:8.0f}" if peer else ""
        print(f"{name:28}{seconds * 1000:10.2f}{shown or ' ' * 22}  {share}")
        if peer:
            what = {"json": "100 series as JSON", "parse": "parsing 1,000 targets"}.get(name, name)
            least = {"json": 15, "parse": None}.get(name, 20)
            ms = peer * 1000
            note(
                *(what, seconds * 1000, "ms"),
                peer="graphite-web", theirs=ms, least=least, limit=share,
            )  # fmt: skip


if __name__ == "__main__":
    main()
