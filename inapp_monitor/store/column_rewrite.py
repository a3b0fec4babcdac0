"""Rewriting many rows of a group at once: filling columns with a past, and wiping them.

For imports, conversions and the reuse of columns; the writer never comes here. Works through a file
in pieces, so that memory stays small whatever the file.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from inapp_monitor.store import group_format
from inapp_monitor.store.groups import Group
from inapp_monitor.store.rollup import HEAD, NAN

#: Bytes of rows that are handled at a time.
_PIECE: Final = 2**20

#: Given (archive, start of the first interval, count): per column, that many values.
ReadValues = Callable[[int, int, int], Sequence["array[float]"]]


def fill(group: Group, columns: Sequence[int], now: int, source: ReadValues) -> None:
    """Put values into columns where they have none, in all archives, up to `now`.

    Needs the store's lock.
    """
    assert group.geometry is not None
    for number, ring in enumerate(group.retention.archives):
        oldest = max(ring.oldest(now), 0)
        end = ring.floor(now) + ring.step
        piece = max(_PIECE // group.geometry.pitch, 1) * ring.step
        for start in range(oldest, end, piece):
            count = (min(start + piece, end) - start) // ring.step
            values = source(number, start, count)
            for at in range(count):
                cells = {
                    column: series[at]
                    for column, series in zip(columns, values, strict=True)
                    if series[at] == series[at]
                }
                if cells:
                    _fill_row(group, number, start + at * ring.step, cells)


def _fill_row(group: Group, archive: int, timestamp: int, cells: dict[int, float]) -> None:
    row = group.load(archive, timestamp)
    row = group.layout.empty() if row is None else row
    missing = {c: v for c, v in cells.items() if row[c + HEAD] != row[c + HEAD]}
    if missing:
        for column, value in missing.items():
            row[column + HEAD] = value
        group.write_row(archive, timestamp, row)


def wipe(group: Group, columns: Sequence[int]) -> None:
    """Take the values of some columns out of all rows. Needs the store's lock."""
    for number, time, row in rows(group):
        known = [column for column in columns if row[column + HEAD] == row[column + HEAD]]
        if known:
            for column in known:
                row[column + HEAD] = NAN
            group.write_row(number, time, row)


def last_written(group: Group) -> list[int]:
    """Per column, the start of the latest interval with a value; -1 when it has none."""
    latest = [-1] * group.layout.width
    for _, time, row in rows(group):
        for column, value in enumerate(row[HEAD:]):
            if value == value and time > latest[column]:
                latest[column] = time
    return latest


def rows(group: Group) -> Iterator[tuple[int, int, array[float]]]:
    """(archive, time, row) of every intact row."""
    assert group.file is not None and group.geometry is not None
    pitch = group.geometry.pitch
    for number, ring in enumerate(group.retention.archives):
        piece = max(_PIECE // pitch, 1)
        for first in range(0, ring.points, piece):
            count = min(piece, ring.points - first)
            offset = group.geometry.offset_of_slot(number, first)
            data = memoryview(group.file.read(count * pitch, offset))
            for at in range(0, len(data) // pitch * pitch, pitch):
                time = group_format.row_time(data[at : at + pitch])
                if time or any(data[at : at + group_format.ROW_HEAD]):
                    row = group_format.open_row(bytes(data[at : at + pitch]), time)
                    if row is not None:
                        yield number, time, row
