"""Rows of worker processes: read by all, owned by one, and telling of the dead."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inapp_monitor.ground import private_files
from inapp_monitor.ground.workers.rows import (
    FILE_NAME,
    MAX_WORKERS,
    ROW_BYTES,
    WorkerRows,
)
from inapp_monitor.request import live
from inapp_monitor.request.live import (
    DEAD_INTERVAL_S,
    FORGOTTEN_AFTER_S,
    RETRY_INTERVAL_S,
    LiveRequests,
)
from inapp_monitor.testing import FakeClock
from tests.environ import environ_of
from tests.recorder.test_fold import new_recorder
from tests.request.battery import Witness

#: Another process: writes a row, says so, and waits for a line before it ends properly.
PROCESS = """
import sys
from pathlib import Path
from inapp_monitor.ground.workers.rows import WorkerRows
workers = WorkerRows(Path(sys.argv[1]))
workers.write({"pid": "other", "live": [{"method": "GET", "path": "/x", "route": "/slow",
    "started": 86400.5}]})
print("written", flush=True)
sys.stdin.readline()
workers.leave()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A second worker process that has a row."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    yield process
    process.kill()
    process.communicate()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_rows_are_read_by_the_others(tmp_path: Path, other: Any) -> None:
    """A process sees the rows of all others, not its own."""
    workers = WorkerRows(tmp_path)
    workers.write({"pid": 1})
    assert [facts["pid"] for facts in workers.others()] == ["other"]
    assert workers.claim_dead() == []


def test_a_killed_process_is_told_once(tmp_path: Path, other: Any) -> None:
    """What was in the row of a killed process is returned to one of the others."""
    first, second = WorkerRows(tmp_path), WorkerRows(tmp_path)
    first.write({"pid": 1})
    second.write({"pid": 2})
    other.send_signal(signal.SIGKILL)
    other.wait()
    dead = first.claim_dead()
    assert [facts["pid"] for facts in dead] == ["other"]
    assert second.claim_dead() == []
    assert first.claim_dead() == []
    assert [facts["pid"] for facts in first.others()] == [2]


def test_a_proper_end_tells_nothing(tmp_path: Path, other: Any) -> None:
    """A process that ends properly empties its row."""
    workers = WorkerRows(tmp_path)
    workers.write({"pid": 1})
    other.communicate("end\n")
    assert (workers.claim_dead(), workers.others()) == ([], [])


def test_the_next_start_tells_of_the_last(tmp_path: Path, other: Any) -> None:
    """When no process was left to report it, the next one of the directory does."""
    other.send_signal(signal.SIGKILL)
    other.wait()
    workers = WorkerRows(tmp_path)
    workers.write({"pid": 1})
    assert [facts["pid"] for facts in workers.claim_dead()] == ["other"]


def test_two_monitors_of_one_process_have_two_rows(tmp_path: Path) -> None:
    """Locks of one process do not exclude one another; its monitors still do not share a row."""
    first, second = WorkerRows(tmp_path), WorkerRows(tmp_path)
    first.write({"pid": 1})
    second.write({"pid": 2})
    assert [facts["pid"] for facts in first.others()] == [2]
    first.leave()
    assert second.claim_dead() == []
    assert second.others() == []


def test_a_forked_child_has_a_row_of_its_own(tmp_path: Path) -> None:
    """A child takes another row, and its end does not free the parent's."""
    workers = WorkerRows(tmp_path)
    workers.write({"pid": "parent"})
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            workers.forked()
            workers.write({"pid": "child"})
            status = 0 if [f["pid"] for f in workers.others()] == ["parent"] else 2
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert [facts["pid"] for facts in workers.claim_dead()] == ["child"]
    descriptors = open_descriptors()
    workers.leave()
    assert open_descriptors() < descriptors


def test_unchanged_facts_are_not_written(tmp_path: Path) -> None:
    """An idle worker leaves the disk alone; the file does not grow."""
    workers = WorkerRows(tmp_path)
    workers.write({"pid": 1})
    path = tmp_path / FILE_NAME
    before = path.stat().st_mtime_ns
    workers.write({"pid": 1})
    assert path.stat().st_mtime_ns == before
    assert path.stat().st_size <= ROW_BYTES


