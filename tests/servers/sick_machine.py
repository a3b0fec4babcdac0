"""A script: requests to a monitored app while the machine refuses something; prints what it saw.

Usage: python -m tests.servers.sick_machine FAULT DATA_DIR. The ticking thread runs as in a server.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from inapp_monitor import Monitor
from tests.environ import environ_of

REQUESTS, PAUSE_S = 1_500, 0.001
#: What one call of a slow disk takes.
DISK_S = 0.3
WRITES = ("pwrite", "fdatasync", "posix_fallocate", "ftruncate", "replace", "unlink")


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """200, or 404 below /missing."""
    missing = environ["PATH_INFO"].startswith("/missing")
    start_response("404 Not Found" if missing else "200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@contextlib.contextmanager
def patched(module: object, names: tuple[str, ...], around: Callable[..., Any]) -> Iterator[None]:
    """Each of these functions goes through `around(function, *arguments)`."""
    with contextlib.ExitStack() as stack:
        for name in names:
            function = getattr(module, name)

            def call(*arguments: Any, _function: Any = function, **named: Any) -> Any:
                return around(_function, *arguments, **named)

            stack.enter_context(mock.patch.object(module, name, call))
        yield


def refusing(number: int) -> Callable[..., Any]:
    """The system's no."""

    def refuse(function: Any, *arguments: Any, **named: Any) -> Any:
        opens = getattr(function, "__name__", "") == "open"
        writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        if opens and not (len(arguments) > 1 and arguments[1] & writing):
            return function(*arguments, **named)
        raise OSError(number, os.strerror(number))

    return refuse


def read_only() -> contextlib.AbstractContextManager[None]:
    """Descriptors stay open, and the system answers every write with EROFS, as after a remount."""
    return patched(os, (*WRITES, "open"), refusing(errno.EROFS))


def no_locks() -> contextlib.AbstractContextManager[None]:
    """A network file system without its lock daemon."""
    return patched(fcntl, ("flock", "lockf", "fcntl"), refusing(errno.ENOLCK))


def slow_disk() -> contextlib.AbstractContextManager[None]:
    """Every call that reaches the disk takes long."""

    def slowly(function: Any, *arguments: Any, **named: Any) -> Any:
        time.sleep(DISK_S)
        return function(*arguments, **named)

    return patched(os, ("pwrite", "pread", "fdatasync", "open"), slowly)


@contextlib.contextmanager
def address_space(spare: int) -> Iterator[None]:
    """No more than some bytes above what the process has mapped."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


@contextlib.contextmanager
def no_threads() -> Iterator[None]:
    """No stack can be mapped for another thread."""
    before = threading.stack_size(2**36)
    with address_space(2**30):
        yield
    threading.stack_size(before)


@contextlib.contextmanager
def broken_disk(data_dir: Path) -> Iterator[None]:
    """ext4 goes read-only under open files, as after an error; a repaired copy takes its place."""
    disk, image, copy = data_dir.parent, data_dir.parents[1] / "image", data_dir.parents[1] / "copy"
    subprocess.run(["mount", "-o", "remount,abort", disk], check=True)
    yield
    shutil.copyfile(image, copy)
    subprocess.run(["e2fsck", "-fy", copy], check=False, capture_output=True)
    subprocess.run(["umount", "-l", disk], check=True)
    subprocess.run(["mount", "-o", "loop", copy, disk], check=True)


FAULTS: dict[str, Callable[[Path], contextlib.AbstractContextManager[None]]] = {
    "nothing": lambda _: contextlib.nullcontext(),
    "read-only": lambda _: read_only(),
    "broken disk": broken_disk,
    "no locks": lambda _: no_locks(),
    "slow disk": lambda _: slow_disk(),
    "no threads": lambda _: no_threads(),
    "address space": lambda _: address_space(2**20),
}


#: Shown until the process ends, or long after.
STAY = {"background thread (requests do its work)", "rows of workers"}
#: What strikes a process before its first request.
AT_THE_BEGINNING = ("no threads", "address space")


def environs() -> list[dict[str, Any]]:
    """What clients ask for; made before memory is short, which is not the clients'."""
    paths = (f"/missing/{n % 50}" if n % 10 == 0 else f"/page/{n % 50}" for n in range(REQUESTS))
    return [environ_of(path) for path in paths]


