"""Looking back: what the judge would have found in a window that is over, from the stored slots.

For windows in which nobody judged: recorded by an earlier release, or looked at as files. The same
detector goes through the archives; what it learns from is the time before the window.
"""

from __future__ import annotations

from typing import NamedTuple

from inapp_monitor.alerts import buckets
from inapp_monitor.alerts.cusum import DAY_S
from inapp_monitor.alerts.detector import Detector
from inapp_monitor.alerts.measuring import SeriesStore
from inapp_monitor.alerts.observed import Row
from inapp_monitor.alerts.trouble import Trouble
from inapp_monitor.ground.process import late_imports

_PAST_S = 14 * int(DAY_S)
#: Slots that the past is read in, and slots times routes of a window.
_PAST_SLOT_S, _MOST = 7_200, 6_000


class Found(NamedTuple):
    """A trouble of the past.

    Attributes:
        trouble: It began in the slot that its onset is the begin of.
        ended: When it was over; None: not within the window.
        slot_s: How long the slots are.
    """

    trouble: Trouble
    ended: float | None
    slot_s: float


class _Series(NamedTuple):
    counts: dict[int, dict[int, int]]
    errors: dict[int, int]


def review(store: SeriesStore, start: int, end: int, now: int, target_ms: float) -> list[Found]:
    """The troubles of a window, in the order in which they were found."""
    routes = _routes(store)
    if not routes:
        return []
    detector = Detector(target_ms)
    _learn(store, detector, routes, start, now)
    step = max((end - start) * len(routes) // _MOST, 1)
    series, step = _read(store, routes, start, end, now, step)
    missing = _scalar(store, "requests.not_found", start, end, now)
    broken = _scalar(store, "requests.broken_links", start, end, now)
    found: list[Found] = []
    first = start - start % step + step
    for at in range(first, end + step, step):
        rows = [
            Row(route, sum(counts.values()), each.errors.get(at, 0), counts)
            for route, each in series.items()
            if (counts := each.counts.get(at))
        ]
        t = float(min(at + step, end))
        links = (_within(broken, at, step), _within(missing, at, step))
        detector.step(t, float(step), rows, *links)
        found += [
            Found(change.trouble, change.trouble.calm_since, step)
            for change in detector.changes
            if change.what not in ("begins", "sent")
        ]
        detector.changes.clear()
    found += [Found(trouble, None, step) for trouble in detector.troubles.values()]
    return sorted(found, key=lambda each: each.trouble.begun)


def _routes(store: SeriesStore) -> list[str]:
    nodes = [leaf.path.split(".") for leaf in store.leaves()]
    return [
        f"{each[1]}.{each[2]}"
        for each in nodes
        if len(each) == 4 and each[0] == "routes" and each[3] == "time"
    ]


def _learn(store: SeriesStore, detector: Detector, routes: list[str], start: int, now: int) -> None:
    """What was usual before the window."""
    with late_imports.loading():
        from inapp_monitor.query.merging import merged_slots

    hours: dict[int, int] = {}
    for route in routes:
        path = f"routes.{route}.time"
        found = store.fetch_distribution(path, start - _PAST_S, start - 1, now, _PAST_SLOT_S)
        if found is None:
            continue
        watched = detector.watched(route, start)
        every = buckets.counts_of_columns(merged_slots(found.slots, 0, 1))
        for number, counts in enumerate(every):
            at = found.start + number * found.step
            if not counts or at + found.step > start:
                continue
            requests = sum(counts.values())
            watched.usual.fold(at, counts, requests, 0)
            hours[at // 3_600] = hours.get(at // 3_600, 0) + requests
    if hours:
        detector.learned(sum(hours.values()), min(hours) * 3_600, float(start))


def _read(
    store: SeriesStore, routes: list[str], start: int, end: int, now: int, step: int
) -> tuple[dict[str, _Series], int]:
    """The slots of a window by route, and how long they are."""
    with late_imports.loading():
        from inapp_monitor.query.merging import merged_slots

    series: dict[str, _Series] = {}
    width = 1
    for route in routes:
        found = store.fetch_distribution(f"routes.{route}.time", start, end, now, step)
        if found is None:
            continue
        factor = max(step // found.step, 1)
        lead = found.start // found.step % factor
        first, wide = found.start - lead * found.step, factor * found.step
        width = max(width, wide)
        columns = merged_slots(found.slots, lead, factor)
        counts = {
            first + number * wide: known
            for number, known in enumerate(buckets.counts_of_columns(columns))
            if known
        }
        series[route] = _Series(counts, {})
    for found_scalar in store.fetch(
        [f"routes.{route}.errors" for route in routes], start, end, now
    ):
        errors = series[found_scalar.path.removeprefix("routes.").removesuffix(".errors")].errors
        for number, value in enumerate(found_scalar.values):
            if value == value:
                at = found_scalar.start + number * found_scalar.step
                errors[at - at % width] = errors.get(at - at % width, 0) + int(value)
    return series, width


def _scalar(store: SeriesStore, path: str, start: int, end: int, now: int) -> dict[int, int]:
    for found in store.fetch([path], start, end, now):
        return {
            found.start + number * found.step: int(value)
            for number, value in enumerate(found.values)
            if value == value
        }
    return {}


def _within(counts: dict[int, int], at: int, step: int) -> int:
    return sum(count for moment, count in counts.items() if at <= moment < at + step)
