"""Speed of the store beside Whisper, rrdtool and SQLite rows, in one run. Only ratios travel.

    python bench/store.py [--series 1000] [--quick]

All keep `10s:6h,1m:7d,10m:5y`. A flush is one new point for every series, rollups included when
due; the stores take turns, so that all see the same machine. Peers that are not installed are left
out and named.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from inapp_monitor import config
from inapp_monitor.clock import Clock
from inapp_monitor.guard import Guard
from inapp_monitor.points import Batch, Method, Scalar
from inapp_monitor.store import Store

RETENTION = "10s:6h,1m:7d,10m:5y"
ARCHIVES = [(10, 2160), (60, 10080), (600, 262800)]
START = 1_699_999_200


class Ours:
    """The store of this package."""

    name = "inapp-monitor"

    def __init__(self, directory: Path, names: list[str], method: Method, **settings: Any) -> None:
        self.now = float(START)
        values = {"retention": RETENTION, "disk_budget": 2**40, "sync_interval_s": 3600, **settings}
        self.store = Store(
            directory,
            config.load(values, environ={}).settings,
            Clock(wall=lambda: self.now),
            Guard(),
        )
        self.names, self.method = names, method
        self.added: list[float] = []

    def timed(self, now: int, value: float) -> float:
        """Seconds of the flush alone; taking the points in is noted beside it."""
        self.now = now
        batch = Batch([Scalar(name, now, value, self.method) for name in self.names], [])
        started = time.perf_counter()
        self.store.add(batch)
        middle = time.perf_counter()
        self.store.flush()
        self.added.append(middle - started)
        return time.perf_counter() - middle

    def fetch(self, names: list[str], start: int, end: int) -> int:
        return len(self.store.fetch(names, start, end, end))


class Whisper:
    """One .wsp file a series, update() for each point."""

    name = "whisper.update"

    def __init__(self, directory: Path, names: list[str], *, sync: bool = False) -> None:
        import whisper

        self.whisper = whisper
        self.sync = sync
        self.paths = {name: str(directory / f"{name}.wsp") for name in names}
        for path in self.paths.values():
            whisper.create(path, ARCHIVES, 0.0, "sum", sparse=True)

    def timed(self, now: int, value: float) -> float:
        update = self.whisper.update
        started = time.perf_counter()
        for path in self.paths.values():
            update(path, value, now, now)
            if self.sync:
                fd = os.open(path, os.O_RDWR)
                os.fsync(fd)
                os.close(fd)
        return time.perf_counter() - started

    def fetch(self, names: list[str], start: int, end: int) -> int:
        return len([self.whisper.fetch(self.paths[name], start, end, end) for name in names])


class Rrd:
    """rrdtool through its C binding."""

    name = "rrdtool"

    def __init__(self, directory: Path, names: list[str]) -> None:
        import rrdtool

        self.rrdtool = rrdtool
        self.paths = {name: str(directory / f"{name}.rrd") for name in names}
        rings = [f"RRA:AVERAGE:0:{step // 10}:{points}" for step, points in ARCHIVES]
        source = "DS:v:GAUGE:20:U:U"
        for path in self.paths.values():
            rrdtool.create(path, "--start", str(START - 10), "--step", "10", source, *rings)

    def timed(self, now: int, value: float) -> float:
        update, text = self.rrdtool.update, f"{now}:{value!r}"
        started = time.perf_counter()
        for path in self.paths.values():
            update(path, text)
        return time.perf_counter() - started


class SqliteRows:
    """One row a point, WAL; nothing is ever deleted, which flatters it."""

    name = "SQLite rows"

    def __init__(self, directory: Path, names: list[str]) -> None:
        self.ids = range(len(names))
        self.connection = sqlite3.connect(directory / "rows.db", isolation_level=None)
        self.connection.execute("pragma journal_mode=wal")
        self.connection.execute("pragma synchronous=normal")
        for table in ("p10", "p60", "p600"):
            self.connection.execute(
                f"create table {table}(series int, ts int, v real, primary key(series, ts))"
                " without rowid"
            )

    def timed(self, now: int, value: float) -> float:
        started = time.perf_counter()
        self.connection.execute("begin")
        for step in (10, 60, 600):
            if now % step == 0:
                self.connection.executemany(
                    f"insert or replace into p{step} values(?, {now}, {value})",
                    ((number,) for number in self.ids),
                )
        self.connection.execute("commit")
        return time.perf_counter() - started


def peers(root: Path, names: list[str]) -> dict[str, Any]:
    """Those that are installed."""
    stores: dict[str, Any] = {}
    for kind in (Whisper, Rrd, SqliteRows):
        directory = root / kind.name.replace(" ", "-")
        directory.mkdir(parents=True)
        try:
            stores[kind.name] = kind(directory, names)
        except ImportError:
            print(f"  ({kind.name}: not installed, left out)")
    return stores


def flushes(root: Path, count: int, rounds: int) -> None:
    """One new point for every series."""
    print(f"flush of {count} series, {rounds} intervals of 10 s, ms")
    names = [f"bench.s{number}" for number in range(count)]
    ours = {
        "inapp-monitor, sums": Ours(root / "sums", names, Method.SUM),
        "inapp-monitor, averages": Ours(root / "averages", names, Method.AVERAGE),
    }
    stores: dict[str, Any] = {**ours, **peers(root / "flush", names)}
    spent: dict[str, list[float]] = {name: [] for name in stores}
    for number in range(rounds + 2):
        for name, store in stores.items():
            spent[name].append(store.timed(START + number * 10, float(number)))
    base = trimmed(spent["whisper.update"]) if "whisper.update" in spent else float("nan")
    for name, times in spent.items():
        mean, median = trimmed(times), statistics.median(times[2:])
        line = f"  {name:26} mean {mean * 1e3:9.3f}  median {median * 1e3:9.3f}"
        line += f"  {base / mean:.1f} x whisper"
        if name in ours:
            added = trimmed(ours[name].added)
            line += (
                f"; taking the points in {added * 1e3:.3f}, {base / (mean + added):.0f} x in all"
            )
        print(line)
    status = ours["inapp-monitor, sums"].store.status()
    print(
        f"  files {len(status.files)} (whisper {count}), {status.size / 2**20:.0f} MB full size, "
        f"{status.used / 2**20:.1f} MB used, {status.descriptors} descriptors"
    )


def trimmed(times: list[float]) -> float:
    """Mean without the first two, which create files, and the slowest tenth: other tenants."""
    rest = sorted(times[2:])
    return statistics.mean(rest[: len(rest) - len(rest) // 10])


def written_bytes() -> int:
    """What this process has sent to the disk."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("write_bytes"):
            return int(line.split()[1])
    return 0


