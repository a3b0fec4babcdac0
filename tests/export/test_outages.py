"""Every live destination through every trouble: each thing arrives once, or is counted."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.database.file import Database
from inapp_monitor.export import http_calls
from inapp_monitor.export.carbon_sender import CarbonSender
from inapp_monitor.export.channel import Channel
from inapp_monitor.export.events_channel import EventsChannel
from inapp_monitor.export.forwarding import Forwarder
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.logs_channel import LogsChannel
from inapp_monitor.export.metrics_channel import MetricsChannel, Sender
from inapp_monitor.export.otlp_sender import OtlpSender
from inapp_monitor.export.remote_write_sender import RemoteWriteSender
from inapp_monitor.export.traces_channel import TracesChannel
from inapp_monitor.ground import config
from inapp_monitor.ground.destination import parse
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.logs.ring_file import LogFile
from inapp_monitor.logs.ring_format import BLOCK_BYTES
from inapp_monitor.testing import FakeClock
from inapp_monitor.traces.kept_trace import pack
from inapp_monitor.traces.trace_table import KeptRow, TraceTable
from tests.export.conftest import open_store
from tests.export.test_faults import wait_until
from tests.export.test_otlp import TRACE
from tests.export.test_remote_write import requested, unframed

#: Of the connections' steps: what never comes is given up as soon.
_PATIENCE_S = 0.06
#: What happens in the hour, one thing each ten minutes.
_THINGS = 6

Identified = tuple[Any, ...]


class Peer:
    """A server whose trouble can be chosen, always at the same port.

    Attributes:
        trouble: "" for none.
        taken: Every body that it has read to its end and answered as taken, in order.
        seen: Those that it has read and not answered so.
        lines: What came without HTTP while there was no trouble.
    """

    def __init__(self) -> None:
        self.trouble = ""
        self.taken: list[tuple[str, bytes]] = []
        self.seen: list[tuple[str, bytes]] = []
        self.lines = b""
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []
        self.port = 0
        self.listen()

    def listen(self) -> None:
        """Be there."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self._listener, self.port = listener, listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def leave(self) -> None:
        """Be gone, with all connections."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._connections.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            if self.trouble != "reads nothing":
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._answer(connection)
        except OSError:
            return

    def _answer(self, connection: socket.socket) -> None:
        data = b""
        while piece := connection.recv(65_536):
            if not (data + piece).startswith(b"POST "):
                if self.trouble == "resets":
                    _reset(connection)
                    return
                self.lines += piece
                continue
            data += piece
            head, found, body = data.partition(b"\r\n\r\n")
            size = re.search(rb"(?i)content-length: (\d+)", head)
            if found and size and len(body) >= int(size[1]):
                self._judge(connection, head, body)
                return

    def _judge(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        path = head.split()[1].decode()
        if b"content-encoding: gzip" in head.lower():
            body = gzip.decompress(body)
        answers = {
            "": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "refuses": b"HTTP/1.1 400 Bad\r\nContent-Length: 4\r\n\r\nwhat",
            "breaks": b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops",
            "fails": b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy",
            "too many": b"HTTP/1.1 429 No\r\nRetry-After: 700\r\nContent-Length: 0\r\n\r\n",
            "no HTTP": b"\x15\x03\x01\x00\x02\x02\x46",
        }
        if not self.trouble:
            self.taken.append((path, body))
        else:
            self.seen.append((path, body))
        if self.trouble in answers:
            connection.sendall(answers[self.trouble])
        elif self.trouble == "resets":
            _reset(connection)
        elif self.trouble == "drips":
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while True:
                connection.sendall(b"x")
                threading.Event().wait(_PATIENCE_S / 4)
        else:  # "says nothing"
            connection.recv(1)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Destination:
    """One forwarder, what is fed to it, and what its peer has got.

    Args:
        kind: "carbon", "prometheus", "otlp", "cumulative", "logs", "traces" or "sentry".
    """

    def __init__(
        self, kind: str, data_dir: Path, peer: Peer | None = None, later_s: float = 0.0
    ) -> None:
        self.kind, self.data_dir = kind, data_dir
        self.peer, self.clock = peer or Peer(), FakeClock(1_800_000_010.0 + later_s)
        clock = self.clock
        settings = config.load({"data_dir": data_dir}, None, {}).settings
        self.store = open_store(data_dir, clock)
        self.database = Database(data_dir, settings, clock, Guard())
        self.file = LogFile(data_dir, 4 * BLOCK_BYTES)
        self.tracker = Tracker(settings, clock, Guard(), self.database)
        self.table = TraceTable(self.database)
        self.wrong: list[Exception] = []
        self.written: list[OSError | None] = []
        self.restart()

    def restart(self) -> None:
        """As a new process would: with what lies in files."""
        self.channel = self._channel()
        path = self.data_dir / "export" / "peer"
        self.forwarder = Forwarder(
            lambda: self.channel,
            path,
            self.clock,
            "test",
            self.wrong.append,
            self.written.append,
        )
        self.forwarder.step(self.channel)

    def _channel(self) -> Channel:
        address = {
            "carbon": "carbon://127.0.0.1:{}", "prometheus": "prometheus://127.0.0.1:{}",
            "cumulative": "otlp://127.0.0.1:{}?encoding=json&temporality=cumulative",
            "sentry": "http://key@127.0.0.1:{}/1",
        }.get(self.kind, "otlp://127.0.0.1:{}?encoding=json")  # fmt: skip
        destination = parse(address.format(self.peer.port))
        identity = Identity("shop", "", "", self.data_dir, "1")
        if self.kind == "sentry":
            return EventsChannel(self.database, destination, self.clock)
        if self.kind == "logs":
            return LogsChannel(self.file, destination, identity, self.clock)
        if self.kind == "traces":
            return TracesChannel(self.database, destination, identity, self.clock)
        if self.kind == "carbon":
            return MetricsChannel(self.store, CarbonSender(destination))
        if self.kind == "prometheus":
            sender: Sender = RemoteWriteSender(
                destination, identity, self.store, self.clock, self.written.append
            )
        else:
            sender = OtlpSender(destination, identity, self.clock, self.written.append)
        return MetricsChannel(self.store, sender)

    def add(self, number: int) -> None:
        """One thing more happens: its number tells it apart."""
        now = self.clock.now
        if self.kind == "sentry":
            self.tracker.capture(ValueError(f"no {number}"))
            self.tracker.flush()
        elif self.kind == "logs":
            row = {"time": now, "level": "INFO", "text": f"no {number}", "logger": "shop"}
            self.file.append([json.dumps(row).encode()])
        elif self.kind == "traces":
            trace = {**TRACE, "id": f"t{number}", "started": now - 0.3, "trace": f"{number:032x}"}
            kept = KeptRow(
                f"t{number}", "u", "GET", "500", "/u", now - 0.3, 120.0, True, False, 0.5, 4, "",
                f"{number:032x}", "slow", pack(trace),
            )  # fmt: skip
            self.table.add([kept], now, thin_out=False)
        else:
            self.store.add(Batch([Scalar("orders", int(now), 2.0**number, Method.SUM)], []))
            self.store.flush()
        self.database.write_pending()

    def run(self) -> None:
        """What the thread does until nothing is left to do now."""
        while self.forwarder.step(self.channel):
            pass

    def numbers(self, bodies: list[tuple[str, bytes]]) -> list[int]:
        """The numbers of what is in some bodies, as often as they are in them."""
        if self.kind == "carbon":
            return [_power(float(line.split()[1])) for line in self.peer.lines.splitlines()]
        if self.kind == "prometheus":
            return _steps(
                (at, value)
                for _, body in bodies
                for labels, points in requested(unframed(body))
                for value, at in points
                if labels["__name__"] == "orders_total"
            )
        if self.kind == "sentry":
            return [int(n) for _, body in bodies for n in re.findall(rb'"value":"no (\d+)', body)]
        if self.kind == "logs":
            texts = rb'"stringValue": ?"no (\d+)"'
            return [int(n) for _, body in bodies for n in re.findall(texts, body)]
        documents = [json.loads(body) for _, body in bodies]
        if self.kind == "traces":
            return [
                int(span["traceId"], 16)
                for each in documents
                for span in each["resourceSpans"][0]["scopeSpans"][0]["spans"]
                if "parentSpanId" not in span
            ]
        points = [
            point
            for each in documents
            for metric in each["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
            for point in metric["sum"]["dataPoints"]
            if metric["name"] == "orders"
        ]
        if self.kind == "cumulative":
            return _steps((int(each["timeUnixNano"]), each["asDouble"]) for each in points)
        return [_power(each["asDouble"]) for each in points]

    def begin(self) -> None:
        """The first thing arrives."""
        self.add(0)
        self.clock.advance(120.0)
        self.run()

    def suffer(self, trouble: str) -> None:
        """An hour of a peer's trouble, and a restart in its midst."""
        if trouble == "away":
            self.peer.leave()
        self.peer.trouble = trouble
        for number in range(1, _THINGS + 1):
            self.add(number)
            self.clock.advance(3_600.0 / _THINGS)
            self.run()
            if number == _THINGS // 2:
                self.restart()
        self.shown = replace(self.forwarder.progress())

    def recover(self) -> None:
        """The peer is back, as long as it takes."""
        self.peer.leave()
        self.peer.trouble = ""
        self.peer.listen()
        self.clock.advance(900.0)
        self.run()
        self.clock.advance(120.0)
        self.run()
        wait_until(lambda: len(self.numbers(self.peer.taken)) > _THINGS)

    def close(self) -> None:
        """Everything."""
        self.peer.leave()
        self.channel.close()
        self.store.close()
        self.database.close()