@pytest.mark.parametrize(
    "damage", [b"\xff" * 100, b"\x10\x00\x00\x00zzzz{}", b"\x02\0\0\0\0\0\0\0{"]
)
def test_damaged_row_is_passed_over(tmp_path: Path, damage: bytes) -> None:
    """A torn or foreign row is nobody's."""
    (tmp_path / FILE_NAME).write_bytes(bytes(ROW_BYTES) + damage)
    workers = WorkerRows(tmp_path)
    workers.write({"pid": 1})
    assert (workers.others(), workers.claim_dead()) == ([], [])


def test_more_processes_than_rows(tmp_path: Path) -> None:
    """Who finds no row goes without, until there is one."""
    all_rows = [WorkerRows(tmp_path) for _ in range(MAX_WORKERS + 1)]
    for number, workers in enumerate(all_rows):
        workers.write({"pid": number})
    assert len(all_rows[-1].others()) == MAX_WORKERS
    all_rows.pop(0).leave()
    assert all_rows[-1].write({"pid": MAX_WORKERS})
    assert MAX_WORKERS in [facts["pid"] for facts in all_rows[0].others()]
    for workers in all_rows:
        workers.leave()


def _streams(environ: Any, start: Any) -> Any:
    return iter([b"a"])


def _sends_a_file(environ: Any, start: Any) -> Any:
    start("200 OK", [("Content-Length", "1")])
    return tempfile.TemporaryFile()


def _has_a_length(environ: Any, start: Any) -> Any:
    start("200 OK", [("Content-Length", "1")])
    return iter([b"a"])


class Server:
    """Requests that have begun and not ended, through the real request path."""

    def __init__(self, data_dir: Path) -> None:
        from inapp_monitor.request import middleware

        self.clock = FakeClock()
        self.recorder = new_recorder(self.clock)
        self.requests = LiveRequests(data_dir, self.clock, self.recorder)
        witness = Witness()
        witness.live, witness.record = self.recorder.live, self.recorder.pending.append
        self.app = middleware.build(
            lambda environ, start: environ.get("test.answer", _streams)(environ, start),
            witness,
            self.clock.perf,
            lambda now, environ: now + 1,
            "/_metrics",
            lambda *_: [],
        )

    def begin(self, path: str, **environ: Any) -> Any:
        return self.app(environ_of(path, **environ), lambda *_: None)


def test_live_requests(tmp_path: Path) -> None:
    """A request is there from its beginning to its end, with its age."""
    server = Server(tmp_path)
    first = server.begin("/slow", method="BREW")
    server.clock.advance(31)
    second = server.begin("/quick")
    server.requests.report()
    rows = [(row["path"], row["method"], row["age_s"]) for row in server.requests.rows()]
    assert rows == [("/slow", "OTHER", 31.0), ("/quick", "GET", 0.0)]
    assert [scalar.value for scalar in server.requests.in_flight(0)] == [2.0]
    first.close()
    second.close()
    assert server.requests.rows() == []
    assert [scalar.value for scalar in server.requests.in_flight(0)] == [0.0]
    assert server.requests.in_flight(0) == []


def test_the_route_is_known_before_the_answer(tmp_path: Path) -> None:
    """Where the framework has left it in the environ: a request that hangs has a name."""
    server = Server(tmp_path)
    rule = SimpleNamespace(rule="/slow/<int:n>")
    server.begin("/slow/1", **{"werkzeug.request": SimpleNamespace(url_rule=rule)})
    server.begin("/slow/2", **{"bottle.route": rule})
    server.begin("/slow/3", **{"werkzeug.request": SimpleNamespace(url_rule=None)})
    routes = {row["path"]: row["route"] for row in server.requests.rows()}
    assert routes == {"/slow/1": rule.rule, "/slow/2": rule.rule, "/slow/3": None}


def test_live_requests_of_the_others(tmp_path: Path, other: Any) -> None:
    """Any worker shows and counts the requests of all; a killed one's are reported."""
    server = Server(tmp_path)
    server.begin("/mine")
    server.requests.report()
    other.send_signal(signal.SIGKILL)
    other.wait()
    (aborted,) = server.requests.claim_aborted()
    assert aborted.route == "/slow"
    assert aborted.template == "worker died while it answered GET /slow"
    begun = "begun at 1970-01-02 00:00:00 UTC"
    assert aborted.message == f"worker other died while it answered GET /x, {begun}"
    server.clock.advance(DEAD_INTERVAL_S)
    assert server.requests.claim_aborted() == []


