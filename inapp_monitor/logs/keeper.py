"""What a tick does with the log records that were heard: scrub, write, count.

The file is written by one process at a time and refuses on a full disk: what cannot be written now
waits, bounded, for the next tick.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from inapp_monitor.ground.clock import Clock
from inapp_monitor.logs import rows
from inapp_monitor.logs.buffer import LogBuffer
from inapp_monitor.logs.ring_file import LogFile
from inapp_monitor.logs.rows import Scrubbing

#: Bytes of rows that wait while the file cannot be written; then the newest are counted only.
MAX_WAITING_BYTES: Final = 2 * 2**20


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What this worker did not keep.

    Attributes:
        dropped: Records that did not fit.
    """

    dropped: int = 0


class LogKeeper:
    """The log records of one process, from its buffer to the file of all.

    *Threads:* for the ticking one.
    """

    def __init__(
        self, buffer: LogBuffer, file: LogFile, scrubbing: Scrubbing, clock: Clock, release: str
    ) -> None:
        self._buffer = buffer
        self._file = file
        self._scrubbing = scrubbing
        self._clock = clock
        self._release = release
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._not_kept = 0
        self._shown_dropped = 0

    def write(self) -> bool:
        """Write what was heard.

        Returns:
            Whether there was something, and the file took it.

        Raises:
            OSError: the file refuses; it is tried again with the next call.
        """
        self._render()
        if not self._waiting or not self._file.append(self._waiting):
            return False
        self._waiting, self._waiting_bytes = [], 0
        return True

    def _render(self) -> None:
        pid = os.getpid()
        for record in self._buffer.take():
            if self._waiting_bytes >= MAX_WAITING_BYTES:
                self._not_kept += 1
                continue
            self._add(rows.row_of(record, self._scrubbing, self._release, pid))
        missing = self.dropped() - self._shown_dropped
        if missing and self._waiting_bytes < MAX_WAITING_BYTES:
            self._shown_dropped += missing
            self._add(rows.dropped_row(missing, self._clock.wall(), pid))

    def _add(self, row: bytes) -> None:
        self._waiting.append(row)
        self._waiting_bytes += len(row)

    def dropped(self) -> int:
        """Records that this process did not keep, since it began."""
        return self._buffer.dropped() + self._not_kept

    def forked(self) -> None:
        """In a child process: what waits is the parent's."""
        self._buffer.forked()
        self._waiting, self._waiting_bytes = [], 0
        self._not_kept = self._shown_dropped = 0
