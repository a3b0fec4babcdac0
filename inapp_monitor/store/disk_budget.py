"""How the store's budget is shared out: whose series come first, how large a distribution is. Pure.

Series of the kit itself (`requests.*`, `monitor.*`) make the overview, so the last bytes are kept
for them. Distributions that come early get fine slots; the less is left, the smaller the next one
is made, so that an app with hundreds of routes has more of them. Nothing here knows files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from inapp_monitor.ground.names import TOTALS_NODES
from inapp_monitor.store.distribution_format import GRADES, DistributionGeometry
from inapp_monitor.store.retention import Retention

_TOTALS: Final = tuple(f"{node}." for node in TOTALS_NODES)
#: Bytes that only the kit's own series may take: a narrow group and a distribution by default.
_RESERVE: Final = 5 * 2**20
#: The parts of what is free that a distribution of grade 0, of grade 1 may take: a small app has
#: fine ones, and one with 200 routes has them all.
_PARTS: Final = (72, 108)


def is_own(path: str) -> bool:
    """Whether a series is one of the kit's totals."""
    return path.startswith(_TOTALS)


def reserve(budget: int) -> int:
    """Bytes of a budget that are kept for the kit's totals."""
    return min(_RESERVE, budget // 8)


def geometry_for(retention: Retention, room: int, *, own: bool) -> DistributionGeometry | None:
    """The layout of one more distribution.

    Args:
        retention: Its archives.
        room: Bytes that are free for it.
        own: Whether it is one of the kit's: these are always as fine as there is room for.

    Returns:
        None when not even the smallest fits.
    """
    for grade in range(len(GRADES)):
        geometry = DistributionGeometry.of(retention, grade)
        part = 1 if own or grade == len(GRADES) - 1 else _PARTS[grade]
        if geometry.size <= room // part:
            return geometry
    return None


def further_distributions(retention: Retention, room: int) -> Iterator[DistributionGeometry]:
    """The layouts of all distributions that still fit, if nothing else is added."""
    while True:
        geometry = geometry_for(retention, room, own=False)
        if geometry is None:
            return
        yield geometry
        room -= geometry.size
