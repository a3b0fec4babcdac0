"""Doors that clients connect to: TCP and Unix stream sockets.

The number of connections is bounded, over all doors of a process: for one too many, the one that
was silent longest is closed. A client that sends half a line and stays costs its descriptor and at
most one line's memory.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from inapp_monitor.ground.clock import sleep
from inapp_monitor.ingest.listeners.receiver import Receiver
from inapp_monitor.ingest.listeners.selected import Waiting
from inapp_monitor.ingest.protocols.framing import Framing

#: Bytes read from a connection at a time: others come next.
_READ_BYTES = 32_768
#: Connections accepted at a time.
_ACCEPT_AT_ONCE = 32
#: Connections that wait to be accepted.
BACKLOG = 128
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_DESCRIPTOR_PAUSE_S = 0.05


class Connections:
    """The open connections of all doors, the one that was silent longest first.

    Args:
        at_most: So many at once.
    """

    def __init__(self, waiting: Waiting, at_most: int) -> None:
        self.waiting = waiting
        self._at_most = at_most
        self._open: dict[Connection, None] = {}

    def add(self, connection: Connection) -> None:
        """Wait for a new one; close another when there are too many."""
        if len(self._open) >= self._at_most:
            self.close_one()
        self._open[connection] = None
        self.waiting.add(connection)

    def close_one(self) -> None:
        """Close the one that was silent longest: its descriptor is needed."""
        silent = next(iter(self._open), None)
        if silent is not None:
            silent.receiver.door.refused_connections += 1
            silent.finish()

    def heard(self, connection: Connection) -> None:
        """It has sent something."""
        del self._open[connection]
        self._open[connection] = None

    def remove(self, connection: Connection) -> None:
        """It is over."""
        if self._open.pop(connection, 0) is None:
            self.waiting.remove(connection)

    def abandon(self) -> None:
        """In a child process: close the parent's connections here, without a word to anybody."""
        for connection in self._open:
            connection.close()
        self._open.clear()

    def of(self, receiver: Receiver) -> list[Connection]:
        """Those of one door."""
        return [each for each in self._open if each.receiver is receiver]


class Connection:
    """One client's."""

    def __init__(
        self,
        client: socket.socket,
        name: str,
        receiver: Receiver,
        framing: Framing,
        connections: Connections,
    ) -> None:
        self.receiver = receiver
        self._socket = client
        self._name = name
        self._framing = framing
        self._connections = connections

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> None:
        """Take what the client has sent, a piece of it."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""  # the client has reset the connection
        if not data:
            self.finish()
            return
        self._connections.heard(self)
        for unit in self._framing.feed(data, self._refuse):
            self.receiver.receive(unit, self._name)
        if self._framing.broken:
            self.finish()

    def finish(self) -> None:
        """End the connection; half a line is refused: nobody knows what it would have been."""
        self._framing.end(self._refuse)
        self._connections.remove(self)

    def close(self) -> None:
        self._socket.close()

    def _refuse(self, reason: str, text: bytes) -> None:
        self.receiver.refuse(reason, text, self._name)


class StreamDoor:
    """A listening socket.

    Args:
        listening: Bound, not blocking.
        framing: Makes the framing of a connection.
    """

    def __init__(
        self,
        listening: socket.socket,
        receiver: Receiver,
        framing: Callable[[], Framing],
        connections: Connections,
    ) -> None:
        self.receiver = receiver
        self._socket = listening
        self._framing = framing
        self._connections = connections

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> None:
        """Accept who is waiting."""
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                client, address = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _NO_DESCRIPTOR:  # who waits keeps waiting, and wakes us again
                    self._connections.close_one()
                    sleep(_NO_DESCRIPTOR_PAUSE_S)
                return
            client.setblocking(False)
            self.receiver.door.connections += 1
            name = client_name(address)
            made = Connection(client, name, self.receiver, self._framing(), self._connections)
            self._connections.add(made)

    def close(self) -> None:
        for connection in self._connections.of(self.receiver):
            connection.finish()
        self._socket.close()


def client_name(address: object) -> str:
    """Who has sent something: an IP address and port; nothing is known at a Unix socket."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return ""
