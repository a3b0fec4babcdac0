"""Numbers that SDKs send (`sentry_sdk.metrics`, `Sentry.metrics`) as series.

A counter adds up, a gauge keeps its last value, a distribution becomes one; durations in other
units than milliseconds are converted. A series is named `sentry.PROJECT.NAME`, so that who has the
public key of a browser writes into no series of the application; what a path cannot hold is
replaced.
"""

from __future__ import annotations

import re
from typing import Protocol

from inapp_monitor.ingest.sentry import values

#: Of one item: as many as an SDK holds before it drops some.
MAX_METRICS = 10_000
_NOT_IN_PATHS = re.compile(r"[^A-Za-z0-9_.:-]+")
_DOTS = re.compile(r"\.{2,}")
_MILLISECONDS = {
    "nanosecond": 1e-6, "microsecond": 1e-3, "millisecond": 1.0, "second": 1e3, "minute": 6e4,
    "hour": 3.6e6, "day": 8.64e7, "ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3,
}  # fmt: skip


class Measures(Protocol):
    """What records numbers."""

    def incr(self, name: str, value: float = ..., rate: float = ...) -> None: ...
    def gauge(self, name: str, value: float, rate: float = ..., delta: bool = ...) -> None: ...
    def timing(self, name: str, delta: float, rate: float = ...) -> None: ...


def record(payload: dict[str, object], project: str, measures: Measures) -> None:
    """Record all metrics of a `trace_metric` item; what is no metric is left out."""
    for row in values.mappings(payload.get("items"), MAX_METRICS):
        metric = path_of(values.text(row.get("name"), 150))
        name = f"sentry.{path_of(project)}.{metric}" if metric else ""
        value = values.number(row.get("value"))
        if not name or value is None:
            continue
        kind = row.get("type")
        if kind == "counter":
            measures.incr(name, value)
        elif kind == "gauge":
            measures.gauge(name, value)
        elif kind == "distribution":
            unit = values.text(row.get("unit"), 20).lower()
            measures.timing(name, value * _MILLISECONDS.get(unit, 1.0))


def path_of(name: str) -> str:
    """A series' path: `cart/size now` is `cart_size_now`."""
    return _DOTS.sub(".", _NOT_IN_PATHS.sub("_", name)).strip("._")
