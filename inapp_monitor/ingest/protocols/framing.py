"""Where one unit of a stream ends and the next begins: lines, or lengths before them. Pure.

A framing holds what came of a unit so far, never more than the longest one, whatever is sent.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Protocol

from inapp_monitor.ingest.protocols.parsed import MAX_LINE_BYTES

#: Called with the reason and what was refused.
Refuse = Callable[[str, bytes], object]

#: Longest frame after a length, as Carbon's own limit for pickles.
MAX_FRAME_BYTES = 2**20
_START = 64
_PREFIX_BYTES = 4
_MAX_DATAGRAM_BYTES = 2**16


class Framing(Protocol):
    """Cuts a stream into whole units."""

    #: Nothing that follows can be understood: the connection must be closed.
    broken: bool

    def feed(self, data: bytes, refuse: Refuse) -> list[bytes]:
        """The units that are whole by now: a frame each, or any number of lines."""
        ...

    def end(self, refuse: Refuse) -> None:
        """The stream is over: what is left is half a unit."""
        ...


class LineFraming:
    """Lines that end with a line feed.

    Args:
        at_most: Longest line in bytes.
    """

    def __init__(self, at_most: int = MAX_LINE_BYTES) -> None:
        self.broken = False
        self._at_most = at_most
        self._begun = b""
        self._skips = False  # the rest of a line that was too long

    def feed(self, data: bytes, refuse: Refuse) -> list[bytes]:
        end = data.rfind(b"\n")
        if end < 0:
            self._keep(data, refuse)
            return []
        whole, rest = data[: end + 1], data[end + 1 :]
        if self._skips:
            whole = whole[whole.index(b"\n") + 1 :]
            self._skips = False
        elif self._begun:
            whole = self._begun + whole
        self._begun = b""
        if rest:
            self._keep(rest, refuse)
        return [whole] if whole else []

    def _keep(self, data: bytes, refuse: Refuse) -> None:
        if self._skips:
            return
        self._begun += data
        if len(self._begun) > self._at_most:
            refuse("too_long", self._begun)
            self._begun, self._skips = b"", True

    def end(self, refuse: Refuse) -> None:
        begun, self._begun = self._begun, b""
        if begun.strip():
            refuse("truncated", begun)

    def take_rest(self) -> bytes:
        """What is left, where it may be a whole line."""
        begun, self._begun = self._begun, b""
        return begun


class LengthFraming:
    """Frames after their length.

    Args:
        length_format: Of `struct`, such as `>L`.
        at_most: Longest frame in bytes.
    """

    def __init__(self, length_format: str = ">L", at_most: int = MAX_FRAME_BYTES) -> None:
        self.broken = False
        self._length = struct.Struct(length_format)
        self._at_most = at_most
        self._begun = bytearray()

    def feed(self, data: bytes, refuse: Refuse) -> list[bytes]:
        if self.broken:
            return []
        begun, prefix = self._begun, self._length.size
        begun += data
        frames: list[bytes] = []
        at = 0
        while len(begun) - at >= prefix:
            (length,) = self._length.unpack_from(begun, at)
            if length > self._at_most:
                self.broken = True
                refuse("frame_length", bytes(begun[at : at + _START]))
                begun.clear()
                return frames
            if len(begun) - at - prefix < length:
                break
            frames.append(bytes(begun[at + prefix : at + prefix + length]))
            at += prefix + length
        del begun[:at]
        return frames

    def end(self, refuse: Refuse) -> None:
        if self._begun:
            refuse("truncated", bytes(self._begun[:_START]))
            self._begun.clear()


class StatsDFraming:
    """Lines, or datagrams after their length in four bytes, least significant first, as DogStatsD's
    clients write into Unix stream sockets: the first bytes of a connection tell which.
    """

    def __init__(self) -> None:
        self.broken = False
        self._chosen: LineFraming | LengthFraming | None = None
        self._begun = b""

    def feed(self, data: bytes, refuse: Refuse) -> list[bytes]:
        if self._chosen is None:
            data = self._begun + data
            if len(data) < _PREFIX_BYTES and b"\n" not in data:
                self._begun = data
                return []
            # No line has a NUL, and no datagram is longer than 64 KiB.
            has_length = data[2:_PREFIX_BYTES] == b"\0\0"
            self._chosen = (
                LengthFraming("<L", _MAX_DATAGRAM_BYTES)
                if has_length
                else LineFraming(_MAX_DATAGRAM_BYTES)
            )
            self._begun = b""
        units = self._chosen.feed(data, refuse)
        self.broken = self._chosen.broken
        return units

    def end(self, refuse: Refuse) -> None:
        if self._chosen is not None:
            self._chosen.end(refuse)
        elif self._begun.strip():
            refuse("truncated", self._begun)


def pieces_of_lines(data: bytes, size_bytes: int) -> Iterator[bytes]:
    """Whole lines in pieces that are hardly larger than that, unless a line is."""
    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin + size_bytes) + 1 or len(data)
        yield data[begin:end]
        begin = end
