"""What leaving costs: a scrape beside prometheus_client's, and the whole past for each engine.

    python -m bench.export [--series 1000] [--timers 50] [--days 365] [--data DIR] [--quick]

Scrape: 2,000 samples (1,100 series and 50 timers of ours, in a worker that records; as many of
prometheus_client in the same run), processor time, the median of warm ones; the goal is 15 ms.
Past: what the command line does, in a process of its own that is of low priority, for a file of
OpenMetrics, VictoriaMetrics' lines, remote write, Carbon's (to sockets that only read), and SQLite;
the goals are 5 minutes and 150 MB. Writing a year of 1,000 series takes several minutes; `--data`
keeps it and uses what it finds there.
"""

from __future__ import annotations

import argparse
import http.server
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inapp_monitor.export.running_totals import RunningTotals
from inapp_monitor.export.scrape import Scrape
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

_COMMAND = ["nice", "-n", "15", sys.executable, "-m", "inapp_monitor", "export"]
_HISTOGRAMS = [
    Histogram.of([random.Random(n).lognormvariate(3, 1) for _ in range(50)]) for n in range(20)
]
#: Of a past that is made: a flush costs more than its points.
_MOMENTS_A_FLUSH = 10


def fill(data_dir: Path, series: int, timers: int, days: float) -> None:
    """A store that has been written for so long, in steps as wide as its archives keep them."""
    settings = config.load({"data_dir": data_dir, "disk_budget": "4GB"}, None, {}).settings
    end = SYSTEM.wall()
    clock = FakeClock(end - days * 86_400)
    store = Store(data_dir, settings, clock, Guard())
    waiting = 0
    while clock.now < end:
        age = end - clock.now
        store.add(_moment(int(clock.now), series, timers))
        waiting += 1
        clock.advance(
            7_200 if age > 30 * 86_400 else 600 if age > 3 * 86_400 else 60 if age > 21_600 else 10
        )
        if waiting == _MOMENTS_A_FLUSH:
            store.flush()
            waiting = 0
    store.flush()
    store.close()


def _moment(moment: int, series: int, timers: int) -> Batch:
    """A point of each series."""
    scalars = [
        Scalar(
            f"app.group{i % 10}.s{i}", moment, float(moment // 60 % 97 + i),
            Method.SUM if i % 2 else Method.AVERAGE,
        )
        for i in range(series)
    ]  # fmt: skip
    histograms = [
        Distribution(f"app.t{i}", moment, _HISTOGRAMS[(i + moment // 600) % 20])
        for i in range(timers)
    ]
    return Batch(scalars, histograms)


def median_ms(work: Callable[[], object], times: int = 15) -> float:
    """Processor time of warm runs: the machine may have other work."""
    work()
    taken = []
    for _ in range(times):
        begin = time.thread_time()
        work()
        taken.append((time.thread_time() - begin) * 1_000)
    return statistics.median(taken)


def bench_scrape() -> None:
    """Ours and prometheus_client's, alternating as the machine's noise does."""
    from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
    from prometheus_client import Histogram as PeerHistogram

    with tempfile.TemporaryDirectory() as directory:
        fill(Path(directory), 1_100, 50, 0.01)
        settings = config.load({"data_dir": directory}, None, {}).settings
        store = Store(Path(directory), settings, SYSTEM, Guard())
        store.add(_moment(int(SYSTEM.wall()), 1_100, 50))
        store.flush()
        scrape = Scrape(RunningTotals(store, Path(directory), time.perf_counter), store)
        registry = CollectorRegistry()
        for number in range(550):
            Counter(f"s{number}", "x", registry=registry).inc()
            Gauge(f"g{number}", "x", registry=registry).set(3.3)
        for number in range(50):
            PeerHistogram(f"t{number}", "x", registry=registry).observe(0.1)

        def ours() -> str:
            return scrape.document(int(time.time()), float("inf"), {}, [], openmetrics=False)

        for _ in range(3):
            mine, peer = median_ms(ours), median_ms(lambda: generate_latest(registry))
            print(f"scrape of {_samples(ours())} samples: {mine:.1f} ms, "
                  f"prometheus_client {peer:.1f} ms")  # fmt: skip


def _samples(text: str) -> int:
    return sum(not line.startswith("#") for line in text.splitlines())


@contextmanager
def sink() -> Iterator[int]:
    """A socket that reads everything."""
    listener = socket.create_server(("127.0.0.1", 0))

    def read(connection: socket.socket) -> None:
        with connection:
            while connection.recv(2**20):
                pass

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=read, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


@contextmanager
def http_sink() -> Iterator[int]:
    """A server that takes every post."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def bench_past(data_dir: Path, directory: Path) -> None:
    """Every engine once."""
    with sink() as port, http_sink() as http_port:
        for name, arguments in (
            ("openmetrics", ["--openmetrics", str(directory / "past.om")]),
            ("victoriametrics", ["--victoriametrics", f"http://127.0.0.1:{http_port}"]),
            ("remote write", ["--remote-write", f"http://127.0.0.1:{http_port}/api/v1/write"]),
            ("carbon, plaintext", ["--carbon", f"127.0.0.1:{port}"]),
            ("carbon, pickle", ["--carbon", f"carbon://127.0.0.1:{port}?protocol=pickle"]),
            ("sqlite", ["--sqlite", str(directory / "past.db")]),
        ):
            begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(
                [*_COMMAND, *arguments, "--data-dir", str(data_dir)],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds = time.perf_counter() - begin
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            processor_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
            print(f"{name:>18}: {seconds:4.0f} s, {processor_s:4.0f} s of processor time, "
                  f"{used.ru_maxrss / 1024:.0f} MB at most so far; {done.stdout.strip()}",
                  flush=True)  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1_000)
    parser.add_argument("--timers", type=int, default=50)
    parser.add_argument("--days", type=float, default=365.0)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--quick", action="store_true", help="100 series of a month")
    given = parser.parse_args()
    if given.quick:
        given.series, given.timers, given.days = 100, 5, 30.0
    bench_scrape()
    with tempfile.TemporaryDirectory() as directory:
        data_dir = given.data or Path(directory) / "data"
        if not data_dir.exists():
            fill(data_dir, given.series, given.timers, given.days)
        bench_past(data_dir, Path(directory))


if __name__ == "__main__":
    main()
