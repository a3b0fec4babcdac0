"""How long requests of a route usually take: its p95 of the last hour, read once a minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.histogram import merged
from inapp_monitor.recorder.routes import MAX_ROUTE_LENGTH, method_name
from inapp_monitor.store.series import Store

_PERIOD_S: Final = 3_600
_INTERVAL_S: Final = 60.0
_MAX_ROUTES: Final = 1_000
#: Fewer requests say nothing.
_ENOUGH: Final = 20


class UsualTimes:
    """The p95 of routes.

    *Threads:* for the one that ticks.
    """

    def __init__(self, store: Store, clock: Clock, slug_of: Callable[[str], str]) -> None:
        self._store = store
        self._clock = clock
        self._slug_of = slug_of
        self._known: dict[tuple[str, str], tuple[float, float | None]] = {}

    def p95_ms(self, route: str, method: str) -> float | None:
        """Of a route and method, in ms; None when too few requests are known."""
        now = self._clock.perf()
        known = self._known.get((route, method))
        if known is not None and now - known[0] < _INTERVAL_S:
            return known[1]
        if len(self._known) >= _MAX_ROUTES:
            self._known.clear()
        found = self._read(self._slug_of(route[:MAX_ROUTE_LENGTH]), method_name(method))
        self._known[route, method] = now, found
        return found

    def _read(self, slug: str, method: str) -> float | None:
        now = int(self._clock.wall())
        path = f"routes.{slug}.{method}.time"
        found = self._store.fetch_distribution(path, now - _PERIOD_S, now, now)
        whole = None if found is None else merged(found.slots)
        return None if whole is None or whole.count < _ENOUGH else whole.quantile(0.95)
