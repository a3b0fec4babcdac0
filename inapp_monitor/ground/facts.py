"""What a running monitor knows of itself at one moment, for pages: a frozen dataclass a part.

Each room has the class of its own facts; the monitor's are here. Every field has a default, which
says "not known". Plain values only: nothing here asks or shows anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

F = TypeVar("F")


class Facts:
    """The facts of all parts, by their class; of two of one class the later one counts."""

    def __init__(self, each: Iterable[object] = ()) -> None:
        self._by_kind = {type(one): one for one in each}

    def of(self, kind: type[F]) -> F:
        """The facts of a class; with nothing known when no part reported them."""
        found = self._by_kind.get(kind)
        return found if isinstance(found, kind) else kind()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._by_kind.values())


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """The process that answers.

    Attributes:
        ticker: What the ticks come from: `thread` or `requests`.
        multithread: Whether a worker answers several requests at once, as its server says.
    """

    ticker: str | None = None
    multithread: bool | None = None


@dataclass(frozen=True, slots=True)
class CostFacts:
    """What the monitor costs.

    Attributes:
        dropped: What this process did not keep, by reason.
        cost_us: Microseconds a request.
        memory_bytes: Memory that its data take.
        cpu_share: The part of one processor that its ticks take.
    """

    dropped: Mapping[str, int] = field(default_factory=dict)
    cost_us: float | None = None
    memory_bytes: int | None = None
    cpu_share: float | None = None
