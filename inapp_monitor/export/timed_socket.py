"""A connection that is given up at a moment: a time limit of a socket is one of each step only.

A peer that sends a byte every few seconds, or reads as slowly, is within the limit of each step for
ever.
"""

from __future__ import annotations

import errno
import io
import socket
from collections.abc import Callable
from typing import Any, Final

from inapp_monitor.ground.clock import perf_counter

#: Bytes that are sent in one step.
_PIECE: Final = 64 * 2**10


class TimedSocket:
    """What `http.client` needs of a socket.

    Args:
        connection: An open one; its time limit stays the one of each step.
        deadline: Performance counter after which every step is a TimeoutError.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._step_s = connection.gettimeout() or 0.0
        self._deadline = deadline

    def sendall(self, data: Any) -> None:
        """Send all of it."""
        view = memoryview(data)
        for first in range(0, len(view), _PIECE):
            self._limit()
            self._connection.sendall(view[first : first + _PIECE])

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002  # http.client reads bytes
        """What answers are read from; it outlives `close`."""
        return io.BufferedReader(_TimedReader(self._connection.makefile("rb", 0), self._limit))

    def close(self) -> None:
        """Close it, once what reads from it is closed."""
        self._connection.close()

    def _limit(self) -> None:
        left_s = self._deadline - perf_counter()
        if left_s <= 0:
            raise TimeoutError(errno.ETIMEDOUT, "the peer is too slow")
        self._connection.settimeout(min(self._step_s, left_s))


class _TimedReader(io.RawIOBase):
    """Reads from a socket's file, each step within the limit."""

    def __init__(self, raw: Any, limit: Callable[[], None]) -> None:
        self._raw = raw
        self._limit = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._limit()
        found: int | None = self._raw.readinto(buffer)
        return found

    def close(self) -> None:
        self._raw.close()
        super().close()
