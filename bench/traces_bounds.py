"""Whether memory and disk stay flat: different statements, spans of one request, routes.

    python -m bench.traces_bounds [--statements 1000000] [--spans 100000] [--routes 10000]

Requests note statements that are all different, each on a route of its own until there are so many,
then one request has all the spans. Prints memory and disk while it goes on, and what was counted;
fails when the second half needs more than a tenth, and 16 MB, more than the first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.request_path import ENVIRON, start_response
from inapp_monitor import Monitor
from inapp_monitor.traces.spans import DATABASE, note

#: Statements of a request, and requests between two folds.
A_REQUEST, A_FOLD = 200, 20
MEGABYTE = 2**20


def memory() -> float:
    """Resident megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MEGABYTE


def disk(folder: Path) -> float:
    """Megabytes of all files."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / MEGABYTE


def name_of(number: int) -> str:
    """Letters for a number: digits would not make another statement."""
    letters = ""
    while number:
        number, rest = divmod(number, 26)
        letters += chr(97 + rest)
    return letters or "a"


class Load:
    """An application that notes what it is told to."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, _environ: Any, start: Any) -> list[bytes]:
        for text in self.texts:
            note(DATABASE, time.perf_counter(), text, "sqlite a.db", None, 1)
        start("200 OK", [])
        return [b"x"]


def visit(monitor: Monitor, path: str) -> None:
    """One request, closed as servers do."""
    body: Any = monitor({**ENVIRON, "PATH_INFO": path}, start_response)
    for _ in body:
        pass
    getattr(body, "close", lambda: None)()


def main() -> None:
    """Do it all, and say whether it stayed flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--statements", type=int, default=1_000_000)
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--routes", type=int, default=10_000)
    given = parser.parse_args()
    folder, load = Path(tempfile.mkdtemp()), Load()
    monitor = Monitor(
        load, data_dir=folder, token="t" * 20, route=lambda environ: environ["PATH_INFO"]
    )
    tracing = monitor.life.services.tracing
    requests = given.statements // A_REQUEST
    sizes = []
    counted = 0
    for number in range(requests):
        first = number * A_REQUEST
        load.texts = [f"select {name_of(n)} from t" for n in range(first, first + A_REQUEST)]
        visit(monitor, f"/{name_of(number % given.routes)}")
        counted += A_REQUEST
        if number % A_FOLD == A_FOLD - 1:
            monitor.refresh()
        if number % max(requests // 10, 1) == 0:
            sizes.append((memory(), disk(folder)))
            print(
                "{:9} statements  {:7.1f} MB memory  {:7.1f} MB disk".format(counted, *sizes[-1]),
                flush=True,
            )
    load.texts = ["select many from t where id = ?"] * given.spans
    visit(monitor, "/many")
    monitor.refresh()
    monitor.refresh()
    sizes.append((memory(), disk(folder)))
    print("{:9} spans       {:7.1f} MB memory  {:7.1f} MB disk".format(given.spans, *sizes[-1]))
    shown = tracing.statements.shown()
    total = sum(each.count for each in shown)
    drops = tracing.pending.dropped.get("spans", 0)
    print(f"{len(shown)} shapes with {total} of the calls, the rest given up for costlier ones")
    print(f"{drops} spans dropped and counted")
    monitor.close()
    half = sizes[len(sizes) // 2]
    is_flat = all(now <= 1.1 * then + 16 for now, then in zip(sizes[-1], half, strict=True))
    print("flat" if is_flat else "not flat")
    sys.exit(not is_flat)


if __name__ == "__main__":
    main()
