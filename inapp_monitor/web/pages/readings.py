"""What pages read of the store: sums and percentiles in columns as wide as a chart needs.

A distribution is fetched once and gives count, percentiles, apdex and heatmap: its slots are
merged, never its percentiles averaged. Closed over one `Backend` and one window; nothing is drawn
or worded here.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inapp_monitor.histogram import Histogram
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.charts.model import Floats

#: Columns of a chart: about two pixels each on a wide screen.
COLUMNS = 240


@dataclass(frozen=True, slots=True)
class Sums:
    """A counter over a window: column i covers `start + i * step` onwards; NaN is no data."""

    start: int
    step: int
    values: Floats

    @property
    def total(self) -> float:
        """The whole window's sum."""
        return float(np.nansum(self.values)) if len(self.values) else 0.0

    def rate(self) -> Floats:
        """A second's worth of each column."""
        return self.values / self.step


@dataclass(frozen=True, slots=True)
class Durations:
    """A distribution of milliseconds over a window, in columns, and all of it in one."""

    start: int
    step: int
    slots: list[Histogram | None]
    whole: Histogram

    def quantile(self, q: float) -> Floats:
        """The q-quantile of each column; NaN where nothing happened."""
        return np.array(
            [math.nan if slot is None else slot.quantile(q) for slot in self.slots], dtype=float
        )

    def counts(self) -> Floats:
        """How many values each column has; NaN where nothing happened."""
        return np.array(
            [math.nan if slot is None else float(slot.count) for slot in self.slots], dtype=float
        )

    def apdex(self, target_ms: float) -> float | None:
        """The whole window's apdex, see `apdex`."""
        return apdex(self.whole, target_ms)


def apdex(durations_ms: Histogram, target_ms: float) -> float | None:
    """Share of satisfied plus half the tolerating (up to four times the target) requests."""
    if not durations_ms.count:
        return None
    satisfied = durations_ms.fraction_at_most(target_ms)
    return (satisfied + durations_ms.fraction_at_most(4 * target_ms)) / 2


def sums(
    backend: Backend, paths: Sequence[str], start: int, end: int, columns: int = COLUMNS
) -> dict[str, Sums]:
    """Counters by path; a path that is not stored is left out."""
    result = {}
    for found in backend.store.fetch(list(paths), start, end, backend.now()):
        result[found.path] = _columns(found, end - start, columns)
    return result


def durations(
    backend: Backend, path: str, start: int, end: int, columns: int = COLUMNS
) -> Durations | None:
    """A distribution, or None when it is not stored."""
    found = backend.store.fetch_distribution(path, start, end, backend.now())
    if found is None:
        return None
    factor = max(math.ceil(len(found.slots) / columns), 1)
    merged: list[Histogram | None] = []
    whole = Histogram()
    for begin in range(0, len(found.slots), factor):
        column = merge(found.slots[begin : begin + factor])
        merged.append(column)
        if column is not None:
            whole.merge(column)
    return Durations(found.start, found.step * factor, merged, whole)


def merge(slots: Sequence[Histogram | None]) -> Histogram | None:
    """All slots in one; None when none has a value."""
    known = [slot for slot in slots if slot is not None and slot.count]
    if not known:
        return None
    if len(known) == 1:
        return known[0]
    joined = known[0].copy()
    for slot in known[1:]:
        joined.merge(slot)
    return joined


def _columns(found: Any, span: int, columns: int) -> Sums:
    values = np.frombuffer(found.values) if isinstance(found.values, array) else found.values
    values = np.asarray(values, dtype=np.float64)
    wanted = max(span / columns, found.step)
    factor = max(math.ceil(wanted / found.step - 1e-9), 1)
    if factor > 1:
        missing = -len(values) % factor
        rows = np.concatenate([values, np.full(missing, np.nan)]).reshape(-1, factor)
        known = np.isfinite(rows)
        values = np.where(known.any(axis=1), np.where(known, rows, 0.0).sum(axis=1), np.nan)
    return Sums(found.start, found.step * factor, values)
