"""Under which series each kind of a name's samples is kept.

StatsD has a namespace for each kind, so that `a:1|c` and `a:20|ms` are two metrics. Here the kind
that came first has the name itself, and another one a node below it, called as StatsD calls its
namespaces: `a`, then `a.timers`, `a.gauges`, `a.sets`, `a.counters`. What the store holds already
decides after a restart.
"""

from __future__ import annotations

from collections.abc import Callable

from inapp_monitor.ground.names import metric_of
from inapp_monitor.ground.points import Method
from inapp_monitor.ingest.known_names import KnownNames
from inapp_monitor.ingest.protocols.parsed import (
    COUNTER,
    GAUGE,
    GAUGE_DELTA,
    SET,
    TIMER,
    RejectedError,
)

#: Whether values that combine by a method (None: a distribution) belong into the series of a path;
#: None: there is no such series.
Fits = Callable[[str, Method | None], bool | None]

_NODES = {COUNTER: "counters", GAUGE: "gauges", SET: "sets", TIMER: "timers"}
_METHODS = {COUNTER: Method.SUM, GAUGE: Method.LAST, SET: Method.SUM, TIMER: None}
#: Both are sums in the store, which cannot tell one from the other.
_ALIKE = (COUNTER, SET)


def fits_anything(path: str, method: Method | None) -> bool | None:  # noqa: ARG001
    """Where nothing is stored."""
    return None


class SeriesOfKinds:
    """The series of each kind of the names that were sent lately.

    Args:
        fits: What the store knows of a path.

    *Threads:* for one at a time.
    """

    def __init__(self, fits: Fits) -> None:
        self._fits = fits
        self._kinds: dict[str, str] = {}
        #: The series of a name's further kinds, by name and kind.
        self._further: dict[tuple[str, str], str] = {}

    def series(self, path: str, kind: str, names: KnownNames, size_bytes: int) -> str:
        """The series of a kind of a name.

        Args:
            names: Where a further series is counted.
            size_bytes: What it takes on disk.

        Raises:
            RejectedError: `kind`, both names are of other kinds; or one name too many.
        """
        if kind == GAUGE_DELTA:
            kind = GAUGE
        if self._kinds.get(path) == kind:
            return path
        further = self._further.get((path, kind))
        if further is None:
            below = below_name(path, kind)
            if path not in self._kinds and self._has_name(path, kind, below):
                self._kinds[path] = kind
                return path
            further = names.meet(below, size_bytes)[0]
            if self._fits(further, _METHODS[kind]) is False:
                raise RejectedError("kind")
            if self._kinds.setdefault(further, kind) != kind:
                raise RejectedError("kind")
            self._further[path, kind] = further
        elif names.get(further) is None:
            names.meet(further, size_bytes)  # as lately sent as the name itself
        return further

    def _has_name(self, path: str, kind: str, below: str) -> bool:
        """Whether a kind has the name itself, of which no kind is known yet."""
        fits = self._fits(path, _METHODS[kind])
        if fits and kind in _ALIKE:
            return self._fits(below, Method.SUM) is None
        return fits is not False

    def forget(self, known: Callable[[str], bool]) -> None:
        """Forget names that are no longer known."""
        self._kinds = {path: kind for path, kind in self._kinds.items() if known(path)}
        self._further = {key: path for key, path in self._further.items() if known(path)}


def below_name(path: str, kind: str) -> str:
    """The series of a kind whose name is another kind's already; tags stay tags."""
    metric = metric_of(path)
    return f"{metric}.{_NODES[kind]}{path[len(metric) :]}"
