"""The thread that all listeners of a process share: opens doors, reads what is there, closes them.

What cannot be opened is reported once and tried again each second: a taken port or a missing
directory never stops anything. The thread ends when its owner is gone.
"""

from __future__ import annotations

import os
import resource
import selectors
import socket
import threading
import weakref
from collections.abc import Callable, Sequence

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.process import interrupts
from inapp_monitor.ingest.addresses import Address
from inapp_monitor.ingest.listeners import sockets
from inapp_monitor.ingest.listeners.datagrams import DatagramDoor
from inapp_monitor.ingest.listeners.fifo import FifoDoor
from inapp_monitor.ingest.listeners.receiver import Receiver
from inapp_monitor.ingest.listeners.selected import Selected, Waiting, Watched
from inapp_monitor.ingest.listeners.spool import SpoolDoor, SpoolPositions
from inapp_monitor.ingest.listeners.streams import Connections, StreamDoor
from inapp_monitor.ingest.protocols.framing import Framing

#: Seconds between two looks at what cannot be waited for.
_LOOK_S = 0.5
#: Seconds between two tries to open a door.
_RETRY_S = 1.0
#: Seconds that the end waits for what is still arriving.
_DRAIN_S = 1.0
#: Connections at once, and the part of the descriptors that a process may have which they may take.
MAX_CONNECTIONS = 512
_DESCRIPTORS_PART = 4


class Listener:
    """One address to be opened, and what receives what comes there."""

    def __init__(
        self, address: Address, receiver: Receiver, framing: Callable[[], Framing]
    ) -> None:
        self.address = address
        self.receiver = receiver
        self.framing = framing
        self.opened: Selected | None = None
        self.made: tuple[int, int] | None = None

    @property
    def part(self) -> str:
        """What the guard calls it."""
        return f"listening at {self.address.text}"


class ListenLoop:
    """Reads some listeners in one daemon thread.

    Args:
        owner: The thread ends when it is gone; held weakly.

    *Threads:* `start` and `stop` are for one thread at a time.
    """

    def __init__(
        self,
        owner: object,
        listeners: Sequence[Listener],
        positions: SpoolPositions,
        clock: Clock,
        guard: Guard,
    ) -> None:
        self._positions = positions
        self._looked_at = float("-inf")
        self._owner = weakref.ref(owner)
        self._listeners = listeners
        self._clock = clock
        self._guard = guard
        self._stopping = False
        self._pid = os.getpid()
        self._selector = selectors.DefaultSelector()
        self._waiting = Waiting(self._selector)
        self._connections = Connections(self._waiting, max_connections())
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, _Wake(self._woken))
        self._tried_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="inapp-monitor-ingest", daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: no thread can be started here.
        """
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self, timeout_s: float) -> None:
        """Read what has arrived, close all doors, and end; waits a little for that."""
        self._stopping = True
        try:
            self._wake.send(b"\0")
        except OSError:
            pass
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def forked(self) -> None:
        """In a child process: give back the parent's descriptors, and leave its doors open."""
        self._stopping = True
        self._selector.close()
        for listener in self._listeners:
            if listener.opened is not None:
                listener.opened.close()
                listener.opened = None
        self._connections.abandon()
        self._wake.close()
        self._woken.close()

    def _run(self) -> None:
        with interrupts.raised_in_main_greenlet():
            try:
                while not self._stopping and self._owner() is not None:
                    self._open_missing()
                    self._read(_LOOK_S)
                    self._look()
                self._drain()
            finally:
                if self._pid == os.getpid():
                    self._close()

    def _read(self, timeout_s: float) -> bool:
        """Read once what is ready. Returns whether there was anything."""
        ready = self._waiting.ready(timeout_s)
        for selected in ready:
            try:
                selected.read()
            except Exception as error:  # noqa: BLE001  # one door must not close the others
                self._guard.failed("reading what was sent", error)
                self._waiting.remove(selected)
                for listener in self._listeners:
                    if listener.opened is selected:
                        listener.opened = None  # to be opened again
                        listener.receiver.door.state = str(error)
        return bool(ready)

    def _look(self, *, at_once: bool = False) -> None:
        """Look at what cannot be waited for, once in a while."""
        now = self._clock.perf()
        if now - self._looked_at < _LOOK_S and not at_once:
            return
        self._looked_at = now
        for listener in self._listeners:
            if isinstance(listener.opened, Watched):
                try:
                    listener.opened.look()
                except OSError as error:
                    self._guard.failed(listener.part, error)
                    listener.receiver.door.state = error.strerror or str(error)
                else:
                    if listener.receiver.door.state != "open":
                        listener.receiver.door.state = "open"
                        self._guard.recovered(listener.part)

    def _drain(self) -> None:
        until = self._clock.perf() + _DRAIN_S
        while self._read(0.0) and self._clock.perf() < until:
            pass
        self._look(at_once=True)

    def _open_missing(self) -> None:
        now = self._clock.perf()
        if now - self._tried_at < _RETRY_S:
            return
        self._tried_at = now
        for listener in self._listeners:
            if listener.opened is None:
                self._open(listener)

    def _open(self, listener: Listener) -> None:
        door = listener.receiver.door
        try:
            listener.opened = self._made(listener)
            listener.made = sockets.identity(listener.address.path)
            if listener.opened.fileno() >= 0:
                self._waiting.add(listener.opened)
        except (OSError, ValueError) as error:
            door.state = getattr(error, "strerror", None) or str(error)
            self._guard.failed(listener.part, error)
        else:
            door.state = "open"
            self._guard.recovered(listener.part)

    def _made(self, listener: Listener) -> Selected:
        transport = listener.address.transport
        if transport == "fifo":
            return FifoDoor(listener.address, listener.receiver)
        if transport == "spool":
            return SpoolDoor(listener.address.path, listener.receiver, self._positions)
        bound = sockets.bound(listener.address)
        if transport in ("tcp", "unixstream"):
            return StreamDoor(bound, listener.receiver, listener.framing, self._connections)
        return DatagramDoor(bound, listener.receiver)

    def _close(self) -> None:
        for listener in self._listeners:
            opened, listener.opened = listener.opened, None
            listener.receiver.door.state = "closed"
            if opened is not None:
                self._waiting.remove(opened)
                if listener.address.transport not in ("fifo", "spool"):
                    sockets.remove_own(listener.address.path, listener.made)
        self._selector.close()
        self._wake.close()
        self._woken.close()


class _Wake:
    """Ends a wait."""

    def __init__(self, woken: socket.socket) -> None:
        self._socket = woken

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> None:
        try:
            self._socket.recv(16)
        except OSError:
            pass

    def close(self) -> None:
        self._socket.close()


def max_connections() -> int:
    """Connections that a process may hold: most of its descriptors are the application's."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(8, min(MAX_CONNECTIONS, soft // _DESCRIPTORS_PART))
