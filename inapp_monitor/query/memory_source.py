"""Series held in memory: for tests and for the examples of the documentation."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Method
from inapp_monitor.query.distribution_leaves import Slots
from inapp_monitor.query.sources import StoreSource
from inapp_monitor.query.tagged import canonical


class _Leaf(NamedTuple):
    path: str
    kind: str


class _Stored(NamedTuple):
    path: str
    start: int
    end: int
    step: int
    values: array[float]
    method: Method


class MemorySource(StoreSource):
    """Series held in memory: for tests and for the examples of the documentation."""

    def __init__(
        self,
        series: Iterable[tuple[str, int, int, Sequence[float]]] = (),
        distributions: Mapping[str, Slots] | None = None,
        methods: Mapping[str, Method] | None = None,
    ) -> None:
        """`series` are (path, first timestamp, step, values)."""
        memory = _Memory(list(series), dict(distributions or {}), dict(methods or {}))
        super().__init__(memory, lambda: memory.registered)
        self._memory = memory

    def register(self, path: str) -> None:
        """Make a tagged name known."""
        self._memory.registered.append(canonical(path))


class _Memory:
    """A `Reader` over lists."""

    generation = 0

    def __init__(
        self,
        series: list[tuple[str, int, int, Sequence[float]]],
        distributions: dict[str, Slots],
        methods: dict[str, Method],
    ) -> None:
        self._series = {path: (start, step, values) for path, start, step, values in series}
        self._distributions = distributions
        self._methods = methods
        self.registered: list[str] = []

    def leaves(self) -> list[_Leaf]:
        scalars = [_Leaf(path, "scalar") for path in self._series]
        return scalars + [_Leaf(path, "distribution") for path in self._distributions]

    def fetch(self, paths: Sequence[str], start: int, end: int, now: int) -> list[_Stored]:
        found = []
        for path in paths:
            first, step, values = self._series[path]
            begin, stop = _grid(start, min(end, now), step)
            cells = [
                values[i] if 0 <= (i := (t - first) // step) < len(values) else math.nan
                for t in range(begin, stop, step)
            ]
            method = self._methods.get(path, Method.AVERAGE)
            found.append(_Stored(path, begin, stop, step, array("d", cells), method))
        return found

    def fetch_distribution(self, path: str, start: int, end: int, now: int) -> _Held:
        held = self._distributions[path]
        begin, stop = _grid(start, min(end, now), held.step)
        cells = [
            held.histograms[i] if 0 <= (i := (t - held.start) // held.step) < len(held.histograms)
            else None
            for t in range(begin, stop, held.step)
        ]  # fmt: skip
        return _Held(begin, stop, held.step, cells)


class _Held(NamedTuple):
    start: int
    end: int
    step: int
    slots: Sequence[Histogram | None]


def _grid(start: int, end: int, step: int) -> tuple[int, int]:
    begin = start // step * step + step
    stop = end // step * step + step
    return begin, max(stop, begin + step)
