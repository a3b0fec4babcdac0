"""Series held in memory: for tests and for the examples of the documentation."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence

from inapp_monitor.ground.points import Method
from inapp_monitor.ground.ranges import DistributionRange, Leaf, ScalarRange
from inapp_monitor.query.sources import StoreSource
from inapp_monitor.query.tagged import canonical


class MemorySource(StoreSource):
    """Series held in memory: for tests and for the examples of the documentation."""

    def __init__(
        self,
        series: Iterable[tuple[str, int, int, Sequence[float]]] = (),
        distributions: Mapping[str, DistributionRange] | None = None,
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
    """A `SeriesStore` over lists."""

    generation = 0
    past = None

    def __init__(
        self,
        series: list[tuple[str, int, int, Sequence[float]]],
        distributions: dict[str, DistributionRange],
        methods: dict[str, Method],
    ) -> None:
        self._series = {path: (start, step, values) for path, start, step, values in series}
        self._distributions = distributions
        self._methods = methods
        self.registered: list[str] = []

    def leaves(self) -> list[Leaf]:
        leaves = [Leaf(path, "scalar", self._method_of(path)) for path in self._series]
        return leaves + [Leaf(path, "distribution", Method.SUM) for path in self._distributions]

    def _method_of(self, path: str) -> Method:
        return self._methods.get(path, Method.AVERAGE)

    def fetch(self, paths: Sequence[str], start: int, end: int, now: int) -> list[ScalarRange]:
        found = []
        for path in paths:
            first, step, values = self._series[path]
            begin, stop = _grid(start, min(end, now), step)
            cells = [
                values[i] if 0 <= (i := (t - first) // step) < len(values) else math.nan
                for t in range(begin, stop, step)
            ]
            found.append(
                ScalarRange(path, begin, stop, step, array("d", cells), self._method_of(path), 0.0)
            )
        return found

    def fetch_distribution(
        self,
        path: str,
        start: int,
        end: int,
        now: int,
        max_step_s: int = 0,  # noqa: ARG002  # there is one archive
    ) -> DistributionRange:
        held = self._distributions[path]
        begin, stop = _grid(start, min(end, now), held.step)
        cells = [
            held.slots[i] if 0 <= (i := (t - held.start) // held.step) < len(held.slots)
            else None
            for t in range(begin, stop, held.step)
        ]  # fmt: skip
        return DistributionRange(path, begin, stop, held.step, cells)


def _grid(start: int, end: int, step: int) -> tuple[int, int]:
    begin = start // step * step + step
    stop = end // step * step + step
    return begin, max(stop, begin + step)
