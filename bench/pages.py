"""What a page costs: processor time and size of each, with a year of data of fifty routes.

    python -m bench.pages [--days 365] [--routes 50] [--data DIR] [--quick]

Each page is asked for by a process of its own: `first` is the first visit after its start, with
all imports of the dashboard, its templates and nothing read before; `warm` is the median of the
next ones. Modules are compiled beforehand, as pip does when it installs a package. The goals are
1,500 ms, 150 ms and 200 KB with stylesheet and scripts. Writing the data takes some minutes;
`--data` keeps it in a directory and uses what it finds there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.comparison import note
from inapp_monitor.database.file import Database
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import (
    Batch,
    Distribution,
    Method,
    Scalar,
)
from inapp_monitor.issues.not_found import NotFoundTable
from inapp_monitor.issues.triage import Triage
from inapp_monitor.store.series import Store

TOKEN = "bench-token-0123456789"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
PAGES = [
    "/?from=-15min",
    "/?from=-1h",
    "/?from=-6h",
    "/?from=-1d",
    "/?from=-7d",
    "/?from=-7d&compare=week",
    "/?from=-30d",
    "/?from=-30d&compare=week",
    "/?from=-1y",
    "/overview.json?from=-1h",
    "/routes?from=-1h",
    "/routes?from=-7d&compare=week",
    "/routes?from=-30d",
    "/routes?from=-1y",
    "/routes/r3?from=-7d&compare=week",
    "/routes/r3?from=-30d",
    "/errors",
    "/not-found",
    "/explore",
    "/explore?target=requests.time.p95&from=-30d",
    "/explore?target=routes.*.*.time.p95&from=-1d",
    "/explore?target=routes.*.*.time.p95&from=-7d",
    "/explore?target=routes.*.*.time.p95&from=-30d",
    "/explore?target=routes.*.*.time.p95&from=-1y",
    "/dashboards",
    "/runtime",
    "/status",
    "/search?q=r3",
    "/render?format=svg&target=requests.time.p95&from=-7d",
    "/render?format=svg&target=requests.time.p95&from=-7d&until=-1d",
]
#: The most milliseconds of the first visit to the pages that read most, and of the next ones.
FIRST_MS = {
    "/?from=-7d": 600,
    "/?from=-30d": 600,
    "/?from=-1y": 1_300,
    "/routes?from=-1y": 1_300,
    "/explore?target=routes.*.*.time.p95&from=-1y": 1_000,
}
WARM_MS = 120
ASSETS = ("monitor.css", "monitor.js", "theme.js")
#: Asked for so often after the first time.
WARM = 5
#: When the data ends: kept beside it, so that it can be used again later.
END = "end"
CLASSES = ("2xx", "3xx", "4xx", "5xx")


def fill(data_dir: Path, days: float, routes: int) -> None:
    """Write a year: steps of two hours, of ten minutes in the last month, finer towards the end."""
    random.seed(1)
    end = int(time.time())
    now = [end - int(days * 86_400)]
    clock = Clock(wall=lambda: float(now[0]))
    loaded = config.load({"data_dir": data_dir, "sync_interval_s": 3_600}, environ={})
    store = Store(data_dir, loaded.settings, clock, Guard())
    shapes = [
        Histogram.of([median * math.exp(random.gauss(0, 0.5)) for _ in range(60)])
        for median in (5, 20, 60, 200)
    ]
    while now[0] < end:
        at = now[0]
        scalars = [Scalar(f"requests.status.{name}", at, 100.0, Method.SUM) for name in CLASSES]
        scalars += [Scalar("requests.errors", at, 2.0, Method.SUM)]
        scalars += [Scalar("requests.not_found", at, 2.0, Method.SUM)]
        distributions = [Distribution("requests.time", at, shapes[1])]
        for number in range(routes):
            path = f"routes.r{number}.GET"
            shape = shapes[(number + at // 600) % len(shapes)]
            distributions.append(Distribution(f"{path}.time", at, shape))
            scalars.append(Scalar(f"{path}.errors", at, 1.0, Method.SUM))
        store.add(Batch(scalars, distributions))
        store.flush()
        left = end - at
        step = 7_200 if left > 30 * 86_400 else 600 if left > 86_400 else 60 if left > 3_600 else 10
        now[0] += step
    store.close()
    (data_dir.parent / END).write_text(str(end))


def visit(data_dir: Path, page: str) -> dict[str, Any]:
    """One page as this process, which has loaded nothing of the dashboard yet, answers it."""
    begin = time.process_time()
    client = dashboard(data_dir)
    loaded = time.process_time()
    answer = client.get(page, headers=HEADERS)
    first = time.process_time()
    assert answer.status_code == 200, (page, answer.status_code)
    if b" s of work" in answer.data:
        raise SystemExit(f"{page}: the machine is too busy, what it should draw was refused")
    warm = []
    for _ in range(WARM):
        started = time.process_time()
        client.get(page, headers=HEADERS)
        warm.append((time.process_time() - started) * 1_000)
    assets = sum(len(client.get(f"/static/{name}").data) for name in ASSETS)
    return {
        "load": (loaded - begin) * 1_000,
        "first": (first - begin) * 1_000,
        "warm": statistics.median(warm),
        "size": len(answer.data),
        "assets": assets,
    }


def dashboard(data_dir: Path) -> Any:
    """The dashboard over a directory, and somebody who may look at it."""
    from inapp_monitor.query.sources import StoreSource
    from inapp_monitor.web.app import WebApp
    from inapp_monitor.web.backend import Backend

    ended = float((data_dir.parent / END).read_text())
    offset = time.time() - ended
    clock = Clock(wall=lambda: time.time() - offset)
    loaded = config.load({"data_dir": data_dir, "token": TOKEN}, environ={})
    guard = Guard()
    parts = (data_dir, loaded.settings, clock, guard)
    store, database = Store(*parts, read_only=True), Database(*parts)
    app = WebApp(
        Backend(
            loaded=loaded,
            clock=clock,
            guard=guard,
            source=StoreSource(store),
            store=store,
            triage=Triage(database, clock),
            not_found=NotFoundTable(loaded.settings, guard, database),
            database=database,
        )
    )
    from werkzeug.test import Client  # the bench's own

    return Client(app)


class Asking:
    """Asks for a page in a fresh process."""

    def __init__(self, data_dir: Path) -> None:
        self._command = [sys.executable, "-m", "bench.pages", "--data", str(data_dir.parent)]
        self._environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(data_dir.parent / "compiled")}
        self._environ.pop("PYTHONDONTWRITEBYTECODE", None)

    def __call__(self, page: str) -> dict[str, Any]:
        command = [*self._command, "--page", page]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=self._environ
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def measure(data_dir: Path) -> None:
    """Print a line a page, each asked for by a fresh process."""
    print(f"{'page':62} {'load ms':>8} {'first ms':>9} {'warm ms':>8} {'KB':>6}")
    worst = {"first": 0.0, "warm": 0.0, "size": 0.0}
    ask = Asking(data_dir)
    ask(PAGES[0])  # compiles
    for page in PAGES:
        found = ask(page)
        worst = {name: max(worst[name], found[name]) for name in worst}
        print(
            f"{page:62} {found['load']:8.0f} {found['first']:9.0f} {found['warm']:8.1f} "
            f"{found['size'] / 1024:6.0f}",
            flush=True,
        )
        most = FIRST_MS.get(page)
        if most is not None:
            note(f"{page}, first in a process", found["first"], "ms", most=most)
            note(f"{page}, again", found["warm"], "ms", most=WARM_MS)
    print(
        f"{'worst':62} {'':8} {worst['first']:9.0f} {worst['warm']:8.1f} "
        f"{worst['size'] / 1024:6.0f}"
    )
    print(f"stylesheet and scripts: {found['assets'] / 1024:.0f} KB")


def main() -> None:
    """Make the data where it is missing, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=365)
    parser.add_argument("--routes", type=int, default=50)
    parser.add_argument("--data", type=Path, help="keep the data here")
    parser.add_argument("--quick", action="store_true", help="two days of ten routes")
    parser.add_argument("--page", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.page:
        print(json.dumps(visit(given.data / "data", given.page)))
        return
    days, routes = (2.0, 10) if given.quick else (given.days, given.routes)
    with tempfile.TemporaryDirectory() as folder:
        place: Path = given.data or Path(folder)
        if not (place / END).exists():
            place.mkdir(parents=True, exist_ok=True)
            fill(place / "data", days, routes)
        measure(place / "data")


if __name__ == "__main__":
    main()
