"""What peers do wrong: nothing is lost without being counted, sent twice, shown or waited for."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.database.file import Database
from inapp_monitor.export import forwarding, http_calls
from inapp_monitor.export.carbon_sender import CarbonSender
from inapp_monitor.export.channel import LaterError, RefusedError
from inapp_monitor.export.events_channel import EventsChannel
from inapp_monitor.export.exporting import Exporting
from inapp_monitor.export.forwarding import Forwarder
from inapp_monitor.export.http_calls import get, post
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.metrics_channel import MetricsChannel
from inapp_monitor.export.otlp_sender import OtlpSender
from inapp_monitor.export.portions import Number, Portion
from inapp_monitor.export.remote_write_sender import RemoteWriteSender
from inapp_monitor.ground import config
from inapp_monitor.ground.destination import parse, parse_url
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from tests.export.conftest import open_store
from tests.export.peers import Carbon, Posts
from tests.export.test_remote_write import requested, unframed

SECRET = "k3y-0123456789abcdef"


@pytest.fixture
def posts() -> Iterator[Posts]:
    peer = Posts()
    yield peer
    peer.stop()


@contextmanager
def raw_peer(talk: Callable[[socket.socket], object]) -> Iterator[int]:
    """A server that does what it is given with each connection; nothing more is heard of errors."""
    listener = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                talk(connection)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def portion_at(moment: int) -> Portion:
    """One interval of one counter."""
    return Portion(moment - 10, moment, [Number("orders", Method.SUM, moment - 10, 10, 1.0)])


def test_a_peer_that_answers_a_byte_at_a_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is within its limit, the call as a whole is not."""
    monkeypatch.setattr(http_calls, "LONGEST_S", 0.3)

    def drip(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            connection.sendall(b"x")
            threading.Event().wait(0.02)

    with raw_peer(drip) as port, pytest.raises(TimeoutError):
        post(parse_url(f"http://127.0.0.1:{port}"), "/", b"x", {})


def test_a_peer_that_reads_a_little_at_a_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same while a body is sent."""
    monkeypatch.setattr(http_calls, "LONGEST_S", 0.3)

    def sip(connection: socket.socket) -> None:
        while connection.recv(256):
            threading.Event().wait(0.02)

    body = b"x" * 2**24
    headers = {"Content-Encoding": "identity"}
    with raw_peer(sip) as port, pytest.raises(TimeoutError):
        post(parse_url(f"http://127.0.0.1:{port}"), "/", body, headers)


@pytest.mark.parametrize("head", [b"Content-Length: 99999999999", b"Transfer-Encoding: chunked"])
def test_an_answer_without_end_is_read_to_its_bound(head: bytes) -> None:
    """64 KiB of what a peer says are enough; a document that is too long is an error."""
    sent = []

    def flood(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        chunk = b"x" * 65_536
        framed = b"10000\r\n" + chunk + b"\r\n" if b"chunked" in head else chunk
        while True:
            connection.sendall(framed)
            sent.append(len(chunk))

    with raw_peer(flood) as port:
        destination = parse_url(f"http://127.0.0.1:{port}")
        assert len(post(destination, "/", b"x", {}).body) == 64 * 2**10
        with pytest.raises(OSError, match="more than 1000 bytes"):
            get(destination, "/", {}, 1_000)
    assert sum(sent) < 2**26


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x00\xff\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 2\r\n\r\n",
     b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"],
)  # fmt: skip
def test_half_an_answer_is_no_answer(answer: bytes) -> None:
    """A connection that ends early, and what is no HTTP, are tried again: errors of connections."""

    def half(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(answer)

    with raw_peer(half) as port, pytest.raises(OSError, match=r"HTTP|reset|closed"):
        post(parse_url(f"http://127.0.0.1:{port}"), "/", b"x", {})


def test_no_redirect_is_followed(posts: Posts, tmp_path: Path, clock: FakeClock) -> None:
    """A key and what is sent go to the address that was given, and to no other host."""
    elsewhere = Posts()
    try:
        url = f"http://127.0.0.1:{elsewhere.port}/v1/metrics"
        posts.answer = lambda _: (307, {"Location": url}, b"over there")
        destination = parse(f"otlp://127.0.0.1:{posts.port}?bearer={SECRET}")
        sender = OtlpSender(destination, Identity("shop", "", "", tmp_path, "1"), clock)
        with pytest.raises(RefusedError, match="HTTP 307"):
            sender.send(portion_at(1_800_000_010))
        assert not elsewhere.bodies
    finally:
        elsewhere.stop()


@pytest.mark.parametrize(
    "address",
    [
        "otlp://127.0.0.1:{port}/" + SECRET,
        "otlp://127.0.0.1:{port}?bearer=" + SECRET,
        "otlp://someone:" + SECRET + "@127.0.0.1:{port}",
    ],
)
def test_a_peer_that_repeats_a_key_does_not_have_it_shown(
    address: str, posts: Posts, tmp_path: Path, clock: FakeClock
) -> None:
    """What it says stands on the status page and in the log; keys of the address do not."""
    posts.answer = lambda n: (
        503,
        {},
        (f"no {posts.bodies[n][0]} for {posts.bodies[n][1].get('authorization')} {SECRET.upper()}"
         ).encode(),
    )  # fmt: skip
    destination = parse(address.format(port=posts.port))
    sender = OtlpSender(destination, Identity("shop", "", "", tmp_path, "1"), clock)
    with pytest.raises(LaterError, match="HTTP 503 no ") as caught:
        sender.send(portion_at(1_800_000_010))
    path, headers, _ = posts.bodies[0]
    assert SECRET in path or "authorization" in headers
    shown = str(caught.value).lower()
    assert SECRET not in shown
    assert headers.get("authorization", "Bearer nothing").split()[1].lower() not in shown


def test_a_peer_that_speaks_no_tls_gets_nothing(tmp_path: Path, clock: FakeClock) -> None:
    """An error of the connection: it is tried again."""
    received = []

    def listen(connection: socket.socket) -> None:
        received.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with raw_peer(listen) as port:
        destination = parse(f"otlps://127.0.0.1:{port}?bearer={SECRET}")
        sender = OtlpSender(destination, Identity("shop", "", "", tmp_path, "1"), clock)
        with pytest.raises(ssl.SSLError):
            sender.send(portion_at(1_800_000_010))
    assert all(SECRET.encode() not in each for each in received)


def test_a_certificate_that_nobody_has_signed_is_refused(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, even in an application that has switched verification off for itself."""

    def unverified() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    monkeypatch.setattr(ssl, "_create_default_https_context", unverified)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(self_signed(tmp_path))
    received = []

    def serve(connection: socket.socket) -> None:
        with server.wrap_socket(connection, server_side=True) as secured:
            received.append(secured.recv(65_536))
            secured.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with raw_peer(serve) as port:
        destination = parse(f"otlps://localhost:{port}?bearer={SECRET}")
        sender = OtlpSender(destination, Identity("shop", "", "", tmp_path, "1"), clock)
        with pytest.raises(ssl.SSLCertVerificationError):
            sender.send(portion_at(1_800_000_010))
    assert not received


def self_signed(folder: Path) -> Path:
    """A key and a certificate for localhost."""
    file = folder / "localhost.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
               "subjectAltName=DNS:localhost", "-keyout", file, "-out", f"{file}.crt"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


def test_a_peer_that_was_restarted_gets_the_next_interval_once(
    store: Store, data_dir: Path, clock: FakeClock
) -> None:
    """A connection that is dead at the other end is noticed before anything is sent into it."""
    lines: list[bytes] = []
    restarts, is_over = threading.Semaphore(0), threading.Semaphore(0)

    def resets(connection: socket.socket) -> None:
        lines.append(connection.recv(65_536))
        restarts.acquire(timeout=60.0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        is_over.release()

    with raw_peer(resets) as port:
        channel = MetricsChannel(store, CarbonSender(parse(f"carbon://127.0.0.1:{port}")))
        forwarder = Forwarder(lambda: channel, data_dir / "x", clock, "test", lambda _: None)
        forwarder.step(channel)
        for number in range(5):
            batch = Batch([Scalar("orders", int(clock.now), float(number), Method.SUM)], [])
            store.add(batch)
            store.flush()
            clock.advance(30.0)
            wait_until(lambda: _sends(forwarder, channel, clock))
            restarts.release()
            assert is_over.acquire(timeout=60.0)
        channel.close()
    values = [float(line.split()[1]) for line in b"".join(lines).splitlines()]
    assert values == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert forwarder.progress().sent == 5


def _sends(forwarder: Forwarder, channel: MetricsChannel, clock: FakeClock) -> bool:
    """A round, after the pause that a failure would have asked for."""
    if forwarder.step(channel):
        return True
    clock.advance(1.0)
    return False


def wait_until(condition: Callable[[], object]) -> None:
    """Until something has come about."""
    for _ in range(1_000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen")


def test_a_process_that_is_killed_while_it_sends_counts_nothing_twice(
    posts: Posts, data_dir: Path, clock: FakeClock
) -> None:
    """The peer had it, and no answer came: the next process sends those samples once more, not
    their sum; the counter misses nothing either."""
    victim: list[int] = []

    def kills(number: int) -> tuple[int, dict[str, str], bytes]:
        if number == 1:
            os.kill(victim[0], signal.SIGKILL)
        return 204, {}, b""

    posts.answer = kills
    destination = parse(f"prometheus://127.0.0.1:{posts.port}")

    def work() -> None:
        store = open_store(data_dir, clock)
        identity = Identity("shop", "", "", data_dir, "1")
        sender = RemoteWriteSender(destination, identity, store, clock)
        channel = MetricsChannel(store, sender)
        place = data_dir / "export" / "peer"
        forwarder = Forwarder(lambda: channel, place, clock, "test", lambda _: None)
        forwarder.step(channel)
        for _ in range(3):
            store.add(Batch([Scalar("orders", int(clock.now), 2.0, Method.SUM)], []))
            store.flush()
            clock.advance(60.0)
            while forwarder.step(channel):
                pass

    child = os.fork()
    if not child:
        try:
            wait_until(lambda: (data_dir / "go").exists())
            work()
        finally:
            os._exit(1)
    victim.append(child)
    data_dir.mkdir(exist_ok=True)
    (data_dir / "go").touch()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    clock.advance(120.0)
    work()
    samples: dict[int, set[float]] = {}
    for _, _, body in posts.bodies:
        for labels, points in requested(unframed(body)):
            if labels["__name__"] == "orders_total":
                for value, at in points:
                    samples.setdefault(at, set()).add(value)
    assert all(len(values) == 1 for values in samples.values())
    assert max(max(values) for values in samples.values()) == 2.0 * 5


def test_a_name_server_that_hangs_holds_up_nothing_else(
    store: Store, data_dir: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The destination is shown as one that does not answer; another one goes on, and so the end."""
    answered, asked = threading.Event(), threading.Event()
    resolve = socket.getaddrinfo

    def hangs(host: Any, *given: Any, **named: Any) -> Any:
        if host != "collector.example":
            return resolve(host, *given, **named)
        asked.set()
        answered.wait(60.0)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    monkeypatch.setattr(forwarding, "POLL_S", 0.02)
    carbon = Carbon()
    carbon.start()
    given = {
        "data_dir": data_dir,
        "forward": ["otlp://collector.example", f"carbon://127.0.0.1:{carbon.port}"],
    }
    settings = config.load(given, None, {}).settings
    database = Database(data_dir, settings, clock, Guard())
    guard = Guard()
    exporting = Exporting(settings, store, database, clock, guard)
    exporting.tick(is_leader=True)
    try:

        def both() -> bool:
            store.add(Batch([Scalar("n", int(clock.now), 1.0, Method.SUM)], []))
            store.flush()
            clock.advance(30.0)
            return asked.is_set() and bool(carbon.received)

        wait_until(both)
        clock.advance(10.0)
        states = {row["destination"]: row["state"] for row in exporting.rows()}
        assert states["otlp://collector.example:4318"] == "no answer yet"
        clock.advance(60.0)
        exporting.scalars(int(clock.now))  # there is nothing to send of its logs and traces
        assert "no answer for" in guard.faults["export to otlp://collector.example:4318"].last
    finally:
        exporting.stop()
        answered.set()
        carbon.stop()


def test_a_peer_of_errors_is_obeyed(posts: Posts, data_dir: Path, clock: FakeClock) -> None:
    """429 with its patience, 500, a limit on a success, what it never takes: each error once; and
    the first one after all were deleted, whose number has been there before."""
    answers: dict[int, tuple[int, dict[str, str], bytes]] = {
        0: (429, {"Retry-After": "90"}, b"slow down"),
        1: (500, {}, b"oops"),
        2: (200, {"X-Sentry-Rate-Limits": "120:error:key, 900:transaction:key"}, b""),
        3: (413, {}, b"too large"),
    }
    posts.answer = lambda number: answers.get(number, (200, {}, b""))
    settings = config.load({"data_dir": data_dir}, None, {}).settings
    database = Database(data_dir, settings, clock, Guard())
    tracker = Tracker(settings, clock, Guard(), database)
    channel = EventsChannel(database, parse(f"http://key@127.0.0.1:{posts.port}/1"), clock)
    forwarder = Forwarder(lambda: channel, data_dir / "x", clock, "test", lambda _: None)
    forwarder.step(channel)
    for number in range(4):
        tracker.capture(ValueError(f"no {number}"))
    tracker.flush()
    database.write_pending()
    sent_at: list[float] = []
    begin = clock.now
    for _ in range(600):
        before = len(posts.bodies)
        forwarder.step(channel)
        sent_at += [clock.now - begin] * (len(posts.bodies) - before)
        clock.advance(1.0)
    progress = forwarder.progress()
    assert (progress.sent, progress.dropped, progress.waiting, progress.failures) == (3, 1, 0, 0)
    database.submit(lambda connection: connection.execute("delete from issue_events"), 1)
    database.write_pending()
    forwarder.step(channel)
    tracker.capture(ValueError("no 9"))
    tracker.flush()
    database.write_pending()
    forwarder.step(channel)
    database.close()
    assert forwarder.progress().sent == 4
    assert b"no 9" in posts.bodies.pop()[2]
    ids = [json.loads(body.splitlines()[0])["event_id"] for _, _, body in posts.bodies]
    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids)) == 4
    assert len(ids) == 6
    assert sent_at[1] - sent_at[0] >= 90
    assert sent_at[3] - sent_at[2] >= 120


def test_totals_that_the_disk_refuses_are_reported(
    posts: Posts, store: Store, data_dir: Path, clock: FakeClock
) -> None:
    """This process goes on with what it knows: the counter grows, and the disk's word is heard."""
    heard: list[Any] = []
    (data_dir / "export").mkdir(parents=True)
    destination = parse(f"otlp://127.0.0.1:{posts.port}?temporality=cumulative&encoding=json")
    blocked = data_dir / "export" / f"{destination.node}_totals"
    blocked.mkdir()  # no file can be put in its place
    identity = Identity("shop", "", "", data_dir, "1")
    sender = OtlpSender(destination, identity, clock, heard.append)
    sender.send(portion_at(1_800_000_010))
    assert isinstance(heard[-1], OSError)
    blocked.rmdir()
    sender.send(portion_at(1_800_000_020))
    assert heard[-1] is None
    assert blocked.is_file()
    assert b'"asDouble":2.0' in posts.bodies[-1][2]


def test_where_no_thread_can_start_an_export_begins_as_soon_as_one_can(
    data_dir: Path, store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is shown until then, and not longer."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    given = {"data_dir": data_dir, "forward": ["carbon://127.0.0.1:9"]}
    settings = config.load(given, None, {}).settings
    guard = Guard()
    database = Database(data_dir, settings, clock, guard)
    exporting = Exporting(settings, store, database, clock, guard)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        exporting.tick(is_leader=True)
        assert "can't start new thread" in guard.faults["thread of an export"].last
    exporting.tick(is_leader=True)
    assert "thread of an export" not in guard.faults
    exporting.stop()
    database.close()
