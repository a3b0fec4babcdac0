"""Whether all threads of all workers are busy: nothing ends any more, though much is under way.

How many threads a server has, nobody tells. So it is said only when no request has ended for a time
in which many would have, by the quietest of the last minutes, and as many are under way as there
ever were in a day. A visit that streams while nobody else comes is none of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from inapp_monitor.alerts.looks import Seen
from inapp_monitor.alerts.measuring import SETTLED_S, SeriesStore
from inapp_monitor.alerts.status import Status

_REQUESTS, _IN_FLIGHT = "requests.time", "requests.in_flight"
#: At least so long nothing has ended, and so many requests were to be expected.
_LEAST_S, _EXPECTED = 10.0, 30.0
_MINUTES, _STEP_S = 10, 10
#: And longer, by so many times, than any pause of the last minutes.
_PAUSES = 3
_DAY_S = 86_400


class Busy(NamedTuple):
    """A request under way: in which worker, for how long."""

    worker: object
    age_s: float


def stalled_s(counts: Iterable[tuple[int, int]], now: float) -> float:
    """For how long nothing has ended; 0 when that is nothing unusual.

    Args:
        counts: Ends of steps, and how many requests ended in each; steps without any left out.
        now: What ended before has been counted.
    """
    known = sorted((end, count) for end, count in counts if count)
    if not known:
        return 0.0
    last = known[-1][0]
    pause_s = max((after - before for (before, _), (after, _) in pairwise(known)), default=0)
    minutes = Counter(dict.fromkeys(range(_MINUTES), 0))
    for end, count in known:
        minutes[(last - end) // 60] += count
    rate = min(minutes[number] for number in range(_MINUTES)) / 60
    silent_s = now - last
    if not rate or silent_s < max(_LEAST_S, _EXPECTED / rate):
        return 0.0
    return silent_s if silent_s >= _PAUSES * (pause_s - _STEP_S) else 0.0


class BusyThreads:
    """Looks at one monitor's requests.

    Args:
        store: Where ended ones are.
        under_way: The oldest ones of each worker.
        workers: How many there are.
        in_flight: How many are under way in all of them.
    """

    def __init__(
        self,
        store: SeriesStore,
        under_way: Callable[[], Iterable[Busy]],
        workers: Callable[[], int],
        in_flight: Callable[[], int],
    ) -> None:
        self._store, self._under_way = store, under_way
        self._workers, self._in_flight = workers, in_flight

    def __call__(self, now: float, open_: Mapping[str, float]) -> list[Seen]:  # noqa: ARG002
        """A problem while nothing ends; see `looks.Find`."""
        long = [each for each in self._under_way() if each.age_s >= _LEAST_S]
        if not long:
            return []
        workers, count = max(self._workers(), 1), self._in_flight()
        if len({each.worker for each in long}) < workers:
            return []
        since_s = stalled_s(self._ended(now), now - SETTLED_S)
        if not since_s or count < max(self._most_before(now, since_s), workers):
            return []
        oldest = max(each.age_s for each in long)
        detail = (
            f"no request has ended for {since_s:.0f} s: {count} are under way in {workers}"
            f" worker{'s' if workers > 1 else ''}, the oldest for {oldest:.0f} s"
        )
        return [Seen("app", Status.CRITICAL, "", detail, float(count), now - since_s)]

    def _ended(self, now: float) -> list[tuple[int, int]]:
        start = int(now) // _STEP_S * _STEP_S - 60 * (2 * _MINUTES)
        found = self._store.fetch_distribution(_REQUESTS, start - 1, int(now), int(now))
        if found is None:
            return []
        return [
            (found.start + (i + 1) * found.step, slot.count)
            for i, slot in enumerate(found.slots)
            if slot is not None
        ]

    def _most_before(self, now: float, since_s: float) -> float:
        """How many were under way at once before that, in a day."""
        end = int(now - since_s) - 60
        found = self._store.fetch([_IN_FLIGHT], end - _DAY_S, end, int(now))
        return max((v for each in found for v in each.values if v == v), default=0.0)
