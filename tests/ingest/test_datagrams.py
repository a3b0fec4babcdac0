"""What the system drops because nobody receives it in time is counted, to the datagram."""

from __future__ import annotations

import socket

import pytest

from inapp_monitor.ingest.listeners.datagrams import DatagramDoor
from inapp_monitor.ingest.listeners.receiver import Receiver
from inapp_monitor.ingest.protocols import carbon
from inapp_monitor.ingest.protocols.parsed import Parsed
from tests.ingest.conftest import Hall


@pytest.mark.parametrize("looks", [True, False])
def test_dropped_datagrams_are_counted(hall: Hall, looks: bool) -> None:
    """Whether they are seen at a look, or with the next datagram; each once."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    bound.setblocking(False)
    receiver = Receiver(hall.door, carbon.parse_columns, hall.intake, hall.clock)
    door = DatagramDoor(bound, receiver)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(3):
            for _ in range(50):
                client.sendto(b"flood.x 1\n" * 20, bound.getsockname())
                sent += 1
            if looks:
                door.look()
                assert hall.door.backlog_bytes > 0
            for _ in range(5):
                door.read()
        client.sendto(b"flood.x 1\n", bound.getsockname())
        door.read()
        door.look()
    assert 0 < hall.door.packets < sent
    assert hall.door.kernel_drops == sent + 1 - hall.door.packets
    assert hall.door.backlog_bytes == 0
    door.close()


def test_an_error_of_our_own_costs_one_unit(hall: Hall) -> None:
    """It is counted and said; what came before and after it is stored."""

    def parse(data: bytes, now: float) -> Parsed:
        return carbon.parse(data, now / len(data.strip(b"!")))

    errors: list[Exception] = []
    receiver = Receiver(hall.door, parse, hall.intake, hall.clock, failed=errors.append)
    for unit in (b"a 1\n", b"!!", b"b 2\n"):
        receiver.receive(unit, "client")
    assert [scalar.path for scalar in hall.scalars] == ["a", "b"]
    assert hall.door.rejects == {"internal_error": 1}
    assert [type(error) for error in errors] == [ZeroDivisionError]
