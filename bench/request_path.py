"""What a request pays: bare, two clock reads, ours and other libraries, in one run.

    python -m bench.request_path [--rounds 400] [--quick]

In each round every candidate gets a block of requests, in random order, because the speed of a
shared machine changes by the second; what a candidate *adds* is the median of its blocks less the
bare ones of the same round, with the middle half of the rounds beside it. The hot loop flatters
everybody: caches are warm and nothing else happens. Inside a Flask request, a block of 25 among
strangers, the same code meets cold caches. Each request is timed there for its tail too.

Ours runs with all defaults. What its thread does beside the requests (folding, flushing, writing)
is measured by that thread's own processor time, and the folding is added to what a request pays
before ours is compared. The others export nothing, so their background work is not there at all.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable
from time import clock_gettime, perf_counter, process_time, pthread_getcpuclockid, thread_time
from types import SimpleNamespace
from typing import Any

from flask import Flask

from bench import peers
from bench.comparison import note
from inapp_monitor import Monitor
from inapp_monitor.recorder import recorder as recording

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/hello",
    "QUERY_STRING": "a=1",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "localhost",
    "HTTP_USER_AGENT": "bench/1.0",
    "HTTP_ACCEPT": "*/*",
    "REMOTE_ADDR": "127.0.0.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input": None,
    "wsgi.errors": None,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
App = Callable[..., Any]
OURS = "inapp_monitor"
#: What the comparison must show inside Flask: ours at most this part of theirs.
GOALS = {"prometheus_client": 3, "OpenTelemetry metrics": 40, "sentry-sdk": 50}


def hello(environ: dict[str, Any], start_response: App) -> list[bytes]:
    """The smallest application there is."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def flask_hello() -> Any:
    """The smallest Flask application."""
    app = Flask(__name__)

    @app.route("/hello")
    def view() -> str:
        return "hello"

    return app


def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
    """What a server would give."""


def drive(app: App, requests: int, times: list[float] | None = None) -> float:
    """Seconds of `requests` requests, as a server makes them; those of each into `times`."""
    begin = before = perf_counter()
    for _ in range(requests):
        body = app(dict(ENVIRON), start_response)
        for _chunk in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()
        body = close = _chunk = None
        if times is not None:
            now = perf_counter()
            times.append(now - before)
            before = now
    return perf_counter() - begin


def candidates(app: App, monitor: Monitor) -> dict[str, App]:
    """Everybody around the same application."""
    found = {
        "bare": app,
        "two clock reads": peers.two_clocks(app),
        OURS: monitor,
        "prometheus_client": peers.prometheus(app),
        "OpenTelemetry metrics": peers.opentelemetry(app),
    }
    return {name: wrapped for name, wrapped in found.items() if wrapped is not None}


