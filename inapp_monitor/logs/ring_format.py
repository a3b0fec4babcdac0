"""The bytes of the log file: a ring of blocks, each a header and frames. Pure.

    file    block × n, each of `BLOCK_BYTES`; the newest one has the highest number
    block   magic (8), number (8, from 1), frames
    frame   length (4), crc32 of the block's number and the data (4), data: one row as JSON

Little-endian. Block `k` lies at place `(k - 1) % n`, so that the newest block takes the place of
the oldest one. What is left of the older block behind the last frame has another number in its
checksums, and is therefore no frame; the same goes for what was torn or damaged.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

MAGIC: Final = b"iamlogs1"
BLOCK_BYTES: Final = 128 * 1024
_HEADER: Final = struct.Struct("<8sQ")
_FRAME: Final = struct.Struct("<II")
HEADER_BYTES: Final = _HEADER.size
#: No file has seen so many: a higher number is none.
_MOST_BLOCKS: Final = 2**40
#: Bytes of the longest row: two of them must fit, or a block could be left half empty.
MAX_ROW_BYTES: Final = (BLOCK_BYTES - HEADER_BYTES) // 2 - _FRAME.size
#: Follows the last frame, as far as there is room: a reader need not look at what is behind it.
END: Final = bytes(_FRAME.size)


def header(number: int) -> bytes:
    """The beginning of a block."""
    return _HEADER.pack(MAGIC, number)


def number_of(data: bytes) -> int:
    """The number of a block, by its first bytes; 0 when these are none of a block."""
    if len(data) < HEADER_BYTES:
        return 0
    magic, number = _HEADER.unpack_from(data)
    return int(number) if magic == MAGIC and number < _MOST_BLOCKS else 0


def frame(number: int, row: bytes) -> bytes:
    """A row for a block.

    Raises:
        ValueError: the row is longer than `MAX_ROW_BYTES`.
    """
    if not 0 < len(row) <= MAX_ROW_BYTES:
        raise ValueError(f"a row of {len(row)} bytes, at most {MAX_ROW_BYTES} are possible")
    return _FRAME.pack(len(row), _checksum(number, row)) + row


def frames(block: bytes, start: int = HEADER_BYTES) -> Iterator[tuple[int, bytes]]:
    """Where each row of a block ends, and the row, the oldest first; up to the first bad one.

    Args:
        block: The block, or its beginning.
        start: Where a frame begins.
    """
    number, at = number_of(block), start
    while number and at + _FRAME.size <= len(block):
        length, checksum = _FRAME.unpack_from(block, at)
        row = block[at + _FRAME.size : at + _FRAME.size + length]
        if not 0 < length <= MAX_ROW_BYTES or len(row) != length:
            return
        if _checksum(number, row) != checksum:
            return
        at += _FRAME.size + length
        yield at, row


def _checksum(number: int, row: bytes) -> int:
    return zlib.crc32(row, number & 0xFFFF_FFFF)
