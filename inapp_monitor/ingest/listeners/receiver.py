"""What one door does with whole units: parse, hand over, count. Knows no socket."""

from __future__ import annotations

from collections.abc import Callable

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.process.gil_yield import GilYield
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.intake import Intake
from inapp_monitor.ingest.protocols.framing import pieces_of_lines
from inapp_monitor.ingest.protocols.registry import Cut, Parse

#: Bytes parsed at a time: about 100 lines, 0.2 ms in which no other thread runs.
_PIECE_BYTES = 3_500
#: Seconds of parsing that a request may have to wait for.
_WORK_S = 5e-4


class Receiver:
    """One door's.

    Args:
        parse: Of the door's protocol.
        cut: Cuts a unit into pieces, see `registry.Spoken`.
        counts_units: Whether parsing counts its units: then each is parsed alone.
        failed: Called with an error of our own; the unit is counted as refused, others go on.

    *Threads:* one at a time.
    """

    def __init__(
        self,
        door: Door,
        parse: Parse,
        intake: Intake,
        clock: Clock,
        *,
        cut: Cut | None = pieces_of_lines,
        counts_units: bool = False,
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        self._failed = failed
        self._parses_together = cut is pieces_of_lines and not counts_units
        self.door = door
        self._parse = parse
        self._intake = intake
        self._clock = clock
        self._cut = cut
        self._yield_gil = GilYield(_WORK_S)

    def receive_all(self, units: list[bytes], client: str) -> None:
        """Take several units of one client; those of lines together."""
        if self._parses_together and len(units) > 1:
            self.door.packets += len(units) - 1
            units = [b"\n".join(units)]
        for unit in units:
            self.receive(unit, client)

    def receive(self, unit: bytes, client: str) -> None:
        """Take a unit: a datagram, a frame, or whole lines."""
        self._yield_gil()
        if self._cut is None or len(unit) <= _PIECE_BYTES:
            self._take(unit, client)
            return
        for piece in self._cut(unit, _PIECE_BYTES):
            self._take(piece, client)
            self._yield_gil()

    def _take(self, unit: bytes, client: str) -> None:
        try:
            parsed = self._parse(unit, self._clock.wall())
        except Exception as error:
            if self._failed is None:
                raise
            self._failed(error)
            self.refuse("internal_error", unit, client)
        else:
            self._intake.take(self.door, parsed, client)

    def count_dropped(self, count: int) -> None:
        """Count datagrams that the system has dropped."""
        self.door.kernel_drops += count
        self.door.dropped_at = self._clock.wall()

    def refuse(self, reason: str, text: bytes, client: str) -> None:
        """Count half a unit, or one that is too long."""
        self.door.reject(reason, text, client, self._clock.wall())
