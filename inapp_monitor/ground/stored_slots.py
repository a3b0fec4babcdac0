"""The slots of a distribution as they were read: a histogram where one is asked for. Pure.

Who wants many of them merged (`query.merging`) takes the bytes instead: decoding one by one is most
of the work of a page over a year. No numpy here, since writers read as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.lazy_histograms import LazyHistograms

#: The histogram in the bytes of a slot of an interval; None: nothing, or damaged.
Unpack = Callable[[memoryview, int], Histogram | None]


#: Bytes of a slot's checksum, at its begin.
_CHECKSUM = 4


class Pages(NamedTuple):
    """Whole pages of slots, of which `slot_count` from number `first` on are meant.

    Attributes:
        data: The pages' bytes.
        page_bytes: Of one page.
        per_page: Slots of one page, from its begin on.
    """

    data: bytes
    page_bytes: int
    per_page: int
    first: int
    slot_count: int


class StoredSlots(LazyHistograms):
    """Slot after slot of one archive.

    Attributes:
        pages: What was read.
        start, step: Time of the first slot, seconds from one to the next.
        sound: A byte a slot: 1 when its bytes are an intact slot of its interval.
        known: What stands instead of what was read, by number.
    """

    def __init__(
        self, pages: list[Pages], start: int, step: int, sound: bytearray, unpack: Unpack
    ) -> None:
        self.pages, self.start, self.step, self.sound = pages, start, step, sound
        self.known: dict[int, Histogram | None] = {}
        self._unpack = unpack

    def __len__(self) -> int:
        return len(self.sound)

    def _at(self, number: int) -> Histogram | None:
        if number in self.known:
            return self.known[number]
        if not self.sound[number]:
            return None
        return self._unpack(self._bytes_of(number), self.start + number * self.step)

    def _bytes_of(self, number: int) -> memoryview:
        for pages in self.pages:
            if number < pages.slot_count:
                page, place = divmod(pages.first + number, pages.per_page)
                size = pages.page_bytes // pages.per_page
                at = page * pages.page_bytes + place * size
                return memoryview(pages.data)[at : at + size]
            number -= pages.slot_count
        raise IndexError(number)

    def checksums(self) -> list[bytes | None]:
        """Of each slot what its bytes begin with, a checksum of the rest: it changes with them.

        None where nothing was read that is sound, or something else stands instead.
        """
        found: list[bytes | None] = []
        for pages in self.pages:
            data, size = pages.data, pages.page_bytes // pages.per_page
            begin, end = pages.first, pages.first + pages.slot_count
            while begin < end:
                page, number = divmod(begin, pages.per_page)
                some = min(end - begin, pages.per_page - number)
                at = page * pages.page_bytes + number * size
                found += [data[a : a + _CHECKSUM] for a in range(at, at + some * size, size)]
                begin += some
        for number, sound in enumerate(self.sound):
            if not sound:
                found[number] = None
        for number in self.known:
            found[number] = None
        return found

    def between(self, head: Histogram | None, count: int, *tail: Histogram | None) -> StoredSlots:
        """The first `count` slots, with one more before them, and what is to come after them."""
        blank = self.pages[0]._replace(data=bytes(self.pages[0].page_bytes), first=0, slot_count=1)
        pages, left = [blank], count
        for piece in self.pages:
            pages.append(piece._replace(slot_count=min(piece.slot_count, left)))
            left -= pages[-1].slot_count
        pages += [blank] * len(tail)
        sound = bytearray(1) + self.sound[:count] + bytes(len(tail))
        made = StoredSlots(pages, self.start - self.step, self.step, sound, self._unpack)
        made.known = {at + 1: found for at, found in self.known.items() if at < count}
        made.known[0] = head
        made.known |= enumerate(tail, count + 1)
        return made
