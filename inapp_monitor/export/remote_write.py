"""Prometheus' remote write 1.0, as bytes: series with their samples in Protocol Buffers, framed.

Formats: prometheus.io/docs/specs/prw/remote_write_spec (`WriteRequest`), and the block format of
Snappy, google/snappy/format_description.txt. What is framed is only copied: a block of literals is
one that every reader reads. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from inapp_monitor.export.metric_names import Labels
from inapp_monitor.export.protobuf import varint

#: What a request says of its body.
HEADERS: Final = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_DOUBLE: Final = struct.Struct("<d")
_SIZE: Final = struct.Struct("<H")
#: Keys of `timeseries`, of its `labels` and `samples`, and of what is in those.
_SERIES, _LABELS, _SAMPLES = b"\x0a", b"\x0a", b"\x12"
_NAME, _TEXT, _VALUE, _TIMESTAMP = b"\x0a", b"\x12", b"\x09", b"\x10"
#: The most bytes of one literal here, and the tag of one whose length has two bytes.
_LITERAL_BYTES: Final = 2**16
_LONG_LITERAL: Final = b"\xf4"


def timestamps(times_s: Sequence[int]) -> list[bytes]:
    """Moments as they stand in samples: made once for all series that share them."""
    return [_TIMESTAMP + varint(time * 1_000) for time in times_s]


def series(name: str, labels: Labels, values: Sequence[float], moments: Sequence[bytes]) -> bytes:
    """One `timeseries` of a `WriteRequest`.

    Args:
        name: The metric's.
        labels: In any order; they are sorted with the name, as the specification asks.
        values: In the order of time.
        moments: As `timestamps` gives them.
    """
    pieces = []
    for label, text in sorted((("__name__", name), *labels)):
        both = _sized(_NAME, label.encode()) + _sized(_TEXT, text.encode("utf-8", "replace"))
        pieces.append(_sized(_LABELS, both))
    pack = _DOUBLE.pack
    for value, moment in zip(values, moments, strict=True):
        # A value's key and 8 bytes, and the moment: far below 128, one byte is its length.
        pieces.append(b"%b%c%b%b%b" % (_SAMPLES, 9 + len(moment), _VALUE, pack(value), moment))
    return _sized(_SERIES, b"".join(pieces))


def _sized(key: bytes, data: bytes) -> bytes:
    return key + varint(len(data)) + data


def framed(data: bytes) -> bytes:
    """A block of Snappy that holds the data as it is."""
    pieces = [varint(len(data))]
    for first in range(0, len(data), _LITERAL_BYTES):
        piece = data[first : first + _LITERAL_BYTES]
        pieces += (_LONG_LITERAL, _SIZE.pack(len(piece) - 1), piece)
    return b"".join(pieces)
