"""Numbers on their way to a destination: closed intervals of the store, portion by portion."""

from __future__ import annotations

from typing import Protocol

from inapp_monitor.export import closed_intervals
from inapp_monitor.export.channel import Work
from inapp_monitor.export.closed_intervals import LATE_S, PORTION_S, STEP_S, settled
from inapp_monitor.export.portions import Portion
from inapp_monitor.export.running_totals import Series


class Sender(Protocol):
    """How a portion is handed over; raises as `Channel.send` does."""

    def send(self, portion: Portion) -> int: ...
    def close(self) -> None: ...

    @property
    def counted_until(self) -> int | None:
        """The moment up to which its totals hold everything; None where it has none."""

    def count(self, portion: Portion) -> None:
        """Add to the totals what the peer has already."""


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
        self._is_begun = False

    def beginning(self, now: float) -> int:
        """With what happens from now on."""
        return settled(now, self._late_s)

    def next(self, position: int, now: float) -> Work | None:
        """The intervals that ended after a position."""
        latest = settled(now, self._late_s)
        if position > latest + PORTION_S:  # the clock was set back
            return Work(latest, 0, None)
        if not self._is_begun:
            self._count_up_to(position, now)
            self._is_begun = True
        window = closed_intervals.window(position, now, self._late_s)
        if window is None:
            return None
        after, until = window
        portion = closed_intervals.read(self._store, after, until, int(now))
        payload = portion if len(portion) else None
        return Work(until, len(portion), payload, max(0, after - position) // STEP_S)

    def _count_up_to(self, position: int, now: float) -> None:
        """Totals that the disk did not take when the position was written lack what was sent."""
        at = self._sender.counted_until
        while at is not None and at < position:
            window = closed_intervals.window(at, now, self._late_s)
            if window is None:
                return
            after, until = window
            at = min(until, position)
            self._sender.count(closed_intervals.read(self._store, after, at, int(now)))

    def send(self, payload: object) -> int:
        """Hand over a portion."""
        assert isinstance(payload, Portion)
        return self._sender.send(payload)

    def waiting(self, position: int, now: float) -> tuple[float, int]:
        """Seconds since the position; what is due in one step does not wait yet."""
        age_s = settled(now, self._late_s) - position
        return (float(age_s), 0) if age_s > STEP_S else (0.0, 0)

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()