def test_hostile_paths_fit(tmp_path: Path) -> None:
    """Many requests whose paths are nothing but escapes: the oldest ones are shown."""
    server = Server(tmp_path)
    bodies = []
    for number in range(50):
        bodies.append(server.begin(f"/{number}/" + "\xff" * 500))
        server.clock.advance(0.001)
    server.requests.report()
    assert 0 < (tmp_path / FILE_NAME).stat().st_size <= ROW_BYTES
    assert len(server.requests.rows()) == live.MAX_ROWS
    reader = WorkerRows(tmp_path)
    reader.write({})
    (shown,) = (facts["live"] for facts in reader.others())
    reader.leave()
    assert [int(row["path"].split("/")[1]) for row in shown] == list(range(len(shown)))
    assert 5 <= len(shown) < live.MAX_ROWS


def test_a_disk_that_refuses_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """A failure is reported, then not again at every tick; afterwards all goes on."""
    (tmp_path / "data").write_text("in the way")
    server = Server(tmp_path / "data")
    with pytest.raises(OSError, match="data"):
        server.requests.report()
    server.requests.report()
    (tmp_path / "data").unlink()
    server.clock.advance(RETRY_INTERVAL_S)
    server.requests.report()
    assert (tmp_path / "data" / FILE_NAME).exists()


def test_requests_that_nobody_closes_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server that forgets to close the latest requests are kept, and the others counted."""
    monkeypatch.setattr(live, "MAX_EXCHANGES", 3)
    server = Server(tmp_path)
    bodies = []
    for number in range(8):
        bodies.append(server.begin(f"/{number}"))
        server.clock.advance(0.001)
    server.requests.report()
    assert [row["path"] for row in server.requests.rows()] == ["/5", "/6", "/7"]
    assert server.requests.drops() == {"requests never closed": 5}
    assert len(server.recorder.live) == 3


def test_requests_that_never_end_are_forgotten(tmp_path: Path) -> None:
    """What somebody keeps for hours without closing it does not fill the memory."""
    server = Server(tmp_path)
    kept = server.begin("/kept")
    server.clock.advance(FORGOTTEN_AFTER_S + 1)
    server.recorder.fold()
    server.requests.report()
    assert server.recorder.unfinished() == []
    assert server.requests.drops() == {"requests never closed": 1}
    kept.close()


def answered(server: Server) -> float:
    """How many requests have been recorded since the last time."""
    server.recorder.fold()
    return sum(
        scalar.value
        for scalar in server.recorder.take().scalars
        if scalar.path.startswith("requests.status.")
    )


def test_requests_that_the_server_dropped_are_counted_at_once(tmp_path: Path) -> None:
    """A server that drops a body without closing it, as test clients do, fills no memory, and such
    a request has been answered; one that is being answered stays, however it is."""
    server = Server(tmp_path)
    shown = []

    def looks(environ: Any, start: Any) -> Any:
        server.requests.report()
        shown.append(sorted(row["path"] for row in server.requests.rows()))
        return _has_a_length(environ, start)

    bodies = [
        server.begin("/sent", **{"test.answer": answer})
        for answer in (_streams, _sends_a_file, _has_a_length)
    ]
    for answer in (_sends_a_file, _has_a_length, _has_a_length):
        server.begin("/dropped", **{"test.answer": answer})
    bodies.append(server.begin("/looks", **{"test.answer": looks}))
    assert shown == [["/looks", "/sent", "/sent", "/sent"]]
    assert answered(server) == 3
    for body in bodies:
        body.close()
    server.requests.report()
    assert (answered(server), server.requests.drops()) == (3, {})  # one had no status
    gc.collect()  # closes the file that was dropped


@pytest.mark.parametrize("gone", [("workers", "workers.lock"), ("workers",), ("workers.lock",)])
def test_files_that_are_deleted_are_made_anew(tmp_path: Path, gone: tuple[str, ...]) -> None:
    """At the next write each process has a row again that the others see, and nobody died."""
    first, second = WorkerRows(tmp_path / "data"), WorkerRows(tmp_path / "data")
    first.write({"pid": 1})
    second.write({"pid": 2})
    before = open_descriptors()
    for name in gone:
        (tmp_path / "data" / name).unlink()
    first.write({"pid": 1})
    second.write({"pid": 2})
    assert [facts["pid"] for facts in first.others()] == [2]
    assert [facts["pid"] for facts in second.others()] == [1]
    assert first.claim_dead() == second.claim_dead() == []
    assert open_descriptors() == before
    third = WorkerRows(tmp_path / "data")
    third.write({"pid": 3})
    assert sorted(facts["pid"] for facts in third.others()) == [1, 2]
    assert third.claim_dead() == []
    for workers in (first, second, third):
        workers.leave()


def test_a_file_on_another_disk_is_used_though_the_old_one_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only disk is replaced by one that works: the row goes there."""
    workers = WorkerRows(tmp_path)
    workers.write({"pid": "me", "requests": 1})
    old = (tmp_path / FILE_NAME).rename(tmp_path / "old").stat().st_ino
    write_at = private_files.write_at

    def refuse(descriptor: int, *arguments: Any) -> None:
        if os.fstat(descriptor).st_ino == old:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        write_at(descriptor, *arguments)

    monkeypatch.setattr(private_files, "write_at", refuse)
    workers.write({"pid": "me", "requests": 2})
    reader = WorkerRows(tmp_path)
    reader.write({"pid": "reader"})
    assert [(row["pid"], row["requests"]) for row in reader.others()] == [("me", 2)]


