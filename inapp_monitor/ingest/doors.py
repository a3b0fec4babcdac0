"""What came in through each door, counted: lines, points, and rejects by reason with an example.

A door is what has an address: a listener's socket, a FIFO, an HTTP address of this app. Only counts
and words here; `shared_doors` adds up those of all workers, and pages show them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inapp_monitor.ground.visible_text import visible_line
from inapp_monitor.ingest.protocols.parsed import Parsed, Reject

#: Characters kept of a rejected line, and of a client's address.
MAX_SAMPLE_LENGTH = 200
MAX_CLIENT_LENGTH = 60


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """The last line that was refused for a reason, as text that is safe to print."""

    text: str
    client: str
    time: float


@dataclass(slots=True)
class Door:
    """The counts of one door in this process.

    Attributes:
        address: As it was set: the URL of a listener, or a URL path.
        state: `open`, or why it is not.
        lines: Lines, or the units of another protocol, that were not blank.
        points: Of them those that became points, samples, events or checks.
        packets: Datagrams, frames or HTTP bodies.
        connections: Clients that have connected; those refused because of their number apart.
        kernel_drops: Datagrams that the system dropped because nobody received them in time.
        rejects: Lines refused, by reason.
        backlog_bytes: What waits in the system to be received.
        latest: Name and value of the last one that was accepted.
        dropped_at: When the system last dropped a datagram.
        notes: What was accepted and changed, or ignored as meant.
    """

    address: str
    state: str = "not open yet"
    lines: int = 0
    points: int = 0
    packets: int = 0
    connections: int = 0
    refused_connections: int = 0
    kernel_drops: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    last_rejected: dict[str, RejectedLine] = field(default_factory=dict)
    last_client: str = ""
    last_time: float = 0.0
    latest: tuple[str, float | str] | None = None
    backlog_bytes: int = 0
    dropped_at: float = 0.0

    @property
    def last_point(self) -> str:
        """The last one that was accepted, as text."""
        if self.latest is None:
            return ""
        name, value = self.latest
        return shown(f"{name} {value:.10g}" if isinstance(value, float) else f"{name} {value}")

    def count(self, parsed: Parsed, points: int, client: str, now: float) -> None:
        """Add what one call of a protocol found, and how many of its points were accepted."""
        self.packets += 1
        self.lines += parsed.lines
        self.points += points
        self.last_client, self.last_time = client[:MAX_CLIENT_LENGTH], now
        if parsed.notes:
            self.notes.update(parsed.notes)
        self.count_rejects(parsed, client, now)

    def count_rejects(self, parsed: Parsed, client: str, now: float) -> None:
        """Add what was refused."""
        for reject in parsed.rejects:
            self.rejects[reject.reason] += 1
        if parsed.rejects:
            self._keep_examples(parsed.rejects, client, now)

    def _keep_examples(self, rejects: Sequence[Reject], client: str, now: float) -> None:
        latest = {reject.reason: reject.text for reject in rejects}
        for reason, text in latest.items():
            line = RejectedLine(shown(text), client[:MAX_CLIENT_LENGTH], now)
            self.last_rejected[reason] = line

    def reject(self, reason: str, text: bytes | str, client: str, now: float) -> None:
        """Refuse what no protocol has seen, such as half a line at the end of a connection."""
        self.lines += 1
        self.rejects[reason] += 1
        self._keep_examples([Reject(reason, text)], client, now)


def shown(text: bytes | str) -> str:
    """A refused line as text of one line: bytes that are no UTF-8 and controls become escapes."""
    part = text[:MAX_SAMPLE_LENGTH]
    if isinstance(part, bytes):
        part = part.decode("utf-8", "backslashreplace")
    return visible_line(part)


@dataclass(frozen=True, slots=True)
class DoorFacts:
    """The doors of this app, see `shared_doors.rows`.

    Attributes:
        doors: A row each.
        listens: Whether any door but HTTP is set.
    """

    doors: Sequence[Mapping[str, Any]] = ()
    listens: bool = False
