"""What a listener's thread waits for: anything with a descriptor that can be read."""

from __future__ import annotations

from selectors import EVENT_READ, BaseSelector
from typing import Protocol, runtime_checkable


class Selected(Protocol):
    """A socket or pipe that is read when something is there."""

    def fileno(self) -> int:
        """Its descriptor."""
        ...

    def read(self) -> None:
        """Something may be there; returns soon, whatever comes."""
        ...

    def close(self) -> None:
        """Give the descriptor back; may be called twice."""
        ...


@runtime_checkable
class Watched(Protocol):
    """What has to be looked at once in a while, besides or instead of being waited for."""

    def look(self) -> None:
        """See what has changed."""
        ...


class Waiting:
    """All that one thread waits for, in the order of their latest reading.

    *Threads:* one.
    """

    def __init__(self, selector: BaseSelector) -> None:
        self._selector = selector

    def add(self, selected: Selected) -> None:
        """Wait for it, too."""
        self._selector.register(selected.fileno(), EVENT_READ, selected)

    def remove(self, selected: Selected) -> None:
        """Wait for it no more, and close it."""
        descriptor = selected.fileno()
        if descriptor >= 0:
            try:
                self._selector.unregister(descriptor)
            except KeyError:
                pass
        selected.close()

    def ready(self, timeout_s: float) -> list[Selected]:
        """What can be read, or [] after the timeout."""
        return [key.data for key, _ in self._selector.select(timeout_s)]
