"""Totals that only grow, as values: what was counted up to one moment, and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import add
from typing import Any, Final

from inapp_monitor.export.bucket_bounds import bounds_of, counts_of
from inapp_monitor.ground.histogram import Histogram

_VERSION: Final = 1


@dataclass(slots=True)
class HistogramTotal:
    """All values of a distribution so far.

    Attributes:
        counts: By bound, see `bucket_bounds.counts_of`.
        total: Sum of the values.
    """

    counts: list[int]
    total: float = 0.0

    def add(self, counts: Sequence[int], total: float) -> None:
        """Count further values."""
        self.counts = list(map(add, self.counts, counts))
        self.total += total


@dataclass(slots=True)
class Totals:
    """Everything up to one moment.

    Attributes:
        at: Intervals that begin before it are in (seconds since the epoch).
        since: When counting began.
        sums: Of each series of sums, by path.
        gauges: The latest value of each other series.
        histograms: Of each distribution.
    """

    at: int
    since: int
    sums: dict[str, float] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, HistogramTotal] = field(default_factory=dict)

    def copy(self) -> Totals:
        """An independent one."""
        histograms = {
            path: HistogramTotal(list(known.counts), known.total)
            for path, known in self.histograms.items()
        }
        return Totals(self.at, self.since, dict(self.sums), dict(self.gauges), histograms)

    def add_histogram(self, path: str, histogram: Histogram) -> None:
        """Count a distribution's further values."""
        self.add_counts(path, counts_of(histogram, bounds_of(path)), histogram.total)

    def add_counts(self, path: str, counts: Sequence[int], total: float) -> None:
        """The same for values that are counted by bound already."""
        known = self.histograms.get(path)
        if known is None:
            known = self.histograms[path] = HistogramTotal([0] * len(counts))
        known.add(counts, total)


def pack(totals: Totals) -> dict[str, Any]:
    """As JSON."""
    return {
        "version": _VERSION,
        "at": totals.at,
        "since": totals.since,
        "sums": totals.sums,
        "gauges": totals.gauges,
        "histograms": {p: [known.counts, known.total] for p, known in totals.histograms.items()},
    }


def parse_totals(document: Any) -> Totals:
    """What `pack` made.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is something else.
    """
    if document["version"] != _VERSION:
        raise ValueError("another version")
    histograms = {
        str(name): HistogramTotal([int(n) for n in counts], float(total))
        for name, (counts, total) in document["histograms"].items()
        if len(counts) == len(bounds_of(name)) + 1
    }
    sums = {str(name): float(value) for name, value in document["sums"].items()}
    gauges = {str(name): float(value) for name, value in document["gauges"].items()}
    return Totals(int(document["at"]), int(document["since"]), sums, gauges, histograms)
