"""What is usual for a route: its durations by the hour of the day and its errors, fading. Pure.

From it come the limits above which a request counts as slow, and the shares of such requests that
are usual. It is folded as time goes by, or rebuilt from the archives of the last 14 days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from inapp_monitor.alerts import buckets

#: Limits of a request: three of the route's own past, that of the target, and failure.
SMALL, OWN, LARGE, TARGET, FAILED = range(5)
#: Requests that a route must have had before its own past counts.
LEAST_PAST = 30
#: The past of a day ago counts for so much: about the last 14 days.
FADING = 0.93
#: What is believed before anything is known: a beta distribution of shares.
_PRIOR_COUNT, _PRIOR_BAD = 50.0, 0.5
#: The least usual share above a limit: nothing is certain.
_LEAST_OWN, _LEAST_TARGET = 0.0005, 0.01
#: A request under way for so long is worth a look whatever is usual, in ms. The rule says 10 s: one
#: that gets there before the next look must not wait for the one after it.
HANGS_MS = 9_700.0
_HOURS = 24
_HOUR_S = 3_600
_NOTHING: Mapping[int, float] = {}


class Usual:
    """The past of one route.

    Attributes:
        requests: How many it is made of, faded.
        errors: Of these, those that failed.
        limits: Bucket from which on a request is above each of the four limits.
        shares: Usual share above each limit, and of failures.
        p95_ms, p99_ms: What is usual at this hour; 0 when nothing is known.
        hangs_ms: A request under way for longer hangs.
    """

    __slots__ = (
        *("_all", "_first", "_hours", "_past", "errors", "hangs_ms", "limits", "p95_ms", "p99_ms"),
        *("requests", "shares"),
    )

    def __init__(self) -> None:
        self._all = [0.0] * buckets.COUNT
        # Filled are those from the first on, up to the one past the last: a third of all.
        self._first, self._past = buckets.COUNT, 0
        self._hours: dict[int, dict[int, float]] = {}  # of an hour few buckets are filled
        self.requests = self.errors = 0.0
        self.limits = [buckets.COUNT] * 4
        self.shares = [_LEAST_TARGET] * 5
        self.p95_ms = self.p99_ms = 0.0
        self.hangs_ms = HANGS_MS

    @property
    def is_known(self) -> bool:
        """Whether there is enough of it to judge by."""
        return self.requests >= LEAST_PAST

    def fold(self, t: float, counts: Mapping[int, int], requests: int, errors: int) -> None:
        """Add what happened around `t`."""
        if not requests:
            return
        every, hour = self._all, self._hours.setdefault(_hour(t), {})
        for bucket, count in counts.items():
            every[bucket] += count
            hour[bucket] = hour.get(bucket, 0.0) + count
        self._spans(counts)
        self.requests += requests
        self.errors += errors

    def _spans(self, counts: Mapping[int, float]) -> None:
        """These buckets are filled."""
        if counts:
            self._first = min(self._first, min(counts))
            self._past = max(self._past, max(counts) + 1)

    def fade(self, factor: float = FADING) -> None:
        """A day has gone by."""
        self._all = [count * factor for count in self._all]
        for hour, row in self._hours.items():
            self._hours[hour] = {bucket: count * factor for bucket, count in row.items()}
        self.requests *= factor
        self.errors *= factor

    def aim(self, t: float, target_ms: float, error_budget: float) -> None:
        """Renew limits and usual shares for the hour of `t`."""
        counts, first = self._near(t), self._first
        total = sum(counts)
        target = buckets.bucket_above(4 * target_ms)
        self.limits = [*[buckets.COUNT] * 3, target]
        if self.is_known:
            self.p95_ms, self.p99_ms = buckets.quantiles(counts, 0.95, 0.99, first=first)
            p95 = self.p95_ms
            own = (max(1.3 * p95, p95 + 20), max(2 * p95, p95 + 50), max(6 * p95, p95 + 250))
            self.limits[:3] = [buckets.bucket_above(limit) for limit in own]
        for number, limit in enumerate(self.limits):
            bad = sum(counts[max(limit - first, 0) :])
            share = (bad + _PRIOR_BAD) / (total + _PRIOR_COUNT)
            self.shares[number] = max(share, _LEAST_TARGET if number == TARGET else _LEAST_OWN)
        failed = self.errors + _PRIOR_BAD * error_budget * 10
        self.shares[FAILED] = max(error_budget, failed / (self.requests + _PRIOR_COUNT))
        longest = 0.0
        if self.requests >= 100:
            longest = buckets.quantiles(self._all[first : self._past], 0.99, first=first)[0]
        self.hangs_ms = max(HANGS_MS, 5 * longest, 3 * self._third_largest_ms())

    def _near(self, t: float) -> list[float]:
        """This hour's durations, one hour before and after with it, leaning on all hours; from the
        first filled bucket on.
        """
        hour, first = _hour(t), self._first
        lean = min(1.0, 200 / self.requests) if self.requests else 0.0
        counts = [count * lean for count in self._all[first : self._past]]
        for near in (hour - 1, hour, hour + 1):
            for bucket, count in self._hours.get(near % _HOURS, _NOTHING).items():
                counts[bucket - first] += count
        return counts

    def _third_largest_ms(self) -> float:
        passed = 0.0
        for bucket in range(self._past - 1, self._first - 1, -1):
            passed += self._all[bucket]
            if passed > 2.2:
                return buckets.lower(bucket + 1)
        return 0.0

    def dump(self) -> dict[str, Any]:
        """All that it is made of, as plain data."""
        hours = {str(hour): _plain(sorted(row.items())) for hour, row in self._hours.items()}
        return {
            "all": _plain(enumerate(self._all)),
            "hours": hours,
            "n": self.requests,
            "errors": self.errors,
        }

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take what `dump` gave."""
        self._all = [0.0] * buckets.COUNT
        for bucket, count in _loaded(dumped["all"]).items():
            self._all[bucket] = count
        self._hours = {int(hour): _loaded(row) for hour, row in dumped["hours"].items()}
        self._first, self._past = buckets.COUNT, 0
        for row in (_loaded(dumped["all"]), *self._hours.values()):
            self._spans(row)
        self.requests, self.errors = float(dumped["n"]), float(dumped["errors"])


def _hour(t: float) -> int:
    return int(t // _HOUR_S) % _HOURS


def _plain(row: Iterable[tuple[int, float]]) -> dict[str, float]:
    return {str(bucket): round(count, 3) for bucket, count in row if count >= 0.001}


def _loaded(row: Mapping[str, float]) -> dict[int, float]:
    found = {int(bucket): float(count) for bucket, count in row.items()}
    if found and not 0 <= min(found) <= max(found) < buckets.COUNT:
        raise IndexError("a kept past with buckets that there are not")
    return found
