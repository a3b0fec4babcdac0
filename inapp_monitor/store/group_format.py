"""The bytes of a group file, format 1: rows of many series, a ring of them for each archive. Pure.

    0       header      magic, version, width, archives; written once            (4,096 bytes)
    4096    state       table version and rollup marks; rewritten in place        (4,096 bytes)
    8192    table       `width` entries of 832 bytes: name, method, xFilesFactor
    ...     archives    each a ring of rows, at a multiple of 4,096

All numbers are little endian. A row is `crc32, flags, time` and `width` float64, its pitch a
power of two up to 2,048 bytes, so that no row straddles a page. docs/format.md draws all of it.
Nothing here opens a file.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from inapp_monitor.ground.exceptions import FormatError
from inapp_monitor.ground.points import Method
from inapp_monitor.store.retention import MAX_ARCHIVES, Archive, Retention
from inapp_monitor.store.rollup import HEAD, PAIRED

MAGIC: Final = b"IAMROWS\n"
VERSION: Final = 1
PAGE: Final = 4096
STATE_OFFSET: Final = PAGE
TABLE_OFFSET: Final = 2 * PAGE
ENTRY_SIZE: Final = 832
MAX_WIDTH: Final = 254
#: Widths with a pitch that is a power of two, narrowest first.
WIDTHS: Final = (2, 6, 14, 30, 62, 126, 254)

_HEADER = struct.Struct("<8sIIIIQ")  # magic, version, crc32, width, archives, file size
_ARCHIVE = struct.Struct("<QQQ")  # step, points, offset
_STATE = struct.Struct("<IIQ16Q")  # crc32, flags, table version, marks
_ENTRY = struct.Struct("<IBBHQd")  # crc32, method, flags, name length, created, xFilesFactor
#: Flag of an entry: its past comes from elsewhere, rollups included.
FOREIGN: Final = 1
_ROW = struct.Struct("<IIQ")  # crc32, flags, time
assert _ROW.size == 8 * HEAD
#: Bytes of a row before its values.
ROW_HEAD: Final = _ROW.size
_U32 = struct.Struct("<I")
_METHODS = (Method.AVERAGE, *sorted(Method))  # by number, and none has 0
_U64 = struct.Struct("<Q")
#: Whether this machine has to turn numbers around.
SWAP: Final = sys.byteorder == "big"


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where everything is in a file of some width and retention.

    Attributes:
        width: Columns.
        retention: Archives, finest first.
        pitch: Bytes from one row to the next.
        offsets: Where each archive starts.
        size: Bytes of the whole file, for ever.
    """

    width: int
    retention: Retention
    pitch: int
    offsets: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, width: int, retention: Retention) -> Geometry:
        """The one layout for a width and a retention."""
        pitch = ROW_HEAD + 8 * width
        offset = _page(TABLE_OFFSET + ENTRY_SIZE * width)
        offsets = []
        for archive in retention.archives:
            offsets.append(offset)
            offset = _page(offset + archive.points * pitch)
        return cls(width, retention, pitch, tuple(offsets), offset)

    def slot_size(self, archive: int) -> int:  # noqa: ARG002  # a distribution's sizes differ
        """Bytes of one row."""
        return self.pitch

    def offset_of_slot(self, archive: int, slot: int) -> int:
        """Where a row is, by the number of its slot."""
        return self.offsets[archive] + slot * self.pitch

    def row_offset(self, archive: int, timestamp: int) -> int:
        """Where the row of an interval is."""
        ring = self.retention.archives[archive]
        return self.offsets[archive] + ring.slot(timestamp) * self.pitch


class State(NamedTuple):
    """The part of a file that changes beside its rows.

    Attributes:
        table_version: Grows with each change of the column table.
        marks: Per archive, up to where it is rolled up.
    """

    table_version: int
    marks: tuple[int, ...]


class Entry(NamedTuple):
    """A column that is in use.

    Attributes:
        column: Its number (the first of two for averages).
        path: Name of the series.
        method: How it combines.
        x_files_factor: Share of known values that a rollup needs.
        created: When the column was given to it, seconds since the epoch.
        flags: `FOREIGN` or 0.
    """

    column: int
    path: str
    method: Method
    x_files_factor: float
    created: int
    flags: int = 0

    @property
    def columns(self) -> int:
        """How many columns it takes."""
        return 2 if self.method in PAIRED else 1


