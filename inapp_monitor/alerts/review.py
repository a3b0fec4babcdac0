"""Looking back: what the judge would have found in a window that is over, from the stored slots.

For windows in which nobody judged: recorded by an earlier release, or looked at as files. The same
detector goes through the archives; what it learns from is the time before the window.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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


class _Counts(NamedTuple):
    """Durations of one route by slot: `rows` has a row of all buckets a slot."""

    start: int
    step: int
    rows: Any


def _counts(
    store: SeriesStore, routes: list[str], start: int, end: int, now: int, step: int, *, whole: bool
) -> dict[str, _Counts]:
    """The slots of a time by route; joined to slots of `step` unless they stay whole."""
    with late_imports.loading():
        from inapp_monitor.query.coarse_counts import CoarseCounts, Wide

    every = CoarseCounts(Wide(buckets.SHIFT, buckets.FIRST, buckets.COUNT))
    places: dict[str, tuple[int, int]] = {}
    for route in routes:
        found = store.fetch_distribution(f"routes.{route}.time", start, end, now, step)
        if found is None:
            continue
        factor = 1 if whole else max(step // found.step, 1)
        lead = found.start // found.step % factor
        every.add(found.slots, lead, factor)
        places[route] = found.start - lead * found.step, factor * found.step
    return {
        route: _Counts(*place, rows)
        for (route, place), rows in zip(places.items(), every.counts(), strict=True)
    }


def _learn(store: SeriesStore, detector: Detector, routes: list[str], start: int, now: int) -> None:
    """What was usual before the window."""
    requests, first = 0, start
    past = start - _PAST_S
    for route, (begin, step, rows) in _counts(
        store, routes, past, start - 1, now, _PAST_SLOT_S, whole=True
    ).items():
        usual = detector.watched(route, start).usual
        known = rows[: max((start - begin) // step, 0)]
        filled = known.any(axis=1).nonzero()[0].tolist()
        if not filled:
            continue
        hours: dict[int, list[int]] = {}
        for number in filled:
            hours.setdefault((begin + number * step) // 3_600 % 24, []).append(number)
        for numbers in hours.values():  # sums of whole numbers: the order makes no difference
            row = known[numbers].sum(axis=0)
            counts = _filled(row)
            count = int(row.sum())
            usual.fold(begin + numbers[0] * step, counts, count, 0)
            requests += count
        first = min(first, begin + filled[0] * step)
    if requests:
        detector.learned(requests, first - first % 3_600, float(start))


def _filled(row: Any) -> dict[int, int]:
    number = row.nonzero()[0]
    return dict(zip(number.tolist(), row[number].tolist(), strict=True))


def _read(
    store: SeriesStore, routes: list[str], start: int, end: int, now: int, step: int
) -> tuple[dict[str, _Series], int]:
    """The slots of a window by route, and how long they are."""
    series: dict[str, _Series] = {}
    width = 1
    for route, (first, wide, rows) in _counts(
        store, routes, start, end, now, step, whole=False
    ).items():
        width = max(width, wide)
        filled = rows.any(axis=1).nonzero()[0].tolist()
        series[route] = _Series({first + at * wide: _filled(rows[at]) for at in filled}, {})
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
