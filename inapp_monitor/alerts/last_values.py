"""The last values of one series, for pictures: a stored series, or a leaf of a distribution."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import TypeVar

from inapp_monitor.alerts.measuring import SeriesStore, combined, leaf_of
from inapp_monitor.ground.histogram import merged

T = TypeVar("T")


def last_values(
    store: SeriesStore, series: str, end: int, span_s: int, step_s: int
) -> list[float | None]:
    """Values of `span_s // step_s` steps that end at `end`; empty when there is no such series."""
    count = span_s // step_s
    start = end - span_s
    for found in store.fetch([series], start - 1, end - 1, end):
        groups = _grouped(found.values, found.start, found.step, start, step_s, count)
        values = [combined(found._replace(values=array("d", each))) for each in groups]
        return [None if math.isnan(value) else value for value in values]
    name, dot, leaf = series.rpartition(".")
    slots = store.fetch_distribution(name, start - 1, end - 1, end) if dot else None
    if slots is None:
        return []
    grouped = _grouped(slots.slots, slots.start, slots.step, start, step_s, count)
    numbers = [leaf_of(merged(each), leaf, step_s) for each in grouped]
    return [None if math.isnan(value) else value for value in numbers]


def last_shares(
    store: SeriesStore, series: str, whole: str, end: int, span_s: int, step_s: int
) -> list[float | None]:
    """As `last_values`, in per cent of another series; a part that is missing is none of it."""
    if "*" in whole or "(" in whole:
        return []
    parts = last_values(store, series, end, span_s, step_s)
    wholes = last_values(store, whole, end, span_s, step_s)
    parts = parts or [None] * len(wholes)
    return [
        None if not of else 100.0 * (part or 0.0) / of
        for part, of in zip(parts, wholes, strict=bool(wholes))
    ]


def _grouped(
    values: Sequence[T], begin: int, step: int, start: int, step_s: int, count: int
) -> list[list[T]]:
    groups: list[list[T]] = [[] for _ in range(count)]
    for number, value in enumerate(values):
        place = (begin + number * step - start) // step_s
        if 0 <= place < count:
            groups[place].append(value)
    return groups
