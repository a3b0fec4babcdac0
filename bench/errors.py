"""What errors cost: ours, sentry-sdk 2.x and `traceback.format_exc`, in one run.

    pip install "sentry-sdk>=2,<3"
    python -m bench.errors [--rounds 15]

The app fails 12 frames deep with about six local variables a frame, some of them large. The
candidates take turns inside one process, because the speed of a shared machine changes by the
second: each has a turn of the bare app right before it, the turns are short and many, and what
counts is the processor time of the thread that answers. The printed numbers are medians of
microseconds *added* to the bare app, with the middle half beside them. sentry-sdk runs with its
defaults and a transport that drops everything, ours with its defaults: writing to disk happens in
the background thread.

    good     a request that succeeds
    first    a failing request whose exception was never seen before: the event is built
    again    a failing request of a known fingerprint, whose token bucket is empty: it is counted
    storm    as `again`, 100,000 from 8 threads: wall time of all by their number
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from itertools import cycle
from time import perf_counter, thread_time
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.transport import Transport

from bench.comparison import note
from inapp_monitor import Monitor

App = Callable[..., Any]
DEPTH = 12
FRESH = 3_000  # distinct failing functions, so that a first time can be measured often
GOALS = (
    ("good request, sentry / ours", 50),
    ("first failing request, µs", 2_000),
    ("first failing request, sentry / ours", 3),
    ("known failing request, µs", 30),
    ("storm, µs each", 30),
)


class Nowhere(Transport):
    """A transport that drops everything, after sentry-sdk has done all of its work."""

    def capture_envelope(self, envelope: Any) -> None:
        """Drop."""


def failing(number: int) -> Callable[[], None]:
    """A chain of functions with names of its own whose innermost raises."""
    lines = [f"def level0_{number}(a, b):", f"    raise ValueError('bad value %s' % {number})"]
    for level in range(1, DEPTH):
        lines += [
            f"def level{level}_{number}(a, b):",
            "    rows = [{'id': n, 'name': 'name %d' % n} for n in range(20)]",
            "    config = {'debug': True, 'hosts': ['a', 'b'], 'limits': {'x': 1.5, 'y': None}}",
            "    text = 'lorem ipsum ' * 20",
            "    total = a + b",
            f"    return level{level - 1}_{number}(a, total)",
        ]
    namespace: dict[str, Any] = {"__name__": "bench_app"}
    exec(compile("\n".join(lines), __file__, "exec"), namespace)
    function: Callable[..., None] = namespace[f"level{DEPTH - 1}_{number}"]
    return lambda: function(1, 2)


def environ(path: str) -> dict[str, Any]:
    """What a server hands over."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "a=1&b=2",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "HTTP_USER_AGENT": "bench/1.0",
        "HTTP_ACCEPT": "*/*",
        "HTTP_COOKIE": "sessionid=abcdef",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
        "wsgi.errors": None,
    }


def application(fresh: Iterator[Callable[[], None]], known: Callable[[], None]) -> App:
    """`/good` answers, `/first` fails in a new way each time, `/again` always in the same."""

    def app(environ: dict[str, Any], start_response: App) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/first":
            next(fresh)()
        if path == "/again":
            known()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    return app


def format_exc(app: App) -> App:
    """The least that keeps a traceback."""

    def middleware(environ: dict[str, Any], start_response: App) -> Any:
        try:
            return app(environ, start_response)
        except Exception:
            traceback.format_exc()
            raise

    return middleware


def start_response(*_: Any) -> None:
    """What a server hands over, doing nothing."""


def single(app: App, path: str) -> float:
    """Microseconds of one request."""
    request = environ(path)
    start = thread_time()
    try:
        app(request, start_response)
    except ValueError:
        pass
    return (thread_time() - start) * 1e6


def block(app: App, path: str, times: int) -> float:
    """Microseconds a request, the mean of some; one environ at a time, as servers do it."""
    request = environ(path)
    start = thread_time()
    for _ in range(times):
        try:
            body = app(dict(request), start_response)
        except ValueError:
            continue
        if hasattr(body, "close"):
            b"".join(body)
            body.close()
    return (thread_time() - start) / times * 1e6


def measure(
    candidates: dict[str, App], path: str, rounds: int, one: Callable[[App, str], float]
) -> dict[str, float]:
    """Median microseconds added to the first candidate, printed with the middle half."""
    results: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, app in candidates.items():
            bare = one(candidates["bare"], path) if name != "bare" else 0.0
            results[name].append(one(app, path) - bare)
    medians = {}
    for name, values in results.items():
        low, median, high = statistics.quantiles(values, n=4)
        medians[name] = median
        print(f"{path:8} {name:12} {median:10.2f} µs   [{low:.2f} - {high:.2f}]")
    return medians


def storm(app: App, threads: int, times: int) -> float:
    """Microseconds a failing request, wall time of all threads by their requests."""
    workers = [threading.Thread(target=block, args=(app, "/again", times)) for _ in range(threads)]
    start = perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (perf_counter() - start) / (threads * times) * 1e6


def main() -> None:
    """Measure and compare with the goals."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds

    fresh = [failing(number) for number in range(FRESH)]
    known = failing(FRESH)
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Nowhere())
    with tempfile.TemporaryDirectory() as directory:
        ours = Monitor(application(cycle(fresh), known), data_dir=directory)
        candidates = {
            "bare": application(cycle(fresh), known),
            "format_exc": format_exc(application(cycle(fresh), known)),
            "ours": ours,
            "sentry": SentryWsgiMiddleware(application(cycle(fresh), known)),
        }
        for path in ("/good", "/first", "/again"):
            for app in candidates.values():
                block(app, path, 20)  # imports, caches, token buckets
        ours.refresh()  # what its thread does each second: these kinds of requests are known then
        good = measure(candidates, "/good", 40 * rounds, lambda app, path: block(app, path, 60))
        first = measure(candidates, "/first", 10 * rounds, single)
        again = measure(candidates, "/again", 4 * rounds, lambda app, path: block(app, path, 50))
        floods = [storm(ours, 8, 2_500) - storm(candidates["bare"], 8, 2_500) for _ in range(5)]
        flood = statistics.median(floods)
        print(f"/again   ours, 8 threads {flood:.2f} µs more than bare")
        counted = sum(issue.count for issue in ours.tracker.list_issues(10_000))
        ours.close()
    values = (
        good["sentry"] / good["ours"],
        first["ours"],
        first["sentry"] / first["ours"],
        again["ours"],
        flood,
    )
    print(f"\n{counted} exceptions counted")
    for (name, goal), value in zip(GOALS, values, strict=True):
        met = value >= goal if "/" in name else value <= goal
        print(f"{name:40} {value:10.2f}   goal {goal:6}   {'met' if met else 'MISSED'}")
    note("a good request", good["ours"], "µs", peer="sentry-sdk", theirs=good["sentry"], least=50)
    note("a first error", first["ours"], "µs", peer="sentry-sdk", theirs=first["sentry"], least=3)
    note("a known error", again["ours"], "µs", peer="sentry-sdk", theirs=again["sentry"], most=30)
    note("an error of a storm, 8 threads", flood, "µs", most=30)


if __name__ == "__main__":
    main()
