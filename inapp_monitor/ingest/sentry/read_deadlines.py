"""Deadlines for reading the bodies of requests: a client that sends a byte a second is cut off.

WSGI has no timeout for reading, and a timeout of the socket begins anew with every byte. So the
reading side of the connection is shut at the deadline: the read that waits there sees the end, and
the answer can still be sent. It needs the socket, which some servers leave in the environ.

What must not be here: HTTP, or what the answer is.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from inapp_monitor.ground.clock import sleep

#: Where servers leave the socket of a request.
_SOCKET_KEYS = ("gunicorn.socket", "werkzeug.socket")
#: How often deadlines are looked at, and how long the thread stays without one.
_EVERY_S, _IDLE_S = 0.2, 10.0


class Reading:
    """One body being read.

    Args:
        now: Seconds of a clock that never goes back.
        seconds: Until the deadline.
        connection: What is shut then; None where the server does not give it.
    """

    def __init__(
        self, now: Callable[[], float], seconds: float, connection: socket.socket | None
    ) -> None:
        self.connection = connection
        self._now = now
        self.allow(seconds)

    def allow(self, seconds: float) -> None:
        """Set the deadline anew: so many seconds from now."""
        self._ends_at = self._now() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self._now() >= self._ends_at


class ReadDeadlines:
    """Watches the bodies that are being read. *Threads:* any; it has one of its own while requests
    come.

    Args:
        now: Seconds of a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._readings: set[Reading] = set()
        self._thread: threading.Thread | None = None
        self._last = 0.0

    @contextmanager
    def within(self, seconds: float, environ: Mapping[str, Any]) -> Iterator[Reading]:
        """Read a body inside; its deadline can be set anew meanwhile."""
        connection = next(
            (each for key in _SOCKET_KEYS if isinstance(each := environ.get(key), socket.socket)),
            None,
        )
        reading = Reading(self._now, seconds, connection)
        if connection is None:
            yield reading
            return
        with self._lock:
            self._readings.add(reading)
            self._start()
        try:
            yield reading
        finally:
            with self._lock:  # from here on the connection may be used for another request
                self._readings.discard(reading)
                self._last = self._now()

    def forked(self) -> None:
        """In a child process: a thread of the parent may hold the lock, and none runs here."""
        self._lock = threading.Lock()
        self._readings = set()
        self._thread = None

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._run, name="inapp-monitor-deadlines", daemon=True)
        with suppress(RuntimeError):  # no more threads: the body is read without a deadline
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while True:
            sleep(_EVERY_S)
            with self._lock:
                if self._thread is not threading.current_thread():
                    return
                for reading in [each for each in self._readings if each.is_over]:
                    self._readings.discard(reading)
                    _shut(reading.connection)
                if not self._readings and self._now() - self._last > _IDLE_S:
                    self._thread = None
                    return


def _shut(connection: socket.socket | None) -> None:
    """End reading; under TLS too, whose own `shutdown` would end the encryption as well."""
    with suppress(OSError):
        if connection is not None:
            socket.socket.shutdown(connection, socket.SHUT_RD)
