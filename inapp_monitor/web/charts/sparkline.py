"""A line the size of a word, for tables: text, since a graph for each row would be slow."""

from __future__ import annotations

import numpy as np

from inapp_monitor.web.charts.path_data import TENTHS, WIDTH, Frame, decimate, line
from inapp_monitor.web.charts.spec import ChartSeries, colour_of

_HEIGHT = 22
_COLUMNS = 60


def sparkline(series: ChartSeries) -> str:
    """An `<svg>` element for HTML, decorative; "" when there is nothing to draw."""
    values = series.array()
    known = values[np.isfinite(values)]
    if known.size < 2:
        return ""
    low, high = min(float(known.min()), 0.0), float(known.max())
    frame = Frame(0, len(values) - 1, low, high if high > low else low + 1, _HEIGHT)
    times, values = decimate(np.arange(len(values), dtype=np.float64), values, _COLUMNS)
    path = "".join(line(times, values, frame))
    return (
        f'<svg class="chart spark" viewBox="0 -10 {WIDTH} {_HEIGHT * TENTHS + 20}" '
        f'preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="line s-{colour_of(series, 0)}" d="{path}"/></svg>'
    )
