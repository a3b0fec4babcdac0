"""What bursts from SDKs of Sentry cost the app's own requests, under gunicorn with two workers.

    python -m bench.sdk_bursts [--seconds 10] [--rate 1000] [--senders 8] [--threads 1] [--only ...]

The envelopes are recorded ones of `sentry_sdk` (gzip), `@sentry/node` and `@sentry/browser`, each
with an id of its own. They come in bursts: at the beginning of each second as many as `--rate`, as
fast as `--senders` connections at once bring them in. Meanwhile the app is visited, one page after
the other. What is printed is the 99th percentile of the visits without and with the bursts, and
whether each envelope that was sent is counted: recorded, or refused.

    answered    the app itself answers 429 to each: what the server and the machine cost
    limited     a key with the rate that a key has unless it is given another: most are refused
    one issue   a key without a limit that matters, all are of one issue
    50 issues   of fifty
    new issues  each is the first of its issue
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.comparison import note
from inapp_monitor.ingest.sentry.keys import Keys

CAPTURES = Path(__file__).parents[1] / "tests" / "data" / "sentry_captures.zip"
#: Which are sent, and the type of exception that is replaced to make other issues.
RECORDED = (
    ("python/043", "ValueError"),
    ("node/005", "TypeError"),
    ("browser/006", "ReferenceError"),
    ("browser/008", "Error"),
)
#: How many issues the envelopes are of, the key, and where they are sent to.
CASES = {
    "answered": (1, "", "/bare"),
    "limited": (1, "a" * 32, "/_metrics/sentry"),
    "one issue": (1, "b" * 32, "/_metrics/sentry"),
    "50 issues": (50, "b" * 32, "/_metrics/sentry"),
    "new issues": (10**9, "b" * 32, "/_metrics/sentry"),
}
TOKEN = "bench-token-0123456789"
#: Milliseconds that the 99th percentile may rise by.
GOAL_MS = 2.0
APP = f"""
import os
from flask import Flask
from inapp_monitor import Monitor

app = Flask("front")

@app.get("/")
def index():
    return "".join(str(n * n) for n in range(200))

@app.post("/bare/api/1/envelope/")
def bare():
    return "", 429

app.wsgi_app = Monitor(app.wsgi_app, data_dir=os.environ["BENCH_DATA"], token="{TOKEN}")
"""


def envelopes(issues: int, count: int) -> list[tuple[bytes, bytes]]:
    """Header lines and bodies of so many requests, of so many issues."""
    recorded = []
    with zipfile.ZipFile(CAPTURES) as archive:
        for start, kind in RECORDED:
            name = next(n for n in archive.namelist() if n.startswith(f"{start}-"))
            payload = archive.read(f"{name.partition('.')[0]}.item0.event.json").decode()
            recorded.append((start, f'"{kind}"', json.dumps(json.loads(payload))))
    made = []
    for number in range(count):
        start, kind, payload = recorded[0 if issues == 1 else number % len(recorded)]
        text = payload.replace(kind, f'"{kind[1:-1]}{number % issues}"')
        event = json.dumps({**json.loads(text), "event_id": uuid.uuid4().hex}).encode()
        body = b'{}\n{"type":"event"}\n' + event
        head = b"Content-Type: application/x-sentry-envelope\r\n"
        if start.startswith("python"):
            body = gzip.compress(body, 6)
            head += b"Content-Encoding: gzip\r\n"
        made.append((head + b"Content-Length: %d\r\n\r\n" % len(body), body))
    return made


def send(port: int, path: str, sent: list[tuple[bytes, bytes]], senders: int, rate: int) -> None:
    """Send in bursts, print how often each status was answered."""
    line = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n".encode()
    statuses: Counter[str] = Counter()
    took: list[float] = []
    lock = threading.Lock()
    waiting: list[bytes] = []

    def bring() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                request = waiting.pop()
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(request)
                answer = client.recv(65_536)
                while client.recv(65_536):
                    pass
            with lock:
                statuses[answer[9:12].decode()] += 1

    begin = time.perf_counter()
    for burst, first in enumerate(range(0, len(sent), rate)):
        waiting[:] = [line + head + body for head, body in sent[first : first + rate]]
        time.sleep(max(begin + burst - time.perf_counter(), 0))
        started = time.perf_counter()
        threads = [threading.Thread(target=bring) for _ in range(senders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took.append(time.perf_counter() - started)
    print(json.dumps({"statuses": statuses, "burst_s": statistics.median(took)}))


def visit(port: int, seconds: float) -> list[float]:
    """Milliseconds of requests to the app, each with a connection of its own."""
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        client = http.client.HTTPConnection("127.0.0.1", port)
        client.request("GET", "/")
        client.getresponse().read()
        client.close()
        took.append((time.perf_counter() - begin) * 1000)
        time.sleep(0.003)
    return took


def monitor_json(port: int, path: str) -> Any:
    """A page's data."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/_metrics{path}")
    request.add_header("Authorization", f"Bearer {TOKEN}")
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


