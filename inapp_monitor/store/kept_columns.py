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


class _Column(NamedTuple):
    start: int
    end: int
    past: Hashable
    made: int
    values: Any


class KeptColumns:
    """Columns by the group and archive that they are of; those used longest ago are dropped first.

    *Threads:* needs the store's I/O lock.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Hashable, int, int], _Column] = {}
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
        archive, start, end, step = window
        kept = [self._forget((group, archive, column)) for column in columns]
        known = [
            each
            for each in kept
            if each is not None
            and each.past == settled.past
            and each.start <= start < each.end
            and 0 <= settled.now - each.made < KEPT_S
        ]
        since = start
        if len(known) == len(columns):
            since = min(end, *(each.end for each in known))
            for row, each in zip(room, known, strict=True):
                first = (start - each.start) // step
                row[: (since - start) // step] = each.values[first:][: (since - start) // step]
        if since < end:
            read(since, room[:, (since - start) // step :])
        until = min(settled.before - settled.before % step, end)
        made = settled.now if since == start else min(each.made for each in known)
        for column, row in zip(columns, room, strict=True):
            if until > start:
                values = row[: (until - start) // step].copy()
                kept_now = _Column(start, until, settled.past, made, values)
                self._put((group, archive, column), kept_now)

    def _put(self, key: tuple[Hashable, int, int], column: _Column) -> None:
        self._kept[key] = column
        self.size += len(column.values)
        while self.size > MOST_VALUES:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: tuple[Hashable, int, int]) -> _Column | None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.size -= len(found.values)
        return found
