"""What peers do wrong: nothing is lost without being counted, sent twice, shown or waited for."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.export import http_calls
from inapp_monitor.export.channel import LaterError, RefusedError
from inapp_monitor.export.http_calls import get, post
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.otlp_sender import OtlpSender
from inapp_monitor.export.portions import Number, Portion
from inapp_monitor.ground.destination import parse, parse_url
from inapp_monitor.ground.points import Method
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from tests.export.peers import Posts

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


def test_no_certificate_that_is_not_trusted_is_taken(tmp_path: Path, clock: FakeClock) -> None:
    """Nor a peer that speaks no TLS: nothing is sent to it, and it is tried again."""
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
