"""Columns out of many rows with numpy, where it is loaded: in processes that draw.

Rows are read a tile at a time and turned while the tile is in the processor's cache. The rows of a
tile lie a little further apart than in the file: at a distance of a power of two, a column's values
would all fall into the same few places of that cache. What comes out is what
`Group.columns_between` reads without numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from inapp_monitor.store import group_format
from inapp_monitor.store.loaded_numpy import loaded_numpy
from inapp_monitor.store.rollup import HEAD, NAN

if TYPE_CHECKING:
    from inapp_monitor.store.groups import Group

#: Rows of a tile: few when many columns are wanted of them.
_MANY_COLUMNS: Final = 16
_ROWS: Final = 128
_ROWS_OF_FEW: Final = 384
#: Words between two rows of a tile: a line of the cache.
_GAP: Final = 8
#: Fewer rows are not worth arrays.
_FEWEST_ROWS: Final = 64
#: Rows at the end of a range whose checksums are computed each time: somebody may be writing them.
_YOUNG: Final = 3


class _Tile:
    """A buffer for some rows."""

    def __init__(self, numpy: Any, rows: int, words: int, gap: int) -> None:
        self.cells = numpy.empty((rows, words + gap))
        self.times = self.cells.view(numpy.uint64)[:, 1]
        self.rows = [memoryview(row).cast("B") for row in self.cells[:, :words]]
        self._whole = None if gap else memoryview(self.cells).cast("B")

    def fill(self, group: Group, rows: int, offset: int) -> None:
        """Read so many rows that lie one after the other; what the file lacks is zeros."""
        assert group.file is not None
        pitch = len(self.rows[0])
        if self._whole is not None:
            done = group.file.read_into(self._whole[: rows * pitch], offset)
        else:
            done = group.file.read_rows(self.rows[:rows], offset)
        if done < rows * pitch:
            self.cells[done // pitch : rows] = 0.0


class Tiles:
    """Reads columns; keeps its buffers, because fresh memory costs a page fault every 4 KB.

    *Threads:* needs the store's I/O lock.
    """

    def __init__(self) -> None:
        self._tiles: dict[tuple[int, int], _Tile] = {}

    def room(self, columns: int, rows: int) -> Any:
        """Memory for all columns of an answer in one piece: the system gives large pages for it.

        None where it would not be used.
        """
        numpy = loaded_numpy()
        if numpy is None or group_format.SWAP or rows < _FEWEST_ROWS:
            return None
        return numpy.empty((columns, rows))

    def fill(
        self, group: Group, archive: int, start: int, columns: Sequence[int], room: Any
    ) -> None:
        """The values of some columns from `start` on, into an array with a row a column."""
        numpy = loaded_numpy()
        assert group.geometry is not None
        ring, words = group.retention.archives[archive], group.geometry.pitch // 8
        done, count = 0, room.shape[1]
        tile = self._tile(numpy, words, many=len(columns) >= _MANY_COLUMNS)
        place = _place_of(numpy, columns)
        end = start + count * ring.step
        expected = numpy.arange(start, end, ring.step, dtype=numpy.uint64)
        while done < count:
            slot = ring.slot(start + done * ring.step)
            some = min(count - done, ring.points - slot, len(tile.rows))
            tile.fill(group, some, group.geometry.offsets[archive] + slot * group.geometry.pitch)
            settled = max(count - _YOUNG - done, 0)
            if _clear(numpy, group, archive, tile, expected[done : done + some], slot, settled):
                room[:, done : done + some] = tile.cells[:some, place].T
            else:
                room[:, done : done + some] = NAN
            done += some

    def _tile(self, numpy: Any, words: int, *, many: bool) -> _Tile:
        rows = _ROWS if many else _ROWS_OF_FEW
        if (rows, words) not in self._tiles:
            self._tiles[rows, words] = _Tile(numpy, rows, words, _GAP if many else 0)
        return self._tiles[rows, words]


def _place_of(numpy: Any, columns: Sequence[int]) -> Any:
    """Where some columns are in a row: a slice where they are neighbours."""
    first, last = columns[0] + HEAD, columns[-1] + HEAD
    if list(columns) == list(range(columns[0], columns[0] + len(columns))):
        return slice(first, last + 1)
    return numpy.asarray(columns) + HEAD


def _clear(
    numpy: Any, group: Group, archive: int, tile: _Tile, expected: Any, slot: int, settled: int
) -> bool:
    """Make rows NaN that are missing or damaged; False where all are missing.

    Args:
        expected: The times that the rows should have.
        slot: The first row's.
        settled: Rows from this number on are checked even when they were intact before.
    """
    some = len(expected)
    there = tile.times[:some] == expected
    if not there.any():
        return False
    checked = numpy.frombuffer(group.checked_rows[archive].times, numpy.uint64)
    doubtful = checked[slot : slot + some] != expected
    doubtful[settled:] = True
    for number in numpy.flatnonzero(doubtful & there).tolist():
        if group_format.row_is_intact(tile.rows[number]):
            group.checked_rows[archive].times[slot + number] = int(expected[number])
            continue
        row = group.load(archive, int(expected[number]))
        if row is None:
            there[number] = False
        else:
            tile.cells[number, : len(row)] = row
    if not there.all():
        tile.cells[:some][~there] = NAN
    return True
