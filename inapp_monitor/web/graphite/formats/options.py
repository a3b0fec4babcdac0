"""How an answer is to be written: the options of a render request besides its data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from inapp_monitor.ground.exceptions import QueryError

#: Largest picture, in pixels a side.
MAX_PIXELS = 4_000


def _without_limit() -> None:
    """Write for as long as it takes."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the writers.

    Attributes:
        start, end: The window, epoch seconds.
        tz: Zone of printed times.
        pretty: Indented JSON.
        skip_nulls: Leave out null points, and series without any point.
        picture: The request's own parameters, for pictures.
        check_time: Asked by writers now and then: raises QueryError when the work takes too long.
    """

    start: int = 0
    end: int = 0
    tz: tzinfo = UTC
    pretty: bool = False
    skip_nulls: bool = False
    picture: Mapping[str, str] = field(default_factory=dict)
    check_time: Callable[[], None] = _without_limit

    def moment(self, timestamp: float) -> str:
        """A point's time in the zone; epoch seconds where the calendar ends."""
        try:
            return datetime.fromtimestamp(timestamp, self.tz).strftime("%Y-%m-%d %H:%M:%S")
        except (OverflowError, OSError, ValueError):
            return f"{timestamp:.0f}"

    def text(self, name: str, default: str = "") -> str:
        """A picture option as it was given."""
        return self.picture.get(name, default)

    def flag(self, name: str) -> bool:
        """A picture option that is `true` (or 1)."""
        return self.picture.get(name, "").lower() in ("true", "1", "yes", "on")

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        """A picture option that is one of some words, the first of them when missing.

        Raises:
            QueryError: it is something else.
        """
        given = self.text(name) or allowed[0]
        if given not in allowed:
            raise QueryError(f"{name} must be one of {', '.join(allowed)}, got {given[:40]!r}")
        return given

    def number(self, name: str) -> float | None:
        """A picture option that is a number; None when missing.

        Raises:
            QueryError: it is something else.
        """
        given = self.picture.get(name, "")
        if given in ("", "default"):
            return None
        try:
            value = float(given)
        except ValueError:
            raise QueryError(f"{name} must be a number, got {given[:40]!r}") from None
        if not math.isfinite(value):
            raise QueryError(f"{name} must be a finite number, got {given[:40]!r}")
        return value

    def pixels(self, name: str, default: int) -> int:
        """Width or height.

        Raises:
            QueryError: not a number, or out of bounds.
        """
        value = self.number(name)
        if value is None:
            return default
        if not 1 <= value <= MAX_PIXELS:
            raise QueryError(f"{name} must be 1 to {MAX_PIXELS} pixels, got {value:g}")
        return int(value)
