"""Small peers on free ports: what Carbon and HTTP engines do, and what they do wrong."""

from __future__ import annotations

import gzip
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Carbon:
    """Takes lines as carbon-cache does, and keeps them.

    Attributes:
        received: All bytes.
        port: Where it listens; 0 while it does not.
    """

    def __init__(self) -> None:
        self.received = b""
        self.port = 0
        self._listener: socket.socket | None = None
        self._reserved = 0

    def start(self) -> None:
        """Listen, at the same port as before."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._reserved))
        listener.listen()
        self._listener, self.port = listener, listener.getsockname()[1]
        self._reserved = self.port
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65_536):
                self.received += data

    def points(self) -> list[tuple[str, float, int]]:
        """Every line that came."""
        rows = [line.split() for line in self.received.decode().splitlines()]
        return [(path, float(value), int(at)) for path, value, at in rows]


@contextmanager
def black_hole() -> Iterator[int]:
    """Accepts connections and never reads from them."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


@contextmanager
def door_slammer() -> Iterator[int]:
    """Accepts connections and closes them at once."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def slam() -> None:
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return

    threading.Thread(target=slam, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class Posts:
    """An HTTP engine.

    Attributes:
        bodies: (path, headers, inflated body) of everything that was posted.
        answer: Called with the number of the post; returns status, headers and body.
    """

    def __init__(self) -> None:
        self.bodies: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[int], tuple[int, dict[str, str], bytes]] = lambda _: (200, {}, b"")
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                number = len(peer.bodies)
                headers = {name.lower(): value for name, value in self.headers.items()}
                peer.bodies.append((self.path, headers, _inflated(headers, data)))
                status, more, body = peer.answer(number)
                self.send_response(status)
                for name, value in {**more, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def _inflated(headers: dict[str, str], data: bytes) -> bytes:
    return gzip.decompress(data) if headers.get("content-encoding") == "gzip" else data
