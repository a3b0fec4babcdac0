"""The bytes of a Whisper file (`.wsp`), as Graphite writes them. Pure.

Big endian, no magic, no checksum: a 16-byte header, 12 bytes for each archive, then the archives,
each a ring of 12-byte points (uint32 time, float64 value). The first point ever written to an
archive fixes which slot is which; a slot counts only when its time is the expected one.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import Final

from inapp_monitor.ground.exceptions import FormatError
from inapp_monitor.ground.points import Method
from inapp_monitor.store.retention import MAX_ARCHIVES
from inapp_monitor.store.rollup import NAN

_HEADER = struct.Struct(">2LfL")
_ARCHIVE = struct.Struct(">3L")
_POINT = struct.Struct(">Ld")
POINT_SIZE: Final = _POINT.size
HEADER_SIZE: Final = _HEADER.size
ARCHIVE_SIZE: Final = _ARCHIVE.size
#: Enough bytes for the header of any sensible file.
HEAD_SIZE: Final = HEADER_SIZE + MAX_ARCHIVES * ARCHIVE_SIZE
#: Times are uint32: Whisper ends in February 2106.
LAST_TIME: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class WhisperArchive:
    """One ring of a Whisper file."""

    offset: int
    step: int
    points: int

    @property
    def retention(self) -> int:
        """Seconds that it holds."""
        return self.step * self.points

    @property
    def size(self) -> int:
        """Bytes."""
        return self.points * POINT_SIZE


@dataclass(frozen=True, slots=True)
class WhisperHeader:
    """What a Whisper file says of itself."""

    method: Method
    x_files_factor: float
    archives: tuple[WhisperArchive, ...]

    @property
    def max_retention(self) -> int:
        """Seconds that the coarsest archive holds."""
        return max(archive.retention for archive in self.archives)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return HEADER_SIZE + sum(ARCHIVE_SIZE + archive.size for archive in self.archives)


def read_header(data: bytes) -> WhisperHeader:
    """The header of a file.

    Raises:
        FormatError: cut, or numbers that no Whisper file has.
    """
    if len(data) < HEADER_SIZE:
        raise FormatError(f"Whisper file: {len(data)} bytes are no header")
    method, _, x_files_factor, count = _HEADER.unpack_from(data)
    if not 1 <= method <= 8 or not 1 <= count <= MAX_ARCHIVES:
        raise FormatError(f"Whisper file: aggregation type {method}, {count} archives")
    if len(data) < HEADER_SIZE + count * ARCHIVE_SIZE:
        raise FormatError("Whisper file: header is cut")
    archives = []
    for number in range(count):
        offset, step, points = _ARCHIVE.unpack_from(data, HEADER_SIZE + number * ARCHIVE_SIZE)
        if not step or not points or offset < HEADER_SIZE:
            raise FormatError(f"Whisper file: archive {number} is {step} s x {points} at {offset}")
        archives.append(WhisperArchive(offset, step, points))
    archives.sort(key=lambda archive: archive.step)
    return WhisperHeader(Method(method), x_files_factor, tuple(archives))


def pack_header(header: WhisperHeader) -> bytes:
    """The header of a file."""
    max_retention = min(header.max_retention, LAST_TIME)
    head = _HEADER.pack(header.method, max_retention, header.x_files_factor, len(header.archives))
    return head + b"".join(
        _ARCHIVE.pack(archive.offset, archive.step, archive.points) for archive in header.archives
    )


def layout(method: Method, x_files_factor: float, archives: list[tuple[int, int]]) -> WhisperHeader:
    """A header for (step, points) archives, finest first, stored one after the other."""
    offset, result = HEADER_SIZE + len(archives) * ARCHIVE_SIZE, []
    for step, points in archives:
        result.append(WhisperArchive(offset, step, points))
        offset += points * POINT_SIZE
    return WhisperHeader(method, x_files_factor, tuple(result))


def base_time(data: bytes) -> int:
    """Time of an archive's first slot, which tells where all others are; 0: nothing written."""
    if len(data) < POINT_SIZE:
        raise FormatError("Whisper file: cut in front of an archive")
    return int(_POINT.unpack_from(data)[0])


def point_offset(archive: WhisperArchive, base: int, timestamp: int) -> int:
    """Where the point of an interval is."""
    return archive.offset + (timestamp - base) // archive.step * POINT_SIZE % archive.size


def unpack_points(data: bytes) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Times and values of consecutive slots."""
    count = len(data) // POINT_SIZE
    numbers = struct.unpack(">" + "Ld" * count, data[: count * POINT_SIZE])
    return numbers[::2], numbers[1::2]


def pack_points(points: list[tuple[int, float]]) -> bytes:
    """The bytes of consecutive slots; (0, 0.0) is an empty one."""
    return b"".join(_POINT.pack(timestamp, value) for timestamp, value in points)


def values_at(data: bytes, start: int, step: int, count: int) -> array[float]:
    """The values of `count` intervals, NaN where a slot holds another time or is missing."""
    times, values = unpack_points(data)
    result = array("d", [NAN]) * count
    expected = start
    for number in range(min(len(times), count)):
        if times[number] == expected:
            result[number] = values[number]
        expected += step
    return result
