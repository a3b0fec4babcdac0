"""Memory of a worker, beside other libraries: resident megabytes more than the bare Flask app.

Each case is a process of its own that answers 200 requests, a 404 and an error, and then waits for
what happens in the background.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from bench.comparison import note

CASES = (
    *("bare", "inapp_monitor", "inapp_monitor, dashboard visited"),
    *("prometheus_client", "sentry-sdk"),
)
#: Megabytes more than bare.
GOALS = {"inapp_monitor": 12.0, "inapp_monitor, dashboard visited": 30.0}

WORKER = r"""
import sys, tempfile, time
from wsgiref.util import setup_testing_defaults
import flask

case = sys.argv[1]
app = flask.Flask("shop")
app.logger.disabled = True
TOKEN = "only-for-this-measurement"


@app.get("/")
def home():
    return "x"


@app.get("/boom")
def boom():
    raise ValueError("boom")


def visit(path, **more):
    environ = {"PATH_INFO": path, **more}
    setup_testing_defaults(environ)
    body = app.wsgi_app(environ, lambda *given: lambda data: None)
    try:
        return b"".join(body)
    finally:
        getattr(body, "close", list)()


if case.startswith("inapp_monitor"):
    from inapp_monitor import Monitor

    app.wsgi_app = Monitor(app.wsgi_app, data_dir=tempfile.mkdtemp(), token=TOKEN)
elif case == "prometheus_client":
    from prometheus_client import Histogram

    times = Histogram("requests", "Requests", ["path", "status"])
    inner = app.wsgi_app

    def timed(environ, start_response):
        begin = time.perf_counter()
        body = inner(environ, start_response)
        times.labels(environ["PATH_INFO"], "200").observe(time.perf_counter() - begin)
        return body

    app.wsgi_app = timed
elif case == "sentry-sdk":
    import sentry_sdk

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0)
for _ in range(200):
    visit("/")
visit("/nowhere")
visit("/boom")
time.sleep(3)
visit("/")
if "dashboard" in case:
    for page in ("/", "/routes", "/errors", "/status"):
        visit("/_metrics" + page, HTTP_AUTHORIZATION="Bearer " + TOKEN)
for line in open("/proc/self/status"):
    if line.startswith("VmRSS"):
        print(int(line.split()[1]) / 1024)
"""


def measure(case: str) -> float:
    """Resident megabytes of one worker at its end."""
    command = [sys.executable, "-c", WORKER, case]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    found = {case: statistics.median(measure(case) for _ in range(rounds)) for case in CASES}
    print(f"bare Flask app: {found['bare']:.1f} MB; more than that, median of {rounds}:")
    for case in CASES[1:]:
        more = found[case] - found["bare"]
        goal = GOALS.get(case)
        met = "" if goal is None else f"  goal {goal:.0f}: {'met' if more <= goal else 'missed'}"
        print(f"  {case:34} + {more:5.1f} MB{met}")
        if goal is not None:
            theirs = found["sentry-sdk"] - found["bare"]
            note(f"memory: {case}", more, "MB", peer="sentry-sdk", theirs=theirs, most=goal)


if __name__ == "__main__":
    main()
