"""What a request pays: bare, two clock reads, ours and prometheus_client, in one run.

    python bench/request_path.py [--rounds 15]

Blocks of the candidates take turns inside one process, because the speed of a shared machine
changes by the second; the printed numbers are medians of microseconds *added* to the bare app, with
the middle half of the blocks beside them. The hot loop flatters everybody by 3 to 5 times: caches
are warm and nothing else happens. Inside a real Flask request the same code meets cold caches.
Ours runs with all defaults: folding, flushing to disk and the background thread included.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
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
    """Seconds of `requests` requests, as a server makes them."""
    begin = perf_counter()
    for _ in range(requests):
        body = app(dict(ENVIRON), start_response)
        for _chunk in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return perf_counter() - begin


def compare(title: str, bare: App, candidates: dict[str, App], rounds: int, block: int) -> None:
    """Print what each candidate adds to `bare`."""
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    bare_samples = []
    for _ in range(rounds):
        base = drive(bare, block) / block * 1e6
        bare_samples.append(base)
        for name, app in candidates.items():
            samples[name].append(drive(app, block) / block * 1e6 - base)
    print(f"\n{title}: bare {statistics.median(bare_samples):.2f} us a request")
    for name, values in samples.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"  {name:24s} +{middle:7.2f} us   ({low:.2f} .. {high:.2f})")
    ours, peer = (statistics.median(samples[name]) for name in ("inapp_monitor", "prometheus"))
    print(f"  inapp_monitor : prometheus_client = 1 : {peer / ours:.1f}")


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as directory:
        monitors = []

        def candidates(app: App) -> dict[str, App]:
            monitor = Monitor(app, data_dir=f"{directory}/{len(monitors)}")
            monitors.append(monitor)
            return {
                "two clock reads": two_clocks(app),
                "inapp_monitor": monitor,
                "prometheus": prometheus(app),
            }

        begin = process_time()
        compare("Hot loop, plain WSGI", hello, candidates(hello), rounds, 20_000)
        flask = flask_hello()
        compare("Inside a real Flask request", flask, candidates(flask), rounds, 1_000)
        print(f"\nprocess CPU in all: {process_time() - begin:.1f} s")
        for monitor in monitors:
            monitor.close()


if __name__ == "__main__":
    main()
