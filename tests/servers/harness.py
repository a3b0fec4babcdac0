"""Starts real servers, sends counted traffic, stops them, and reads what is stored."""

from __future__ import annotations

import functools
import http.client
import importlib.util
import itertools
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.database.file import Database
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.workers.rows import WorkerRows
from inapp_monitor.issues.model import IssueSummary
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.store.series import Store
from tests.ports import number_of, reserve_port

from . import apache

#: Long enough for any machine, however busy; what is waited for is there much sooner.
PATIENCE_S = 60.0
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GUNICORN = [sys.executable, "-m", "gunicorn", "--chdir", str(HERE), "--no-control-socket"]
GUNICORN += ["-c", str(HERE / "gunicorn_workers.py")]


def _own_uwsgi() -> str:
    """The uWSGI beside this Python, as pyuwsgi brings it; else the one on PATH."""
    own = Path(sys.executable).with_name("uwsgi")
    return str(own) if own.exists() else "uwsgi"


#: Name to the command line, with PORT standing for the port.
COMMANDS: dict[str, list[str]] = {
    name: [sys.executable, str(HERE / "served_site.py"), name, "PORT"]
    for name in (
        *("wsgiref", "werkzeug", "werkzeug reloader", "werkzeug processes"),
        *("waitress", "cheroot", "gevent"),
    )
}
for name, options in {
    "gunicorn sync": "-w 2",
    "gunicorn gthread": "-w 2 -k gthread --threads 4",
    "gunicorn gevent": "-w 2 -k gevent",
    "gunicorn preload": "-w 2 --preload",
    "gunicorn max_requests": "-w 2 --max-requests 20 --max-requests-jitter 10",
}.items():
    bind = ["-b", "127.0.0.1:PORT", "--log-level", "warning"]
    COMMANDS[name] = [*GUNICORN, *bind, *options.split(), "served_site:application"]
#: With options where a plugin is needed, as in `UWSGI="uwsgi --plugin python3"`.
UWSGI = shlex.split(os.environ.get("UWSGI", "")) or [_own_uwsgi()]
for name, options in {
    "uwsgi prefork": "--processes 2 --enable-threads",
    "uwsgi threads": "--processes 2 --threads 4",
    "uwsgi lazy": "--processes 2 --lazy-apps",
    "uwsgi single": "",
    "uwsgi graceful": "--processes 2 --threads 2 --enable-threads",
    "uwsgi no threads": "--processes 2",
}.items():
    uwsgi = ["--master", "--die-on-term", "--need-app", "--disable-logging", "--http-socket"]
    if name == "uwsgi single":
        uwsgi, options = ["--need-app", "--disable-logging", "--http-socket"], "--enable-threads"
    path = ["--pythonpath", str(HERE), "--module", "served_site:application"]
    COMMANDS[name] = [*UWSGI, *uwsgi, "127.0.0.1:PORT", *path, *options.split()]
