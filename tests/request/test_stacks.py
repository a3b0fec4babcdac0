"""What a request under way is doing: found by looking, answered by its worker, asked by any."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.database.file import Database
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.process import identity
from inapp_monitor.ground.workers.mailbox import FOLDER, MAX_AGE_S, Mailbox
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.request import middleware, stacks
from inapp_monitor.request.live import LiveRequests, request_id
from inapp_monitor.request.stacks import LiveStacks
from tests.environ import environ_of
from tests.recorder.test_fold import new_recorder
from tests.request.battery import Witness

SECRET = "sk_live_0123456789abcdefghijklmn"


class Worker:
    """The request path around an app, and what shows its requests."""

    def __init__(self, data_dir: Path, app: Callable[..., Any], tick_s: float = 0.05) -> None:
        settings = config.load({"data_dir": data_dir}).settings
        database = Database(data_dir, settings, SYSTEM, Guard())
        recorder = new_recorder(SYSTEM)
        self.requests = LiveRequests(data_dir, SYSTEM, recorder)
        witness = Witness()
        witness.live, witness.record = recorder.live, recorder.pending.append
        tracker = Tracker(settings, SYSTEM, Guard(), database)
        self.stacks = LiveStacks(data_dir, SYSTEM, self.requests, tracker.redactor, tick_s)
        self.app = middleware.build(
            app, witness, SYSTEM.perf, lambda now, environ: now + 1, "/_metrics", lambda *_: [],
        )  # fmt: skip

    def begin(self) -> Any:
        return self.app(environ_of("/report"), lambda *_: None)

    def stack(self) -> dict[str, Any]:
        (exchange,) = self.requests.exchanges()
        return self.stacks.stack_of(os.getpid(), request_id(exchange))


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened at the end, so that no thread stays."""
    event = threading.Event()
    yield event
    event.set()


def in_thread(work: Callable[[], object], reached: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=work, name="request thread")
    thread.start()
    assert reached.wait(60)
    return thread


def functions(answer: dict[str, Any]) -> list[str]:
    return [frame["function"].rpartition(".")[2] for frame in answer["frames"]]


def test_the_view_of_another_thread_is_found(tmp_path: Path, gate: threading.Event) -> None:
    """With its source, outermost first, without server, monitor or any variable."""
    reached = threading.Event()

    def query() -> None:
        api_key = "sk_live_0123456789abcdefghijklmn"  # a secret in the source
        reached.set()
        gate.wait(60)
        assert api_key

    def view(environ: Any, start_response: Any) -> Any:
        query()
        return [b""]

    worker = Worker(tmp_path, view)
    thread = in_thread(worker.begin, reached)
    answer = worker.stack()
    gate.set()
    thread.join()
    assert answer["state"] == "running"
    assert answer["where"] == "thread request thread"
    assert functions(answer)[:2] == ["view", "query"]
    assert answer["frames"][1]["in_app"]
    text = str(answer)
    assert "gate.wait(60)" in text
    assert SECRET not in text
    assert not any(frame["locals"] for frame in answer["frames"])
    assert (answer["method"], answer["path"]) == ("GET", "/report")


def streamed(reached: threading.Event, gate: threading.Event) -> Iterator[bytes]:
    yield b"first"
    reached.set()
    gate.wait(60)
    yield b"second"


class Closing:
    """As frameworks wrap a generator: an iterator of their own."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        return next(self.chunks)


@pytest.mark.parametrize("wrap", [lambda chunks: chunks, Closing])
def test_a_body_that_is_being_made_is_found(
    wrap: Any, tmp_path: Path, gate: threading.Event
) -> None:
    """The application's call is over: its generator is where the request is."""
    reached = threading.Event()
    worker = Worker(tmp_path, lambda environ, start: wrap(streamed(reached, gate)))
    body = worker.begin()
    thread = in_thread(lambda: list(body), reached)
    answer = worker.stack()
    gate.set()
    thread.join()
    body.close()
    assert answer["state"] == "running"
    assert "streamed" in functions(answer)


def test_a_body_that_nobody_takes_is_said_to_wait(tmp_path: Path, gate: threading.Event) -> None:
    """A slow client: no code of the app runs; the generator's line is shown all the same."""
    worker = Worker(tmp_path, lambda environ, start: streamed(threading.Event(), gate))
    body = worker.begin()
    assert next(iter(body)) == b"first"
    answer = worker.stack()
    assert (answer["state"], functions(answer)) == ("sending", ["streamed"])
    body.close()
    assert worker.stacks.stack_of(os.getpid(), "0-0000")["state"] == "ended"


def test_nothing_of_the_request_stays_alive(tmp_path: Path, gate: threading.Event) -> None:
    """Looking at a frame leaves no reference to what is in it."""
    import gc
    import weakref

    reached = threading.Event()

    class Big:
        pass

    held: list[weakref.ref[Any]] = []

    def view(environ: Any, start_response: Any) -> Any:
        big = Big()
        held.append(weakref.ref(big))
        reached.set()
        gate.wait(60)
        return [b""]

    worker = Worker(tmp_path, view)
    thread = in_thread(worker.begin, reached)
    answer = worker.stack()
    gate.set()
    thread.join()
    gc.collect()
    assert answer["frames"]
    assert held[0]() is None
    assert worker.requests.exchanges() == []


