"""Reads a registry of prometheus_client once an interval: its samples become series.

A sample's series is its name with its labels as tags, `http_requests_total;method=GET`. Counters,
and the counts and sums of histograms and summaries, are kept as what they grew by. The library
itself is not imported: whatever has `collect()` will do.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from inapp_monitor.collectors.base import Collector
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.names import clean_node

#: Series of one registry.
MAX_NAMES: Final = 5_000
#: Gauges that are added up over the workers; of further ones the last worker's value is kept.
MAX_SUMMED: Final = 40
#: Types of a family whose samples are totals, but for these suffixes.
_TOTALS: Final = frozenset(("counter", "histogram", "summary"))
_TOTAL_SUFFIXES: Final = ("_total", "_count", "_sum", "_bucket")
_NOT_READ: Final = frozenset(("info", "gaugehistogram"))
_TAG: Final = re.compile(r"[^\w\-:#%+@=./]+")


class PrometheusRegistry(Collector):
    """One registry.

    Args:
        registry: Of prometheus_client, such as its REGISTRY.
        name: What it is called.
        prefix: First nodes of its series; "" for none.
        per_worker: False where the registry itself joins all workers (`MultiProcessCollector`).

    Raises:
        ConfigError: it has no `collect()`.
    """

    max_names = MAX_NAMES

    def __init__(
        self, registry: Any, name: str = "prometheus", prefix: str = "", per_worker: bool = True
    ) -> None:
        if not callable(getattr(registry, "collect", None)):
            raise ConfigError(f"watch: expected a registry with collect(), got {registry!r:.100}")
        self.name, self.prefix, self.per_worker = name, prefix, per_worker
        self._registry = registry
        self._paths: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self._totals: dict[str, float] = {}
        self._gauges: dict[str, None] = {}
        self._has_run = False

    def collect(self) -> None:
        """Read all families."""
        for family in self._registry.collect():
            if family.type in _NOT_READ:
                continue
            for sample in family.samples:
                self._publish(family.type, sample.name, sample.labels, float(sample.value))
        self._has_run = True

    def _publish(self, kind: str, name: str, labels: dict[str, str], value: float) -> None:
        if not math.isfinite(value) or name.endswith("_created"):
            return
        path = self._path(name, labels)
        if kind in _TOTALS and name.endswith(_TOTAL_SUFFIXES):
            self._add_total(path, value)
        else:
            self._gauges.setdefault(path, None)
            is_summed = self.per_worker and len(self._gauges) <= MAX_SUMMED
            self.gauge(path, value, "sum" if is_summed else "last")

    def _add_total(self, path: str, total: float) -> None:
        """What is there at the first look was counted before anybody watched; a series that appears
        later was counted since."""
        before = self._totals.get(path, 0.0 if self._has_run else total)
        if len(self._totals) < MAX_NAMES or path in self._totals:
            self._totals[path] = total
            self.add(path, total - before if total >= before else total)

    def _path(self, name: str, labels: dict[str, str]) -> str:
        key = (name, tuple(sorted(labels.items())))
        path = self._paths.get(key)
        if path is None:
            path = clean_node(name) + "".join(
                f";{label}={_TAG.sub('_', text).lstrip('~') or '_'}"
                for label, text in key[1]
                if text
            )
            if len(self._paths) < MAX_NAMES:
                self._paths[key] = path
        return path
