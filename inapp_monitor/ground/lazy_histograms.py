"""A sequence whose histograms are made when one is asked for. Pure.

What they are made of is the business of each kind of sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from inapp_monitor.ground.histogram import Histogram


class LazyHistograms(Sequence[Histogram | None]):
    """Equal to any sequence of equal histograms. A subclass has `__len__` and `_at`."""

    def _at(self, number: int) -> Histogram | None:
        """That of a place, counted from the front; None for nothing."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Histogram | None]:
        return map(self._at, range(len(self)))

    @overload
    def __getitem__(self, number: int) -> Histogram | None: ...
    @overload
    def __getitem__(self, number: slice) -> list[Histogram | None]: ...
    def __getitem__(self, number: int | slice) -> Histogram | list[Histogram | None] | None:
        chosen = range(len(self))[number]
        return list(map(self._at, chosen)) if isinstance(chosen, range) else self._at(chosen)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # equal to lists