@contextmanager
def gunicorn(data: Path, threads: int) -> Iterator[int]:
    """The app, on a free port."""
    (data / "bench_app.py").write_text(APP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}"]
    command += ["--threads", str(threads), "--chdir", str(data), "bench_app:app"]
    environ = {**os.environ, "BENCH_DATA": str(data / "store"), "PYTHONPATH": str(Path.cwd())}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    server = subprocess.Popen(command, env=environ, stderr=(data / "server.log").open("wb"))
    try:
        for _ in range(100):
            try:
                visit(port, 0.01)
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(20)


def p99(took: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(took, n=100)[98]


def run(case: str, options: argparse.Namespace) -> None:
    """One case: without, with, counted."""
    issues, key, path = CASES[case]
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        (data / "store").mkdir()
        keys = Keys(data / "store")
        keys.make("limited", time.time(), key="a" * 32)
        keys.make("free", time.time(), key="b" * 32, per_minute=1_000_000)
        number = 1 if key.startswith("a") else 2
        address = f"{path}/api/{number if key else 1}/envelope/?sentry_version=7&sentry_key={key}"
        with gunicorn(data, options.threads) as port:
            visit(port, 1)
            for _ in range(4):  # what is loaded with the first page and the first envelope
                monitor_json(port, "/sdks.json")
            sending = [sys.executable, "-m", "bench.sdk_bursts", "--send"]
            sending += [f"{port},{address},{issues},{options.senders}"]
            sending += ["--rate", str(options.rate), "--seconds"]
            subprocess.run([*sending, "0.05"], stdout=subprocess.DEVNULL, check=True)
            time.sleep(2)
            before = 0.05 * options.rate
            quiet = visit(port, options.seconds / 2)
            sender = subprocess.Popen([*sending, str(options.seconds)], stdout=subprocess.PIPE)
            assert sender.stdout is not None
            sender.stdout.readline()  # it has made what it sends
            busy = visit(port, options.seconds)
            answers = json.loads(sender.communicate()[0])
            quiet += visit(port, options.seconds / 2)
            time.sleep(3)
            report(case, options, quiet, busy, answers, before)
            if key:
                counted(port, data, answers["statuses"], int(before))


def report(
    case: str,
    options: argparse.Namespace,
    quiet: list[float],
    busy: list[float],
    answers: dict[str, Any],
    before: float,
) -> None:
    """What the visits took."""
    without, with_bursts = p99(quiet), p99(busy)
    print(
        f"{case:10}  p99 {without:6.2f} ms without, {with_bursts:6.2f} ms with (+"
        f"{with_bursts - without:.2f}); median {statistics.median(quiet):.2f} and"
        f" {statistics.median(busy):.2f}; a burst took {answers['burst_s']:.2f} s;"
        f" answered {answers['statuses']}"
    )
    if case != "answered":
        what = f"an app's request, p99, {options.rate} envelopes a second ({case})"
        note(what, with_bursts - without, "ms more", most=GOAL_MS)


def counted(port: int, data: Path, statuses: dict[str, int], before: int) -> None:
    """Whether what was answered is what the pages show, and how large the directory is."""
    rows = monitor_json(port, "/sdks.json")["counts"]
    events = sum(count for row in rows.values() for count in row.get("event", {}).values())
    refused = sum(count for row in rows.values() for count in row.get("refused", {}).values())
    issues = monitor_json(port, "/errors.json?limit=200")["issues"]
    files = [file for file in (data / "store").rglob("*") if file.is_file()]
    size = sum(file.stat().st_blocks * 512 for file in files)
    sent = sum(statuses.values()) + before
    exact = "exact" if events + refused == sent else "NOT EXACT"
    print(
        f"{'':10}  sent {sent:,}: recorded {events:,}, refused {refused:,}: {exact};"
        f" of the {len(issues)} issues shown {sum(i['count'] for i in issues):,} occurrences;"
        f" {size / 2**20:.1f} MB on disk of 256 allowed"
    )


def main() -> None:
    """Print what each case costs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=1_000, help="envelopes a second")
    parser.add_argument("--senders", type=int, default=8, help="connections at once")
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--send", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        port, address, issues, senders = options.send.split(",")
        made = envelopes(int(issues), int(options.rate * options.seconds))
        print("ready", flush=True)
        send(int(port), address, made, int(senders), options.rate)
        return
    for case in options.only.split(","):
        run(case, options)


if __name__ == "__main__":
    main()
