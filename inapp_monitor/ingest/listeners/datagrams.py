"""Doors that datagrams come to: UDP and Unix datagram sockets.

The system drops datagrams that nobody receives in time, and says how many (`SO_RXQ_OVFL`): that is
counted at the door. A datagram is whole: its last line need not end.
"""

from __future__ import annotations

import socket
import struct

from inapp_monitor.ingest.listeners.receiver import Receiver
from inapp_monitor.ingest.listeners.streams import client_name

#: Longest datagram there is.
MAX_DATAGRAM_BYTES = 65_536
#: Bytes that may wait in the system, as far as it allows: 0.2 s of 50,000 lines a second and more.
RECEIVE_BUFFER_BYTES = 4 * 2**20
#: Linux's number of the option, which Python does not name.
_SO_RXQ_OVFL = getattr(socket, "SO_RXQ_OVFL", 40)
_DROPPED = struct.Struct("=I")
#: Linux's memory of a socket: what it holds comes first, drops ninth (`SK_MEMINFO_*`).
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_DROPPED.size)
#: Datagrams received before other doors come next.
_AT_ONCE = 64
#: Bytes of datagrams that are parsed together: 0.2 ms of work.
_TOGETHER_BYTES = 4_096


class DatagramDoor:
    """A bound socket that does not block."""

    def __init__(self, bound: socket.socket, receiver: Receiver) -> None:
        self.receiver = receiver
        self._socket = bound
        self._dropped = 0
        for option, value in (
            (socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES),
            (_SO_RXQ_OVFL, 1),
        ):
            try:
                bound.setsockopt(socket.SOL_SOCKET, option, value)
            except OSError:  # another system than Linux: it works without
                pass

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> None:
        """Take what has come, a part of it."""
        receive, receiver = self._socket.recvmsg, self.receiver
        together: list[bytes] = []
        size, sender = 0, None
        for _ in range(_AT_ONCE):
            try:
                data, ancillary, _, address = receive(MAX_DATAGRAM_BYTES, _ANCILLARY_BYTES)
            except OSError:  # nothing is left, or an ICMP error of an earlier datagram
                break
            if ancillary:
                self._count_dropped(ancillary)
            if together and (size >= _TOGETHER_BYTES or address != sender):
                receiver.receive_all(together, client_name(sender))
                together, size = [], 0
            together.append(data)
            size += len(data)
            sender = address
        if together:
            receiver.receive_all(together, client_name(sender))

    def _count_dropped(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        """The system tells how many it has dropped since the socket was made."""
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL:
                (dropped,) = _DROPPED.unpack(data[: _DROPPED.size])
                self._note_dropped(dropped)

    def _note_dropped(self, dropped: int) -> None:
        new = (dropped - self._dropped) % 2**32  # the system's number begins anew at its end
        if 0 < new < 2**31:  # else it is older: a datagram says what was dropped before it
            self._dropped = dropped
            self.receiver.count_dropped(new)

    def look(self) -> None:
        """See, once in a while, what waits and what was dropped meanwhile."""
        try:
            found = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:
            return
        if len(found) == _MEMINFO.size:
            numbers = _MEMINFO.unpack(found)
            self.receiver.door.backlog_bytes = numbers[0]
            self._note_dropped(numbers[8])

    def close(self) -> None:
        self._socket.close()