def _page(offset: int) -> int:
    return -(-offset // PAGE) * PAGE


def pack_header(geometry: Geometry) -> bytes:
    """The first page of a file."""
    rings = [
        (archive.step, archive.points, offset)
        for archive, offset in zip(geometry.retention.archives, geometry.offsets, strict=True)
    ]
    return pack_header_of(MAGIC, geometry.width, rings, geometry.size).ljust(PAGE, b"\0")


def pack_header_of(
    magic: bytes, number: int, rings: Sequence[tuple[int, int, int]], size: int
) -> bytes:
    """The head that all our files share; see `unpack_rings`."""
    body = b"".join(_ARCHIVE.pack(*ring) for ring in rings)
    blank = _HEADER.pack(magic, VERSION, 0, number, len(rings), size) + body
    return _HEADER.pack(magic, VERSION, zlib.crc32(blank), number, len(rings), size) + body


def unpack_header(data: bytes) -> Geometry:
    """The geometry that the first page describes.

    Raises:
        FormatError: not a group file, one of a later version, or a damaged one.
    """
    archives, width, size = unpack_rings(data, MAGIC, "group")
    geometry = Geometry.of(width, Retention(tuple(Archive(s, p) for s, p, _ in archives)))
    offsets = tuple(offset for _, _, offset in archives)
    if geometry.offsets != offsets or geometry.size != size or not 1 <= width <= MAX_WIDTH:
        raise FormatError("group file: header does not fit its own numbers")
    return geometry


def unpack_rings(
    data: bytes, magic: bytes, kind: str
) -> tuple[list[tuple[int, int, int]], int, int]:
    """Check the head that all our files share: magic, version, checksum.

    Returns:
        (step, points, offset) of each archive, the number that is kind-specific, the file size.
    """
    if data[: len(magic)] != magic:
        raise FormatError(f"{kind} file: magic is {data[:8]!r}, expected {magic!r}")
    if len(data) < PAGE:
        raise FormatError(f"{kind} file: cut after {len(data)} bytes")
    _, version, crc, number, count, size = _HEADER.unpack_from(data)
    if version != VERSION:
        raise FormatError(f"{kind} file: version {version}, this release reads {VERSION}")
    end = _HEADER.size + count * _ARCHIVE.size
    if not 1 <= count <= MAX_ARCHIVES:
        raise FormatError(f"{kind} file: header is cut or damaged")
    if crc != zlib.crc32(data[:12] + bytes(4) + data[16:end]):
        raise FormatError(f"{kind} file: header checksum does not match")
    archives = [_ARCHIVE.unpack_from(data, at) for at in range(_HEADER.size, end, _ARCHIVE.size)]
    return archives, number, size


def is_of_a_later_version(data: bytes) -> bool:
    """Whether a file is one that a later release wrote: to be left alone."""
    own = data[:3] == MAGIC[:3] and data[7:8] == MAGIC[7:8]
    return own and len(data) >= 12 and _U32.unpack_from(data, 8)[0] > VERSION


def pack_state(state: State) -> bytes:
    """The changing part, one small write."""
    marks = (*state.marks, *(0,) * (16 - len(state.marks)))
    body = _STATE.pack(0, 0, state.table_version, *marks)[4:]
    return _U32.pack(zlib.crc32(body)) + body


def unpack_state(data: bytes, archives: int) -> State | None:
    """The changing part, None when it is damaged."""
    if len(data) < _STATE.size:
        return None
    data = data[: _STATE.size]
    crc, _, table_version, *marks = _STATE.unpack(data)
    if crc != zlib.crc32(data[4:]):
        return None
    return State(table_version, tuple(marks[:archives]))


STATE_SIZE: Final = _STATE.size


def pack_entry(entry: Entry) -> bytes:
    """One entry of the column table."""
    name = entry.path.encode()
    body = _ENTRY.pack(0, entry.method, entry.flags, len(name), entry.created, entry.x_files_factor)
    body += name
    body = body.ljust(ENTRY_SIZE, b"\0")[4:]
    if len(body) != ENTRY_SIZE - 4:
        raise FormatError(f"name of {len(name)} bytes does not fit a table entry")
    return _U32.pack(zlib.crc32(body)) + body


def unpack_table(data: bytes) -> tuple[list[Entry], list[int]]:
    """The columns in use, and the numbers of entries that are damaged."""
    entries, damaged = [], []
    view, unpack, crc32, names = memoryview(data), _ENTRY.unpack_from, zlib.crc32, _ENTRY.size
    for column in range(len(data) // ENTRY_SIZE):
        at = column * ENTRY_SIZE
        crc, method, flags, length, created, x_files_factor = unpack(data, at)
        if not length and not crc:
            continue
        if crc != crc32(view[at + 4 : at + ENTRY_SIZE]) or not 1 <= method <= 8 or not length:
            damaged.append(column)
            continue
        path = data[at + names : at + names + length].decode(errors="replace")
        entries.append(Entry(column, path, _METHODS[method], x_files_factor, created, flags))
    return entries, damaged


def seal_row(row: array[float], timestamp: int) -> array[float]:
    """Write time and checksum into the head of a row; returns what goes to disk."""
    if SWAP:
        row = row[:]
        row.byteswap()
    view = memoryview(row).cast("B")
    _ROW.pack_into(view, 0, 0, 0, timestamp)
    _U32.pack_into(view, 0, zlib.crc32(view[4:]))
    return row


def open_row(data: bytes | bytearray, timestamp: int) -> array[float] | None:
    """The row of an interval; None when the bytes are another row, nothing, or damaged."""
    if len(data) < ROW_HEAD:
        return None
    crc, _, time = _ROW.unpack_from(data)
    if time != timestamp or crc != zlib.crc32(memoryview(data)[4:]):
        return None
    row = array("d")
    row.frombytes(data)
    if SWAP:
        row.byteswap()
    return row


def row_times(view: memoryview, pitch: int) -> array[int]:
    """The times that rows, one after the other, claim."""
    times = array("Q")
    times.frombytes(view.cast("Q")[1 :: pitch // 8].tobytes())
    if SWAP:
        times.byteswap()
    return times


def row_time(data: bytes | memoryview) -> int:
    """The time that a row claims."""
    return int(_U64.unpack_from(data, 8)[0])


def row_is_intact(data: bytes | memoryview) -> bool:
    """Whether a row's checksum matches."""
    return bool(_U32.unpack_from(data)[0] == zlib.crc32(memoryview(data)[4:]))
