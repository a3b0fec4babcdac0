"""Where the time goes: the mean milliseconds of a request by part, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inapp_monitor.query.series import Floats
from inapp_monitor.traces.breakdown import PARTS
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings.traffic import axis_from
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
    classes = [f"{each}.status.{name}" for each in counted for name in _CLASSES]
    start = view.start
    read = _read(backend, prefix, classes, start, view.end)
    while read is not None and read.before_s and view.end - read.before_s <= (view.end - start) / 2:
        start = read.before_s  # measured for the end of the window only: nearer
        read = _read(backend, prefix, classes, start, view.end)
    if read is None:
        return None
    if start != view.start:
        axis_start = axis_from(view, start)
    totals = {part: each.total for part, each in read.parts.items()}
    everything = sum(totals.values())
    series = []
    for part, each in read.parts.items():
        values = np.where(read.known, np.nan_to_num(each.values) / read.counts, np.nan)
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


class _Read(NamedTuple):
    """What the chart is made of, in columns.

    Attributes:
        parts: Milliseconds by part.
        counts: Requests; at least 1.
        known: In which columns the time of all requests is known by part.
        before_s: Where measuring has begun while there were requests: a column before it; else 0.
            The mean of the column in which it began would be too low.
    """

    parts: dict[str, columns.Sums]
    counts: Floats
    known: NDArray[np.bool_]
    before_s: int


def _read(
    backend: Backend, prefix: str, classes: Sequence[str], start: int, end: int
) -> _Read | None:
    """None when nothing is known."""
    paths = {part: f"{prefix}.breakdown.{part}" for part in PARTS}
    found = columns.sums(backend, [*paths.values(), *classes], start, end, _COLUMNS)
    parts = {part: found[path] for part, path in paths.items() if path in found}
    answered = [found[path].values for path in classes if path in found]
    if not parts or not answered:
        return None
    counts = np.nansum(answered, axis=0)
    measured = np.nansum([each.values for each in parts.values()], axis=0)
    known = (measured > 0) & (counts > 0)
    if not known.any():
        return None
    first, some = int(np.argmax(known)), next(iter(parts.values()))
    is_late = bool(first and counts[first - 1])
    if is_late:
        known[first] = False
    before_s = some.start + (first - 1) * some.step if is_late else 0
    return _Read(parts, np.maximum(counts, 1), known, before_s)
