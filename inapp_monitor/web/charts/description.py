"""What a chart shows, in words, for those who cannot see it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inapp_monitor.web import human
from inapp_monitor.web.charts.spec import ChartSeries
from inapp_monitor.web.human import Unit
from inapp_monitor.web.xml_text import one_line

#: Series that are described: nobody listens to more.
_MOST = 4
#: A change of the last third against the first one that counts as a trend.
_TREND = 0.2


def describe(series: Sequence[ChartSeries], unit: Unit) -> str:
    """A sentence a series: `p95 from 80 ms to 250 ms, last 240 ms, rising.`"""
    sentences = [_sentence(entry, unit) for entry in series[:_MOST] if entry.shape != "ghost"]
    more = len(series) - _MOST
    return " ".join(
        [text for text in sentences if text] + ([f"And {more} more."] if more > 0 else [])
    )


def _sentence(series: ChartSeries, unit: Unit) -> str:
    values = series.array()
    known = values[np.isfinite(values)]
    name = one_line(series.name, 40)
    if not known.size:
        return f"{name}: no value." if name else ""
    low, high, last = float(known.min()), float(known.max()), float(known[-1])
    if low == high:
        return f"{name} always {human.value(high, unit)}.".strip()
    text = f"{name} from {human.value(low, unit)} to {human.value(high, unit)}"
    return f"{text}, last {human.value(last, unit)}, {trend(known.tolist())}.".strip()


def trend(values: Sequence[float]) -> str:
    """`rising`, `falling` or `steady`, by the means of the first and of the last third."""
    third = max(len(values) // 3, 1)
    first = sum(values[:third]) / third
    last = sum(values[-third:]) / third
    size = max(abs(first), abs(last))
    if not size or abs(last - first) <= _TREND * size:
        return "steady"
    return "rising" if last > first else "falling"
