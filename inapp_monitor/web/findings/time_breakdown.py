"""Where the time goes: the mean milliseconds of a request by part, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inapp_monitor.query.series import Floats
from inapp_monitor.traces.breakdown import PARTS
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import columns, drawing
from inapp_monitor.web.frame.view import View

#: Colours of the parts, in the order in which they are stacked.
_COLOURS = {
    "database": "c1",
    "http": "c2",
    "cache": "c3",
    "templates": "c4",
    "computing": "c5",
    "waiting": "c6",
    "queue": "c7",
}
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
#: A line instead of scattered columns where there are few requests.
_COLUMNS = 60


def chart(
    backend: Backend,
    view: View,
    prefix: str,
    counted: Sequence[str],
    markers: list[dict[str, Any]],
    axis_start: int,
) -> dict[str, Any] | None:
    """The stacked chart; None when nothing is known of it.

    Args:
        backend: Asked for the series.
        view: The window.
        prefix: `requests`, or `routes.<slug>`.
        counted: Prefixes of the series of status classes: of which requests it is a mean.
        markers: Deploys and the like.
        axis_start: Where the charts beside it begin.
    """
    paths = {part: f"{prefix}.breakdown.{part}" for part in PARTS}
    classes = [f"{each}.status.{name}" for each in counted for name in _CLASSES]
    found = columns.sums(backend, [*paths.values(), *classes], view.start, view.end, _COLUMNS)
    counts: Floats | float = 0.0
    for path in classes:
        if path in found:
            counts = counts + np.nan_to_num(found[path].values)
    if not np.any(counts):
        return None
    shown = {part: found[path] for part, path in paths.items() if path in found}
    totals = {part: each.total for part, each in shown.items()}
    everything = sum(totals.values())
    if not everything:
        return None
    series = []
    for part, each in shown.items():
        values = np.where(counts > 0, np.nan_to_num(each.values) / np.maximum(counts, 1), np.nan)
        series.append(drawing.line(part, each.start, each.step, values, "area", _COLOURS[part]))
    most = sorted(totals, key=lambda part: -totals[part])[:3]
    shares = {part: human.value(100 * totals[part] / everything, "percent") for part in totals}
    summary = " · ".join(f"{part} {shares[part]}" for part in most)
    return drawing.chart(
        "Where the time goes", "ms", axis_start, view.end, series, markers,
        summary=summary,
        description=f"A request's time by part, in the mean: {summary}",
        change=("", False),
        stacked=True,
    )  # fmt: skip
