"""What Prometheus and its relatives get when they ask: every series as it stands now.

The numbers are the whole app's, whichever worker answers. What HTTP has to do with it is in `web`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from inapp_monitor.export.bucket_bounds import bounds_of
from inapp_monitor.export.exposition import Buckets, Exemplar, Layout
from inapp_monitor.export.metric_names import metrics_of
from inapp_monitor.export.running_totals import RunningTotals, Series
from inapp_monitor.export.totals import Totals

#: Of rows of slow requests.
_MS = 1e-3


class Scrape:
    """The documents of one data directory.

    *Threads:* any.
    """

    def __init__(self, totals: RunningTotals, store: Series) -> None:
        self._totals = totals
        self._store = store
        self._layouts: dict[bool, Layout] = {}
        self._layouts_of: tuple[int, int] = (-1, 0)
        self._factors: dict[str, float] = {}

    def document(
        self,
        now: int,
        deadline: float,
        routes: Mapping[str, str],
        slowest: Iterable[Mapping[str, Any]],
        *,
        openmetrics: bool,
    ) -> str:
        """The text.

        Args:
            now: Wall time.
            deadline: Performance counter after which nobody waits any more.
            routes: Route by slug.
            slowest: Rows of slow requests: what exemplars are made of.
            openmetrics: Which format.

        Raises:
            OutOfTimeError: the deadline has come.
        """
        totals = self._totals.read(now, deadline)
        layout = self._layout(routes, openmetrics)
        exemplars = _exemplars(slowest) if openmetrics else {}
        return layout.text(self._values(totals), exemplars)

    def _values(self, totals: Totals) -> dict[str, float | Buckets]:
        """By path, in the units of the metrics."""
        values: dict[str, float | Buckets] = {**totals.gauges, **totals.sums}
        for path, factor in self._factors.items():
            known = totals.histograms.get(path)
            if known is not None:
                values[path] = Buckets(list(accumulate(known.counts)), known.total * factor)
            elif path in values:
                values[path] *= factor  # type: ignore[operator]  # no buckets but those above
        return values

    def _layout(self, routes: Mapping[str, str], openmetrics: bool) -> Layout:
        version = (self._store.generation, len(routes))
        if version != self._layouts_of:
            self._layouts.clear()
            self._layouts_of = version
        layout = self._layouts.get(openmetrics)
        if layout is None:
            metrics = metrics_of(self._store.leaves(), routes)
            self._factors = {p: m.factor for p, m in metrics.items() if m.factor != 1.0}
            self._factors |= {p: m.factor for p, m in metrics.items() if m.kind == "histogram"}
            bounds = {
                path: tuple(scaled(bound, metric.factor) for bound in bounds_of(path))
                for path, metric in metrics.items()
                if metric.kind == "histogram"
            }
            layout = self._layouts[openmetrics] = Layout(metrics, bounds, openmetrics=openmetrics)
        return layout


def scaled(bound: float, factor: float) -> float:
    """A bound in the metric's unit, as one would write it: 0.005, never 0.00500001."""
    return float(f"{bound * factor:.6g}")


def _exemplars(slowest: Iterable[Mapping[str, Any]]) -> dict[str, list[Exemplar]]:
    """Slow requests that belong to an issue, by the series that they are in; latest last."""
    found: dict[str, list[Exemplar]] = {}
    rows = sorted(slowest, key=lambda row: float(row["started"]))
    for row in rows:
        if row.get("issue"):
            exemplar = Exemplar(
                (("issue_id", str(row["issue"])),), row["ms"] * _MS, float(row["started"])
            )
            for path in ("requests.time", f"routes.{row['slug']}.{row['method']}.time"):
                found.setdefault(path, []).append(exemplar)
            failed = exemplar._replace(value=1.0)
            found.setdefault("requests.errors", []).append(failed)
    return found
