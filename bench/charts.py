"""What a chart costs beside the same series drawn by pygal as it comes.

    python -m bench.charts [--quick]

Random walks in lines, 800 by 300 pixels, with time axis, legend and every point given. Ours is the
picture of the render API: a pygal graph too, with fast parts in place of slow ones. Processor time
in milliseconds, because machines are shared: the best of eleven for ours, of two for pygal;
`--quick` leaves out the large chart.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable
from time import process_time

import numpy as np
import pygal

from bench.comparison import note
from inapp_monitor.query.series import Series
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.registry import FORMATS

#: Series, points of each, and the most milliseconds that ours may take.
SIZES = ((1, 300, 4), (1, 1_000, 4), (5, 1_000, 12), (10, 3_000, 25))
STEP, START = 60, 1_700_000_040


def best(draw: Callable[[], bytes], times: int) -> tuple[float, bytes]:
    """Milliseconds of the fastest of some tries, and what was drawn."""
    fastest, drawn = float("inf"), b""
    for _ in range(times):
        begin = process_time()
        drawn = draw()
        fastest = min(fastest, (process_time() - begin) * 1_000)
    return fastest, drawn


def ours(walks: list[list[float]]) -> bytes:
    """Our picture."""
    end = START + STEP * len(walks[0])
    series = [
        Series(f"series {number}", START, end, STEP, walk) for number, walk in enumerate(walks)
    ]
    options = Options(start=START, end=end, picture={"title": "walks"})
    return FORMATS["svg"].write(series, options)


def plain(walks: list[list[float]]) -> bytes:
    """pygal's line chart with its defaults."""
    chart = pygal.Line(title="walks", width=800, height=300)
    for number, walk in enumerate(walks):
        chart.add(f"series {number}", walk)
    return bytes(chart.render())


def main() -> None:
    """Print a line a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    print(f"{'chart':>14} {'ours ms':>8} {'goal':>5} {'pygal ms':>9} {'times':>6} {'KB':>5} "
          f"{'KB gz':>6} {'pygal KB':>9}")  # fmt: skip
    for count, points, goal_ms in SIZES[:-1] if given.quick else SIZES:
        walks = rng.standard_normal((count, points)).cumsum(axis=1).tolist()
        fast, drawn = best(lambda walks=walks: ours(walks), 11)  # type: ignore[misc]
        slow, default = best(lambda walks=walks: plain(walks), 2)  # type: ignore[misc]
        print(
            f"{f'{count} x {points:,}':>14} {fast:8.1f} {goal_ms:5} {slow:9.0f} "
            f"{slow / fast:5.0f}x {len(drawn) / 1024:5.0f} {len(gzip.compress(drawn)) / 1024:6.0f} "
            f"{len(default) / 1024:9.0f}"
        )
        what = f"chart of {count} x {points:,} points"
        note(what, fast, "ms", peer="pygal", theirs=slow, most=goal_ms)


if __name__ == "__main__":
    main()
