"""Which texts came before, in fixed memory: a Bloom filter of two generations. Pure.

A text that was added is found again until its generation is over: when one is full, the one before
is forgotten. Of texts that were never added, at most one of 400 is taken for an earlier one.
"""

from __future__ import annotations

#: Bits of a generation and how many of them stand for one text.
_BITS = 2**21
_BITS_OF_TEXT = 4
#: Texts of a generation: more of them would make too many strangers look known.
CAPACITY = 2**17


class AgingBloomFilter:
    """Half a megabyte, made with the first text.

    *Threads:* for one at a time.
    """

    __slots__ = ("_before", "_count", "_now")

    def __init__(self) -> None:
        self._now = bytearray()
        self._before = bytearray()
        self._count = 0

    def add(self, text: str) -> bool:
        """Remember a text; whether it came before."""
        if not self._now:
            self._now, self._before = bytearray(_BITS // 8), bytearray(_BITS // 8)
        bits = _bits_of(text)
        now, before = self._now, self._before
        if all(now[bit >> 3] & (1 << (bit & 7)) for bit in bits):
            return True
        known = all(before[bit >> 3] & (1 << (bit & 7)) for bit in bits)
        if self._count >= CAPACITY:
            self._before, now, self._count = now, bytearray(_BITS // 8), 0
            self._now = now
        for bit in bits:
            now[bit >> 3] |= 1 << (bit & 7)
        self._count += 1
        return known


def _bits_of(text: str) -> list[int]:
    """The bits of a text, by two halves of its hash, which clients cannot foresee."""
    number = hash(text)
    step = (number >> 32) | 1
    return [(number + turn * step) % _BITS for turn in range(_BITS_OF_TEXT)]
