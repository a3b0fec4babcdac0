"""What a render request asks for besides its targets, and the limits of its work. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Protocol

from inapp_monitor.ground.exceptions import QueryError

#: Characters of all names that one request may make: some hundreds for each of 50,000 series.
MAX_NAME_CHARS = 20_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may ask for; each is a setting.

    Attributes:
        targets: Number of targets.
        target_length: Characters of one target.
        depth: Levels of nested calls.
        series: Series that one path may match.
        points: Points that are fetched or made in all.
        time_s: Seconds of work.
    """

    targets: int = 50
    target_length: int = 4_096
    depth: int = 20
    series: int = 1_000
    points: int = 2_000_000
    time_s: float = 2.0


class EventLog(Protocol):
    """Where `events()` finds events."""

    def times(self, start: int, end: int, tags: Sequence[str] | None) -> Sequence[int]:
        """When events with all of `tags` (None: any) happened, `start` and `end` included."""
        ...


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One render request.

    Attributes:
        start, end, now: Epoch seconds.
        tz: Zone of times inside targets.
        x_files_factor: Default for consolidation and aggregation.
        template: Values of `template[name]=value` parameters.
        max_points: What will be drawn.
        own_consolidation: Consolidate by each series' own method, and align steps by time.
        limits: How much may be asked for.
        events: Event marks, for `events()`.
        elapsed: Seconds of work so far; a clock of the caller's.
    """

    start: int
    end: int
    now: int
    tz: tzinfo = UTC
    x_files_factor: float = 0.0
    template: Mapping[str, str] = field(default_factory=dict)
    max_points: int | None = None
    own_consolidation: bool = False
    limits: Limits = Limits()
    events: EventLog | None = None
    elapsed: Callable[[], float] | None = None


class Budget:
    """What is left of the limits while a request is evaluated."""

    __slots__ = ("_elapsed", "_limits", "_name_chars", "_points")

    def __init__(self, limits: Limits, elapsed: Callable[[], float] | None) -> None:
        self._limits = limits
        self._elapsed = elapsed
        self._points = 0
        self._name_chars = 0

    def spend(self, points: int) -> None:
        """Account for points about to be fetched or made.

        Raises:
            QueryError: too many, or too much time has gone by.
        """
        self._points += max(0, points)
        if self._points > self._limits.points:
            raise QueryError(
                f"the request needs more than {self._limits.points} points: "
                "ask for fewer series or a shorter time"
            )
        self.check_time()

    def spend_names(self, chars: int) -> None:
        """Account for the characters of the names that a function made.

        Raises:
            QueryError: too many: a name can be made of another one many times over.
        """
        self._name_chars += chars
        if self._name_chars > MAX_NAME_CHARS:
            raise QueryError(f"the names of the series have more than {MAX_NAME_CHARS} characters")

    def check_time(self) -> None:
        """Raises QueryError when the work has taken too long."""
        if self._elapsed is not None and self._elapsed() > self._limits.time_s:
            raise QueryError(f"the request took more than {self._limits.time_s:g} s of work")