#: What each thread of this process was last seen to have waited.
WAITED_NS: dict[int | None, int] = {}


def ready_but_waiting_s() -> float:
    """Seconds that the threads of this process have waited for a processor, as Linux counts them:
    what a request takes longer because the machine is busy is not the fault's."""
    for thread in threading.enumerate():
        with contextlib.suppress(OSError, MemoryError):  # it has ended; or there is no memory
            text = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text("ascii")
            WAITED_NS[thread.native_id] = int(text.split()[1])
    return sum(WAITED_NS.values()) / 1e9


def serve(monitor: Monitor, asked: list[dict[str, Any]], times_ms: list[float]) -> None:
    """Requests as fast as a busy worker's, each with the time it took."""
    for environ in asked:
        busy_s, begin = ready_but_waiting_s(), time.perf_counter()
        body = monitor(environ, lambda *_: lambda _: None)
        assert b"".join(body) == b"hello"
        getattr(body, "close", lambda: None)()
        took_s = time.perf_counter() - begin
        times_ms.append(max(took_s - (ready_but_waiting_s() - busy_s), 0.0) * 1000.0)
        time.sleep(PAUSE_S)


def whole_tick_ms(monitor: Monitor) -> float:
    """What all the work of a tick takes at once, as a thread does it."""
    took_ms = []
    for _ in range(9):
        serve(monitor, environs()[:50], [])
        busy_s, begin = ready_but_waiting_s(), time.perf_counter()
        monitor.tick()
        took_s = time.perf_counter() - begin
        took_ms.append((took_s - (ready_but_waiting_s() - busy_s)) * 1000.0)
    return statistics.median(took_ms)


def p99(times_ms: list[float]) -> float:
    """The 99th percentile: the median of those of five parts one after another, as a moment in
    which the whole machine stood still is in one of them, and what a fault costs in all.
    """
    size = len(times_ms) // 5
    parts = [sorted(times_ms[number * size :][:size]) for number in range(5)]
    return statistics.median(part[-max(size // 100, 1)] for part in parts)


def stored(monitor: Monitor) -> int:
    """The requests that the store has."""
    now = int(monitor.clock.wall())
    names = ["requests.status.2xx", "requests.status.4xx"]
    found = monitor.store.fetch(names, now - 3_000, now + 10, now + 10)
    return round(sum(value for each in found for value in each.values if value == value))


def main(name: str, data_dir: str) -> None:
    """Requests before, during and after a fault; it begins before the first where it has to."""
    monitor = Monitor(app, data_dir=data_dir, flush_interval_s=0.05, sync_interval_s=0)
    before: list[float] = []
    during: list[float] = []
    if name not in AT_THE_BEGINNING:
        serve(monitor, environs(), before)
    asked = environs()
    with FAULTS[name](Path(data_dir)):
        serve(monitor, asked, during)
        faults = {part: fault.last for part, fault in monitor.guard.faults.items()}
    for _ in range(300):  # until the pauses between two tries of each part are over
        monitor.refresh()
        status = monitor.store.status()
        if not (status.fault or status.buffered or set(monitor.guard.faults) - STAY):
            break
        time.sleep(0.1)
    sent, in_store = len(before) + len(during), stored(monitor)
    answer = {
        "sent": sent,
        "stored": in_store,
        "dropped": monitor.life.services.drops(),
        "p99_before_ms": p99(before) if before else None,
        "p99_ms": p99(during),
        "whole_tick_ms": whole_tick_ms(monitor) if monitor.life.ticker is None else None,
        "faults": faults,
        "left": sorted(monitor.guard.faults),
    }
    monitor.close()
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
