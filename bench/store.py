"""Speed of the store beside Whisper, rrdtool and SQLite rows, in one run. Only ratios travel.

    python -m bench.store [--series 1000] [--quick]

All keep `10s:6h,1m:7d,10m:5y`. A flush is one new point for every series, rollups included when
due. The stores take turns: each makes twelve flushes in a row, two minutes of points with their
rollups, then the next one has the machine. Two numbers come out, both medians over the turns:

- `in a row`: the mean of the flushes of a turn;
- `first`: the first one of a turn, for which the others have emptied the processor's caches. That
  is what a flush costs in an app that has done something else for a second; a peer that writes a
  thousand files warms up within its first few.

No sample is left out but the first turn, which creates files. Beside the durable flush stands what
the disk takes for the bare system calls, beside the fetch what the bare reads and copies take.
Peers that are not installed are left out and named.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from array import array
from pathlib import Path
from typing import Any

from bench.comparison import note
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.store.group_format import unpack_header
from inapp_monitor.store.series import Store

RETENTION = "10s:6h,1m:7d,10m:5y"
ARCHIVES = [(10, 2160), (60, 10080), (600, 262800)]
START = 1_699_999_200


class Ours:
    """The store of this package."""

    name = "inapp-monitor"

    def __init__(self, directory: Path, names: list[str], method: Method, **settings: Any) -> None:
        self.now = float(START)
        self.directory = directory
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

    name = "whisper"

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


class Turns:
    """The flushes of some stores, by turns of a whole number of minutes."""

    def __init__(self, stores: dict[str, Any], flushes_a_turn: int = 12) -> None:
        self.stores = stores
        self.size = flushes_a_turn
        self.means: dict[str, list[float]] = {name: [] for name in stores}
        self.firsts: dict[str, list[float]] = {name: [] for name in stores}
        self.added: dict[str, list[float]] = {name: [] for name in stores}
        self._next = 3  # so that no turn begins with a rollup, which has its place in the middle

    def run(self, turns: int) -> None:
        """One turn of each store that is not counted, then so many that are."""
        for turn in range(turns + 1):
            for name, store in self.stores.items():
                numbers = range(self._next, self._next + self.size)
                spent = [store.timed(START + n * 10, float(n)) for n in numbers]
                if turn:
                    self.means[name].append(statistics.mean(spent))
                    self.firsts[name].append(spent[0])
                    if isinstance(store, Ours):
                        self.added[name].append(statistics.mean(store.added[-self.size :]))
            self._next += self.size


def flushes(root: Path, count: int, turns: int) -> None:
    """One new point for every series."""
    print(f"flush of {count} series, {turns} turns of 12 intervals of 10 s, ms")
    names = [f"bench.s{number}" for number in range(count)]
    ours = {
        "inapp-monitor, sums": Ours(root / "sums", names, Method.SUM),
        "inapp-monitor, averages": Ours(root / "averages", names, Method.AVERAGE),
    }
    run = Turns({**ours, **peers(root / "flush", names)})
    run.run(turns)
    bases = run.means.get("whisper", [float("nan")]), run.firsts.get("whisper", [])
    base, first_base = statistics.median(bases[0]), statistics.median(bases[1] or [float("nan")])
    for name in run.stores:
        mean, first = statistics.median(run.means[name]), statistics.median(run.firsts[name])
        line = f"  {name:26} in a row {mean * 1e3:8.3f} {base / mean:6.1f} x whisper,"
        line += f"  first {first * 1e3:8.3f} {first_base / first:6.1f} x"
        if name in ours:
            added = statistics.median(run.added[name])
            line += (
                f"; taking the points in {added * 1e3:.3f}, {base / (mean + added):.0f} x in all"
            )
        print(line)
        if name in ours and "whisper" in run.means:
            what = f"flush of {count} {name.partition(', ')[2]}"
            least = 140 if name.endswith("sums") else None
            note(what, mean * 1e3, "ms", peer="whisper.update", theirs=base * 1e3, least=least)
    status = ours["inapp-monitor, sums"].store.status()
    print(
        f"  files {len(status.files)} (whisper {count}), {status.size / 2**20:.0f} MB full size, "
        f"{status.used / 2**20:.1f} MB used, {status.descriptors} descriptors"
    )


def written_bytes() -> int:
    """What this process has sent to the disk."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("write_bytes"):
            return int(line.split()[1])
    return 0


