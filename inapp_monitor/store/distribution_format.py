"""The bytes of a distribution file, format 1: rings of histograms in slots of fixed size. Pure.

    0       header      as in a group file, magic `IAMDIST\\n`, and the name      (4,096 bytes)
    4096    state       rollup marks, as in a group file                          (4,096 bytes)
    8192    archives    rings of slots; so many slots a page, none straddles one

A slot is `crc32, shift, 0, first bucket, time, total, minimum, maximum` and the bucket counts as a
stream of variable-length numbers: each the difference to the count before it (zigzag, plus one), 0
announcing a run of empty buckets whose length follows. Neighbouring counts are alike, so most take
one byte. When they do not fit, neighbouring buckets are merged (`shift` + 1) until they do.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Final

from inapp_monitor.ground.exceptions import FormatError
from inapp_monitor.ground.histogram import MAX_SHIFT, Histogram
from inapp_monitor.store.group_format import (
    PAGE,
    pack_header_of,
    unpack_rings,
)
from inapp_monitor.store.retention import Archive, Retention

MAGIC: Final = b"IAMDIST\n"
DATA_OFFSET: Final = 2 * PAGE
#: Slots a page by grade, finest archive first, the last for all further ones. Few values in a short
#: interval need room for gaps, many in a long one for large counts. The default archives fill two
#: megabytes at grade 0, one at grade 1, a half at grade 2, where buckets are coarser.
GRADES: Final = ((10, 18, 17, 16), (20, 36, 34, 32), (40, 64, 64, 64))
_NAME_OFFSET = 1024
_NAME = struct.Struct("<IIQ")  # crc32, length, created
_SLOT = struct.Struct("<IBBHQddd")  # crc32, shift, flags, first bucket, time, total, min, max
SLOT_HEAD: Final = _SLOT.size
#: Of a slot: crc32 of what follows it, and the time.
CHECKED: Final = struct.Struct("<I4xQ")
_U32 = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class DistributionGeometry:
    """Where everything is in a distribution file.

    Attributes:
        retention: Archives, finest first.
        per_page: Slots a page, by archive.
        offsets: Where each archive starts.
        size: Bytes of the whole file, for ever.
        grade: How small its slots are: index into `GRADES`.
    """

    retention: Retention
    per_page: tuple[int, ...]
    offsets: tuple[int, ...]
    size: int
    grade: int = 0

    @classmethod
    def of(cls, retention: Retention, grade: int = 0) -> DistributionGeometry:
        """The layout for a retention."""
        densities = GRADES[grade]
        offset, offsets, per_page = DATA_OFFSET, [], []
        for number, archive in enumerate(retention.archives):
            slots = densities[min(number, len(densities) - 1)]
            per_page.append(slots)
            offsets.append(offset)
            offset += -(-archive.points // slots) * PAGE
        return cls(retention, tuple(per_page), tuple(offsets), offset, grade)

    def slot_size(self, archive: int) -> int:
        """Bytes of one slot."""
        return PAGE // self.per_page[archive]

    def slot_offset(self, archive: int, timestamp: int) -> int:
        """Where the slot of an interval is."""
        return self.offset_of_slot(archive, self.retention.archives[archive].slot(timestamp))

    def offset_of_slot(self, archive: int, slot: int) -> int:
        """Where a slot is, by its number."""
        page, number = divmod(slot, self.per_page[archive])
        return self.offsets[archive] + page * PAGE + number * self.slot_size(archive)


def pack_header(geometry: DistributionGeometry, path: str, created: int) -> bytes:
    """The first page of a file."""
    name = path.encode()
    rings = [
        (archive.step, archive.points, offset)
        for archive, offset in zip(geometry.retention.archives, geometry.offsets, strict=True)
    ]
    head = pack_header_of(MAGIC, geometry.grade, rings, geometry.size)
    named = _NAME.pack(0, len(name), created)[4:] + name
    named = _U32.pack(zlib.crc32(named)) + named
    return (head.ljust(_NAME_OFFSET, b"\0") + named).ljust(PAGE, b"\0")


def unpack_header(data: bytes) -> tuple[DistributionGeometry, str, int]:
    """Geometry, name and time of creation of the distribution that the first page describes.

    Raises:
        FormatError: not a distribution file, one of a later version, or a damaged one.
    """
    rings, grade, size = unpack_rings(data, MAGIC, "distribution")
    if grade >= len(GRADES):
        raise FormatError(f"distribution file: grade {grade} is not known")
    retention = Retention(tuple(Archive(step, points) for step, points, _ in rings))
    geometry = DistributionGeometry.of(retention, grade)
    if geometry.offsets != tuple(ring[2] for ring in rings) or geometry.size != size:
        raise FormatError("distribution file: header does not fit its own numbers")
    crc, length, created = _NAME.unpack_from(data, _NAME_OFFSET)
    end = _NAME_OFFSET + _NAME.size + length
    if not length or end > PAGE or zlib.crc32(data[_NAME_OFFSET + 4 : end]) != crc:
        raise FormatError("distribution file: the checksum of its name does not match")
    return geometry, data[end - length : end].decode(errors="replace"), created


#: What a code of one byte adds to the count before it.
_DIFFERENCES = [(code - 1) >> 1 if code & 1 else -(code >> 1) for code in range(128)]
#: The mark of a gap and its length, in a stream of one-byte numbers.
_GAP = re.compile(rb"\0.", re.DOTALL)


def pack_slot(timestamp: int, histogram: Histogram, size: int) -> bytes:
    """A slot of `size` bytes; the histogram in it is coarser when it had to be."""
    shift, payload, first = histogram.shift, b"", 0
    while True:
        first, payload = pack_counts(histogram.buckets)
        if len(payload) <= size - SLOT_HEAD:
            break
        histogram = histogram.copy()
        if shift < MAX_SHIFT:
            shift += 1
            histogram.coarsen(shift)
        else:
            _merge_lowest(histogram, size - SLOT_HEAD)
    body = _SLOT.pack(
        0, shift, 0, first, timestamp, histogram.total, histogram.minimum, histogram.maximum
    )[4:]
    body = (body + payload).ljust(size - 4, b"\0")
    return _U32.pack(zlib.crc32(body)) + body


def unpack_slot(data: bytes | memoryview, timestamp: int) -> Histogram | None:
    """The histogram of an interval; None when the bytes are another one's, nothing or damaged."""
    if len(data) < SLOT_HEAD:
        return None
    crc, shift, _, first, time, total, minimum, maximum = _SLOT.unpack_from(data)
    if time != timestamp or crc != zlib.crc32(memoryview(data)[4:]) or shift > MAX_SHIFT:
        return None
    buckets = unpack_counts(data[SLOT_HEAD:], first)
    return Histogram(sum(buckets.values()), total, minimum, maximum, buckets, shift)


