"""What the time of a route goes to, by text: statements, hosts, templates; and the rest. Pure.

For the comparison of now with before. A period of a route is one `RouteTime`; those of workers and
of shorter periods add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

#: Added to durations whose logarithm is taken, milliseconds: 0 has none.
_LOG_OFFSET_MS: Final = 0.1
#: Texts of one route and period; the time of what costs less is `OTHER`.
MAX_TEXTS: Final = 12
OTHER: Final = "(other)"


@dataclass(slots=True)
class Part:
    """One text of a route in a period.

    Attributes:
        ms: Of its own, without what lies in it.
        count: How often.
        place: Who asked for it last, `shop/catalog.py:31 in search`.
        id: Of a statement.
    """

    ms: float = 0.0
    count: int = 0
    place: str = ""
    id: str = ""

    def add(self, other: Part) -> None:
        """Add what came in another period."""
        self.ms += other.ms
        self.count += other.count
        self.place = other.place or self.place
        self.id = other.id or self.id


@dataclass(slots=True)
class RouteTime:
    """Requests of a route in a period.

    Attributes:
        requests, ms, squares: Number, milliseconds together, and the sum of their squares.
        parts: By kind and text.
        logged, log_sum, log_squares: Requests of which the logarithm of the duration is known (of
            those that earlier releases wrote it is not), the sum of these, and of their squares.
    """

    requests: int = 0
    ms: float = 0.0
    squares: float = 0.0
    parts: dict[tuple[str, str], Part] = field(default_factory=dict)
    logged: int = 0
    log_sum: float = 0.0
    log_squares: float = 0.0

    @property
    def mean(self) -> float:
        """Milliseconds a request."""
        return self.ms / self.requests if self.requests else 0.0

    @property
    def variance(self) -> float:
        """Of the durations of requests."""
        if not self.requests:
            return 0.0
        return max(self.squares / self.requests - self.mean**2, 0.0)

    @property
    def log_mean(self) -> float:
        """Mean of the logarithms of durations; of the mean duration where they are not known."""
        if self.logged:
            return self.log_sum / self.logged
        return math.log(self.mean + _LOG_OFFSET_MS)

    @property
    def log_variance(self) -> float:
        """Of the logarithms of durations."""
        if not self.logged:
            return 0.0
        return max(self.log_squares / self.logged - self.log_mean**2, 0.0)

    @property
    def typical_ms(self) -> float:
        """Geometric mean of the durations: a few requests that hung do not move it far."""
        return max(math.exp(self.log_mean) - _LOG_OFFSET_MS, 0.0)

    @property
    def rest_ms(self) -> float:
        """Milliseconds a request that are in no part."""
        known = sum(part.ms for part in self.parts.values())
        return max(self.ms - known, 0.0) / self.requests if self.requests else 0.0

    def ms_of(self, key: tuple[str, str]) -> float:
        """Milliseconds a request that a part took, by its kind and text."""
        part = self.parts.get(key)
        return part.ms / self.requests if part is not None and self.requests else 0.0

    def count(self, ms: float) -> None:
        """Count a request that took so long. Its parts are added by themselves."""
        self.requests += 1
        self.ms += ms
        self.squares += ms * ms
        log = math.log(ms + _LOG_OFFSET_MS)
        self.logged += 1
        self.log_sum += log
        self.log_squares += log * log

    def add(self, other: RouteTime) -> None:
        """Add another period or worker."""
        self.requests += other.requests
        self.ms += other.ms
        self.squares += other.squares
        self.logged += other.logged
        self.log_sum += other.log_sum
        self.log_squares += other.log_squares
        for key, part in other.parts.items():
            self.parts.setdefault(key, Part()).add(part)

    def bounded(self) -> RouteTime:
        """The same with the texts that cost most, and the rest of them as one."""
        if len(self.parts) <= MAX_TEXTS:
            return self
        ordered = sorted(self.parts.items(), key=lambda entry: -entry[1].ms)
        kept = replace(self, parts=dict(ordered[: MAX_TEXTS - 1]))
        for (kind, _), part in ordered[MAX_TEXTS - 1 :]:
            kept.parts.setdefault((kind, OTHER), Part()).add(Part(part.ms, part.count))
        return kept

    def as_json(self) -> dict[str, Any]:
        """For the database."""
        parts = [
            [kind, text, round(part.ms, 3), part.count, part.place, part.id]
            for (kind, text), part in self.parts.items()
        ]
        logs = [self.logged, round(self.log_sum, 6), round(self.log_squares, 6)]
        times = {"n": self.requests, "ms": self.ms, "sq": self.squares}
        return {**times, "log": logs, "parts": parts}


def from_json(data: Mapping[str, Any]) -> RouteTime:
    """What `as_json` made.

    Raises:
        ValueError, TypeError, KeyError: it is damaged.
    """
    parts = {
        (str(kind), str(text)): Part(float(ms), int(count), str(place), str(key))
        for kind, text, ms, count, place, key in data["parts"]
    }
    logged, log_sum, log_squares = data.get("log", (0, 0.0, 0.0))
    logs = int(logged), float(log_sum), float(log_squares)
    return RouteTime(int(data["n"]), float(data["ms"]), float(data["sq"]), parts, *logs)


def total(each: Iterable[RouteTime]) -> RouteTime:
    """Several periods as one."""
    whole = RouteTime()
    for one in each:
        whole.add(one)
    return whole