def _power(value: float) -> int:
    return int(value).bit_length() - 1


def _steps(points: Iterator[tuple[int, float]]) -> list[int]:
    """What a total rose by, each time: the same moment may be there twice, with the same value."""
    known: dict[int, float] = {}
    for at, value in points:
        assert known.setdefault(at, value) == value
    totals = [0.0, *(known[at] for at in sorted(known))]
    rises = [later - earlier for earlier, later in pairwise(totals)]
    assert min(rises, default=0.0) >= 0.0, "the total fell"
    return [_power(rise) for rise in rises if rise]


KINDS = ["carbon", "prometheus", "otlp", "cumulative", "logs", "traces", "sentry"]
#: Carbon never answers: what its system has confirmed is there, as far as anybody knows.
TROUBLES = {
    "away": KINDS, "reads nothing": KINDS[1:], "says nothing": KINDS[1:], "drips": KINDS[1:],
    "resets": KINDS[1:], "fails": KINDS[1:], "too many": KINDS[1:], "no HTTP": KINDS[1:],
}  # fmt: skip
_ANSWERED = ("fails", "too many", "no HTTP")


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets for how long a peer is waited for."""

    def wait_for(seconds: float) -> None:
        monkeypatch.setattr(http_calls, "TIMEOUT_S", seconds)
        monkeypatch.setattr(http_calls, "LONGEST_S", 2 * seconds)

    return wait_for


@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_hour_of_trouble(
    trouble: str, data_dir: Path, patience: Callable[[float], None]
) -> None:
    """Whatever the peer does for an hour, over a restart of the process: it is shown, and then
    everything is there in the order in which it happened, nothing twice, and no total fell."""
    patience(30.0)
    found = [Destination(kind, data_dir / kind) for kind in TROUBLES[trouble]]
    with ThreadPoolExecutor(len(found)) as pool:

        def all_of(phase: Callable[[Destination], object]) -> None:
            list(pool.map(phase, found))

        try:
            all_of(Destination.begin)
            if trouble not in _ANSWERED:
                patience(_PATIENCE_S)
            all_of(lambda each: each.suffer(trouble))
            patience(30.0)
            all_of(Destination.recover)
        finally:
            all_of(Destination.close)
    for each in found:
        assert each.shown.failures >= 3, each.kind
        assert each.shown.last_error, each.kind
        assert each.shown.waiting_s > 3_000, each.kind
        expected = list(range(_THINGS + 1))
        assert each.numbers(each.peer.taken) == expected, each.kind
        progress = each.forwarder.progress()
        assert (progress.sent, progress.dropped) == (len(expected), 0), each.kind
        assert (progress.failures, progress.last_error, progress.waiting_s) == (0, "", 0.0)
        assert not each.wrong


@contextmanager
def disk_for(size_bytes: int) -> Iterator[None]:
    """No file can be written that is larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", ["prometheus", "cumulative"])
