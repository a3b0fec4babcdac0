"""The whole past of a store, series by series: each moment once, from the finest archive of it.

Where two archives meet, the finer one begins at a border of the coarser one's intervals, so that
sums over the past are exact. The last two minutes are left out: workers may still add to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.ranges import DistributionRange, Leaf, ScalarRange

#: Series that are read at a time: a group is read as a whole anyway, memory is the bound.
_AT_ONCE: Final = 25
_SETTLED_AFTER_S: Final = 120
_ALIGNED_TO_S: Final = 60


class Ring(Protocol):
    """One archive."""

    @property
    def step(self) -> int: ...
    @property
    def retention(self) -> int: ...


class Rings(Protocol):
    """The archives of one series, finest first."""

    @property
    def archives(self) -> Sequence[Ring]: ...


class StoredSeries(Protocol):
    """What a store has to offer for this."""

    def leaves(self) -> list[Leaf]: ...
    def fetch(self, paths: Sequence[str], start: int, end: int, now: int) -> list[ScalarRange]: ...
    def fetch_distribution(
        self, path: str, start: int, end: int, now: int, max_step_s: int = 0
    ) -> DistributionRange | None: ...
    def retention_of(self, path: str) -> tuple[Rings, float] | None: ...


class Span(NamedTuple):
    """Intervals of one archive that the past is made of: from `start` up to `end`."""

    step: int
    start: int
    end: int


@dataclass(slots=True)
class Past:
    """One series from its beginning on: (beginning, step, value) of each known interval.

    Attributes:
        numbers: Of a scalar.
        histograms: Of a distribution.
    """

    leaf: Leaf
    numbers: list[tuple[int, int, float]] = field(default_factory=list)
    histograms: list[tuple[int, int, Histogram]] = field(default_factory=list)


def end_of_past(now: int) -> int:
    """The moment up to which intervals are settled."""
    moment = now - _SETTLED_AFTER_S
    return moment - moment % _ALIGNED_TO_S


def spans(rings: Rings, now: int) -> list[Span]:
    """The parts of the past that each archive has, oldest first."""
    found: list[Span] = []
    end = end_of_past(now)
    for number, ring in enumerate(rings.archives):
        end = end - end % ring.step
        oldest = now - ring.retention + ring.step
        coarser = rings.archives[number + 1].step if number + 1 < len(rings.archives) else ring.step
        start = -(-oldest // coarser) * coarser
        if start < end:
            found.append(Span(ring.step, start, end))
            end = start
    return found[::-1]


def read(store: StoredSeries, leaves: Sequence[Leaf], now: int) -> Iterator[Past]:
    """The past of some series, in their order."""
    for first in range(0, len(leaves), _AT_ONCE):
        some = leaves[first : first + _AT_ONCE]
        scalars = _read_scalars(store, [leaf for leaf in some if leaf.kind == "scalar"], now)
        for leaf in some:
            if leaf.kind == "distribution":
                yield _read_distribution(store, leaf, now)
            elif leaf.path in scalars:
                yield scalars.pop(leaf.path)


def _read_scalars(store: StoredSeries, leaves: Sequence[Leaf], now: int) -> dict[str, Past]:
    found = {leaf.path: Past(leaf) for leaf in leaves}
    alike: dict[tuple[Span, ...], list[str]] = {}
    for leaf in leaves:
        facts = store.retention_of(leaf.path)
        if facts is not None:
            alike.setdefault(tuple(spans(facts[0], now)), []).append(leaf.path)
    for parts, paths in alike.items():
        for part in parts:
            for answer in store.fetch(paths, part.start - 1, part.end - 1, now):
                if answer.step == part.step:
                    found[answer.path].numbers += _known(answer, part)
    return found


def _known(answer: ScalarRange, part: Span) -> list[tuple[int, int, float]]:
    step = part.step
    begins = range(answer.start, answer.start + len(answer.values) * step, step)
    return [
        (begin, step, value)
        for begin, value in zip(begins, answer.values, strict=True)
        if value == value and part.start <= begin < part.end
    ]


def _read_distribution(store: StoredSeries, leaf: Leaf, now: int) -> Past:
    past = Past(leaf)
    facts = store.retention_of(leaf.path)
    for part in spans(facts[0], now) if facts is not None else ():
        answer = store.fetch_distribution(leaf.path, part.start - 1, part.end - 1, now)
        if answer is None or answer.step != part.step:
            continue
        for number, slot in enumerate(answer.slots):
            begin = answer.start + number * answer.step
            if slot is not None and slot.count and part.start <= begin < part.end:
                past.histograms.append((begin, answer.step, slot))
    return past
