"""What a protocol makes of bytes: points, samples and, with a reason, the lines it refused. Pure.

Names are as they were sent; `series_names` makes series names of them, and `Intake` asks it once a
name. So a protocol need not know which characters a series may have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from inapp_monitor.ground.points import Method

#: (name, value, timestamp in seconds or None for now, method or None for the one of its name)
Point = tuple[str, float, float | None, Method | None]

#: Kinds of sample, as StatsD writes them.
COUNTER: Final = "c"
GAUGE: Final = "g"
GAUGE_DELTA: Final = "g+"
TIMER: Final = "ms"
SET: Final = "s"
#: (kind, name, value or member, how many such samples it stands for: 1/rate)
Sample = tuple[str, str, float | str, float]

#: Longest line, in bytes.
MAX_LINE_BYTES = 4_096


class Reject(NamedTuple):
    """A line, or another unit of a protocol, that gave nothing.

    Attributes:
        reason: One of a fixed set of words, such as `value` or `encoding`.
        text: The line as it came.
    """

    reason: str
    text: bytes | str


class Event(NamedTuple):
    """Something that happened: becomes an annotation.

    Attributes:
        timestamp: Seconds since the epoch; None: now.
    """

    title: str
    text: str
    tags: tuple[str, ...]
    timestamp: float | None


class Check(NamedTuple):
    """The state of something, as a client has judged it.

    Attributes:
        status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
        timestamp: Seconds since the epoch; None: now.
    """

    name: str
    status: int
    tags: tuple[tuple[str, str], ...]
    message: str
    timestamp: float | None = None


class Columns(NamedTuple):
    """Points that are all alike, a list for each part: faster for many than a tuple for each point.

    Attributes:
        times: Seconds since the epoch; the first and the last of them are `earliest` and `latest`.
    """

    names: list[str]
    values: list[float]
    times: list[float]
    earliest: float
    latest: float


@dataclass(slots=True)
class Parsed:
    """What one call of a protocol found.

    Attributes:
        lines: Lines that were not blank, or other units of the protocol; refused ones included.
        columns: Further points; only of a protocol's `parse_columns`.
        taken: Samples that the protocol itself adds up until it hands over points.
        last_taken: Name and value of the last of those.
        notes: What was accepted and yet not as it came, or ignored as meant: name to count.
    """

    lines: int = 0
    points: list[Point] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    columns: Columns | None = None
    taken: int = 0
    last_taken: tuple[str, float | str] | None = None

    def reject(self, reason: str, text: bytes | str) -> None:
        """Refuse a line."""
        self.rejects.append(Reject(reason, text))

    def note(self, what: str, count: int = 1) -> None:
        """Count something that deserves no refusal."""
        self.notes[what] = self.notes.get(what, 0) + count


class RejectedError(ValueError):
    """A line cannot be understood.

    Attributes:
        reason: As of `Reject`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
