"""Which requests are worth keeping: the slowest, the latest failed, and some at random. No I/O.

Random ones are those with the lowest of numbers drawn: of any period they are a fair sample, also
when those of several workers are put together. Who is among the best of a day is, when it comes,
among the best of the hour before; so each process asks about the last hour only, and what many of
them kept is thinned out by the database (`trace_table`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SLOWEST: Final = 5
FAILED: Final = 3
RANDOM: Final = 3
HOUR_S: Final = 3_600.0
DAY_S: Final = 86_400.0
#: Routes and methods of one process; further ones share the last place.
MAX_ROUTES: Final = 1_000


class Best:
    """The best few of the last hour, by value."""

    __slots__ = ("_found", "_most")

    def __init__(self, most: int) -> None:
        self._found: list[tuple[float, float]] = []
        self._most = most

    def takes(self, value: float, now: float) -> bool:
        """Whether a value is among them; it then is one of them."""
        found = self._found
        if len(found) >= self._most:
            if any(now - at > HOUR_S for _, at in found):
                found[:] = [each for each in found if now - each[1] <= HOUR_S]
            elif value <= found[-1][0]:
                return False
        found.append((value, now))
        found.sort(reverse=True)
        del found[self._most :]
        return (value, now) in found


class Reservoirs:
    """What one process has kept of each route.

    Args:
        draw: Gives numbers between 0 and 1.

    *Threads:* for the one that folds.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._routes: dict[tuple[str, str], tuple[Best, Best, Best]] = {}

    def reasons(
        self, key: tuple[str, str], ms: float, failed: bool, now: float
    ) -> tuple[list[str], float]:
        """Why a request that ended now is to be kept, and the number drawn for it."""
        if key not in self._routes and len(self._routes) >= MAX_ROUTES:
            key = ("", "")
        bests = self._routes.get(key)
        if bests is None:
            bests = self._routes[key] = (Best(SLOWEST), Best(FAILED), Best(RANDOM))
        slowest, latest, drawn = bests
        number = self._draw()
        reasons = []
        if failed and latest.takes(now, now):
            reasons.append("failed")
        if slowest.takes(ms, now):
            reasons.append("slow")
        if drawn.takes(-number, now):
            reasons.append("random")
        return reasons, number

    def clear(self) -> None:
        """Forget all: it is another process's."""
        self._routes.clear()