COMMANDS["uwsgi graceful"] += ["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]
for name in apache.KINDS:
    COMMANDS[name] = [apache.PROGRAM, "-DFOREGROUND", "-f", "CONFIG"]


def missing(name: str) -> str:
    """Why a server cannot be started here; empty when it can."""
    program = COMMANDS[name][0]
    if name in apache.KINDS:
        return apache.missing()
    if shutil.which(program) is None:
        return f"{program} is not installed"
    if "uwsgi" in name and not _uwsgi_has_python():
        return "uwsgi has no python plugin (UWSGI='uwsgi --plugin python3'?)"
    for module in ("gevent", "gunicorn", "waitress", "cheroot"):
        if module in name and importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
    return ""


@functools.cache
def _uwsgi_has_python() -> bool:
    done = subprocess.run([*UWSGI, "--help"], capture_output=True, check=False)
    return b"--pythonpath" in done.stdout


def representing(
    names: Iterable[str], *representatives: str, marks: Sequence[pytest.MarkDecorator] = ()
) -> list[Any]:
    """Parameters for all names: those that stand for a mechanism of their own are in the suite, the
    others, which go through the same code of ours, in `make compat`.
    """
    others = [*marks, pytest.mark.compat, pytest.mark.peer]
    return [
        pytest.param(name, marks=marks if name in representatives else others) for name in names
    ]


#: Signals as from a terminal: a shell starts its background jobs deaf to SIGINT.
_OWN_SESSION: dict[str, Any] = {
    "start_new_session": True,
    "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
}


class Served:
    """One running server; a context manager that leaves no process behind."""

    def __init__(
        self,
        name: str,
        directory: Path,
        prefix: Sequence[str] = (),
        options: str = "",
        **environ: str,
    ) -> None:
        self.name = name
        self.directory = directory
        self.answered = 0
        self.errors: list[str] = []
        self._lock = threading.Lock()
        (directory / "big.bin").write_bytes(b"z" * 1_000_000)
        self._reserved = reserve_port()
        self.port = number_of(self._reserved)
        paths = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
        standing_for = {"PORT": str(self.port), "CONFIG": str(directory / "apache.conf")}
        if name in apache.KINDS:
            apache.write_config(name, directory, self.port, [*paths, str(HERE)])
        command = [*prefix, *COMMANDS[name], *options.split()]
        for word, value in standing_for.items():
            command = [part.replace(word, value) for part in command]
        self._command = command
        environment = {
            **os.environ,
            **environ,
            "DATA_DIR": str(directory),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        self._log = (directory / "server.log").open("wb")
        self.process = subprocess.Popen(
            command, env=environment, stdout=self._log, stderr=self._log, **_OWN_SESSION
        )

    def __enter__(self) -> Served:
        try:
            self.wait_until_open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_open(self) -> None:
        """Wait until somebody listens on the port, and gunicorn's first workers are ready."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                self._wait_for_first_workers()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not start: {self.log()}")

    def _wait_for_first_workers(self) -> None:
        """As many as the last `-w` of the command line asks for."""
        if "gunicorn" in self.name:
            wanted = [
                int(number) for flag, number in itertools.pairwise(self._command) if flag == "-w"
            ]
            self.wait_for(lambda: len(list(self.directory.glob("ready-*"))) >= wanted[-1])

    def __exit__(self, *_: object) -> None:
        self.kill_group()
        self._log.close()
        self._reserved.close()

    def kill_group(self) -> None:
        """End whatever is left."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(PATIENCE_S)

    def log(self) -> str:
        return (self.directory / "server.log").read_text("utf-8", "replace")[-3000:]

    def children(self, of: int = 0) -> list[int]:
        """Process ids of the workers: children of a process, else of the server's first one."""
        task = Path(f"/proc/{of or self.process.pid}/task")
        return [int(pid) for file in task.glob("*/children") for pid in file.read_text().split()]

    def ready(self, of: int = 0) -> set[int]:
        """gunicorn's workers that answer and hear signals, of one master or of the first."""
        return {pid for pid in self.children(of) if (self.directory / f"ready-{pid}").exists()}

    def another_master(self) -> int | None:
        """The process that gunicorn's master has made of itself anew; its workers are ready."""
        return next((pid for pid in self.children() if len(self.ready(pid)) == 2), None)

    def wait_for(self, what: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        """Wait until something is so; else the test fails with the server's log."""
        deadline = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def wait_until_counted(self) -> None:
        """Wait until every answered request is in the store."""
        deadline = time.monotonic() + PATIENCE_S
        while (counted := self.counted()) != self.answered:
            said = f"{counted} counted, {self.answered} answered, {self.errors}"
            assert time.monotonic() < deadline, f"{said}: {self.log()}"
            time.sleep(0.05)

    def get(
        self,
        path: str,
        *,
        method: str = "GET",
        read: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """One request on a connection of its own; counted when it was answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            body = response.read() if read else response.read(100)
            with self._lock:
                self.answered += 1
            return response.status, body
        finally:
            connection.close()

    def lose(self, path: str) -> None:
        """A request that nobody will answer."""
        try:
            self.get(path)
        except (OSError, http.client.HTTPException):
            pass

    def traffic(self, requests: int, threads: int = 4) -> None:
        """Mixed requests from several clients at once."""
        paths = ["/", "/stream", "/file", "/missing"]
        if "uwsgi" not in self.name:  # it answers a failure by closing the connection
            paths.append("/boom")

        def visit(number: int) -> None:
            for n in range(requests // threads):
                try:
                    Served.get(self, paths[(n + number) % len(paths)])
                except (OSError, http.client.HTTPException) as error:
                    with self._lock:
                        self.errors.append(repr(error))
                    if self.process.poll() is not None:
                        return

        visitors = [threading.Thread(target=visit, args=(n,)) for n in range(threads)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()

    def stop(self, with_signal: int, settled_s: float = 0.2) -> float:
        """Send a signal to the server's first process. Returns the seconds until it had ended.

        Args:
            with_signal: The signal.
            settled_s: A wait before. wsgiref swallows a signal that arrives while it ends a
                request, and uWSGI's TERM and INT skip the exit handlers of a worker that does.
        """
        time.sleep(settled_s)
        begin = time.monotonic()
        self.process.send_signal(with_signal)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            said = f"{self.name} goes on after signal {with_signal}: {self.log()}"
            raise RuntimeError(said) from None
        return time.monotonic() - begin

    def left_over(self) -> list[int]:
        """Processes of the server that are still there, a moment after its end."""
        for _ in range(200):
            found = [
                int(entry.name)
                for entry in Path("/proc").iterdir()
                if entry.name.isdigit() and _session_of(entry) == self.process.pid
            ]
            if not found:
                break
            time.sleep(0.05)
        return found

    def start_losing(self, path: str) -> threading.Thread:
        """A client that waits for an answer that will not come."""
        client = threading.Thread(target=self.lose, args=(path,))
        client.start()
        return client

    def answering(self, path: str) -> int:
        """The process that says that it answers a path; 0 when none does."""
        workers = WorkerRows(self.directory / "data")
        workers.write({"pid": 0})
        try:
            found = [
                facts["pid"]
                for facts in workers.others()
                for row in facts.get("live", ())
                if row["path"] == path
            ]
        finally:
            workers.leave()
        return int(found[0]) if found else 0

    def issues(self, kind: str = "") -> list[IssueSummary]:
        """What the tracker has stored, as another process reads it; of one type or all."""
        settings = load({"data_dir": self.directory / "data"}, environ={}).settings
        database = Database(settings.data_dir, settings, SYSTEM, Guard(), read_only=True)
        issues = Tracker(settings, SYSTEM, Guard(), database).list_issues()
        return [issue for issue in issues if kind in ("", issue.type)]

    def counted(self, path: str = "requests.time") -> int:
        """Requests in the store, as another process reads it."""
        return sum(slot.count for slot in self.slots(path))

    def slots(self, path: str) -> list[Histogram]:
        """What is stored of a distribution, merged into one histogram; empty when there is none."""
        settings = load({"data_dir": self.directory / "data"}, environ={}).settings
        store = Store(settings.data_dir, settings, SYSTEM, Guard(), read_only=True)
        now = int(SYSTEM.wall())
        found = store.fetch_distribution(path, now - 600, now + 10, now + 10)
        store.close()
        merged = Histogram()
        for slot in found.slots if found else ():
            if slot is not None:
                merged.merge(slot)
        return [merged] if merged.count else []


def _session_of(entry: Path) -> int:
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[3]) if fields[0] != "Z" else 0
