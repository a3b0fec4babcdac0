"""Sockets that end at a deadline, however slowly the other side answers.

A timeout holds for each read: who sends a byte each second keeps a reader for ever. The libraries
for HTTP and SMTP read through `recv_into`, so that the time that is left is set there.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

from inapp_monitor.ground.clock import perf_counter

#: All steps together may take so many times what one may.
STEPS = 3
_ASKING = ("recv_into", "sendall", "send")


class Deadline:
    """The end of one dialogue, from now on.

    Args:
        timeout_s: Of each step.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._ends = perf_counter() + STEPS * timeout_s

    def left_s(self) -> float:
        """For the next step.

        Raises:
            TimeoutError: nothing is left.
        """
        left = min(self._ends - perf_counter(), self._timeout_s)
        if left <= 0:
            raise TimeoutError(f"no end after {STEPS * self._timeout_s:g} s")
        return left

    def connected(self, host: str, port: int) -> socket.socket:
        """A connection that ends then.

        Raises:
            OSError: nobody answers in time.
        """
        plain = socket.create_connection((host, port), self.left_s())
        made: socket.socket = _bounded(socket.socket, self)(
            plain.family, plain.type, plain.proto, fileno=plain.detach()
        )
        made.settimeout(self.left_s())
        return made

    def context(self) -> ssl.SSLContext:
        """What encrypts such a connection, and checks whose it is."""
        context = ssl.create_default_context()
        context.sslsocket_class = _bounded(ssl.SSLSocket, self)
        return context


def _bounded(base: type[Any], deadline: Deadline) -> type[Any]:
    """A class of sockets that ask for the time that is left before each read and write."""

    def asking(name: str) -> Callable[..., Any]:
        def call(self: Any, *arguments: Any) -> Any:
            self.settimeout(deadline.left_s())
            return getattr(super(made, self), name)(*arguments)

        return call

    made = type(
        base.__name__, (base,), {name: asking(name) for name in ("recv_into", "sendall", "send")}
    )
    return made
