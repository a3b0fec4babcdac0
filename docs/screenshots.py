"""The pictures of README and docs: every page of a shop with a week of data, in Chromium.

    python docs/screenshots.py [NAME...] [--out docs/images] [--keep DATA_DIR]

A monitored demo shop runs here under a clock that stands at a Monday afternoon, over a past that
`demo_app.history` has written; its last twenty minutes go wrong. Needs Chromium, `playwright` and
`pillow` (the extra `docs`). Look at every picture before committing it: that is what it is for.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flask import request
from PIL import Image
from playwright.sync_api import sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client

sys.path.insert(0, str(Path(__file__).parents[1]))

from demo_app import history
from demo_app.shop import create_app
from inapp_monitor import Monitor
from inapp_monitor.ground.clock import Clock

#: A Monday, 15:20 UTC.
NOW = 1_795_447_200
#: For most pictures the clock stands so long after: charts leave out a column that has just begun.
STANDS_S = 4.4
PORT = 8642
SITE = f"127.0.0.1:{PORT}"
TOKEN = "screenshots-token-0123456789"
DASHBOARD = {
    "title": "Checkout",
    "panels": [
        {"title": "Orders a second", "targets": ["alias(routes.checkout.POST.time.rate,'POST')"]},
        {
            "title": "How long paying takes",
            "targets": [f"aliasByNode(routes.checkout.POST.time.{p},4)" for p in ("p50", "p95")],
        },
        {
            "title": "Failed",
            "shape": "bar",
            "targets": ["alias(routes.checkout.POST.errors,'5xx')"],
        },
        {
            "title": "The four busiest routes",
            "shape": "stacked",
            "targets": ["aliasByNode(highestAverage(routes.*.GET.status.2xx,4),1)"],
        },
    ],
}


class Picture(NamedTuple):
    """One screenshot: a page, and how it is looked at."""

    path: str
    width: int = 1440
    height: int = 900
    scheme: str = "light"
    full: bool = False


PICTURES = {
    "overview": Picture("/"),
    "overview-week": Picture("/?from=-7d"),
    "overview-dark": Picture("/", scheme="dark"),
    "overview-phone": Picture("/", 360, 1500),
    "overview-print": Picture("/", full=True),
    "routes": Picture("/routes?from=-1d&compare=week"),
    "route": Picture("/routes/search"),
    "errors": Picture("/errors"),
    "issue": Picture("/errors/{issue}", height=1400),
    "not-found": Picture("/not-found"),
    "explore": Picture(
        "/explore?target=alias(requests.time.p95,'p95')&path=requests"
        "&target=alias(timeShift(requests.time.p95,'1d'),'a+day+earlier')&from=-1d"
    ),
    "dashboards": Picture("/dashboards"),
    "dashboard": Picture("/dashboards/checkout?from=-1d"),
    "runtime": Picture("/runtime?from=-6h", height=1300),
    "status": Picture("/status"),
    "search": Picture("/search?q=check"),
    "login": Picture("/login", 1440, 620),
}
#: Looked at, but not committed.
NOT_KEPT = {"overview-print", "search", "dashboards"}
MOST_BYTES = 150_000


class Shop:
    """The demo shop with its past, on a port of this machine."""

    def __init__(self, data_dir: Path, *, empty: bool = False, port: int = PORT) -> None:
        self.site = f"http://{SITE}"
        if not empty and not (data_dir / "routes").exists():
            history.write(data_dir, days=9, end=NOW, fault=True, site=SITE)
        app = create_app(data_dir.parent / "shop.db")
        self._let_go = threading.Event()

        @app.before_request
        def hold() -> None:
            if "hold" in request.args:
                self._let_go.wait(3_600)

        began = time.time()
        self.back_s = 0
        self.stands = True
        clock = Clock(
            wall=lambda: NOW - self.back_s + (STANDS_S if self.stands else time.time() - began)
        )
        self.monitor = Monitor(
            app.wsgi_app,
            data_dir=data_dir,
            token=TOKEN,
            dev_access=True,
            app_name="Kettle & Leaf",
            release="2.5.0",
            clock=clock,
            collect_host=empty,
            collect_interval_s=1,
        )
        app.wsgi_app = self.monitor  # type: ignore[method-assign]
        self._server = make_server(
            "127.0.0.1", port, app, threaded=True, request_handler=QuietHandler
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def visit(self) -> None:
        """Many requests long ago, some now."""
        self.back_s = 8 * 86_400
        client = Client(self.monitor)
        for _ in range(2_000):
            client.get("/static/leaf.svg").close()
        self.monitor.refresh()
        self.back_s = 40
        for path in ("/", "/products/7", "/reports/sales", "/teas", "/cart"):
            try:
                urllib.request.urlopen(self.site + path, timeout=20).close()
            except urllib.error.HTTPError as error:
                error.close()
        self.monitor.refresh()
        self.back_s = 0
        time.sleep(8)
        self.monitor.refresh()

    def hold(self, path: str) -> None:
        """A request that is under way until the end."""
        visit = Client(self.monitor).get
        threading.Thread(target=visit, args=(path,), daemon=True).start()

    def start_worker(self, data_dir: Path) -> subprocess.Popen[bytes]:
        """Another process that serves the same shop."""
        command = [
            sys.executable,
            __file__,
            "--keep",
            str(data_dir),
            "--worker",
        ]
        return subprocess.Popen(command, stdin=subprocess.PIPE)

    def close(self) -> None:
        """Let everybody go, and stop."""
        self._let_go.set()
        self._server.shutdown()
        self.monitor.close()


class QuietHandler(WSGIRequestHandler):
    """Logs nothing."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


