"""Doors of a running monitor: real sockets, real clients' bytes."""

from __future__ import annotations

import socket
from collections.abc import Callable

from inapp_monitor import Monitor
from inapp_monitor.ingest.doors import Door
from tests.ingest.conftest import latest, until


def open_door(monitor: Monitor, address: str) -> Door:
    """The door's counts, once it is open."""
    door = monitor.life.services.listening.doors[address]
    until(lambda: door.state == "open", f"{address} to open")
    return door


def test_a_line_over_tcp_and_one_over_udp(make: Callable[..., Monitor], port: int) -> None:
    """`nc` and any Carbon client are heard; a bad line is counted and costs only itself."""
    tcp, udp = f"carbon://127.0.0.1:{port}", f"carbon+udp://127.0.0.1:{port}"
    monitor = make(listen=[tcp, udp])
    open_door(monitor, tcp)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"garbage\nshop.orders 7\nshop.ha")
        client.sendall(b"lf 8\n")
    open_door(monitor, udp)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"shop.visits 3", ("127.0.0.1", port))
    for path, value in (("shop.orders", 7.0), ("shop.half", 8.0), ("shop.visits", 3.0)):
        until(lambda path=path, value=value: latest(monitor, path) == value, path)
    door = open_door(monitor, tcp)
    assert (door.lines, door.points, door.connections) == (3, 2, 1)
    assert door.rejects == {"fields": 1}
    assert door.last_rejected["fields"].text == "garbage"
    assert door.last_client.startswith("127.0.0.1:")
