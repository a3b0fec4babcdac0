"""How wide a new group is, and which of its columns series get. No I/O."""

from __future__ import annotations

from inapp_monitor.store import group_format
from inapp_monitor.store.group_format import Entry, Geometry
from inapp_monitor.store.groups import Group, StoredSeries
from inapp_monitor.store.retention import Retention

#: Width of the first, second... group of a retention, unless more columns are wanted at once.
GROWTH = (62, 126, 254)
#: Groups are not narrower than this unless the budget asks for it.
SMALL = 30

#: Columns that nobody has asked for yet take at most this part of what is free.
_PART = 8


def widths_for(wanted: int, siblings: int, retention: Retention, room: int) -> list[int]:
    """The widths that a new group may have, smallest first.

    Args:
        wanted: Columns that series wait for.
        siblings: Groups of the same retention that there are.
        retention: Its archives.
        room: Bytes that it may take.
    """
    usual = GROWTH[min(siblings, len(GROWTH) - 1)]
    most = width_for(wanted)
    return [
        width
        for width in group_format.WIDTHS
        if width <= most or (width <= usual and Geometry.of(width, retention).size <= room // _PART)
    ]


def width_for(wanted: int) -> int:
    """The widest group of which some series would use three quarters, but not a tiny one."""
    used = [w for w in group_format.WIDTHS if 3 * w <= 4 * wanted]
    return max(SMALL, *used) if used else SMALL


def width_at_least(wanted: int) -> int:
    return next((w for w in group_format.WIDTHS if w >= wanted), group_format.MAX_WIDTH)


def fitting(group: Group, waiting: list[StoredSeries], now: int) -> list[Entry]:
    """Entries for the first of some series, as many as the group has columns for."""
    taken = group.taken()
    entries: list[Entry] = []
    at = 0
    for series in waiting:
        count = series.entry.columns
        while at + count <= len(taken) and any(taken[at : at + count]):
            at += 1
        if at + count > len(taken):
            break
        entries.append(series.entry._replace(column=at, created=now))
        at += count
    return entries
