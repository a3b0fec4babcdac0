"""A week of a shop's traffic in minutes: restarts, a full disk, log rotation, 1 % hostile requests.

Run by `python -m bench.soak --week`. Four forked workers write to one data directory, in step with
a clock that moves a minute at a time. Each day the log is rotated and every file of the monitor's
is opened and closed by somebody else in the process. One worker ends by SIGTERM on the third day,
one by SIGKILL on the fifth, both with a minute's requests not yet written; on the fourth day the
disk refuses every write for an hour. At the end the memory is flat, the status page shows no
fault, and everything sent is on disk, but for what the SIGKILL struck.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import math
import multiprocessing
import random
import resource
import signal
import tempfile
from collections import Counter
from logging.handlers import WatchedFileHandler
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from inapp_monitor import Monitor
from inapp_monitor.ground import config
from inapp_monitor.ground.guard import Guard
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

DAYS, WORKERS, MINUTE_S = 7, 4, 60
#: A multiple of two hours, so that every archive begins an interval here.
START = 1_699_999_200
TOKEN = "soak-token"
#: Bytes that a worker may grow by between the end of its first whole day and the last.
GROWTH_BYTES = 12_000_000
STATUS_SERIES = [f"requests.status.{n}xx" for n in range(1, 6)]

log = logging.getLogger("shop")


class Shop:
    """The application: its answers take time on the worker's clock, and some fail."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.monitor: Monitor | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.clock.advance(0.005 + len(path) % 40 / 1000)
        if path == "/checkout" and environ["QUERY_STRING"] == "declined":
            raise ValueError(f"card of customer {environ['REMOTE_PORT']} was declined")
        if path == "/checkout" and self.monitor is not None:
            self.monitor.incr("orders.paid")
        known = path in ("/", "/about", "/checkout") or path.startswith("/item/")
        start_response("200 OK" if known else "404 Not Found", [("Content-Type", "text/plain")])
        return [b"ok"]


def request(path: str, query: str = "", method: str = "GET", **headers: str) -> dict[str, Any]:
    """What a server makes of a request."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "40000",
        "HTTP_HOST": "shop.example",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **headers,
    }


def believable(rng: random.Random) -> dict[str, Any]:
    """A visitor's request."""
    chance = rng.random()
    if chance < 0.02:
        return request("/old-catalogue", HTTP_REFERER="http://example.org/links")
    if chance < 0.03:
        port = str(rng.randrange(20_000, 60_000))
        return request("/checkout", "declined", "POST", REMOTE_PORT=port)
    if chance < 0.10:
        return request("/checkout", method="POST")
    return request(f"/item/{rng.randrange(300)}" if chance < 0.7 else "/")


def hostile(rng: random.Random) -> dict[str, Any]:
    """A scanner's request; some try the dashboard."""
    junk = rng.randbytes(30).decode("latin-1")
    return rng.choice(
        [
            request(f"/{junk}"),
            request(f"/wp-admin/{rng.random()}.php", HTTP_REFERER=f"javascript:{junk}"),
            request("/", "a=" * 20_000, HTTP_COOKIE=junk * 100),
            request("/", method=f"X{rng.random()}" * 100, CONTENT_LENGTH="-1"),
            request("/../" * 2_000, HTTP_HOST=f"evil\r\n{junk}", HTTP_X_REQUEST_START="nan"),
            request("/_metrics/status", HTTP_AUTHORIZATION=f"Bearer {junk}"),
            request("/_metrics/render", f"target=sum({junk}", HTTP_COOKIE=f"inapp={junk}"),
        ]
    )


