"""Log records on their way to an OpenTelemetry collector: the log file's rows, in its order."""

from __future__ import annotations

from collections import deque
from typing import Final

from inapp_monitor.export import otlp_logs
from inapp_monitor.export.channel import Work
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.otlp_sender import post_document, resource_of
from inapp_monitor.ground.clock import SYSTEM, Clock
from inapp_monitor.ground.destination import Destination
from inapp_monitor.logs import rows
from inapp_monitor.logs.ring_file import LogFile, Row
from inapp_monitor.logs.ring_format import BLOCK_BYTES

#: Records of one request.
_AT_ONCE: Final = 1_000
#: Before the first row there ever is.
_FIRST: Final = 1


class LogsChannel:
    """A `Channel` of log records; a position is a row's cursor.

    What the ring has overwritten before it was sent is dropped: as many as rows of the size of
    those that follow would fill the gap, since nobody has counted them.
    """

    def __init__(
        self, file: LogFile, destination: Destination, identity: Identity, clock: Clock = SYSTEM
    ) -> None:
        self._file = file
        self._destination = destination
        self._identity = identity
        self._clock = clock

    def beginning(self, now: float) -> int:  # noqa: ARG002
        """With what is logged from now on."""
        latest = next(self._file.rows(), None)
        return _FIRST if latest is None else latest.cursor

    def next(self, position: int, now: float) -> Work | None:  # noqa: ARG002
        """The oldest rows after a position."""
        some: deque[Row] = deque(self._file.rows(after=position), maxlen=_AT_ONCE)
        if not some:
            latest = next(self._file.rows(), None)
            is_another_file = latest is not None and latest.cursor < position
            return Work(_FIRST, 0, None) if is_another_file else None
        found = [row for each in reversed(some) if (row := rows.parsed(each.data)) is not None]
        return Work(some[0].cursor, len(found), found or None, _overwritten(some, position))

    def send(self, payload: object) -> int:
        """Post some records."""
        assert isinstance(payload, list)
        document = otlp_logs.request_of(
            payload, resource_of(self._identity), self._identity.version
        )
        schema, now = otlp_logs.REQUEST, self._clock.wall()
        rejected = post_document(self._destination, "/v1/logs", document, schema, now)
        return min(rejected, len(payload))

    def waiting(self, position: int, now: float) -> tuple[float, int]:
        """Age of the oldest record that waits, and how many do."""
        count, oldest = 0, None
        for row in self._file.rows(after=position):
            count, oldest = count + 1, row
        known = None if oldest is None else rows.parsed(oldest.data)
        return (0.0 if known is None else max(0.0, now - float(known["time"]))), count

    def close(self) -> None:
        """Every request has a connection of its own."""


def _overwritten(some: deque[Row], position: int) -> int:
    oldest = some[-1]
    gap = oldest.cursor - len(oldest.data) - position
    if position <= _FIRST or gap < 2 * BLOCK_BYTES:  # blocks end with some room
        return 0
    return gap * len(some) // sum(len(row.data) for row in some)