def take(browser: Any, shop: Shop, picture: Picture, path: str) -> bytes:
    """One picture as Chromium makes it."""
    page = browser.new_page(
        viewport={"width": picture.width, "height": picture.height}, color_scheme=picture.scheme
    )
    page.goto(f"{shop.site}/_metrics{path}")
    page.wait_for_load_state()
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > picture.width:
        print(f"{path}: {wide} px wide on a screen of {picture.width}", file=sys.stderr)
    png: bytes = page.screenshot(full_page=picture.full)
    page.close()
    return png


def smaller(png: bytes) -> bytes:
    """The picture as it is, or with 256 of its colours when that is too large."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    pixels = np.asarray(image).reshape(-1, 3)
    colours, places, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    chosen = choose(colours.astype(float), counts)
    distances = ((colours[:, None, :].astype(float) - colours[chosen][None]) ** 2).sum(axis=2)
    indices = distances.argmin(axis=1)[places.reshape(-1)].astype(np.uint8)
    few = Image.frombytes("P", image.size, indices.tobytes())
    few.putpalette(colours[chosen].astype(np.uint8).tobytes())
    for each in (image, few):
        out = io.BytesIO()
        each.save(out, "PNG", optimize=True)
        if out.tell() <= MOST_BYTES:
            break
    return out.getvalue()


def choose(colours: np.ndarray, counts: np.ndarray) -> list[int]:
    """Which colours to keep: those that cover much and those that are far from all others."""
    chosen = [int(counts.argmax())]
    nearest = ((colours - colours[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(256, len(colours)):
        chosen.append(int((nearest * np.sqrt(counts)).argmax()))
        nearest = np.minimum(nearest, ((colours - colours[chosen[-1]]) ** 2).sum(axis=1))
    return chosen


def be_busy() -> None:
    """Take a fifth of a core."""
    while True:
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            sum(range(1_000))
        time.sleep(0.08)


def be_worker(data_dir: Path) -> None:
    """Another worker process of the same shop, until its input ends."""
    shop = Shop(data_dir, port=0)
    visit = Client(shop.monitor).get
    shop.back_s = 40
    for path in ("/", "/teas", f"/products/{os.getpid() % 20 + 1}"):
        visit(path).close()
    shop.monitor.refresh()
    shop.back_s = 0
    sys.stdin.readline()
    shop.hold("/search?q=oolong&hold=1")
    threading.Thread(target=be_busy, daemon=True).start()
    sys.stdin.read()
    shop.close()


def main() -> int:
    """Take the pictures; 1 when one of them is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--keep", type=Path, help="use, or make, the past in this directory")
    parser.add_argument("--empty", action="store_true", help="a shop that nobody has visited")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        be_worker(given.keep)
        return 0
    wanted = given.names or [name for name in PICTURES if name not in NOT_KEPT]
    given.out.mkdir(parents=True, exist_ok=True)
    too_large = False
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as engine:
        data_dir = given.keep or Path(folder) / "data"
        shop = Shop(data_dir, empty=given.empty)
        issue = "none"
        workers = []
        if not given.empty:
            workers = [shop.start_worker(data_dir) for _ in range(3)]
            shop.visit()
            found = shop.monitor.tracker.list_issues()
            issue = next(each.id for each in found if each.type == "PaymentProviderError")
            post_dashboard(shop)
        browser = engine.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for name in sorted(wanted, key=lambda name: name == "runtime"):
            shop.stands = name != "runtime"
            if name == "runtime" and workers:
                hold_everywhere(shop, workers)
            path = PICTURES[name].path.replace("{issue}", issue)
            png = smaller(take(browser, shop, PICTURES[name], path))
            (given.out / f"{name}.png").write_bytes(png)
            print(f"{name}.png: {len(png) // 1000} kB")
            too_large |= len(png) > MOST_BYTES
        browser.close()
        for worker in workers:
            worker.communicate()
        shop.close()
    return int(too_large)


def hold_everywhere(shop: Shop, workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Requests that are under way in all workers until the end."""
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"\n")
        worker.stdin.flush()
    shop.hold("/reports/sales.csv?hold=1")
    time.sleep(8)
    shop.monitor.refresh()


def post_dashboard(shop: Shop) -> None:
    """Import the dashboard as a program does."""
    asked = urllib.request.Request(
        f"{shop.site}/_metrics/dashboards/checkout",
        json.dumps(DASHBOARD).encode(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        method="POST",
    )
    urllib.request.urlopen(asked, timeout=20).close()


if __name__ == "__main__":
    sys.exit(main())