def test_a_deep_stack_is_cut_to_its_innermost_frames(tmp_path: Path, gate: threading.Event) -> None:
    """A recursion of hundreds of calls: a hundred frames, the last ones."""
    reached = threading.Event()

    def down(n: int) -> None:
        if n:
            down(n - 1)
        else:
            reached.set()
            gate.wait(60)

    def view(environ: Any, start_response: Any) -> Any:
        down(600)
        return [b""]

    worker = Worker(tmp_path, view)
    thread = in_thread(worker.begin, reached)
    answer = worker.stack()
    gate.set()
    thread.join()
    assert len(answer["frames"]) == 100
    assert answer["frames"][-1]["function"].endswith("wait")


#: A worker that sleeps in a view and looks for messages when it is asked to.
OTHER = """
import sys, threading, time
from pathlib import Path
from tests.request.test_stacks import Worker
reached, gate = threading.Event(), threading.Event()
def view(environ, start_response):
    reached.set()
    gate.wait(60)
    return [b""]
worker = Worker(Path(sys.argv[1]), view)
threading.Thread(target=worker.begin, daemon=True).start()
reached.wait(60)
worker.requests.report()
print("ready", flush=True)
while sys.argv[2] == "answers":
    worker.stacks.answer_others()
    time.sleep(0.01)
sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Starts another worker; gives its pid."""
    started: list[subprocess.Popen[str]] = []

    def start(mood: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(tmp_path), mood],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_another_worker_is_asked(tmp_path: Path, other: Callable[[str], int]) -> None:
    """Its answer comes with the row that is known of the request; no file stays behind."""
    pid = other("answers")
    worker = Worker(tmp_path, lambda *_: [b""])
    worker.requests.report()
    (row,) = worker.requests.rows()
    answer = worker.stacks.stack_of(pid, row["request"])
    assert (answer["state"], answer["path"]) == ("running", "/report")
    assert "view" in functions(answer)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_worker_that_does_not_reply_is_reported(
    tmp_path: Path, other: Callable[[str], int]
) -> None:
    """After its ticks have had their time, and the message is withdrawn."""
    pid = other("is busy")
    worker = Worker(tmp_path, lambda *_: [b""])
    worker.requests.report()
    (row,) = worker.requests.rows()
    begin = time.perf_counter()
    answer = worker.stacks.stack_of(pid, row["request"])
    assert time.perf_counter() - begin < 20  # not as long as the other is busy
    assert (answer["state"], answer["waited_s"]) == ("silent", 1.1)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_worker_that_is_not_there_is_not_asked(tmp_path: Path) -> None:
    """A made-up address writes nothing."""
    worker = Worker(tmp_path, lambda *_: [b""])
    assert worker.stacks.stack_of(1, "0-0000")["state"] == "ended"
    assert not (tmp_path / FOLDER).exists()


def test_messages_are_for_one_process_and_received_once(tmp_path: Path) -> None:
    """Others leave them alone; a reply is there until it is fetched."""
    mailbox = Mailbox(tmp_path)
    assert mailbox.receive() == []
    name = mailbox.send(identity.current().token, "what?", SYSTEM.wall())
    mailbox.send("0123456789abcdef", "and you?", SYSTEM.wall())
    assert mailbox.receive() == [(name, "what?")]
    assert mailbox.receive() == []
    assert mailbox.fetch_reply(name) is None
    mailbox.reply(name, "nothing")
    assert mailbox.fetch_reply(name) == "nothing"
    assert mailbox.fetch_reply(name) is None


def test_what_nobody_received_is_removed_when_the_next_is_sent(tmp_path: Path) -> None:
    """Dead workers and dead visitors leave no heap of files."""
    mailbox = Mailbox(tmp_path)
    for _ in range(20):
        mailbox.send(1, "anybody?", SYSTEM.wall())
    mailbox.send(1, "anybody?", SYSTEM.wall() + MAX_AGE_S + 1)
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


def test_an_answer_that_is_too_long_loses_source_before_frames(
    tmp_path: Path, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the request is stays readable in any size."""

    monkeypatch.setattr(stacks, "MAX_REPLY_BYTES", 900)
    frames = [
        {"file": "a.py", "line": n, "source": {"first": 1, "lines": ["x" * 90] * 9}}
        for n in range(40)
    ]
    text = stacks.fitting({"state": "running", "frames": frames})
    assert len(text) <= 900
    assert '"line": 39' in text
    assert "xxx" not in text


#: In processes of their own: what other tests have loaded and left behind decides.
LOOK_FOR_GREENLETS = """
import gc, sys, threading, weakref, greenlet
from inapp_monitor.request import stacks

if "waits" in sys.argv:
    waits = greenlet.greenlet(lambda: greenlet.getcurrent().parent.switch())
    waits.switch()
errors, stopping = [], threading.Event()

def make():
    while not stopping.is_set():
        try:
            tuple(str(number) for number in range(3_000))
        except SystemError as error:
            errors.append(error)

class Request:
    pass

ballast = [[number] for number in range(200_000)]
thread = threading.Thread(target=make)
thread.start()
gc.disable()
request = Request()
gone = weakref.ref(request)
found = [len(list(stacks.waiting_greenlets())) for _ in range(20)]
stacks.find(request)
del request
stopping.set()
thread.join()
print(set(found), len(errors), gone())
"""


@pytest.mark.parametrize(("argument", "number"), [("", 0), ("waits", 1)])
def test_looking_breaks_no_tuple_and_keeps_no_request(argument: str, number: int) -> None:
    """Tuples that another thread is making, with and without greenlets; and neither the request nor
    a frame is in a circle that only a collection of garbage breaks.
    """
    pytest.importorskip("greenlet")
    command = [sys.executable, "-c", LOOK_FOR_GREENLETS, argument]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.stdout == f"{{{number}}} 0 None\n", ran.stderr
