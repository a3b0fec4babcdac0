"""The doors of one process: made of the setting `listen`, open while this process is the leader.

One process must open them, and another one takes over when it dies. A fork leaves them to the
parent. The HTTP doors, which every worker has, are made here, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ingest.addresses import Address, parse_address
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.intake import Intake
from inapp_monitor.ingest.listeners.loop import Listener, ListenLoop
from inapp_monitor.ingest.listeners.receiver import Receiver
from inapp_monitor.ingest.protocols.framing import LineFraming
from inapp_monitor.ingest.protocols.registry import PROTOCOLS, usages

#: Seconds that closing waits for what is arriving.
_STOP_S = 2.0


class Listening:
    """The doors that were set.

    Args:
        texts: Addresses, see `addresses`.

    Attributes:
        doors: Of this process, by address; HTTP doors are added when they are first used.

    Raises:
        ConfigError: an address that cannot be understood.

    *Threads:* `door` any; the rest one at a time.
    """

    def __init__(self, texts: Sequence[str], intake: Intake, clock: Clock, guard: Guard) -> None:
        self.intake = intake
        self._clock = clock
        self._guard = guard
        known = usages()
        self._addresses = [parse_address(text, known) for text in dict.fromkeys(texts)]
        self._loop: ListenLoop | None = None
        self._make_doors()

    def _make_doors(self) -> None:
        self.doors = {address.text: Door(address.text) for address in self._addresses}

    @property
    def is_set(self) -> bool:
        """Whether any door was set."""
        return bool(self._addresses)

    @property
    def is_open(self) -> bool:
        """Whether the listeners are this process's."""
        return self._loop is not None

    def door(self, address: str) -> Door:
        """The counts of an HTTP door of this process, by its URL path."""
        door = self.doors.get(address)
        if door is None:
            door = self.doors.setdefault(address, Door(address, "open"))
        return door

    def tick(self, *, is_leader: bool) -> None:
        """Open the doors when this process leads, close them when it does no longer.

        Raises:
            RuntimeError: no thread can be started here, so that nobody listens.
        """
        if self._loop is not None and not self._loop.is_alive:
            self._loop = None  # whatever ended it: begin anew
        if not self._addresses or is_leader == self.is_open:
            return
        if not is_leader:
            self.stop()
            return
        listeners = [self._listener(address) for address in self._addresses]
        loop = ListenLoop(self, listeners, self._clock, self._guard)
        loop.start()
        self._loop = loop

    def _listener(self, address: Address) -> Listener:
        spoken = PROTOCOLS[address.protocol]
        parse = spoken.parser(address.options)
        by_lines = isinstance(spoken.framing(), LineFraming)
        receiver = Receiver(
            self.doors[address.text], parse, self.intake, self._clock, by_lines=by_lines
        )
        return Listener(address, receiver, spoken.framing)

    def forked(self) -> None:
        """In a child process: the doors stay the parent's."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.forked()
        self.intake.forked()
        self._make_doors()

    def stop(self) -> None:
        """Close the doors, after what has arrived was read."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop(_STOP_S)
