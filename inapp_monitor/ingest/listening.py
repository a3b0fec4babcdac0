"""The doors of one process: made of the setting `listen`, open while this process is the leader.

One process must open them, and another one takes over when it dies. A fork leaves them to the
parent. The HTTP doors, which every worker has, are made here, too. Protocols and sockets are loaded
when an address is set, and not before: most applications set none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.process import late_imports
from inapp_monitor.ingest.addresses import Address, parse_address
from inapp_monitor.ingest.doors import Door, DoorFacts
from inapp_monitor.ingest.intake import Intake
from inapp_monitor.ingest.shared_doors import SharedDoors

if TYPE_CHECKING:
    from inapp_monitor.ingest.listeners.loop import Listener, ListenLoop
    from inapp_monitor.ingest.listeners.spool import SpoolPositions
    from inapp_monitor.ingest.protocols.registry import Parse
    from inapp_monitor.ingest.statsd_state import StatsDState

#: Seconds that closing waits for what is arriving.
_STOP_S = 2.0


class Listening:
    """The doors that were set.

    Args:
        texts: Addresses, see `addresses`.

    Attributes:
        doors: Of this process, by address; HTTP doors are added when they are first used.
        spool_positions: How far spool files were read; None before this process has listened.

    Raises:
        ConfigError: an address that cannot be understood.

    *Threads:* `door` any; the rest one at a time.
    """

    def __init__(
        self, texts: Sequence[str], data_dir: Path, intake: Intake, clock: Clock, guard: Guard
    ) -> None:
        self._data_dir = data_dir
        self.intake = intake
        self._clock = clock
        self._guard = guard
        self._states: dict[str, StatsDState] = {}
        self._addresses = _addresses(texts)
        for address in self._addresses:
            self._parser(address)  # a bad option is an error now
        self._loop: ListenLoop | None = None
        self.spool_positions: SpoolPositions | None = None
        self._shared = SharedDoors(data_dir, clock)
        self._make_doors()

    def _make_doors(self) -> None:
        self.doors = {address.text: Door(address.text) for address in self._addresses}
        self._states.clear()

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
        with late_imports.loading():
            from inapp_monitor.ingest.listeners.loop import ListenLoop
            from inapp_monitor.ingest.listeners.spool import SpoolPositions
        if self.spool_positions is None:
            self.spool_positions = SpoolPositions(self._data_dir)
        loop = ListenLoop(self, listeners, self.spool_positions, self._clock, self._guard)
        self._loop = loop  # before it starts: a fork must find what it has to close
        try:
            loop.start()
        except RuntimeError:
            self._loop = None
            raise

    def _listener(self, address: Address) -> Listener:
        with late_imports.loading():
            from inapp_monitor.ingest.listeners.loop import Listener
            from inapp_monitor.ingest.listeners.receiver import Receiver
            from inapp_monitor.ingest.protocols.registry import PROTOCOLS
        spoken, parse = PROTOCOLS[address.protocol], self._parser(address)
        receiver = Receiver(
            *(self.doors[address.text], parse, self.intake, self._clock),
            cut=None if address.text in self._states else spoken.cut,
            counts_units=address.text in self._states,
            failed=partial(self._guard.failed, f"understanding what came to {address.text}"),
        )
        return Listener(address, receiver, spoken.framing)

    def _parser(self, address: Address) -> Parse:
        with late_imports.loading():
            from inapp_monitor.ingest.protocols.registry import PROTOCOLS
        try:
            if address.options.get("names", "native") != "native":
                state = _state_of(address)
                self._states[address.text] = state
                return state.parse
            return PROTOCOLS[address.protocol].parser(_with_files(address.options))
        except ValueError as error:
            raise ConfigError(f"setting 'listen': {address.text!r}: {error}") from None

    def flush(self, now: float, *, at_end: bool = False) -> None:
        """Hand over what doors that stand for a StatsD have added up, once an interval is over."""
        if not self._states:
            return
        with late_imports.loading():
            from inapp_monitor.ingest.protocols.statsd_flush import with_whole_tags
        for text, state in self._states.items():
            if at_end or state.is_due(now):
                points = [(with_whole_tags(p[0]), *p[1:]) for p in state.flush(now)]
                self.intake.hand_over(self.doors[text], points)

    def share(self, *, at_once: bool = False) -> dict[str, dict[str, Any]]:
        """Add this process's counts to those of all workers; returns what was new, by address.

        Raises:
            OSError: they cannot be written.
        """
        return self._shared.share(self.doors, listens=self.is_open, at_once=at_once)

    def facts(self) -> DoorFacts:
        """The doors of all workers."""
        return DoorFacts(self._shared.rows(self.doors), self.is_set)

    def forked(self) -> None:
        """In a child process: the doors stay the parent's."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.forked()
        self.intake.forked()
        self._shared.forked()
        self.spool_positions = None
        self._make_doors()

    def stop(self) -> None:
        """Close the doors, after what has arrived was read."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop(_STOP_S)
            self.flush(self._clock.wall(), at_end=True)
            self._states.clear()


def _addresses(texts: Sequence[str]) -> list[Address]:
    """The doors that were set, each once.

    Raises:
        ConfigError: an address that cannot be understood.
    """
    if not texts:
        return []
    with late_imports.loading():
        from inapp_monitor.ingest.protocols.registry import usages
    known = usages()
    return [parse_address(text, known) for text in dict.fromkeys(texts)]


def _state_of(address: Address) -> StatsDState:
    """The StatsD that a door stands for.

    Raises:
        ValueError: an option's value.
    """
    with late_imports.loading():
        from inapp_monitor.ingest.protocols.statsd_flush import config_of
        from inapp_monitor.ingest.statsd_state import StatsDState
    options = dict(address.options)
    names = options.pop("names")
    if names != "statsd":
        raise ValueError(f"names={names}: expected native or statsd")
    if "dialect" in options:
        raise ValueError("dialect is for names=native: with names=statsd a sign moves a gauge")
    is_datagram = address.transport in ("udp", "unix")
    return StatsDState(config_of(options), packet_per_line=not is_datagram)


def _with_files(options: Mapping[str, str]) -> dict[str, str]:
    """The options, with what is in the files that some of them name."""
    with late_imports.loading():
        from inapp_monitor.ingest.protocols.registry import FILES
    try:
        return {
            name: Path(value).read_text("utf-8") if name in FILES else value
            for name, value in options.items()
        }
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror}") from None