def durable(root: Path, count: int) -> None:
    """The same, safe against a power cut after each flush."""
    print(f"durable flush of {count} series (fdatasync), ms and KB sent to the disk")
    names = [f"bench.s{number}" for number in range(count)]
    directory = root / "durable-whisper"
    directory.mkdir()
    stores: dict[str, Any] = {
        "inapp-monitor": Ours(root / "durable", names, Method.SUM, sync_interval_s=0),
        "whisper + fsync": Whisper(directory, names, sync=True),
    }
    medians = {}
    for name, store in stores.items():
        store.timed(START, 0.0)
        rounds = 30 if name == "inapp-monitor" else 3
        times, sent = [], []
        for number in range(1, rounds + 1):
            before = written_bytes()
            times.append(store.timed(START + number * 10, 1.0))
            sent.append((written_bytes() - before) / 1024)
        medians[name] = statistics.median(times)
        line = f"  {name:26} median {medians[name] * 1e3:9.3f}  best {min(times) * 1e3:9.3f}"
        print(f"{line}  {statistics.median(sent):9.1f} KB, mean {statistics.mean(sent):.1f} KB")
    print(f"  ratio {medians['whisper + fsync'] / medians['inapp-monitor']:.0f}")


def contender(root: Path, names: list[str], ready: int, out: int) -> None:
    """One of the processes that add to the same series."""
    ours = Ours(root / "contended", names, Method.SUM)
    ours.timed(START, 1.0)
    os.read(ready, 1)
    times = []
    for number in range(100):
        times.append(ours.timed(START + number // 10 * 10, 1.0))
        time.sleep(0.002)
    os.write(out, f"{statistics.mean(times)} {statistics.median(times)}".encode())


def contended(root: Path, count: int) -> None:
    """Four processes that add to the same series."""
    print(f"merged flush of {count} deltas, four processes at once, ms")
    names = [f"bench.s{number}" for number in range(count)]
    Ours(root / "contended", names, Method.SUM).timed(START, 0.0)
    ready, results, children = os.pipe(), [], []
    for _ in range(4):
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            contender(root, names, ready[0], writer)
            os._exit(0)
        children.append((pid, reader))
    time.sleep(0.5)
    os.write(ready[1], b"1234")
    for pid, reader in children:
        results.append([float(x) for x in os.read(reader, 100).split()])
        os.waitpid(pid, 0)
    mean, median = (statistics.mean(column) for column in zip(*results, strict=True))
    end = START + 100
    answers = Ours(root / "contended", names, Method.SUM).store.fetch(names, START - 10, end, end)
    total = sum(value for answer in answers for value in answer.values if value == value)
    assert total == 4 * 101 * count, total
    print(f"  mean {mean * 1e3:.3f}  median {median * 1e3:.3f}  (nothing lost of {total:.0f})")


def fetches(root: Path, count: int) -> None:
    """A day at one minute."""
    print("fetch of 24 h at 1 min, best of nine, ms")
    names = [f"bench.s{number}" for number in range(count)]
    ours = Ours(root / "fetch", names, Method.SUM)
    (root / "fetch-whisper").mkdir()
    theirs = Whisper(root / "fetch-whisper", names)
    for number in range(1_450):
        ours.timed(START + number * 60, 1.0)
    points = [(START + number * 60, 1.0) for number in range(1_450)]
    for path in theirs.paths.values():
        theirs.whisper.update_many(path, points, points[-1][0])
    end = points[-1][0]
    for some in (1, 100, count):
        times = {}
        for store in (ours, theirs):
            rounds = []
            for _ in range(9):
                started = time.perf_counter()
                assert store.fetch(names[:some], end - 86_400, end) == some
                rounds.append(time.perf_counter() - started)
            times[store.name] = min(rounds)
        line = "  ".join(f"{name} {spent * 1e3:9.3f}" for name, spent in times.items())
        print(f"  {some:5} series: {line}  ratio {times[theirs.name] / times[ours.name]:.1f}")


def opening(root: Path, count: int) -> None:
    """A store that another process has filled; and what its series cost in memory."""
    names = [f"open.h{number // 100}.m{number % 100}.count" for number in range(count)]
    before = resident()
    first = Ours(root / "opening", names, Method.SUM)
    spent = [first.timed(START + number * 10, 1.0) for number in range(25)]
    print(f"flush of {count} series: mean {trimmed(spent) * 1e3:.3f} ms", end=", ")
    print(f"median {statistics.median(spent[1:]) * 1e3:.3f}", end=", ")
    print(f"taking them in {statistics.median(first.added[1:]) * 1e3:.3f} ms", end=", ")
    print(f"{(resident() - before) / 2**20:.1f} MB of memory")
    first.store.close()
    second = Ours(root / "opening", names, Method.SUM)
    started = time.perf_counter()
    leaves = second.store.leaves()
    paths = [leaf.path for leaf in leaves]
    found = [path for path in paths if path.startswith("open.") and path.endswith(".count")]
    spent_s = time.perf_counter() - started
    assert len(found) == count
    print(f"opening {count} series and finding them: {spent_s * 1e3:.1f} ms")


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=1_000)
    parser.add_argument("--directory", help="where to write; default: a temporary one")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(dir=options.directory))
    try:
        opening(root, 10_000)
        flushes(root, options.series, 13 if options.quick else 61)
        durable(root, options.series)
        contended(root, options.series)
        fetches(root, 200 if options.quick else options.series)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
