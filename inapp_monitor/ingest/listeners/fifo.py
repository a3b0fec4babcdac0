"""A FIFO that programs write lines into: `echo "backup.ok:1|c" > /run/app/metrics`.

It is opened for reading and writing, so that a writer never waits for a reader at its `open`, and
it stays when the reader goes: the next one goes on with it. A line without its end counts once
nothing more has come for a moment: its writer is gone.
"""

from __future__ import annotations

import os
import stat

from inapp_monitor.ingest.addresses import Address
from inapp_monitor.ingest.listeners.receiver import Receiver
from inapp_monitor.ingest.listeners.trusted_paths import mode_of
from inapp_monitor.ingest.protocols.framing import LineFraming

#: What a pipe of Linux holds.
_READ_BYTES = 65_536


class FifoDoor:
    """One FIFO, made if it is not there.

    Raises:
        OSError: it cannot be made or opened, or something else stands there.
    """

    def __init__(self, address: Address, receiver: Receiver) -> None:
        self._receiver = receiver
        self._framing = LineFraming()
        self._heard = made = False
        try:
            os.mkfifo(address.path, address.mode)
        except FileExistsError:
            pass
        else:
            made = True
        if not stat.S_ISFIFO(mode_of(address.path)):
            raise FileExistsError(f"{address.path} is no FIFO")
        self._descriptor = os.open(address.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):  # another one by now
            self.close()
            raise FileExistsError(f"{address.path} is no FIFO")
        if made:
            os.fchmod(self._descriptor, address.mode)  # whatever the umask

    def fileno(self) -> int:
        return self._descriptor

    def read(self) -> None:
        """Take what writers have left."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        self._heard = True
        for unit in self._framing.feed(data, self._refuse):
            self._receiver.receive(unit, "")

    def look(self) -> None:
        """Called once in a while: a line that was begun before and not gone on with is whole."""
        heard, self._heard = self._heard, False
        if not heard:
            rest = self._framing.take_rest()
            if rest:
                self._receiver.receive(rest, "")

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _refuse(self, reason: str, text: bytes) -> None:
        self._receiver.refuse(reason, text, "")
