"""Heatmap of a distribution over time: every request, by duration, on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from inapp_monitor.ground.histogram import Histogram, bucket_bounds
from inapp_monitor.query.series import Floats
from inapp_monitor.web import human
from inapp_monitor.web.charts.page_graph import PageGraph
from inapp_monitor.web.charts.path_data import TENTHS, WIDTH
from inapp_monitor.web.charts.spec import ChartOptions

_ROWS = 14
_LEVELS = 6


class Grid(NamedTuple):
    """Counts of a heatmap: `cells[row, column]`, row 0 at the bottom, from `low` to `high`."""

    cells: Floats
    low: float
    high: float


def heatmap(
    slots: Sequence[Histogram | None], start: float, step: float, options: ChartOptions
) -> bytes:
    """Draw histograms over time; slot i covers `start + i * step` onwards.

    Returns:
        UTF-8 bytes of one `<svg>` element, as `line_chart`.
    """
    return HeatGraph(grid(slots), start, step, options).document()


def grid(slots: Sequence[Histogram | None], rows: int = _ROWS) -> Grid:
    """Count the values of each slot by logarithmic rows that just cover them all."""
    known = [slot for slot in slots if slot is not None and slot.count]
    lowest = min((slot.minimum for slot in known), default=1.0)
    highest = max((slot.maximum for slot in known), default=1.0)
    low = max(lowest, highest / 1e5, 1e-3)
    high = max(highest, low * 4)
    cells = np.zeros((rows, len(slots)))
    factor = rows / math.log(high / low)
    for column, slot in enumerate(slots):
        if slot is None:
            continue
        for number, count in slot.buckets.items():
            bounds = bucket_bounds(number, slot.shift)
            middle = bounds[0] if math.isinf(bounds[1]) else sum(bounds) / 2
            row = int(math.log(max(middle, low) / low) * factor)
            cells[min(max(row, 0), rows - 1), column] += count
    return Grid(cells, low, high)


class HeatGraph(PageGraph):
    """pygal graph of counts in cells; the darker, the more."""

    def __init__(self, cells: Grid, start: float, step: float, options: ChartOptions) -> None:
        super().__init__(options)
        self._grid = cells
        self._start = start
        self._step = step

    def _has_data(self) -> bool:
        return bool(self._grid.cells.any())

    def _bounds(self) -> tuple[float, float, float, float]:
        length = self._step * max(self._grid.cells.shape[1], 1)
        start = self._start if self.options.start is None else self.options.start
        end = self._start + length if self.options.end is None else self.options.end
        return float(start), float(max(end, start + 1)), 0.0, float(self._grid.cells.shape[0])

    def _hover(self) -> list[dict[str, Any]] | None:
        counts = [int(count) for count in self._grid.cells.sum(axis=0)]
        place = {"start": self._start, "step": self._step}
        return [{"name": "values", "colour": "c1", "unit": "count", "values": counts, **place}]

    def _value_labels(self) -> list[tuple[str, float]]:
        cells, low, high = self._grid
        factor = cells.shape[0] / math.log(high / low)
        powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
        steps = (1,) if high / low >= 100 else (1, 2, 5)
        marks = [step * 10.0**power for power in powers for step in steps]
        return [
            (human.value(mark, self.options.unit), math.log(mark / low) * factor)
            for mark in marks
            if low <= mark <= high
        ]

    def _plot(self) -> None:
        cells = self._grid.cells
        rows = cells.shape[0]
        full = self.frame.height * TENTHS
        width = WIDTH * self._step / (self.frame.end - self.frame.start)
        left = (self._start - self.frame.start) * WIDTH / (self.frame.end - self.frame.start)
        # The square root keeps a few slow requests visible beside thousands of fast ones.
        levels = np.ceil(np.sqrt(cells / cells.max()) * (_LEVELS - 1)).astype(int)
        height = full / rows
        for level in range(1, _LEVELS):
            path = "".join(
                f"M{round(left + column * width)} {round(full - (row + 1) * height)}"
                f"h{max(round(width * 0.94), 1)}v{round(height * 0.94)}"
                f"h-{max(round(width * 0.94), 1)}z"
                for row, column in np.argwhere(levels == level).tolist()
            )
            if path:
                self.svg.node(self.nodes["plot"], "path", d=path, class_=f"cell k{level}")
