"""The app's descriptors are left alone, whatever their numbers; dropped monitors keep none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: A program that has used its monitor closes all descriptors, opens files, and uses it again.
DAEMON = """
import logging, os, sys, time
from inapp_monitor import Monitor
forks, use, place = int(sys.argv[1]), sys.argv[2], sys.argv[3]
logging.disable()
monitor = Monitor(lambda e, s: (s("200 OK", []), [b"x"])[1], data_dir=place + "/data",
                  flush_interval_s=0.25, token="t" * 20)
def request():
    body = monitor({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None)
    list(body)
    getattr(body, "close", lambda: None)()
def error():
    try:
        raise ValueError("a failure")
    except ValueError:
        monitor.capture_exception()
uses = {"count": lambda: monitor.incr("job"), "request": request, "error": error}
for each in uses.values():
    each()
monitor.refresh()
monitor.database.read("select 1")
before = os.getpid()
for number in range(forks):
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        os._exit(os.waitstatus_to_exitcode(status))
os.closerange(3, 256)
files = [open(f"{place}/own-{number}", "w+b") for number in range(24)]
for file in files:
    file.write(b"A" * 1000)
    file.flush()
if use != "nothing":
    uses[use]()
    for _ in range(3):
        monitor.refresh()
        monitor.database.read("select 1")
        monitor.facts()
        monitor.store.leaves()
if "close" in sys.argv:
    monitor.close()
for file in files:
    os.fstat(file.fileno())
    file.write(b"B" * 100)  # written when the interpreter ends
"""


@pytest.mark.parametrize(
    ("forks", "use", "end"),  # every two of them meet
    [
        *((0, "nothing", "close"), (0, "count", "leave"), (0, "request", "close")),
        *((1, "nothing", "leave"), (1, "count", "close"), (1, "error", "leave")),
        *((2, "nothing", "leave"), (2, "request", "leave"), (2, "error", "close")),
        *((0, "error", "close"), (1, "request", "close"), (2, "count", "close")),
    ],
)
def test_a_daemon_s_files_stay_open_and_whole(
    tmp_path: Path, forks: int, use: str, end: str
) -> None:
    """It closes every descriptor, and its own files get the numbers of the monitor's: none of them
    is closed or written to, by ticks, reads, `close` or the end of the interpreter."""
    quiet = ("-W", "ignore::DeprecationWarning")  # newer Pythons warn of a fork beside threads
    command = [sys.executable, *quiet, "-c", DAEMON, str(forks), use, str(tmp_path), end]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    wrong = [path for path in tmp_path.glob("own-*") if path.read_bytes() != _WHOLE]
    assert len(list(tmp_path.glob("own-*"))) == 24
    assert wrong == []


_WHOLE = b"A" * 1000 + b"B" * 100

#: App factories of a test suite: each monitor is used and dropped, its directory removed.
FACTORIES = """
import gc, os, shutil, sys, time
from inapp_monitor import Monitor
def answer(environ, start_response):
    if environ["PATH_INFO"] == "/failing":
        raise LookupError
    start_response("200 OK", [])
    return iter([b"x"]) if environ["PATH_INFO"] == "/streamed" else [b"x"]
def request(monitor, path):
    try:
        body = monitor({"REQUEST_METHOD": "GET", "PATH_INFO": path}, lambda *_: None)
    except LookupError:
        return
    list(body)
    getattr(body, "close", lambda: None)()
def one(place, path):
    monitor = Monitor(answer, data_dir=place + "/data", flush_interval_s=0.05, token="t" * 20)
    request(monitor, path)
    monitor.refresh()
    try:
        raise ValueError
    except ValueError:
        monitor.capture_exception()
    monitor.refresh()
    request(monitor, path)
    while os.path.exists(place):
        shutil.rmtree(place, ignore_errors=True)
def count():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))
before = count()
for path in ("/listed", "/failing", "/streamed"):
    os.mkdir(sys.argv[1] + path)
    one(sys.argv[1] + path, path)
    give_up = time.monotonic() + 30  # their threads end when they next look
    while count() > before and time.monotonic() < give_up:
        time.sleep(0.05)
    print(count() - before, end=" ")
body = Monitor(answer, data_dir=sys.argv[1] + "/kept", flush_interval_s=60)(
    {"REQUEST_METHOD": "GET", "PATH_INFO": "/streamed"}, lambda *_: None)
gc.collect()
list(body)
body.close()
print(sorted(os.listdir(sys.argv[1])))
"""


def test_dropped_monitors_keep_no_descriptor(tmp_path: Path) -> None:
    """Nobody calls `close`: what was open is closed once they are collected, though the thread has
    answered nothing since. An answer that is being sent does without its application."""
    (tmp_path / "sites").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FACTORIES, str(tmp_path / "sites")],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    *grown, there = done.stdout.split(maxsplit=3)
    assert grown == ["0", "0", "0"]
    assert there.strip() in ("[]", "['kept']"), "removed directories are there again"


#: Jobs of a pool or in a process each, which end by `os._exit`.
JOBS = """
import concurrent.futures, multiprocessing, sys
from inapp_monitor import Monitor
monitor = Monitor(lambda e, s: [], data_dir=sys.argv[2], flush_interval_s=60)
def job(number):
    monitor.incr("jobs")
    monitor.timing("job", 1.0)
if __name__ == "__main__":
    if "attached" in sys.argv:
        monitor.incr("jobs", 0)
        monitor.refresh()
    context = multiprocessing.get_context("fork")
    if sys.argv[1] == "process":
        children = [context.Process(target=job, args=(n,)) for n in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join()
    elif sys.argv[1] == "pool":
        pool = context.Pool(2)
        pool.map(job, range(3))
        pool.close()
        pool.join()
    else:
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            list(executor.map(job, range(3)))
    multiprocessing.active_children()
    monitor.refresh()
    now = int(__import__("time").time())
    (found,) = monitor.store.fetch(["jobs"], now - 600, now + 60, now)
    timed = monitor.store.fetch_distribution("job", now - 600, now + 60, now)
    counts = [v for v in found.values if v == v]
    print(sum(counts), sum(h.count for h in timed.slots if h))
"""


@pytest.mark.parametrize("attached", ["attached", "not attached"])
@pytest.mark.parametrize("how", ["process", "pool", "executor"])
def test_children_that_end_without_exit_handlers_lose_nothing(
    tmp_path: Path, how: str, attached: str
) -> None:
    """Whether or not the parent has used the monitor before it forks."""
    (tmp_path / "jobs.py").write_text(JOBS)
    done = subprocess.run(
        [sys.executable, "jobs.py", how, str(tmp_path / "data"), attached],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3.0", "3"]
