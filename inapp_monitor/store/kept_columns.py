"""The settled past of columns that are asked for again and again: a chart that is refreshed.

What was over a while ago changes only when `StoreLock.past` or the catalog's generation does, in
whichever process; so it is kept, and a refresh reads the few rows that are newer.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, NamedTuple

from inapp_monitor.store.retention import ArchiveWindow

#: Values that are kept at most, of all columns: 4 MB.
MOST_VALUES: Final = 2**19
#: The same of columns that are asked for together: more would drive all others out.
MOST_OF_ONE: Final = 300_000
#: Seconds for which they are kept.
KEPT_S: Final = 600


class Settled(NamedTuple):
    """Until when nothing changes.

    Attributes:
        before: Intervals that begin earlier are settled.
        past: What identifies the past: while it is the same, they stay as they are.
        now: Wall time.
    """

    before: int
    past: Hashable
    now: int


class _Block(NamedTuple):
    start: int
    end: int
    past: Hashable
    made: int
    values: Any


class KeptColumns:
    """Blocks of columns that are asked for together; those used longest ago are dropped first.

    *Threads:* needs the store's I/O lock.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Block] = {}
        self.size = 0

    def fill(
        self,
        group: Hashable,
        window: ArchiveWindow,
        columns: Sequence[int],
        settled: Settled,
        room: Any,
        read: Callable[[int, Any], object],
    ) -> None:
        """Fill the rows of an array, one a column.

        Args:
            group: What the columns are of.
            read: Reads all intervals of the window from a time on into the array that it is given.
        """
        if room.size > MOST_OF_ONE:
            read(window.start, room)
            return
        archive, start, end, step = window
        key = group, archive, tuple(columns)
        kept = self._forget(key)
        since, made = start, settled.now
        if (
            kept is not None
            and kept.past == settled.past
            and kept.start <= start < kept.end
            and 0 <= settled.now - kept.made < KEPT_S
        ):
            since, made = min(end, kept.end), kept.made
            first, some = (start - kept.start) // step, (since - start) // step
            room[:, :some] = kept.values[:, first : first + some]
        if since < end:
            read(since, room[:, (since - start) // step :])
        until = min(settled.before - settled.before % step, end)
        if kept is not None and since == kept.end == until > start:
            self._put(key, kept)  # nothing new is settled
        elif until > start:
            values = room[:, : (until - start) // step].copy()
            self._put(key, _Block(start, until, settled.past, made, values))

    def _put(self, key: Hashable, block: _Block) -> None:
        self._kept[key] = block
        self.size += block.values.size
        while self.size > MOST_VALUES:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: Hashable) -> _Block | None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.size -= found.values.size
        return found