def compare(
    title: str, apps: dict[str, App], monitor: Monitor, rounds: int, block: int
) -> dict[str, list[float]]:
    """Print what each adds to the bare application. Returns the seconds of single requests."""
    names = list(apps)
    samples: dict[str, list[float]] = {name: [] for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        drive(apps[name], block * 10)  # warm up
    background = Background(monitor)
    for _ in range(rounds):
        random.shuffle(names)
        for name in names:
            samples[name].append(drive(apps[name], block, times[name]) / block * 1e6)
    bare = samples.pop("bare")
    print(f"\n{title}: bare {statistics.median(bare):.2f} us a request")
    middles = {}
    for name, blocks in samples.items():
        added = [block - base for block, base in zip(blocks, bare, strict=True)]
        low, middles[name], high = statistics.quantiles(added, n=4)
        print(f"  {name:30s} +{middles[name]:7.2f} us   ({low:.2f} .. {high:.2f})")
    ours = middles[OURS] + background.report()
    for name, goal in GOALS.items():
        if name in middles:
            ratio = middles[name] / ours
            print(f"  {OURS} : {name} = 1 : {ratio:.2f} (goal inside Flask 1 : {goal})")
            if "Flask" in title:
                what = "a request inside Flask, folding included"
                note(what, ours, "µs", peer=name, theirs=middles[name], least=goal)
    return times


class Background:
    """The processor time that the monitor's own thread takes from now on."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        (thread,) = [each for each in threading.enumerate() if each.name == "inapp-monitor"]
        assert thread.ident is not None
        self._clock = pthread_getcpuclockid(thread.ident)
        self._folded = self._folding()
        self._begin = perf_counter(), clock_gettime(self._clock)

    def _folding(self) -> tuple[float, int]:
        """Microseconds of folding so far, and of how many requests."""
        self._monitor.refresh()
        recorder = self._monitor.recorder
        return recorder.fold_us() * recorder.total_requests, recorder.total_requests

    def report(self) -> float:
        """Print it. Returns the microseconds of a request that folding takes."""
        elapsed, cpu = perf_counter() - self._begin[0], clock_gettime(self._clock) - self._begin[1]
        us, requests = self._folding()
        folding = (us - self._folded[0]) / (requests - self._folded[1])
        print(f"  {OURS}, beside the request: folding {folding:.2f} us each;", end=" ")
        print(f"its thread took {cpu / elapsed:.2%} of a processor, folding included")
        return folding


def tails(times: dict[str, list[float]]) -> None:
    """Print the tail of single requests: folding and flushing must not hold one up for long."""
    print(
        "\nSingle requests inside Flask, us: median, p99, p999; in brackets what was added to bare"
    )
    base: list[float] = []
    for name, seconds in times.items():
        cuts = statistics.quantiles(seconds, n=1000)
        picked = [cuts[499] * 1e6, cuts[989] * 1e6, cuts[998] * 1e6]
        base = base or picked
        text = " ".join(f"{v:8.1f} ({v - b:+8.1f})" for v, b in zip(picked, base, strict=True))
        print(f"  {name:30s} {text}")


def slices(rounds: int) -> None:
    """Print the longest help with counting, of requests that have nothing in common."""
    recording.MAX_WHOLE = 0  # help with whatever waits
    recorder = Monitor(hello, data_dir="unused", token="bench-token").recorder  # it never attaches
    seconds = []
    for number in range(rounds):
        for n in range(recording.HELP_COUNT):
            record: Any = SimpleNamespace(
                method=f"M{n}",
                route=f"/{number}/{n}",
                path="/",
                status="200 OK",
                start=0.0,
                end=n / 1e3,
                error=None,
                size="5",
            )
            recorder.pending.append(record)
        begin = thread_time()
        recorder.help_if_free()
        seconds.append(thread_time() - begin)
    typical, worst = statistics.median(seconds) * 1e3, max(seconds) * 1e3
    print(f"\n{recording.HELP_COUNT} requests, all that one may be asked to count:", end=" ")
    print(f"{typical:.3f} ms, longest of {rounds} {worst:.3f} ms")


def crowd(monitor: Monitor, requests: int, threads: int = 8) -> None:
    """Many threads at once: every request is counted."""
    monitor.refresh()
    before = monitor.recorder.total_requests
    workers = [
        threading.Thread(target=drive, args=(monitor, requests // threads)) for _ in range(threads)
    ]
    begin = process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = process_time() - begin
    monitor.refresh()
    counted = monitor.recorder.total_requests - before
    made = requests // threads * threads
    lost = made - counted
    print(f"\n{threads} threads, {made} requests: {lost} lost, {seconds / made * 1e6:.2f} us each")
    if lost:
        raise SystemExit("requests were lost")


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    options = parser.parse_args()
    rounds = options.rounds // (10 if options.quick else 1)
    switching = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(
        f"Python {sys.version.split()[0]}, {'with' if switching else 'without'} the GIL", flush=True
    )
    for phase in (hot_loop, inside_flask, beside_sentry):
        child = os.fork()  # a process of its own: two monitors would spoil each other's caches
        if not child:
            with tempfile.TemporaryDirectory() as directory:
                phase(directory, rounds)
                sys.stdout.flush()
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            raise SystemExit(1)


def hot_loop(directory: str, rounds: int) -> None:
    """The request path and nothing else."""
    monitor = Monitor(hello, data_dir=directory, token="bench-token")
    apps = candidates(hello, monitor)
    compare("Hot loop, plain WSGI", apps, monitor, rounds // 4, 500)
    crowd(monitor, rounds * 500)
    slices(rounds)
    monitor.close()


def beside_sentry(directory: str, rounds: int) -> None:
    """Alone, because it loads what makes ours note each request in a context variable."""
    flask = flask_hello()
    monitor = Monitor(flask.wsgi_app, data_dir=directory, token="bench-token")
    apps = {"bare": flask.wsgi_app, OURS: monitor, "sentry-sdk": peers.sentry(flask.wsgi_app)}
    found = {name: app for name, app in apps.items() if app is not None}
    tails(compare("Inside Flask, beside sentry-sdk", found, monitor, rounds, 25))
    monitor.close()


def inside_flask(directory: str, rounds: int) -> None:
    """The request path among the code of a framework."""
    flask, hooked = flask_hello(), flask_hello()
    monitor = Monitor(flask.wsgi_app, data_dir=directory, token="bench-token")
    apps = candidates(flask.wsgi_app, monitor)
    peers.prometheus_in_flask(hooked)
    apps["prometheus_client, Flask hooks"] = hooked.wsgi_app
    tails(compare("Inside a real Flask request", apps, monitor, rounds, 25))
    monitor.close()


if __name__ == "__main__":
    main()
