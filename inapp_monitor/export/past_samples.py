"""The past as Prometheus' data model has it: counters and histograms that grow, gauges. Pure.

A counter's value after an interval stands at the interval's end, where a scrape would have seen it;
it begins with 0, or what it has grown to before, at the beginning of the first one. A gauge stands
at its interval's beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inapp_monitor.export.bucket_bounds import bounds_of, counts_of
from inapp_monitor.export.exposition import number
from inapp_monitor.export.metric_names import Labels, Metric
from inapp_monitor.export.past import Past
from inapp_monitor.export.totals import HistogramTotal, Totals


class Line(NamedTuple):
    """One series of Prometheus' over time.

    Attributes:
        name, labels: What it is called.
        times: Seconds since the epoch.
        values: At those times, in the metric's unit.
    """

    name: str
    labels: Labels
    times: list[int]
    values: list[float]


def lines_of(past: Past, metric: Metric, totals: Totals) -> Iterator[Line]:
    """The series that a stored one becomes; they go on from `totals`, and leave there their end.

    What begins where `totals` ends needs no point there: it has been handed over.
    """
    path, factor = past.leaf.path, metric.factor
    if metric.kind == "histogram":
        yield from _histogram(past, metric, totals)
    elif metric.kind == "gauge":
        times = [begin for begin, _, _ in past.numbers]
        yield Line(metric.sample, metric.labels, times, [v * factor for _, _, v in past.numbers])
        if past.numbers:
            totals.gauges[path] = past.numbers[-1][2]
    else:
        running, times, values = totals.sums.get(path, 0.0), [], []
        for begin, step, value in past.numbers:
            if begin > (
                times[-1] if times else totals.at
            ):  # the rise since then began here, not before
                times.append(begin)
                values.append(running * factor)
            running += value
            times.append(begin + step)
            values.append(running * factor)
        yield Line(metric.sample, metric.labels, times, values)
        totals.sums[path] = running


def _histogram(past: Past, metric: Metric, totals: Totals) -> Iterator[Line]:
    path = past.leaf.path
    bounds = bounds_of(path)
    known = totals.histograms.get(path) or HistogramTotal([0] * (len(bounds) + 1))
    running = HistogramTotal(list(known.counts), known.total)
    times: list[int] = []
    columns: list[list[float]] = [[] for _ in range(len(bounds) + 2)]
    for begin, step, histogram in past.histograms:
        if begin > (times[-1] if times else totals.at):
            _add_row(columns, times, begin, running)
        running.add(counts_of(histogram, bounds), histogram.total)
        _add_row(columns, times, begin + step, running)
    totals.histograms[path] = running
    name, labels = metric.family, metric.labels
    for bound, column in zip(bounds, columns[: len(bounds)], strict=True):
        shown = repr(float(f"{bound * metric.factor:.6g}"))
        yield Line(f"{name}_bucket", _sorted((*labels, ("le", shown))), times, column)
    yield Line(f"{name}_bucket", _sorted((*labels, ("le", "+Inf"))), times, columns[-2])
    yield Line(f"{name}_sum", labels, times, [total * metric.factor for total in columns[-1]])
    yield Line(f"{name}_count", labels, times, columns[-2])


def _sorted(labels: Labels) -> Labels:
    return tuple(sorted(labels))


def _add_row(
    columns: list[list[float]], times: list[int], at: int, running: HistogramTotal
) -> None:
    times.append(at)
    below = 0
    for column, count in zip(columns, running.counts, strict=False):
        below += count
        column.append(below)
    columns[-1].append(running.total)


def text_of(lines: Sequence[Line], heads: Sequence[str]) -> str:
    """The lines of OpenMetrics: all series of one metric, moment by moment.

    Args:
        lines: With the same times.
        heads: Name and labels of each.
    """
    if len(lines) == 1:
        head, points = heads[0], zip(lines[0].values, lines[0].times, strict=True)
        return "".join([f"{head} {number(value)} {time}\n" for value, time in points])
    pieces = []
    for time, row in zip(
        lines[0].times, zip(*(line.values for line in lines), strict=True), strict=True
    ):
        pieces += [f"{h} {number(value)} {time}\n" for h, value in zip(heads, row, strict=True)]
    return "".join(pieces)
