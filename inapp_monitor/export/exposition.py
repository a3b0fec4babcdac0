"""Prometheus' text format 0.0.4 and OpenMetrics 1.0: metrics and values in, text out. Pure.

Formats: prometheus.io/docs/instrumenting/exposition_formats and the OpenMetrics specification 1.0.
What stays the same from one answer to the next, names and labels, is made text once: `Layout`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from inapp_monitor.export.metric_names import Labels, Metric

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
#: Most characters of an exemplar's labels, by the specification.
_EXEMPLAR_LABELS: Final = 128


class Exemplar(NamedTuple):
    """One observation that stands for others: its labels, value, and when it was."""

    labels: Labels
    value: float
    timestamp: float


class Buckets(NamedTuple):
    """A cumulative histogram.

    Attributes:
        counts: How many values are at most each bound; the last one: all.
        total: Their sum, in the metric's unit.
    """

    counts: Sequence[int]
    total: float


class _Entry(NamedTuple):
    """One metric: its lines up to the values.

    Attributes:
        template: All lines of a histogram, for the operator `%`; "" of others.
    """

    is_counter: bool
    heads: tuple[str, ...]
    bounds: tuple[float, ...]
    template: str = ""


class Layout:
    """The document of some metrics but for the values.

    Args:
        metrics: By path; those of one family follow each other.
        bounds: Upper bounds of each histogram in the metric's unit, ascending, without infinity.
        openmetrics: Which format.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        bounds: Mapping[str, tuple[float, ...]],
        *,
        openmetrics: bool,
    ) -> None:
        self._openmetrics = openmetrics
        self._families: list[tuple[str, list[tuple[str, str, _Entry]]]] = []
        family = None
        for path, metric in metrics.items():
            if metric.family != family:
                family = metric.family
                self._families.append((heading(metric, openmetrics=openmetrics), []))
            entry = _entry(metric, bounds.get(path, ()))
            self._families[-1][1].append((path, entry.heads[0], entry))

    def text(
        self,
        values: Mapping[str, float | Buckets],
        exemplars: Mapping[str, Sequence[Exemplar]],
    ) -> str:
        """The document; metrics without a value are left out. *Cost:* 1 us a line.

        Args:
            values: By path.
            exemplars: Some of what was observed; only OpenMetrics has them.
        """
        pieces: list[str] = []
        value_of, text_of, shown_of = values.get, number, pieces.append
        exemplars = exemplars if self._openmetrics else {}
        for heading, entries in self._families:
            begun = False
            for path, head, entry in entries:
                value = value_of(path)
                if value is None:
                    continue
                if not begun:
                    shown_of(heading)
                    begun = True
                if path in exemplars:
                    shown_of(_with_exemplars(entry, value, exemplars[path]))
                elif isinstance(value, Buckets):
                    total = text_of(value.total)
                    shown_of(entry.template % (*value.counts, total, value.counts[-1]))
                else:
                    shown_of(f"{head}{text_of(value)}\n")
        if self._openmetrics:
            pieces.append("# EOF\n")
        return "".join(pieces)


def heading(metric: Metric, *, openmetrics: bool) -> str:
    """The lines before the samples of a family."""
    name = metric.family if openmetrics else metric.sample
    text = f"# HELP {name} {_help(metric.help, openmetrics)}\n# TYPE {name} {metric.kind}\n"
    return text + (f"# UNIT {name} {metric.unit}\n" if openmetrics and metric.unit else "")


def _help(text: str, openmetrics: bool) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if openmetrics else text


def _entry(metric: Metric, bounds: tuple[float, ...]) -> _Entry:
    labels = metric.labels
    if metric.kind != "histogram":
        head = f"{metric.sample}{labels_text(labels)} "
        return _Entry(metric.kind == "counter", (head,), ())
    heads = histogram_heads(metric, bounds)
    template = "".join([head.replace("%", "%%") + "%s\n" for head in heads])
    return _Entry(False, heads, bounds, template)


def histogram_heads(metric: Metric, bounds: Sequence[float]) -> tuple[str, ...]:
    """What stands before the values of a histogram's lines: its buckets, sum and count."""
    name, labels = metric.family, metric.labels
    texts = [*map(repr, map(float, bounds)), "+Inf"]
    buckets = [f"{name}_bucket{labels_text(labels, ('le', text))} " for text in texts]
    shown = labels_text(labels)
    return (*buckets, f"{name}_sum{shown} ", f"{name}_count{shown} ")


def _with_exemplars(entry: _Entry, value: float | Buckets, exemplars: Sequence[Exemplar]) -> str:
    if not isinstance(value, Buckets):
        shown = _exemplar(exemplars[-1]) if entry.is_counter and exemplars else ""
        return f"{entry.heads[0]}{number(value)}{shown}\n"
    lines = []
    below = -math.inf
    for head, bound, count in zip(
        entry.heads, (*entry.bounds, math.inf), value.counts, strict=False
    ):
        fitting = [each for each in exemplars if below < each.value <= bound]
        lines.append(f"{head}{count}{_exemplar(fitting[-1]) if fitting else ''}\n")
        below = bound
    lines.append(f"{entry.heads[-2]}{number(value.total)}\n")
    lines.append(f"{entry.heads[-1]}{value.counts[-1]}\n")
    return "".join(lines)


def labels_text(labels: Labels, *further: tuple[str, str]) -> str:
    """Labels in braces; "" without any."""
    pairs = [f'{name}="{_escaped(text)}"' for name, text in (*labels, *further)]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(text: str) -> str:
    text = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return text.encode("utf-8", "replace").decode()  # lone surrogates


def number(value: float) -> str:
    """A sample's value."""
    if -1e15 < value < 1e15:
        whole = int(value)
        return str(whole) if whole == value else repr(value)
    if value != value or math.isinf(value):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    return repr(value)


def _exemplar(exemplar: Exemplar) -> str:
    labels, length = [], 0
    for name, text in exemplar.labels:
        length += len(name) + len(text)
        if length <= _EXEMPLAR_LABELS:
            labels.append((name, text))
    shown = labels_text(tuple(labels)) or "{}"
    return f" # {shown} {number(exemplar.value)} {exemplar.timestamp:.3f}"
