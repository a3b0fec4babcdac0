"""What comes in from outside under load, beside carbon-cache and npm statsd in the same run.

    python bench/ingest.py [--seconds 10] [--rate 50000] [--carbon VENV] [--statsd NODE_MODULES]

1. Load: StatsD lines in datagrams of 20 into the process of a busy Flask app: how many were lost,
   and what its requests take with and without them.
2. Parsing: lines a second of processor time of each server, the same bytes to each.
3. Names: 100,000 new names from outside end at the cap, and the app's own series go on.

`--carbon` is a virtual environment with `carbon` 1.1.10 and `whisper`, `--statsd` a directory of
Node's modules with npm's `statsd`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LINES_A_DATAGRAM = 20
APP = """
import sys
from flask import Flask
from inapp_monitor import Monitor

app = Flask("bench")

@app.get("/")
def index():
    return "".join(str(n * n) for n in range(200))

listen = [text for text in sys.argv[3].split(",") if text]
app.wsgi_app = Monitor(
    app.wsgi_app, data_dir=sys.argv[2], token="bench-token", listen=listen, **eval(sys.argv[4])
)
from waitress import serve
serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=4)
"""
CARBON = """[cache]
USER =
STORAGE_DIR = {0}
CONF_DIR = {0}
LOCAL_DATA_DIR = {0}/whisper/
LOG_DIR = {0}
MAX_CACHE_SIZE = inf
MAX_UPDATES_PER_SECOND = 500
MAX_CREATES_PER_MINUTE = 50
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {1}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {2}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {3}
LOG_LISTENER_CONN_SUCCESS = False
ENABLE_LOGROTATION = False
LOG_CREATES = False
LOG_UPDATES = False
LOG_CACHE_HITS = False
ENABLE_TAGS = False
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(command: list[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for(port: int, what: str = "") -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nobody listens at {port}: {what}")


def statsd_datagram(number: int) -> bytes:
    """Twenty lines, as a web app sends them: counters, timers, a gauge."""
    lines = []
    for at in range(LINES_A_DATAGRAM):
        route = (number * 7 + at) % 50
        if at % 4 == 0:
            lines.append(f"app.route{route}.requests:1|c")
        elif at % 4 == 3 and at > 15:
            lines.append(f"app.queue{route}.depth:{at}|g")
        else:
            lines.append(f"app.route{route}.time:{(number * 13 + at) % 900 + 0.5}|ms")
    return "\n".join(lines).encode()


def carbon_lines(count: int) -> bytes:
    now = int(time.time())
    return b"".join(
        b"servers.host%d.metric%d %.2f %d\n" % (n % 20, n % 500, n / 7, now) for n in range(count)
    )


def send_datagrams(port: int, rate: int, seconds: float) -> tuple[int, int]:
    """Send at a steady rate; returns lines and requests counted within."""
    datagrams = [statsd_datagram(n) for n in range(500)]
    requests = sum(data.count(b".requests:") for data in datagrams)
    pause_s = LINES_A_DATAGRAM / rate
    sent = counted = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        begin = due = time.perf_counter()
        while due - begin < seconds:
            for data in datagrams[sent % 500 : sent % 500 + 10]:
                client.send(data)
            sent += 10
            due += 10 * pause_s
            left = due - time.perf_counter()
            if left > 0:
                time.sleep(left)
    whole, rest = divmod(sent, 500)
    counted = whole * requests + sum(d.count(b".requests:") for d in datagrams[:rest])
    return sent * LINES_A_DATAGRAM, counted


def visit(port: int, seconds: float) -> list[float]:
    """Milliseconds of requests made one after the other."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        client.request("GET", "/")
        client.getresponse().read()
        took.append((time.perf_counter() - begin) * 1000)
        time.sleep(0.002)
    return took


def monitor_json(port: int, path: str) -> dict[str, object]:
    client = http.client.HTTPConnection("127.0.0.1", port)
    client.request("GET", f"/_metrics{path}", headers={"Authorization": "Bearer bench-token"})
    answer: dict[str, object] = json.loads(client.getresponse().read())
    return answer


def total_of(port: int, target: str) -> float:
    found: list[dict[str, list[list[float | None]]]] = monitor_json(  # type: ignore[assignment]
        port, f"/render?target={target}&from=-10min&format=json"
    )
    return sum(v for each in found for v, _ in each["datapoints"] if v is not None)


def load(directory: Path, rate: int, seconds: float) -> None:
    web, door = free_port(), free_port()
    command = [
        sys.executable,
        "-c",
        APP,
        str(web),
        str(directory / "load"),
        f"statsd://127.0.0.1:{door}",
        "{}",
    ]
    with running(command) as process:
        wait_for(web)
        visit(web, 2)
        quiet = visit(web, seconds)
        before = cpu_s(process.pid)
        sender = subprocess.Popen(
            [sys.executable, __file__, "--send", f"{door},{rate},{seconds}"], stdout=subprocess.PIPE
        )
        busy = visit(web, seconds)
        out, _ = sender.communicate()
        lines, counted = map(int, out.split())
        time.sleep(2.5)
        used = cpu_s(process.pid) - before
        row = next(
            r for r in monitor_json(web, "/sources.json")["doors"] if "statsd" in r["address"]
        )  # type: ignore[attr-defined]
        stored = total_of(web, "sumSeries(app.route*.requests)")
        p99 = [statistics.quantiles(took, n=100)[98] for took in (quiet, busy)]
        lost = lines - row["points"]
        print(
            f"load: {lines:,} lines in {seconds:g} s, {lines / seconds:,.0f} a second: {lost} lost"
        )
        print(f"load: datagrams dropped by the system: {row['kernel_drops']}")
        print(f"load: requests counted by the sender {counted:,}, in the store {stored:,.0f}")
        middle = [statistics.median(took) for took in (quiet, busy)]
        print(f"load: p99 of the app's requests {p99[0]:.2f} and {p99[1]:.2f} ms with the load")
        print(f"load: median {middle[0]:.2f} and {middle[1]:.2f} ms; {used:.1f} s of processor")


def spent(process: subprocess.Popen[bytes], send: Callable[[], int]) -> float:
    """Lines a second of processor time, until the process is idle again."""
    before = cpu_s(process.pid)
    lines = send()
    idle, last = 0, cpu_s(process.pid)
    while idle < 4:
        time.sleep(0.5)
        now = cpu_s(process.pid)
        idle = idle + 1 if now - last <= 0.02 else 0
        last = now
    return lines / max(last - before, 0.01)


def push_datagrams(port: int, count: int) -> int:
    """As fast as a server takes them is for it to say: 50,000 lines a second."""
    return send_datagrams(port, 50_000, count / 50_000)[0]


def push_lines(port: int, count: int) -> int:
    data = carbon_lines(count)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(data)
    return count


def parsing(directory: Path, carbon: str, statsd: str) -> None:
    found: dict[str, float] = {}
    pushes: tuple[tuple[str, str, int, Callable[[int, int], int]], ...] = (
        ("ours, StatsD", "statsd", 500_000, push_datagrams),
        ("ours, Carbon", "carbon", 1_000_000, push_lines),
    )
    for name, protocol, lines, push in pushes:  # each with a disk of its own, as its peer has
        web, door = free_port(), free_port()
        place, address = str(directory / f"ours-{protocol}"), f"{protocol}://127.0.0.1:{door}"
        room = '{"disk_budget": 2**30}'  # else some of the names are one too many
        with running([sys.executable, "-c", APP, str(web), place, address, room]) as process:
            wait_for(web)
            visit(web, 1.5)
            push(door, 20_000)
            time.sleep(2)
            found[name] = spent(process, lambda: push(door, lines))  # noqa: B023
            for row in monitor_json(web, "/sources.json")["doors"]:  # type: ignore[attr-defined]
                if row["rejected"] or row["kernel_drops"]:
                    lost = f"{row['rejected']:,} refused, {row['kernel_drops']:,} dropped"
                    print(f"parsing: {name}: {lost}")
    if statsd:
        port, mgmt = free_port(), free_port()
        config = directory / "statsd.js"
        config.write_text(
            f'{{port: {port}, mgmt_port: {mgmt}, address: "127.0.0.1", mgmt_address: "127.0.0.1", '
            'backends: ["./backends/console"], flushInterval: 10000}'
        )
        program = Path(statsd) / "statsd" / "stats.js"
        with running(["node", str(program), str(config)], cwd=program.parent) as process:
            wait_for(mgmt, "statsd")
            found["npm statsd"] = spent(process, lambda: push_datagrams(port, 500_000))
    if carbon:
        line, pickle_port, query = free_port(), free_port(), free_port()
        home = directory / "carbon"
        home.mkdir()
        (home / "carbon.conf").write_text(CARBON.format(home, line, pickle_port, query))
        (home / "storage-schemas.conf").write_text("[all]\npattern = .*\nretentions = 10s:1h\n")
        program = Path(carbon) / "bin" / "carbon-cache.py"
        options = ["--config", str(home / "carbon.conf"), "--nodaemon", "start"]
        command = [str(Path(carbon) / "bin" / "python"), str(program), *options]
        with running(command, env={**os.environ, "GRAPHITE_ROOT": str(home)}) as process:
            wait_for(line, "carbon-cache: is whisper in its environment?")
            push_lines(line, 20_000)
            time.sleep(2)
            found["carbon-cache"] = spent(process, lambda: push_lines(line, 1_000_000))
    for name, rate in found.items():
        print(f"parsing: {name}: {rate:,.0f} lines a second of processor time")
    for ours, theirs in (("ours, StatsD", "npm statsd"), ("ours, Carbon", "carbon-cache")):
        if theirs in found:
            print(f"parsing: {ours} / {theirs} = {found[ours] / found[theirs]:.1f}")


def _first_request(web: int) -> bool:
    wait_for(web)
    visit(web, 1.5)
    return True


def names(directory: Path) -> None:
    web, udp = free_port(), free_port()
    command = [
        sys.executable,
        "-c",
        APP,
        str(web),
        str(directory / "names"),
        f"carbon+udp://127.0.0.1:{udp}",
        "{}",
    ]
    with running(command) as process:
        _first_request(web)
        before = rss(process.pid)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for first in range(0, 100_000, 20):
                lines = "\n".join(f"new.name{n} 1" for n in range(first, first + 20))
                client.sendto(lines.encode(), ("127.0.0.1", udp))
                if first % 400 == 0:
                    time.sleep(0.01)
        visit(web, 3)
        row = next(r for r in monitor_json(web, "/sources.json")["doors"] if "udp" in r["address"])  # type: ignore[attr-defined]
        reasons = {reason: entry["count"] for reason, entry in row["rejects"].items()}
        own = total_of(web, "requests.status.2xx")
        megabytes = [f"{size / 2**20:.0f}" for size in (before, rss(process.pid))]
        print(f"names: {row['lines']:,} lines, {row['points']:,} points, refused {reasons}")
        print(f"names: requests counted {own:,.0f}, memory {' to '.join(megabytes)} MB")


def rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=50_000)
    parser.add_argument("--carbon", default="")
    parser.add_argument("--statsd", default="")
    parser.add_argument("--only", default="load,parsing,names")
    parser.add_argument("--send", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        port, rate, seconds = options.send.split(",")
        print(*send_datagrams(int(port), int(rate), float(seconds)))
        return
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if "load" in options.only:
            load(directory, options.rate, options.seconds)
        if "parsing" in options.only:
            parsing(directory, options.carbon, options.statsd)
        if "names" in options.only:
            names(directory)


if __name__ == "__main__":
    main()
