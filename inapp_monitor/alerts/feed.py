"""What ended since the last look, on each route and in all workers, read from the store.

Each worker adds its deltas to the steps of the store about once a second, also to a step that is
over. So the last three steps are read, and what was read before is taken off. Counts are read for
all routes at once; durations only of those whose counts have changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inapp_monitor.alerts import buckets
from inapp_monitor.alerts.measuring import SeriesStore
from inapp_monitor.alerts.observed import Row
from inapp_monitor.ground.ranges import ScalarRange

#: Steps that others may still add to.
_STEPS = 3
_STEP_S = 10


class Latest(NamedTuple):
    """What ended since the last look.

    Attributes:
        rows: One for each route with requests.
        broken_links, not_found: 404s: of links on the app's own pages, and all.
    """

    rows: list[Row]
    broken_links: int
    not_found: int


class Feed:
    """Differences of one store.

    *Threads:* for the ticking thread.
    """

    def __init__(self, store: SeriesStore) -> None:
        self._store = store
        self._generation = -1
        self._routes: dict[str, list[str]] = {}
        self._paths: list[str] = []
        self._sums: dict[str, dict[int, float]] = {}
        self._durations: dict[str, dict[int, dict[int, int]]] = {}
        self._errors_waiting: dict[str, int] = {}
        self._changed_before: set[str] = set()
        self._first = True

    def forget(self) -> None:
        """The next look is a first one: what is there by then was somebody else's to judge."""
        self._sums, self._durations = {}, {}
        self._errors_waiting, self._changed_before = {}, set()
        self._first = True

    def take(self, now: int) -> Latest:
        """What has ended since the last call; nothing by the first one."""
        self._find_routes()
        oldest = now // _STEP_S * _STEP_S - (_STEPS - 1) * _STEP_S
        added = self._added(oldest, now)
        first, self._first = self._first, False
        rows = []
        changed = {route for route, paths in self._routes.items() if any(map(added.get, paths))}
        for route in changed | self._changed_before:
            counts = self._new_durations(route, oldest, now)
            requests = sum(counts.values()) if counts is not None else self._answers(route, added)
            errors = self._errors_waiting.get(route, 0) + int(
                added.get(f"routes.{route}.errors", 0)
            )
            self._errors_waiting[route] = errors if not requests else max(errors - requests, 0)
            if requests:
                rows.append(Row(route, requests, min(errors, requests), counts or {}))
        self._changed_before = changed
        if first:
            return Latest([], 0, 0)
        broken = int(added.get("requests.broken_links", 0))
        return Latest(rows, broken, int(added.get("requests.not_found", 0)))

    def _find_routes(self) -> None:
        generation = self._store.generation
        if generation == self._generation:
            return
        self._generation = generation
        self._routes = {}
        for leaf in self._store.leaves():
            nodes = leaf.path.split(".")
            if nodes[0] == "routes" and len(nodes) >= 4 and nodes[3] in ("status", "errors"):
                self._routes.setdefault(f"{nodes[1]}.{nodes[2]}", []).append(leaf.path)
        self._paths = [path for paths in self._routes.values() for path in paths]
        self._paths += ["requests.broken_links", "requests.not_found"]

    def _added(self, oldest: int, now: int) -> dict[str, float]:
        """By how much each counter has grown since the last look."""
        added: dict[str, float] = {}
        for found in self._store.fetch(self._paths, oldest - 1, now, now):
            before = self._sums.get(found.path, {})
            latest = _by_step(found)
            self._sums[found.path] = latest
            growth = sum(value - before.get(step, 0.0) for step, value in latest.items())
            if growth > 0:
                added[found.path] = growth
        return added

    def _answers(self, route: str, added: dict[str, float]) -> int:
        """Requests of a route whose durations found no room in the store."""
        prefix = f"routes.{route}.status."
        answers = sum(n for path, n in added.items() if path.startswith(prefix))
        return int(max(answers, added.get(f"routes.{route}.errors", 0)))

    def _new_durations(self, route: str, oldest: int, now: int) -> dict[int, int] | None:
        """By bucket; None when they are not stored."""
        found = self._store.fetch_distribution(f"routes.{route}.time", oldest - 1, now, now)
        before = self._durations.get(route, {})
        latest: dict[int, dict[int, int]] = {}
        new: dict[int, int] = {}
        if found is None:
            return None
        for number, slot in enumerate(found.slots):
            if slot is None:
                continue
            step = found.start + number * found.step
            counts = latest[step] = buckets.counts_of(slot)
            known = before.get(step, {})
            for bucket, count in counts.items():
                more = count - known.get(bucket, 0)
                if more > 0:
                    new[bucket] = new.get(bucket, 0) + more
        self._durations[route] = latest
        return new


def _by_step(found: ScalarRange) -> dict[int, float]:
    values: Sequence[float] = found.values
    return {
        found.start + number * found.step: value
        for number, value in enumerate(values)
        if value == value
    }
