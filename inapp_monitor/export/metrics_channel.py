"""Numbers on their way to a destination: closed intervals of the store, portion by portion."""

from __future__ import annotations

from typing import Final, Protocol

from inapp_monitor.export import closed_intervals
from inapp_monitor.export.channel import Work
from inapp_monitor.export.closed_intervals import PORTION_S
from inapp_monitor.export.portions import Portion
from inapp_monitor.export.running_totals import Series

#: Seconds after its end until which workers add to an interval, as a rule.
LATE_S: Final = 15
#: Every interval ends at a multiple of it, or is read with the next one that does.
_STEP_S: Final = 10
_COARSER_S: Final = 60
#: What is older when the peer comes back is not sent any more: as long as the finest archive.
KEPT_S: Final = 6 * 3_600


class Sender(Protocol):
    """How a portion is handed over; raises as `Channel.send` does."""

    def send(self, portion: Portion) -> int: ...
    def close(self) -> None: ...


class MetricsChannel:
    """A `Channel` of numbers.

    Args:
        store: Where they are.
        sender: What is spoken at the destination.
    """

    def __init__(self, store: Series, sender: Sender, late_s: int = LATE_S) -> None:
        self._store = store
        self._sender = sender
        self._late_s = late_s

    def beginning(self, now: float) -> int:
        """With what happens from now on."""
        return self._settled(now)

    def next(self, position: int, now: float) -> Work | None:
        """The intervals that ended after a position."""
        settled = self._settled(now)
        if position > settled + PORTION_S:  # the clock was set back
            return Work(settled, 0, None)
        oldest = self._settled(now - KEPT_S)
        dropped = 0
        if position < oldest:
            dropped = (oldest - position) // _STEP_S
            position = oldest
        if position >= settled:
            return None
        # Whole minutes, so that the intervals of coarser archives are neither cut nor repeated.
        until = min(settled, (position + PORTION_S) // _COARSER_S * _COARSER_S)
        portion = closed_intervals.read(self._store, position, until, int(now))
        return Work(until, len(portion), portion if len(portion) else None, dropped)

    def send(self, payload: object) -> int:
        """Hand over a portion."""
        assert isinstance(payload, Portion)
        return self._sender.send(payload)

    def waiting(self, position: int, now: float) -> tuple[float, int]:
        """Seconds since the position; what is due in one step does not wait yet."""
        age_s = self._settled(now) - position
        return (float(age_s), 0) if age_s > _STEP_S else (0.0, 0)

    def close(self) -> None:
        """Let go of the connection."""
        self._sender.close()

    def _settled(self, now: float) -> int:
        moment = int(now) - self._late_s
        return moment - moment % _STEP_S
