"""The chart of a mail as PNG: the last values as a line, the rest of the range shaded. Pure.

Mail programs show no SVG. The picture has few colours and no text, so that it is written here.
Source of the format: PNG (ISO/IEC 15948), colour type 3, filter 0.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Sequence

WIDTH, HEIGHT = 560, 140
_MARGIN = 6
#: Background, frame, shaded area, limit, line.
_PALETTE = bytes.fromhex("ffffff d0d7de fbe5e6 cf222e 0969da".replace(" ", ""))
_BACKGROUND, _FRAME, _SHADE, _LIMIT, _LINE = range(5)


def png(
    values: Sequence[float | None], limits: tuple[float, float] = (-math.inf, math.inf)
) -> bytes:
    """The picture of some values, the oldest first.

    Args:
        values: None where nothing is known.
        limits: The smallest and the largest value that raises no alert.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    shown = [*known, *(limit for limit in limits if math.isfinite(limit))]
    low, high = min([0.0, *shown]), max([0.0, *shown])
    high = high if high > low else low + 1.0
    high += (high - low) * 0.08

    def row_of(value: float) -> int:
        share = (min(max(value, low), high) - low) / (high - low)
        return HEIGHT - 1 - _MARGIN - round(share * (HEIGHT - 1 - 2 * _MARGIN))

    rows = [bytearray([_BACKGROUND]) * WIDTH for _ in range(HEIGHT)]
    _shade(rows, limits, low, high, row_of)
    for x in range(WIDTH):
        rows[0][x] = rows[-1][x] = _FRAME
    for row in rows:
        row[0] = row[-1] = _FRAME
    _draw(rows, values, row_of)
    return _encoded(rows)


def _shade(
    rows: list[bytearray],
    limits: tuple[float, float],
    low: float,
    high: float,
    row_of: Callable[[float], int],
) -> None:
    bottom, top = limits
    for y, row in enumerate(rows):
        if (top < high and y < row_of(top)) or (bottom > low and y > row_of(bottom)):
            row[:] = bytes([_SHADE]) * WIDTH
    for limit in limits:
        if low <= limit <= high:
            row = rows[row_of(limit)]
            for x in range(0, WIDTH, 6):
                row[x : x + 3] = bytes([_LIMIT]) * min(3, WIDTH - x)


def _draw(
    rows: list[bytearray], values: Sequence[float | None], row_of: Callable[[float], int]
) -> None:
    last: tuple[int, int] | None = None
    span = max(len(values) - 1, 1)
    for number, value in enumerate(values):
        if value is None or not math.isfinite(value):
            last = None
            continue
        here = (_MARGIN + number * (WIDTH - 1 - 2 * _MARGIN) // span, row_of(value))
        _segment(rows, last or here, here)
        last = here


def _segment(rows: list[bytearray], begin: tuple[int, int], end: tuple[int, int]) -> None:
    (x0, y0), (x1, y1) = begin, end
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    for step in range(steps + 1):
        x, y = x0 + (x1 - x0) * step // steps, y0 + (y1 - y0) * step // steps
        for each in (y, min(y + 1, HEIGHT - 1)):
            rows[each][x] = rows[each][min(x + 1, WIDTH - 1)] = _LINE


def _encoded(rows: list[bytearray]) -> bytes:
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", _PALETTE), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