def slot_is_intact(data: bytes | memoryview) -> bool:
    """Whether a slot's checksum matches."""
    return bool(_U32.unpack_from(data)[0] == zlib.crc32(memoryview(data)[4:]))


def slot_time(data: bytes | memoryview) -> int:
    """The time that a slot claims."""
    return int(_SLOT.unpack_from(data)[4])


def pack_counts(buckets: dict[int, int]) -> tuple[int, bytes]:
    """The first bucket number, and the stream of counts from there on."""
    if not buckets:
        return 0, b""
    out = bytearray()
    numbers = sorted(buckets)
    expected, previous = numbers[0], 0
    for number in numbers:
        if number != expected:
            out.append(0)
            _append(out, number - expected)
        count = buckets[number]
        difference = count - previous
        code = 2 * difference + 1 if difference >= 0 else -2 * difference
        if code < 128:
            out.append(code)
        else:
            _append(out, code)
        expected, previous = number + 1, count
    return numbers[0], bytes(out)


def unpack_counts(data: bytes | memoryview, first: int) -> dict[int, int]:
    """Bucket number to count; the stream ends with the data or where a run of length 0 begins.

    A zero byte stands only at the start of a gap (a longer number never ends in one), so a slot of
    small counts, which most are, is split at its gaps and summed at C speed: pages of months read
    tens of thousands of slots.
    """
    stream = bytes(data).rstrip(b"\0")
    if not stream.isascii():
        return _unpack_slowly(stream, first)
    counts = accumulate(map(_DIFFERENCES.__getitem__, _GAP.sub(b"", stream)))
    runs = iter(stream.split(b"\0"))
    end = first + len(next(runs))
    numbers = [range(first, end)]
    for run in runs:  # what follows a gap's mark is its length
        if not run:
            break
        begin = end + run[0]
        end = begin + len(run) - 1
        numbers.append(range(begin, end))
    return dict(zip(chain.from_iterable(numbers), counts, strict=False))


def _unpack_slowly(data: bytes, first: int) -> dict[int, int]:
    """`unpack_counts` for any stream: numbers of several bytes among them."""
    buckets: dict[int, int] = {}
    number, previous, value, bits, skip = first, 0, 0, 0, False
    for byte in data:
        value |= (byte & 127) << bits
        if byte & 128:
            bits += 7
            continue
        if skip:
            if not value:
                break
            number += value
            skip = False
        elif value:
            previous += (value - 1) >> 1 if value & 1 else -(value >> 1)
            buckets[number] = previous
            number += 1
        else:
            skip = True
        value = bits = 0
    return buckets


def _append(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _merge_lowest(histogram: Histogram, room: int) -> None:
    """The last resort, for values that span more than fifty octaves: the lowest share a bucket."""
    buckets = histogram.buckets
    while len(buckets) > 1 and len(pack_counts(buckets)[1]) > room:
        lowest, second = sorted(buckets)[:2]
        buckets[second] += buckets.pop(lowest)