class Worker:
    """One process of the server; does what its parent asks for over a pipe."""

    def __init__(self, monitor: Monitor, clock: FakeClock, number: int, log_path: Path) -> None:
        self.monitor, self.clock = monitor, clock
        self.rng = random.Random(number)
        self.handler = WatchedFileHandler(log_path)
        log.addHandler(self.handler)

    def serve(self, pipe: Connection) -> None:
        """Until the end of the process, which SIGTERM makes an orderly one."""
        signal.signal(signal.SIGTERM, self.end)
        while True:
            name, argument = pipe.recv()
            pipe.send(getattr(self, name)(argument))

    def end(self, *_: object) -> None:
        """As servers do at SIGTERM."""
        raise SystemExit(0)

    def make(self, minute: int) -> Counter[str]:
        """A minute's requests, more of them in the day than at night. Returns what was sent."""
        sent: Counter[str] = Counter()
        at_s = START + minute * MINUTE_S
        number = self.rng.randrange(6, 12) + round(5 * math.sin(minute / 1440 * math.tau))
        for n in range(number):
            self.clock.advance(max(at_s + n * MINUTE_S / number - self.clock.now, 0.0))
            is_hostile = self.rng.random() < 0.01
            environ = (hostile if is_hostile else believable)(self.rng)
            sent["hostile"] += is_hostile
            if environ["PATH_INFO"].startswith("/_metrics"):
                answer(self.monitor, environ)
                continue
            sent.update(("requests", "timings"))
            sent["errors"] += environ["QUERY_STRING"] == "declined"
            is_order = environ["PATH_INFO"] == "/checkout" and not environ["QUERY_STRING"]
            sent["orders"] += is_order
            try:
                answer(self.monitor, environ)
            except ValueError:
                log.info("declined")
        if self.rng.random() < 0.01:
            log.error("the stock service did not answer")
            sent["errors"] += 1
        self.clock.advance(max(at_s + MINUTE_S - 0.5 - self.clock.now, 0.0))
        return sent

    def write(self, _: object) -> None:
        """The tick at the end of the minute."""
        self.monitor.refresh()

    def disk(self, is_full: bool) -> None:
        """Let the system refuse every write to a file, or allow it again."""
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0 if is_full else hard, hard))

    def rotate(self, _: object) -> None:
        """Open the new log; somebody opens and closes all our files, as a backup would."""
        log.info("rotated")
        for path in self.monitor.settings.data_dir.rglob("*"):
            if path.is_file():
                path.open("rb").close()

    def status(self, _: object) -> dict[str, Any]:
        """What the status page shows, and the resident size."""
        page = self.read("/_metrics/status.json")
        self.read("/_metrics/")
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        size_bytes = pages * resource.getpagesize()
        dropped = {why: n for why, n in page["facts"]["dropped"].items() if n}
        faults = [f"{each['part']}: {each['last']}" for each in page["faults"]]
        fault = page["store"]["fault"]
        faults += [fault] if fault else []
        return {"faults": faults, "dropped": dropped, "resident_bytes": size_bytes}

    def errors(self, _: object) -> int:
        """Occurrences of all issues as the dashboard shows them."""
        return sum(issue["count"] for issue in self.read("/_metrics/errors.json")["issues"])

    def read(self, path: str) -> Any:
        """A page of the dashboard."""
        body = answer(
            self.monitor,
            request(path, HTTP_AUTHORIZATION=f"Bearer {TOKEN}", REMOTE_ADDR="192.0.2.9"),
        )
        return json.loads(body) if path.endswith(".json") else body


def answer(monitor: Monitor, environ: dict[str, Any]) -> bytes:
    """Call as a server does."""
    body = monitor(environ, lambda *_: lambda _: None)
    try:
        return b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()


