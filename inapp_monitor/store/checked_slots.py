"""Which slots of a distribution a reader has checked, so that each checksum is computed once a
process; as `checked_rows` for groups. With numpy where it is loaded: a year is thousands of slots.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from typing import Any

from inapp_monitor.ground.stored_slots import Pages, StoredSlots
from inapp_monitor.store.distribution_format import CHECKED
from inapp_monitor.store.group_format import PAGE
from inapp_monitor.store.loaded_numpy import loaded_numpy
from inapp_monitor.store.retention import Archive

#: Slots at the end of a range whose checksums are computed each time: they may be being written.
_YOUNG = 3
#: Fewer slots are not worth arrays.
_FEW = 64


class CheckedSlots:
    """The intervals of the slots that have been checked, by slot, for one ring.

    Args:
        ring: The archive.
        size: Bytes of a slot.
    """

    __slots__ = ("_ring", "_size", "_times")

    def __init__(self, ring: Archive, size: int) -> None:
        self._ring, self._size = ring, size
        self._times = array("Q", bytes(8 * ring.points))

    def look_over(self, slots: StoredSlots) -> list[int]:
        """Mark the intact slots; returns the numbers of those whose checksum does not match."""
        numpy = loaded_numpy() if len(slots) >= _FEW else None
        settled, begin, damaged = len(slots) - _YOUNG, 0, []
        for pages in slots.pages:
            end = begin + pages.slot_count
            step = slots.step
            times = range(slots.start + begin * step, slots.start + end * step, step)
            if numpy is None:
                sound, numbers = self._doubtful(pages, times, settled - begin)
                bad = self._damaged(pages, times, numbers, sound)
            else:
                sound, bad = self._many(numpy, pages, times, settled - begin)
            damaged += [begin + at for at in bad]
            slots.sound[begin:end] = sound
            begin = end
        return damaged

    def _many(
        self, numpy: Any, pages: Pages, times: range, settled: int
    ) -> tuple[bytearray, list[int]]:
        """A byte a slot, 1 where it is intact; numbers of those whose checksum does not match."""
        size, first, count = self._size, pages.first, pages.slot_count
        slot = self._ring.slot(times[0]) if times else 0
        shape, strides = (len(pages.data) // PAGE, pages.per_page), (PAGE, size)

        def field(kind: str, offset: int) -> Any:
            of_pages = numpy.ndarray(shape, kind, pages.data, offset, strides)
            return of_pages.reshape(-1)[first : first + count]

        expected = numpy.arange(times.start, times.stop, times.step, numpy.uint64)
        there = field("<u8", 8) == expected
        checked = numpy.frombuffer(self._times, numpy.uint64)[slot : slot + count]
        seen = checked == expected
        seen[max(settled, 0) :] = False
        numbers = numpy.flatnonzero(there & ~seen)
        page, place = numpy.divmod(first + numbers, pages.per_page)
        data, crc32, begins = pages.data, zlib.crc32, (page * PAGE + place * size).tolist()
        every = (crc32(data[at + 4 : at + size]) for at in begins)
        found = numpy.fromiter(every, numpy.uint32, len(begins))
        is_right = found == field("<u4", 0)[numbers]
        right = numbers[is_right]
        checked[right] = expected[right]
        sound = there & seen
        sound[right] = True
        return bytearray(sound.tobytes()), numbers[~is_right].tolist()

    def _doubtful(
        self, pages: Pages, times: range, settled: int
    ) -> tuple[bytearray, Sequence[int]]:
        """A byte a slot, 1 where it need not be checked again; numbers of those that must be."""
        slot = self._ring.slot(times[0]) if times else 0
        sound, numbers = bytearray(pages.slot_count), []
        data, unpack, checked = pages.data, CHECKED.unpack_from, self._times
        for number, (time, at) in enumerate(zip(times, self._places(pages), strict=True)):
            if unpack(data, at)[1] == time:
                if number < settled and checked[slot + number] == time:
                    sound[number] = 1
                else:
                    numbers.append(number)
        return sound, numbers

    def _damaged(
        self, pages: Pages, times: range, numbers: Sequence[int], sound: bytearray
    ) -> list[int]:
        """Those of some slots whose checksum does not match; the others are marked and noted."""
        view, size, damaged = memoryview(pages.data), self._size, []
        crc32, unpack = zlib.crc32, CHECKED.unpack_from
        first, per_page, checked = pages.first, pages.per_page, self._times
        slot = self._ring.slot(times[0]) if times else 0
        for number in numbers:
            at = (first + number) // per_page * PAGE + (first + number) % per_page * size
            crc, time = unpack(view, at)
            if crc == crc32(view[at + 4 : at + size]):
                sound[number], checked[slot + number] = 1, time
            else:
                damaged.append(number)
        return damaged

    def _places(self, pages: Pages) -> list[int]:
        """Where the slots begin."""
        found: list[int] = []
        begin, end, size = pages.first, pages.first + pages.slot_count, self._size
        while begin < end:
            page, place = divmod(begin, pages.per_page)
            some = min(end - begin, pages.per_page - place)
            at = page * PAGE + place * size
            found += range(at, at + some * size, size)
            begin += some
        return found
