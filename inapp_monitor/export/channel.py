"""What a forwarder needs of a destination: what is next, and how to hand it over."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class LaterError(Exception):
    """The peer asks for patience. `after_s` is how much, None when it does not say."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class RefusedError(Exception):
    """The peer will never take this, however often it is sent."""


class Work(NamedTuple):
    """What is handed over at once.

    Attributes:
        position: Where the destination stands afterwards.
        size: Points or events in it.
        payload: For `Channel.send`; None when there is nothing to send.
        dropped: Points or events before it that are not kept any more.
    """

    position: int
    size: int
    payload: object
    dropped: int = 0


class Channel(Protocol):
    """One destination.

    *Threads:* used by the forwarder's thread alone.
    """

    def beginning(self, now: float) -> int:
        """Where a destination stands that has never been sent anything."""

    def next(self, position: int, now: float) -> Work | None:
        """What follows a position; None when nothing does yet."""

    def send(self, payload: object) -> int:
        """Hand it over; returns how many of it the peer refused.

        Raises:
            OSError: no connection, or it broke.
            LaterError: try again.
            RefusedError: never try again.
        """

    def waiting(self, position: int, now: float) -> tuple[float, int]:
        """Age of the oldest thing that waits, and how many events do."""

    def close(self) -> None:
        """Close the connection."""