class Week:
    """The parent: forks, sets the pace and keeps account."""

    def __init__(self, directory: Path, minutes: int) -> None:
        self.data_dir, self.log_path = directory / "data", directory / "shop.log"
        self.minutes = minutes
        self.clock = FakeClock(float(START))
        shop = Shop(self.clock)
        self.monitor = shop.monitor = Monitor(
            shop,
            data_dir=self.data_dir,
            token=TOKEN,
            clock=self.clock,
            flush_interval_s=MINUTE_S,
        )
        self.workers: list[tuple[ForkProcess, Connection]] = []
        self.sent: Counter[str] = Counter()
        self.at_risk: Counter[str] = Counter()
        self.sizes_bytes: list[list[int]] = [[] for _ in range(WORKERS)]
        self.faults_seen = 0
        self.exit_codes: list[int | None] = []

    def start(self, number: int) -> tuple[ForkProcess, Connection]:
        """Fork a worker, as a server that has loaded the application before does."""
        ours, theirs = multiprocessing.Pipe()
        seed = number + round(self.clock.now)

        def run() -> None:
            Worker(self.monitor, self.clock, seed, self.log_path).serve(theirs)

        process = multiprocessing.get_context("fork").Process(target=run, daemon=True)
        process.start()
        self.sizes_bytes[number].clear()
        return process, ours

    def ask(self, name: str, argument: object = None) -> list[Any]:
        """All workers do something at the same time."""
        for _, pipe in self.workers:
            pipe.send((name, argument))
        return [pipe.recv() for _, pipe in self.workers]

    def end(self, number: int, how: signal.Signals, made: Counter[str]) -> None:
        """A worker ends with requests that are not written yet, and another takes its place."""
        process, _ = self.workers[number]
        assert process.pid is not None
        process.kill() if how is signal.SIGKILL else process.terminate()
        process.join()
        if how is signal.SIGKILL:
            self.at_risk += made
        else:
            self.exit_codes.append(process.exitcode)
        self.workers[number] = self.start(number)

    def run(self) -> None:
        """All minutes; the last one ends all workers in order."""
        day = self.minutes // DAYS
        self.workers = [self.start(number) for number in range(WORKERS)]
        for minute in range(self.minutes):
            made = self.ask("make", minute)
            self.sent += sum(made, Counter())
            self.clock.advance(MINUTE_S)
            if minute in (2 * day + day // 2, 4 * day + day // 2):
                is_kill = minute > 3 * day
                how = signal.SIGKILL if is_kill else signal.SIGTERM
                self.end(1 + is_kill, how, made[1 + is_kill])
            self.ask("write")
            full_at, full_for = 3 * day + day // 2, max(day // 24, 5)
            if minute in (full_at, full_at + full_for):
                self.ask("disk", minute == full_at)
            if minute == full_at + full_for - 1:
                self.faults_seen = sum(bool(each["faults"]) for each in self.ask("status"))
                print(f"disk full: {self.faults_seen} of {WORKERS} workers show it", flush=True)
            if (minute + 1) % day == 0:
                self.log_path.replace(self.log_path.with_suffix(".1"))
                self.ask("rotate")
                self.show_day((minute + 1) // day)

    def show_day(self, day: int) -> None:
        """A line of the table."""
        found = self.ask("status")
        for sizes, each in zip(self.sizes_bytes, found, strict=True):
            sizes.append(each["resident_bytes"])
        sizes = "  ".join(f"{each['resident_bytes'] / 1e6:6.1f}" for each in found)
        faults = sum(len(each["faults"]) for each in found)
        requests = self.sent["requests"]
        print(
            f"day {day}  {requests:8d} requests  resident MB {sizes}  faults {faults}", flush=True
        )

    def problems(self) -> list[str]:
        """What is not as promised at the end of the week."""
        found = self.ask("status")
        stored = {"errors": self.ask("errors")[0]}
        for process, _ in self.workers:
            process.terminate()
            process.join()
            self.exit_codes.append(process.exitcode)
        stored |= self.on_disk()
        wrong = [f"fault left: {fault}" for each in found for fault in each["faults"]]
        dropped = sum((Counter(each["dropped"]) for each in found), Counter())
        for kind, number in stored.items():
            sent, risk = self.sent[kind], self.at_risk[kind]
            print(f"{kind:9} sent {sent:8d}  stored {number:8d}  unwritten at SIGKILL {risk}")
            if not sent - risk <= number <= sent:
                wrong.append(f"{kind}: {sent} sent, {number} stored, {risk} may be lost")
        print(f"dropped as shown: {dict(dropped) or 'nothing'}; hostile {self.sent['hostile']}")
        if self.faults_seen != WORKERS:
            wrong.append(f"{self.faults_seen} of {WORKERS} workers showed the full disk")
        wrong += [f"a worker ended with {code}" for code in self.exit_codes if code]
        for sizes in self.sizes_bytes:
            first, last = sizes[min(1, len(sizes) - 1)], sizes[-1]
            if last > first + GROWTH_BYTES:
                wrong.append(f"a worker grew from {first / 1e6:.1f} to {last / 1e6:.1f} MB")
        return wrong

    def on_disk(self) -> dict[str, int]:
        """What a process that only reads finds, in the archive that reaches back a week."""
        settings = config.load({"data_dir": self.data_dir}, environ={}).settings
        store = Store(self.data_dir, settings, self.clock, Guard(), read_only=True)
        end = START + self.minutes * MINUTE_S + 600
        back = START - 86_400

        def total(paths: list[str]) -> int:
            answers = store.fetch(paths, back, end, end)
            return round(sum(v for each in answers for v in each.values if v == v))

        times = store.fetch_distribution("requests.time", back, end, end)
        slots = times.slots if times is not None else []
        found = {"requests": total(STATUS_SERIES), "orders": total(["orders.paid"])}
        store.close()
        return {**found, "timings": sum(slot.count for slot in slots if slot)}


def main(*, quick: bool) -> None:
    """The week, or a hundredth of it; ends with status 1 when something is not as promised."""
    logging.raiseExceptions = False  # the log cannot be written to a full disk either
    logging.getLogger("inapp_monitor").setLevel(logging.CRITICAL)
    log.setLevel(logging.INFO)
    log.propagate = False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        week = Week(Path(directory), DAYS * (15 if quick else 1440))
        week.run()
        wrong = week.problems()
    if wrong:
        raise SystemExit("\n".join(wrong))
