"""Which series others have named so far, and how many more they may name.

Names from outside must not crowd out the application's own: their number is bounded, and so is that
of the tag sets of one name. A name that nobody has sent for an hour or two makes room for another.
"""

from __future__ import annotations

from collections.abc import Callable

from inapp_monitor.ground.names import MAX_TAG_SETS, metric_of, of_other_tags
from inapp_monitor.ground.points import Method
from inapp_monitor.ingest.protocols.parsed import RejectedError
from inapp_monitor.ingest.protocols.series_names import series_name

#: Spellings remembered for each series: senders that are cleaned up after may use many.
_SPELLINGS = 4
#: Seconds after which a name that was not sent is forgotten, in the next such period.
_PERIOD_S = 3_600.0

#: A series, and how its points combine.
Known = tuple[str, Method]


class KnownNames:
    """Names as sent, and the series that they stand for.

    Args:
        max_series: So many series at once.
        method_of: How the points of a series combine unless they say so themselves.
        note: Called with a word for each new name that was changed.

    Attributes:
        room_bytes: Set from outside: what further series may take on disk; less by each of them.

    *Threads:* for one at a time.
    """

    def __init__(
        self,
        max_series: int,
        method_of: Callable[[str], Method],
        note: Callable[[str], object],
    ) -> None:
        self.room_bytes = 0
        self._max_series = max_series
        self._method_of = method_of
        self._note = note
        self._fresh: dict[str, Known] = {}
        self._stale: dict[str, Known] = {}
        self._series: set[str] = set()
        self._tag_sets: dict[str, int] = {}
        self._rotated_at = 0.0
        #: The look-up of a name that was sent lately: None when it was not.
        self.get = self._fresh.get

    def __len__(self) -> int:
        return len(self._series)

    def knows(self, path: str) -> bool:
        """Whether a series was named lately."""
        return path in self._series

    def expire(self, now: float) -> bool:
        """Forget, once in a while, what was not sent since the last time; whether that was done."""
        if 0.0 <= now - self._rotated_at < _PERIOD_S:
            return False
        self._rotated_at = now
        self._stale, self._fresh = self._fresh, {}
        self.get = self._fresh.get
        self._series = {path for path, _ in self._stale.values()}
        self._tag_sets = {}
        for path in self._series:
            if ";" in path:
                metric = metric_of(path)
                self._tag_sets[metric] = self._tag_sets.get(metric, 0) + 1
        return True

    def meet(self, name: str, size_bytes: int = 0) -> Known:
        """The series of a name that `get` does not know.

        Args:
            size_bytes: What it takes on disk, about, if it is new.

        Raises:
            RejectedError: it is no name, or one too many.
        """
        known = self._stale.get(name)
        if known is None:
            path = self._admitted(name, size_bytes)
            known = path, self._method_of(path)
        if len(self._fresh) < _SPELLINGS * self._max_series:
            self._fresh[name] = known
        return known

    def _admitted(self, name: str, size_bytes: int) -> str:
        path = series_name(name)
        if path != name:
            self._note("name changed")
        if path in self._series:
            return path
        if ";" in path:
            metric = metric_of(path)
            if self._tag_sets.get(metric, 0) >= MAX_TAG_SETS:
                self._note("tag set past the cap of its name")
                path = of_other_tags(path)
                if path in self._series:
                    return path
            else:
                self._tag_sets[metric] = self._tag_sets.get(metric, 0) + 1
        if len(self._series) >= self._max_series:
            raise RejectedError("too_many_series")
        if self.room_bytes <= 0:
            raise RejectedError("no_room_on_disk")
        self.room_bytes -= size_bytes
        self._series.add(path)
        return path
