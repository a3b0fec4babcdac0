"""Doors in real servers: one worker holds them, another takes over, and no line that was taken is
counted twice or lost but those of the moment of a kill."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.shared_doors import SharedDoors
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from tests.ports import number_of, reserve_port

from .harness import PATIENCE_S, Served, missing, representing

NAMES = [
    *("gunicorn gthread", "gunicorn preload", "gunicorn gevent", "waitress", "gevent"),
    *("uwsgi prefork", "uwsgi lazy"),
]
pytestmark = [pytest.mark.slow]


class Doors:
    """The doors of a served site, as its page would show them."""

    def __init__(self, served: Served, address: str, port: int) -> None:
        self._served = served
        self._shared = SharedDoors(served.directory / "data", FakeClock(time.time()))
        self._address = address
        self.port = port

    def row(self) -> dict[str, object]:
        rows = self._shared.rows({self._address: Door(self._address)})
        return next(row for row in rows if row["address"] == self._address)

    def held_by(self) -> int:
        """The worker that holds them; 0 while nobody does."""
        row = self.row()
        holder = row["held_by"] if row["state"] == "open" else 0
        assert holder is None or isinstance(holder, int)
        return holder or 0

    def send(self, lines: int) -> int:
        """Send counters on a connection of its own; 0 when nobody takes it."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as client:
                client.sendall(b"door.lines:1|c\n" * lines)
        except OSError:
            return 0
        return lines


def total(served: Served) -> float:
    now = int(time.time())
    settings = load({"data_dir": served.directory / "data"}, environ={}).settings
    store = Store(settings.data_dir, settings, SYSTEM, Guard(), read_only=True)
    ranges = store.fetch(["door.lines"], now - 1_200, now + 20, now)
    found = sum(v for each in ranges for v in each.values if v == v)
    store.close()
    return found


@pytest.mark.parametrize(
    "name", representing(NAMES, "gunicorn gthread", "gunicorn gevent", "uwsgi prefork")
)
def test_doors_in_a_server(name: str, tmp_path: Path) -> None:
    """Each kind of server and worker: what is sent is stored once, and requests are counted."""
    if reason := missing(name):
        pytest.skip(reason)
    with reserve_port() as reserved:
        port = number_of(reserved)
    address = f"statsd+tcp://127.0.0.1:{port}"
    with Served(name, tmp_path, INAPP_MONITOR_LISTEN=address) as served:
        served.traffic(20)
        doors = Doors(served, address, port)
        served.wait_for(doors.held_by)
        for _ in range(10):
            assert doors.send(50)
        served.wait_for(lambda: total(served) == 500.0)
        served.traffic(20)
        served.stop(signal.SIGTERM)
        assert served.left_over() == []
    assert served.errors == []
    assert total(served) == 500.0


def test_the_holder_is_killed_under_load(tmp_path: Path) -> None:
    """Another worker opens the doors; clients connect again; what is counted is short by a flush
    at most."""
    name = "gunicorn gthread"
    if reason := missing(name):
        pytest.skip(reason)
    with reserve_port() as reserved:
        port = number_of(reserved)
    address = f"statsd+tcp://127.0.0.1:{port}"
    with Served(name, tmp_path, INAPP_MONITOR_LISTEN=address, FLUSH_S="1") as served:
        served.traffic(40)
        doors = Doors(served, address, port)
        served.wait_for(doors.held_by)
        first, sent = doors.held_by(), 0
        for _ in range(30):
            sent += doors.send(100)
            time.sleep(0.05)
        served.wait_for(lambda: total(served) >= sent - 2_000)  # at once, but on a busy machine
        os.kill(first, signal.SIGKILL)
        killed_at = time.monotonic()
        refused = 0
        while doors.held_by() in (0, first):
            served.traffic(4)
            refused += not doors.send(1)
            assert time.monotonic() - killed_at < PATIENCE_S, served.log()
        for _ in range(30):
            sent += doors.send(100)
        served.wait_for(lambda: total(served) >= sent - 3_000)
        time.sleep(2.5)
        found = total(served)
        assert sent - 2_200 <= found <= sent + 200, (sent, found, refused)
        served.stop(signal.SIGTERM)