def test_a_directory_that_is_deleted_is_made_anew(tmp_path: Path) -> None:
    """A worker that comes later sees the row as well."""
    first = WorkerRows(tmp_path / "data")
    first.write({"pid": 1})
    shutil.rmtree(tmp_path / "data")
    first.write({"pid": 1})
    second = WorkerRows(tmp_path / "data")
    second.write({"pid": 2})
    assert [facts["pid"] for facts in second.others()] == [1]


#: The process 1 of a container: writes a row and stays.
CONTAINER = """
import os, sys, time
from inapp_monitor import Monitor
from inapp_monitor.request.live import WorkerFacts
from inapp_monitor.request.stacks import LiveFacts
def app(environ, start):
    if environ["PATH_INFO"] != "/":
        begun.set()
        sys.stdin.readline()
    start("200 OK", [])
    return [b"x"]
import threading
begun = threading.Event()
monitor = Monitor(app, data_dir=sys.argv[1], token="t" * 20, flush_interval_s=0.05)
def ask(path):
    body = monitor({"REQUEST_METHOD": "GET", "PATH_INFO": path}, lambda *_: None)
    list(body)
    getattr(body, "close", lambda: None)()
thread = threading.Thread(target=ask, args=(sys.argv[2],))
thread.start()
begun.wait()
monitor.refresh()
print("begun", flush=True)
if sys.argv[2] == "/looks":
    facts = monitor.facts()
    live = facts.of(LiveFacts).live
    states = [monitor.life.services.stacks.stack_of(row["pid"], row["request"])["state"]
              for row in sorted(live, key=lambda row: row["path"])]
    print(os.getpid(), len(facts.of(WorkerFacts).workers), *states, flush=True)
thread.join()
monitor.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a process namespace needs root")
def test_two_containers_have_a_process_of_the_same_id(tmp_path: Path) -> None:
    """They share a volume: each has its row, and the stack of either's request is found."""
    inside = ["unshare", "-pf", "--mount-proc", sys.executable, "-c", CONTAINER, str(tmp_path)]
    if subprocess.run([*inside[:3], "true"], capture_output=True, check=False).returncode:
        pytest.skip("no process namespaces here")
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*inside, "/hangs"], **pipes) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "begun\n"
        with subprocess.Popen([*inside, "/looks"], **pipes) as second:
            assert second.stdout is not None
            lines = [second.stdout.readline().split() for _ in range(2)]
            second.communicate("\n")
        first.communicate("\n")
    lines.remove(["begun"])
    assert lines == [["1", "2", "running", "running"]]


def test_a_lock_that_was_lost_kills_nobody(tmp_path: Path) -> None:
    """A worker whose descriptors the app has closed lives, and goes on in its row."""
    mine, other = WorkerRows(tmp_path), WorkerRows(tmp_path)
    facts = {"pid": os.getpid(), "live": [{"path": "/x"}]}
    mine.write(facts)
    other.write({"pid": os.getpid()})
    numbers = [
        int(path.name)
        for path in Path("/proc/self/fd").iterdir()
        if path.is_symlink() and str(path.readlink()) == str(tmp_path / "workers.lock")
    ]
    os.close(min(numbers))  # the one that was opened first
    assert other.claim_dead() == []
    mine.write(facts)
    assert other.claim_dead() == []
    assert [row["live"] for row in other.others()] == [[{"path": "/x"}]]
    mine.leave()
    assert other.others() == []
    other.leave()
