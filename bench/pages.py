"""What a page costs: server time and size of each, with a month of data of fifty routes.

    python bench/pages.py [--days 30] [--routes 50]

The first visit loads templates, charts and queries and merges every route's distributions; the warm
figure is the median of the next ones. Writing the data takes about a minute.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import tempfile
import time
from pathlib import Path

from werkzeug.test import Client

from inapp_monitor import config
from inapp_monitor.clock import SYSTEM, Clock
from inapp_monitor.database import Database
from inapp_monitor.guard import Guard
from inapp_monitor.histogram import Histogram
from inapp_monitor.issues import NotFoundTable, Tracker
from inapp_monitor.points import Batch, Distribution, Method, Scalar
from inapp_monitor.query import StoreSource
from inapp_monitor.store import Store
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend

TOKEN = "bench-token-0123456789"
PAGES = [
    "/?from=-1h",
    "/?from=-1d",
    "/?from=-7d&compare=week",
    "/?from=-30d",
    "/overview.json?from=-1h",
    "/routes?from=-30d",
    "/routes/r3?from=-30d",
    "/errors",
    "/not-found",
    "/explore?target=routes.*.*.time.p95&from=-1d",
    "/status",
]
CLASSES = ("2xx", "3xx", "4xx", "5xx")


def fill(data_dir: Path, days: float, routes: int) -> None:
    """Write a month: ten-minute steps, finer towards the end."""
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
        now[0] += 600 if left > 86_400 else 60 if left > 3_600 else 10
    store.close()


def dashboard(data_dir: Path) -> Client:
    """The dashboard over a directory, and somebody who may look at it."""
    loaded = config.load({"data_dir": data_dir, "token": TOKEN}, environ={})
    guard = Guard()
    parts = (data_dir, loaded.settings, SYSTEM, guard)
    store, database = Store(*parts, read_only=True), Database(*parts)
    backend = Backend(
        loaded=loaded,
        clock=SYSTEM,
        guard=guard,
        source=StoreSource(store),
        store=store,
        tracker=Tracker(loaded.settings, SYSTEM, guard, database),
        not_found=NotFoundTable(loaded.settings, SYSTEM, guard, database),
        database=database,
    )
    return Client(WebApp(backend))


def main() -> None:
    """Print a line a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--routes", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        fill(data_dir, given.days, given.routes)
        client = dashboard(data_dir)
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
        print(f"{'page':48} {'first ms':>9} {'warm ms':>8} {'KB':>6}")
        for page in PAGES:
            times = []
            for _ in range(6):
                begin = time.perf_counter()
                answer = client.get(page, headers=headers)
                times.append((time.perf_counter() - begin) * 1_000)
                assert answer.status_code == 200, (page, answer.status_code)
            warm = statistics.median(times[1:])
            print(f"{page:48} {times[0]:9.0f} {warm:8.0f} {len(answer.data) / 1024:6.0f}")
        assets = {"monitor.css", "monitor.js", "theme.js"}
        size = sum(len(client.get(f"/static/{name}").data) for name in assets)
        print(f"stylesheet and scripts: {size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
