"""A TCP connection to Carbon: what the peer's system has not confirmed does not count as sent."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from typing import Final

from inapp_monitor.ground.clock import perf_counter, sleep

#: Seconds for connecting, for each piece, and for the confirmation.
TIMEOUT_S: Final = 5.0
#: Linux: bytes that the peer has not confirmed yet.
_UNCONFIRMED: Final = 0x5411
_INT: Final = struct.Struct("i")


class CarbonConnection:
    """Opened on first need, and again after a failure.

    *Threads:* one.
    """

    def __init__(self, host: str, port: int, timeout_s: float = TIMEOUT_S) -> None:
        self._address = host, port
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def send(self, pieces: Iterable[bytes], sent: Callable[[int], object] = lambda _: None) -> None:
        """Send all pieces and wait until the peer's system has them.

        Args:
            pieces: Bytes.
            sent: Called with the size of each piece.

        Raises:
            OSError: not all of it arrived; the connection is closed.
        """
        try:
            connection = self._open()
            for piece in pieces:
                self._refuse_if_closed(connection)
                connection.sendall(piece)
                sent(len(piece))
            self._confirm(connection)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close it."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, self._timeout_s)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return self._socket

    def _refuse_if_closed(self, connection: socket.socket) -> None:
        """Carbon never answers: what can be read is the end of the connection."""
        connection.setblocking(False)  # a time limit would be waited for
        try:
            if connection.recv(4_096):
                return
        except BlockingIOError:
            return
        finally:
            connection.settimeout(self._timeout_s)
        raise ConnectionResetError(errno.ECONNRESET, "the peer has closed the connection")

    def _confirm(self, connection: socket.socket) -> None:
        if not sys.platform.startswith("linux"):
            return
        deadline = perf_counter() + self._timeout_s
        pause_s = 0.0005
        while _INT.unpack(fcntl.ioctl(connection, _UNCONFIRMED, _INT.pack(0)))[0]:
            if perf_counter() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "the peer does not confirm what was sent")
            sleep(pause_s)
            pause_s = min(pause_s * 2.0, 0.05)
        self._refuse_if_closed(connection)
