"""Live clients of StatsD and DogStatsD whose socket is replaced: they write into this process.

What they send is appended to a list, a fraction of a microsecond, and read at the next tick as
what comes through any other door. A client keeps its own code: nothing is patched but the socket
that it holds. After a fork a client that opens its socket anew is given this one again.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final

#: Datagrams kept until the next tick.
MAX_DATAGRAMS: Final = 20_000
MAX_DATAGRAM_BYTES: Final = 65_536
#: Where clients hold their socket: DogStatsD's, statsd's, python-statsd's.
_ATTRIBUTES: Final = ("socket", "_sock", "udp_sock")


class Adopted:
    """What adopted clients of one monitor have sent and nobody has read.

    Args:
        first_use: Called before each datagram: the monitor may have to begin its life. None where
            nothing is to be recorded.

    Attributes:
        dropped: Datagrams past the cap.
        clients: How many were adopted.

    *Threads:* any. *Fork:* the owner calls `forked`.
    """

    def __init__(self, first_use: Callable[[], object] | None) -> None:
        self._first_use = first_use
        self.dropped = 0
        self.clients = 0
        self._waiting: deque[tuple[str, bytes]] = deque()

    def add(self, dialect: str, data: bytes) -> None:
        """Keep a datagram until the next tick."""
        if self._first_use is None:
            return
        self._first_use()
        if len(self._waiting) >= MAX_DATAGRAMS or len(data) > MAX_DATAGRAM_BYTES:
            self.dropped += 1
            return
        self._waiting.append((dialect, data))

    def take(self) -> list[tuple[str, bytes]]:
        """What has been sent since the last call, with its dialect."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def forked(self) -> None:
        """In a child process: what waits is the parent's."""
        self._waiting.clear()

    def adopt(self, client: Any) -> None:
        """Replace a client's socket.

        Raises:
            TypeError: it has none where known clients hold theirs.
        """
        name = next((name for name in _ATTRIBUTES if hasattr(client, name)), None)
        if name is None or callable(getattr(client, name)):
            raise TypeError(f"adopt: {type(client).__name__} is no client of statsd or datadog")
        dialect = "dogstatsd" if name == "socket" else "statsd"
        made = AdoptedSocket(self, dialect)
        setattr(client, name, made)
        self.clients += 1
        _remember(client, name, made)


class AdoptedSocket:
    """Behaves as a connected socket whose peer always listens. Never raises, never blocks.

    Args:
        dialect: `statsd` or `dogstatsd`: what a gauge with a sign means.
    """

    def __init__(self, adopted: Adopted, dialect: str) -> None:
        self._adopted = adopted
        self._dialect = dialect

    def sendto(self, data: bytes, *_: object) -> int:
        """Take a datagram. *Cost:* about 0.5 us."""
        try:
            self._adopted.add(self._dialect, bytes(data))
        except Exception:  # noqa: BLE001, S110  # a client must not notice
            pass
        return len(data)

    send = sendto

    def sendall(self, data: bytes, *_: object) -> None:
        """As `sendto`."""
        self.sendto(data)

    def connect(self, *_: object) -> None:
        """There is nobody to connect to."""

    connect_ex = settimeout = setblocking = setsockopt = shutdown = close = connect

    def getsockopt(self, *_: object) -> int:
        """Large enough."""
        return MAX_DATAGRAM_BYTES

    def fileno(self) -> int:
        """It has no descriptor."""
        return -1


#: Adopted clients that live: by their id a reference, the attribute and the socket.
_clients: dict[int, tuple[Callable[[], Any], str, AdoptedSocket]] = {}
#: Modules of clients' classes behind whose hooks for forks the one of this module stands.
_followed: set[str] = set()


def _remember(client: Any, name: str, made: AdoptedSocket) -> None:
    """A client is to have its adopted socket again in a child process, as long as it lives."""
    key = id(client)
    try:
        alive: Callable[[], Any] = weakref.ref(client, lambda _: _clients.pop(key, None))
    except TypeError:  # it has slots and cannot be referred to weakly

        def alive() -> Any:
            return client

    _clients[key] = (alive, name, made)
    module = str(getattr(type(client), "__module__", ""))
    if module not in _followed:  # hooks are called in their order, and cannot be removed
        _followed.add(module)
        os.register_at_fork(after_in_child=_give_again)


def _give_again() -> None:
    for alive, name, made in list(_clients.values()):
        client = alive()
        if client is not None:
            setattr(client, name, made)