@pytest.mark.parametrize("size_bytes", [0, 600])
def test_totals_that_the_disk_does_not_take(kind: str, size_bytes: int, data_dir: Path) -> None:
    """Neither they nor the position, or only they: the process that follows makes up for what the
    file lacks. No moment has two values, no total falls, and none is too low."""
    there = Destination(kind, data_dir)
    others = [Scalar(f"other.series{n}", int(there.clock.now), 1.0, Method.SUM) for n in range(40)]
    there.store.add(Batch(others, []))
    try:
        there.begin()
        for number in (1, 2):
            there.add(number)
            there.clock.advance(600.0)
            with disk_for(size_bytes):
                there.run()
        assert any(there.written)
        there.restart()
        there.add(3)
        there.clock.advance(120.0)
        there.run()
        assert there.numbers(there.peer.taken) == [0, 1, 2, 3]
        if size_bytes:
            assert there.forwarder.progress().sent == 44
    finally:
        there.close()


@pytest.mark.parametrize("kind", ["prometheus", "cumulative"])
def test_what_was_refused_is_in_the_next_total(kind: str, data_dir: Path) -> None:
    """A peer may have taken a part of it: a total that fell would be taken for a restart."""
    there = Destination(kind, data_dir)
    try:
        there.begin()
        there.peer.trouble = "refuses"
        there.add(1)
        there.clock.advance(120.0)
        there.run()
        there.peer.trouble = ""
        there.restart()
        there.add(2)
        there.clock.advance(120.0)
        there.run()
        progress = there.forwarder.progress()
        assert (progress.sent, progress.dropped) == (2, 1)
        assert there.numbers([*there.peer.taken, *there.peer.seen]) == [0, 1, 2]
    finally:
        there.close()


