"""Where the time of all requests goes, by route: sums of what spans show, and what the rest was.

Of most requests only the sum of their spans is known. How much of the rest was computing and how
much waiting is measured on the requests that are looked at closer, a few a second, and held to be
the same for the others of their route.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from inapp_monitor.ground.points import Distribution, Method, Scalar
from inapp_monitor.traces.breakdown import PARTS

#: Routes that have series of their own: a series takes 150 KB of the disk.
MAX_ROUTES = 30
#: Share of all time from which on a route gets some.
MIN_SHARE = 0.005
#: Samples after which older ones count half.
HALVED_AFTER = 500
#: Name of all requests together.
ALL: Final = ""
#: The share of computing where nothing has been measured.
_UNKNOWN = 1.0


@dataclass(slots=True)
class _Rest:
    """What was neither of the parts that spans show, of the requests looked at closer."""

    total_s: float = 0.0
    computing_s: float = 0.0
    count: int = 0

    def add(self, total_s: float, computing_s: float) -> None:
        if self.count >= HALVED_AFTER:
            self.total_s /= 2
            self.computing_s /= 2
            self.count //= 2
        self.total_s += total_s
        self.computing_s += computing_s
        self.count += 1


@dataclass(slots=True)
class RouteTime:
    """One route's time that has been summed up and not been handed over.

    Attributes:
        parts: Seconds by part, of what spans show.
        total_ms: Of all its requests; below zero when spans came before their request was counted.
        count: Of its requests.
    """

    parts: dict[str, float] = field(default_factory=dict)
    total_ms: float = 0.0
    count: int = 0


class BreakdownSums:
    """Of one process.

    *Threads:* for the one that folds.
    """

    def __init__(self) -> None:
        self._by_route: dict[str, RouteTime] = {}
        self._rests: dict[str, _Rest] = {}
        self._spent_ms: dict[str, float] = {}
        self._with_series: set[str] = set()

    def add(self, slug: str, parts: Mapping[str, float]) -> None:
        """A request with spans: seconds by part."""
        mine = self._by_route.setdefault(slug, RouteTime()).parts
        for part, seconds in parts.items():
            mine[part] = mine.get(part, 0.0) + seconds

    def sample(self, slug: str, rest_s: float, computing_s: float) -> None:
        """A request that was looked at closer: what was left of it, and its computing."""
        computing_s = min(max(computing_s, 0.0), rest_s)
        for name in (slug, ALL):
            self._rests.setdefault(name, _Rest()).add(rest_s, computing_s)

    def count(self, distributions: Iterable[Distribution]) -> float:
        """The requests of one flush, `routes.<slug>.<method>.time`. Returns the mean time that
        requests waited before they began, in milliseconds."""
        queue_ms = 0.0
        for path, _, histogram in distributions:
            nodes = path.split(".")
            if len(nodes) == 4 and nodes[0] == "routes" and nodes[3] == "time":
                entry = self._by_route.setdefault(nodes[1], RouteTime())
                entry.total_ms += histogram.total
                entry.count += histogram.count
            elif path == "requests.queue_time":
                queue_ms = histogram.mean
        return queue_ms

    def take(self, now: int, queue_ms: float) -> list[Scalar]:
        """Milliseconds by part since the last call: `requests.breakdown.*` and those of routes."""
        everything: dict[str, float] = {}
        scalars: list[Scalar] = []
        kept: dict[str, RouteTime] = {}
        for slug, entry in self._by_route.items():
            if not entry.count:  # its requests are counted in a moment
                kept[slug] = entry
                continue
            parts = self._whole(slug, entry, queue_ms)
            for part, ms in parts.items():
                everything[part] = everything.get(part, 0.0) + ms
            self._spent_ms[slug] = self._spent_ms.get(slug, 0.0) + entry.total_ms
            if self._has_series(slug):
                scalars += _scalars(f"routes.{slug}.breakdown", now, parts)
        self._by_route = kept
        return scalars + _scalars("requests.breakdown", now, everything)

    def _whole(self, slug: str, entry: RouteTime, queue_ms: float) -> dict[str, float]:
        parts = {part: seconds * 1000.0 for part, seconds in entry.parts.items()}
        rest_ms = max(entry.total_ms - sum(parts.values()), 0.0)
        rest = self._rests.get(slug) or self._rests.get(ALL)
        share = rest.computing_s / rest.total_s if rest and rest.total_s > 0.0 else _UNKNOWN
        parts["computing"] = rest_ms * share
        parts["waiting"] = rest_ms - parts["computing"]
        parts["queue"] = queue_ms * entry.count
        return parts

    def _has_series(self, slug: str) -> bool:
        if slug in self._with_series:
            return True
        spent = self._spent_ms
        enough = spent[slug] >= MIN_SHARE * sum(spent.values())
        if not enough or len(self._with_series) >= MAX_ROUTES:
            return False
        self._with_series.add(slug)
        return True


def _scalars(prefix: str, now: int, parts: Mapping[str, float]) -> list[Scalar]:
    return [
        Scalar(f"{prefix}.{part}", now, parts[part], Method.SUM)
        for part in PARTS
        if parts.get(part, 0.0) > 0.0
    ]
