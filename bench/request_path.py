"""What a request pays: bare, two clock reads, ours and prometheus_client, in one run.

    python bench/request_path.py [--rounds 400] [--quick]

Small blocks of the candidates take turns inside one process, because the speed of a shared machine
changes by the second; the printed numbers are medians of CPU microseconds *added* to the bare app,
with the middle half of the blocks beside them: CPU of the whole process, so that background threads
count and other programs do not. The hot loop flatters everybody by 3 to 5 times: caches
are warm and nothing else happens. Inside a real Flask request the same code meets cold caches.
Ours runs with all defaults: folding, flushing to disk and the background thread included.
Peers that are installed besides (OpenTelemetry, sentry-sdk) take part too.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import threading
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry, Counter, Histogram

from inapp_monitor import Monitor

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


def hello(environ: dict[str, Any], start_response: App) -> list[bytes]:
    """The smallest application there is."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def flask_hello() -> App:
    """The smallest Flask application."""
    app = Flask(__name__)

    @app.route("/hello")
    def view() -> str:
        return "hello"

    return app.wsgi_app


def two_clocks(app: App) -> App:
    """The least a middleware can do that knows the duration."""

    def middleware(environ: dict[str, Any], start_response: App) -> Any:
        start = perf_counter()
        try:
            return app(environ, start_response)
        finally:
            perf_counter() - start

    return middleware


def prometheus(app: App) -> App:
    """A counter and a histogram with the same labels, in the leanest middleware."""
    labels = ["method", "route", "status"]
    registry = CollectorRegistry()
    counter = Counter("http_requests_total", "requests", labels, registry=registry)
    histogram = Histogram("http_request_seconds", "duration", labels, registry=registry)

    def middleware(environ: dict[str, Any], start_response: App) -> Any:
        status = route = ""

        def catch(line: str, headers: Any, exc_info: Any = None) -> Any:
            nonlocal status, route
            status = line[:3]
            request = environ.get("werkzeug.request")
            route = environ["PATH_INFO"] if request is None else request.url_rule.rule
            return start_response(line, headers, exc_info)

        start = perf_counter()
        body = app(environ, catch)
        values = environ["REQUEST_METHOD"], route, status
        counter.labels(*values).inc()
        histogram.labels(*values).observe(perf_counter() - start)
        return body

    return middleware


def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
    """What a server would give."""


def drive(app: App, requests: int) -> float:
    """CPU seconds of `requests` requests, as a server makes them."""
    begin = process_time()
    for _ in range(requests):
        body = app(dict(ENVIRON), start_response)
        for _chunk in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return process_time() - begin


def opentelemetry(app: App) -> App | None:
    """Its WSGI middleware with metrics, exported nowhere; None when it is not installed."""
    try:
        from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    except ImportError:
        return None
    provider = MeterProvider(metric_readers=[InMemoryMetricReader()])
    wrapped: App = OpenTelemetryMiddleware(app, meter_provider=provider)
    return wrapped


def sentry(app: App) -> App | None:
    """Its WSGI middleware without tracing, sending nowhere; None when it is not installed."""
    try:
        import sentry_sdk
        from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
    except ImportError:
        return None
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", default_integrations=False)
    wrapped: App = SentryWsgiMiddleware(app)
    return wrapped


def compare(title: str, bare: App, candidates: dict[str, App], rounds: int, block: int) -> None:
    """Print what each candidate adds to `bare`, each block beside one of the bare application."""
    names = list(candidates)
    samples: dict[str, list[float]] = {name: [] for name in names}
    bare_samples: list[float] = []
    for number in range(-rounds // 10, rounds):  # the first tenth warms up
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            base = drive(bare, block) / block * 1e6
            added = drive(candidates[name], block) / block * 1e6 - base
            if number >= 0:
                bare_samples.append(base)
                samples[name].append(added)
    print(f"\n{title}: bare {statistics.median(bare_samples):.2f} us a request")
    for name, values in samples.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"  {name:24s} +{middle:7.2f} us   ({low:.2f} .. {high:.2f})")
    ours = statistics.median(samples["inapp_monitor"])
    for name in names:
        if name not in ("inapp_monitor", "two clock reads"):
            print(f"  inapp_monitor : {name} = 1 : {statistics.median(samples[name]) / ours:.1f}")


def tails(bare: App, ours: App, requests: int) -> None:
    """Print the tail of single requests: folding and flushing must not hold one up for long."""
    times: dict[str, list[float]] = {"bare": [], "inapp_monitor": []}
    for _ in range(requests // 100):
        for name, app in (("bare", bare), ("inapp_monitor", ours)):
            for _ in range(100):
                begin = perf_counter()
                drive(app, 1)
                times[name].append((perf_counter() - begin) * 1e6)
    print("\nSingle requests, us by the wall clock: median, p99, p999, worst")
    for name, values in times.items():
        values.sort()
        picked = [values[math.ceil(q * len(values)) - 1] for q in (0.5, 0.99, 0.999, 1.0)]
        print(f"  {name:24s} " + " ".join(f"{value:9.2f}" for value in picked))


def crowd(monitor: Monitor, requests: int, threads: int = 8) -> None:
    """Many threads at once: every request is counted."""
    before = monitor.recorder.total_requests + len(monitor.recorder.pending)
    workers = [
        threading.Thread(target=drive, args=(monitor, requests // threads)) for _ in range(threads)
    ]
    begin = perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = perf_counter() - begin
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
    with tempfile.TemporaryDirectory() as directory:
        monitors = []

        def candidates(app: App) -> dict[str, App]:
            monitor = Monitor(app, data_dir=f"{directory}/{len(monitors)}", token="bench")
            monitors.append(monitor)
            found = {
                "two clock reads": two_clocks(app),
                "inapp_monitor": monitor,
                "prometheus_client": prometheus(app),
                "OpenTelemetry metrics": opentelemetry(app),
                "sentry-sdk": sentry(app),
            }
            return {name: wrapped for name, wrapped in found.items() if wrapped is not None}

        compare("Hot loop, plain WSGI", hello, candidates(hello), rounds, 500)
        flask = flask_hello()
        compare("Inside a real Flask request", flask, candidates(flask), rounds, 25)
        tails(flask, monitors[1], rounds * 50)
        crowd(monitors[0], rounds * 500)
        for monitor in monitors:
            monitor.close()


if __name__ == "__main__":
    main()
