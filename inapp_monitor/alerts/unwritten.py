"""Notices that the disk has not taken yet: sent from memory when it refuses for too long.

A full disk is one of the things that people must learn of. What was sent from here is written
as sent once the disk takes it. When the process dies before, the next one finds the problem again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inapp_monitor.alerts.notice import Notice

#: Seconds that the disk is given.
PATIENCE_S = 15.0
#: Notices kept; further ones wait for the disk.
MAX_KEPT = 200

#: The notice's key, and the notifier.
Key = tuple[str, str]


class Unwritten:
    """The notices of one process.

    Args:
        refuses: Whether the disk takes nothing at the moment.

    *Threads:* any; each step is one operation of a dict or set.
    """

    def __init__(self, refuses: Callable[[], bool]) -> None:
        """No I/O."""
        self._refuses = refuses
        self._kept: dict[Key, tuple[float, Notice]] = {}
        self._sent: set[Key] = set()

    def add(self, notice: Notice, channels: Iterable[str], now_s: float) -> None:
        """Keep a notice that was submitted at a time of the performance counter."""
        for channel in channels:
            if len(self._kept) < MAX_KEPT:
                self._kept[notice.key, channel] = (now_s, notice)

    def overdue(self, channel: str, now_s: float) -> list[Notice]:
        """What a notifier should have been given long ago, while the disk refuses."""
        old = [key for key, (since, _) in list(self._kept.items()) if now_s - since >= PATIENCE_S]
        if not old and not self._sent:
            return []
        if not self._refuses():  # then it was written in the tick after that in which it came
            for key in old:
                self._kept.pop(key, None)
            self._sent.clear()
            return []
        return [self._kept[key][1] for key in old if key[1] == channel and key in self._kept]

    def sent(self, notice: Notice, channel: str) -> None:
        """It was sent from memory."""
        self._kept.pop((notice.key, channel), None)
        self._sent.add((notice.key, channel))

    def was_sent(self, notice: Notice, channel: str) -> bool:
        """Whether what is written now was sent before."""
        return (notice.key, channel) in self._sent