class Floor:
    """Bare system calls: rows of a flush written to some files, fdatasync of each."""

    def __init__(self, directory: Path, files: int) -> None:
        directory.mkdir()
        self.row = os.urandom(8192 // files)
        self.done = 0
        self.files = []
        for number in range(files):
            fd = os.open(directory / str(number), os.O_RDWR | os.O_CREAT)
            os.posix_fallocate(fd, 0, 2**22)
            os.fsync(fd)
            self.files.append(fd)

    def timed(self, _now: int, _value: float) -> float:
        started = time.perf_counter()
        for fd in self.files:
            os.pwrite(fd, self.row, self.done * len(self.row))
        for fd in self.files:
            os.fdatasync(fd)
        self.done += 1
        return time.perf_counter() - started


def durable(root: Path, count: int, turns: int) -> None:
    """The same, safe against a power cut after each flush."""
    print(f"durable flush of {count} series (fdatasync), ms and KB sent to the disk")
    names = [f"bench.s{number}" for number in range(count)]
    (root / "durable-whisper").mkdir()
    ours = Ours(root / "durable", names, Method.SUM, sync_interval_s=0)
    theirs = Whisper(root / "durable-whisper", names, sync=True)
    bare = {f"bare calls, {n} file(s)": Floor(root / f"floor{n}", n) for n in (1, 4)}
    stores: dict[str, Any] = {"inapp-monitor": ours, "whisper + fsync": theirs, **bare}
    spent: dict[str, list[float]] = {name: [] for name in stores}
    sent: dict[str, list[float]] = {name: [] for name in stores}
    for turn in range(turns + 1):
        for name, store in stores.items():
            few = store is theirs  # slow enough to need no more
            for number in range(turn * 12, turn * 12 + (1 if few else 12)):
                before = written_bytes()
                took = store.timed(START + number * 10, 1.0)
                if turn:
                    spent[name].append(took)
                    sent[name].append((written_bytes() - before) / 1024)
    base = statistics.median(spent["whisper + fsync"])
    for name, times in spent.items():
        median = statistics.median(times)
        line = f"  {name:22} median {median * 1e3:8.3f} {base / median:6.1f} x"
        line += f"  mean {statistics.mean(times) * 1e3:8.3f}  best {min(times) * 1e3:8.3f}"
        kilobytes = sent[name]
        print(
            f"{line}  {statistics.median(kilobytes):8.1f} KB, mean {statistics.mean(kilobytes):.1f}"
        )
        if name == "inapp-monitor":
            what = f"durable flush of {count} sums"
            note(what, median * 1e3, "ms", peer="whisper + fsync", theirs=base * 1e3, least=300)


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


def bare_reading(ours: Ours, names: list[str], end: int) -> float:
    """Processor seconds for reading the rows of a day and copying each column out of them."""
    started = time.process_time()
    files = sorted((ours.directory / "store").glob("group-*"))
    geometry = unpack_header(files[0].read_bytes()[:4096])
    ring, width = geometry.retention.archives[1], geometry.pitch // 8
    rows, left = array("d", bytes(1_440 * geometry.pitch)), len(names)
    descriptors = [os.open(file, os.O_RDONLY) for file in files]
    begin = ring.floor(end) - 86_400 + ring.step
    piece = min(1_440, ring.points - ring.slot(begin))
    started = time.process_time()
    columns = []
    for fd in descriptors:
        view = memoryview(rows).cast("B")
        os.preadv(fd, [view[: piece * geometry.pitch]], geometry.row_offset(1, begin))
        if piece < 1_440:
            os.preadv(fd, [view[piece * geometry.pitch :]], geometry.offsets[1])
        some = min(left, geometry.width)
        columns += [rows[2 + column :: width] for column in range(some)]
        left -= some
    spent = time.process_time() - started
    for fd in descriptors:
        os.close(fd)
    assert len(columns) == len(names)
    return spent


#: Of so many series: how many times faster than whisper, and the most milliseconds.
FETCH_GOALS: dict[str, dict[int, dict[str, float]]] = {
    "sums": {1: {"least": 1.5}, 100: {"least": 35}, 1_000: {"least": 35}},
    "averages": {1_000: {"most": 25}},
}


def fetches(root: Path, count: int) -> None:
    """A day at one minute.

    In processor time, because machines are shared: nothing is waited for.
    """
    import numpy  # noqa: F401  # a process that draws has loaded it

    print("fetch of 24 h at 1 min, medians of nine, ms of processor time")
    names = [f"bench.s{number}" for number in range(count)]
    methods = {"sums": Method.SUM, "averages": Method.AVERAGE}
    ours = {kind: Ours(root / f"fetch-{kind}", names, methods[kind]) for kind in methods}
    (root / "fetch-whisper").mkdir()
    theirs = Whisper(root / "fetch-whisper", names)
    for number in range(1_450):
        for store in ours.values():
            store.timed(START + number * 60, 1.0)
    points = [(START + number * 60, 1.0) for number in range(1_450)]
    for path in theirs.paths.values():
        theirs.whisper.update_many(path, points, points[-1][0])
    end = points[-1][0]
    one = {kind: ours[kind].fetch(names[:1], end - 86_400, end) for kind in ours}
    assert set(one.values()) == {1}  # from now on the checksums of all rows are known
    spent_on = []
    for name in names[1:10]:
        started = time.process_time()
        ours["sums"].fetch([name], end - 86_400, end)
        spent_on.append(time.process_time() - started)
    first = statistics.median(spent_on)
    print(f"      1 sum that was not read before: {first * 1e3:.3f}")
    note("first fetch of 1 sum, a day", first * 1e3, "ms", most=0.45)
    for some in (1, 100, count):
        stores: dict[str, Any] = {**ours, "whisper.fetch": theirs}
        rounds: dict[str, list[float]] = {name: [] for name in stores}
        for _ in range(9):
            for name, each in stores.items():
                started = time.process_time()
                assert each.fetch(names[:some], end - 86_400, end) == some
                rounds[name].append(time.process_time() - started)
        times = {name: statistics.median(spent) for name, spent in rounds.items()}
        base = times.pop("whisper.fetch")
        for kind, spent in times.items():
            shown = f"ours {spent * 1e3:9.3f}  whisper.fetch {base * 1e3:9.3f}"
            print(f"  {some:5} {kind:8}: {shown}  {base / spent:.1f} x")
            what, goal = f"fetch of {some} {kind}, a day", FETCH_GOALS[kind].get(some, {})
            note(what, spent * 1e3, "ms", peer="whisper.fetch", theirs=base * 1e3, **goal)
    bare = statistics.median(bare_reading(ours["sums"], names, end) for _ in range(9))
    print(f"  {count:5} series: bare pread and one slice a column {bare * 1e3:.3f}")


def opening(root: Path, count: int) -> None:
    """A store that another process has filled; and what its series cost in memory."""
    names = [f"open.h{number // 100}.m{number % 100}.count" for number in range(count)]
    before = resident()
    first = Ours(root / "opening", names, Method.SUM)
    run = Turns({"ours": first}, 6)
    run.run(5)
    print(f"flush of {count} series: {statistics.median(run.means['ours']) * 1e3:.3f} ms", end=", ")
    print(f"taking them in {statistics.median(run.added['ours']) * 1e3:.3f} ms", end=", ")
    print(f"{(resident() - before) / 2**20:.1f} MB of memory", flush=True)
    first.store.close()
    from inapp_monitor.query.sources import StoreSource  # numpy is no part of the store's memory

    spent = []
    for _ in range(5):
        second = Ours(root / "opening", names, Method.SUM)
        started = time.perf_counter()
        found = StoreSource(second.store).find("open.*.m7.count")
        spent.append(time.perf_counter() - started)
        assert len(found) == count // 100
    print(f"opening {count} series, find open.*.m7.count: {statistics.median(spent) * 1e3:.1f} ms")


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
        flushes(root, options.series, 3 if options.quick else 9)
        durable(root, options.series, 2 if options.quick else 7)
        contended(root, options.series)
        fetches(root, 200 if options.quick else options.series)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
