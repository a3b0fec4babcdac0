"""Ports for servers that must be told one before they start."""

from __future__ import annotations

import socket


def reserve_port() -> socket.socket:
    """Reserve a free port of this machine: as long as the socket is open, nobody is given it who
    asks for any port, while a server that asks for this one gets it.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


def number_of(reserved: socket.socket) -> int:
    """The port."""
    number: int = reserved.getsockname()[1]
    return number
