"""Results of queries about periods that are over: their bytes are kept instead of evaluated again.

A result is kept only when everything that it read had ended long enough before, and it is used
only as long as the store says that its past is still the same (`Store.past`). No request and no
response here.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.ranges import DistributionRange
from inapp_monitor.query.series import Series
from inapp_monitor.query.sources import FoundNode, Source, Window
from inapp_monitor.store.writer import SETTLED_AFTER_S
from inapp_monitor.web.conditional import etag_of

#: Seconds for which a result is kept: later, a coarser archive may have to answer.
_KEPT_S = 600.0
#: How far the wall clock may move against the other one before it counts as set.
_CLOCK_SET_S = 2.0
#: What an entry takes beside its body.
_ENTRY_BYTES = 600
#: Functions whose values follow from more than stored points and the window.
UNSETTLED_FUNCTIONS = (
    "events",
    "linearRegression",
    "randomWalk",
    "randomWalkFunction",
    "seriesByTag",
    "timeSlice",
    "verticalLine",
)
_UNSETTLED = re.compile(rf"\b({'|'.join(UNSETTLED_FUNCTIONS)})\s*\(")


class QueryResult(NamedTuple):
    """The series of a query as they are sent: a body and its type."""

    body: bytes
    content_type: str

    @property
    def etag(self) -> str:
        """A digest of the body."""
        return etag_of(self.body)


class _Kept(NamedTuple):
    result: QueryResult
    past: Hashable
    latest: float
    made: float
    offset: float


class SettledResults:
    """Results by request; the ones used longest ago are dropped first when there is no room.

    *Threads:* every method may be called from any thread.
    """

    def __init__(self, clock: Clock, size: int) -> None:
        self._clock = clock
        self._size = size
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Kept] = OrderedDict()
        self.bytes = 0
        self.hits = 0

    def get(self, key: Hashable, past: Hashable | None) -> QueryResult | None:
        """The kept result of a request, if the past is still the one that it was made of."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            age = self._clock.perf() - found.made
            if (
                past is None
                or found.past != past
                or not 0 <= age < _KEPT_S
                or abs(self._offset() - found.offset) > _CLOCK_SET_S
                or found.latest > self._clock.wall() - SETTLED_AFTER_S
            ):
                self._forget(key)
                return None
            self._entries.move_to_end(key)
            self.hits += 1
            return found.result

    def keeps(self, past: Hashable | None, latest: float) -> bool:
        """Whether a result of which everything ended by `latest` would be kept."""
        return past is not None and latest <= self._clock.wall() - SETTLED_AFTER_S

    def put(self, key: Hashable, past: Hashable | None, latest: float, result: QueryResult) -> None:
        """Keep a result of which everything ended by `latest`, as far as that may be done.

        Args:
            past: What `Store.past` was before anything was read.
        """
        weight = _weight(key, result)
        if not self.keeps(past, latest) or weight > self._size // 4:
            return
        with self._lock:
            self._forget(key)
            kept = _Kept(result, past, latest, self._clock.perf(), self._offset())
            self._entries[key] = kept
            self.bytes += weight
            while self.bytes > self._size:
                self._forget(next(iter(self._entries)))

    def facts(self) -> dict[str, int]:
        """Memory used and allowed, entries, and how often one was used."""
        return {
            "bytes": self.bytes,
            "size": self._size,
            "entries": len(self._entries),
            "hits": self.hits,
        }

    def _forget(self, key: Hashable) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self.bytes -= _weight(key, found.result)

    def _offset(self) -> float:
        return self._clock.wall() - self._clock.perf()


def _weight(key: Hashable, result: QueryResult) -> int:
    return _ENTRY_BYTES + len(result.body) + len(repr(key))


def follows_from_points(targets: Sequence[str]) -> bool:
    """Whether the values of targets follow from stored points and the window alone."""
    return not any(_UNSETTLED.search(target) for target in targets)


class WatchedSource:
    """A source that notes until when it was asked: `latest`, 0 as long as nothing was read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.latest = 0.0

    def find(self, pattern: str) -> list[FoundNode]:
        return self._source.find(pattern)

    def fetch(self, pattern: str, window: Window) -> list[Series]:
        return self._noted(self._source.fetch(pattern, window), window)

    def fetch_paths(self, paths: Sequence[str], expression: str, window: Window) -> list[Series]:
        return self._noted(self._source.fetch_paths(paths, expression, window), window)

    def distribution(self, path: str, window: Window) -> DistributionRange | None:
        found = self._source.distribution(path, window)
        self.latest = max(self.latest, window.end, 0 if found is None else found.end)
        return found

    def index(self) -> list[str]:
        return self._source.index()

    def tagged(self) -> list[str]:
        return self._source.tagged()

    def _noted(self, found: list[Series], window: Window) -> list[Series]:
        self.latest = max(self.latest, window.end, *(series.end for series in found))
        return found