def test_a_peer_that_fails_at_everything_costs_an_event_at_most(data_dir: Path) -> None:
    """One that ends in 500s is given up; when those that follow do, too, it is not the event."""
    there = Destination("sentry", data_dir)
    try:
        there.begin()
        there.peer.trouble = "breaks"
        for number in range(1, 5):
            there.add(number)
        for _ in range(60):
            there.clock.advance(60.0)
            there.run()
        assert there.forwarder.progress().dropped == 1
        there.peer.trouble = ""
        there.clock.advance(60.0)
        there.run()
        assert there.numbers(there.peer.taken) == [0, 2, 3, 4]
    finally:
        there.close()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_process_that_is_killed_while_it_waits_for_an_answer(kind: str, data_dir: Path) -> None:
    """The peer has it, and nobody knows: it comes once more as what it was, by the same name, and
    everything after it once."""
    peer = Peer()
    child = os.fork()
    if not child:
        try:
            there = Destination(kind, data_dir, peer)
            there.begin()
            (data_dir / "begun").touch()
            wait_until((data_dir / "go").exists)
            there.add(1)
            there.clock.advance(120.0)
            there.run()
        finally:
            os._exit(1)
    try:
        wait_until((data_dir / "begun").exists)
        peer.trouble = "says nothing"
        (data_dir / "go").touch()
        wait_until(lambda: peer.seen)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    peer.trouble = ""
    there = Destination(kind, data_dir, peer, later_s=600.0)
    try:
        there.run()
        there.add(2)
        there.clock.advance(120.0)
        there.run()
        assert there.numbers(peer.taken) == [0, 1, 2]
        if kind in ("prometheus", "cumulative"):
            assert there.numbers([*peer.taken, *peer.seen]) == [0, 1, 2]
        else:
            assert there.numbers(peer.seen) == [1]
        if kind == "sentry":
            assert _id(peer.seen[0]) == _id(peer.taken[1])
        progress = there.forwarder.progress()
        assert (progress.sent, progress.dropped) == (3, 0)
    finally:
        there.close()


def _id(envelope: tuple[str, bytes]) -> str:
    found: str = json.loads(envelope[1].splitlines()[0])["event_id"]
    return found
