"""A distribution: one series of histograms, in a file of its own."""

from __future__ import annotations

from collections.abc import Sequence

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.stored_slots import Pages, StoredSlots
from inapp_monitor.store import distribution_format
from inapp_monitor.store.checked_slots import CheckedSlots
from inapp_monitor.store.distribution_format import DistributionGeometry
from inapp_monitor.store.files import DiskFile
from inapp_monitor.store.group_format import PAGE
from inapp_monitor.store.retention import Retention
from inapp_monitor.store.ring_file import RingFile


class DistributionFile(RingFile[Histogram, Histogram]):
    """The rings of one distribution, with or without a file.

    Attributes:
        path: Name of the distribution.
        geometry: Where everything is.
        created: When its file was made, seconds since the epoch.
    """

    def __init__(
        self,
        path: str,
        retention: Retention,
        file: DiskFile | None,
        geometry: DistributionGeometry | None,
        created: int = 0,
    ) -> None:
        super().__init__(retention, file)
        self.path = path
        self.created = created
        self._checked: dict[int, CheckedSlots] = {}
        self.geometry = geometry or DistributionGeometry.of(retention)

    def offset(self, archive: int, timestamp: int) -> int:
        return self.geometry.slot_offset(archive, timestamp)

    def peek(self, archive: int, timestamp: int) -> tuple[Histogram | None, bool]:
        if self.file is None:
            return None, False
        data = self.file.read(
            self.geometry.slot_size(archive), self.geometry.slot_offset(archive, timestamp)
        )
        claimed = (
            len(data) >= distribution_format.SLOT_HEAD
            and distribution_format.slot_time(data) == timestamp
        )
        return (
            (distribution_format.unpack_slot(data, timestamp), True) if claimed else (None, False)
        )

    def stored_time(self, archive: int, timestamp: int) -> int:
        if self.file is None:
            return 0
        size = self.geometry.slot_size(archive)
        data = self.file.read(size, self.geometry.slot_offset(archive, timestamp))
        if len(data) < size or not distribution_format.slot_is_intact(data):
            return 0
        return distribution_format.slot_time(data)

    def times(self, archive: int) -> Sequence[int]:
        if self.file is None:
            return []
        geometry = self.geometry
        start, end = (*geometry.offsets, geometry.size)[archive : archive + 2]
        data = memoryview(self.file.read(end - start, start))
        size = geometry.slot_size(archive)
        slots = range(geometry.retention.archives[archive].points)
        offsets = (geometry.offset_of_slot(archive, slot) - start for slot in slots)
        return [
            distribution_format.slot_time(data[at : at + size])
            for at in offsets
            if at + size <= len(data)
        ]

    def merged(self, row: Histogram | None, delta: Histogram) -> Histogram:
        result = delta.copy() if row is None else row.copy()
        if row is not None:
            result.merge(delta)
        return result

    def rolled_up(self, rows: Sequence[Histogram | None]) -> Histogram | None:
        result: Histogram | None = None
        for row in rows:
            if row is None:
                continue
            if result is None:
                result = row.copy()
            else:
                result.merge(row)
        return result

    def filled(self, row: Histogram | None, older: Histogram | None) -> Histogram | None:
        return older if row is None else row

    def sealed(self, archive: int, timestamp: int, row: Histogram, /) -> bytes:
        return distribution_format.pack_slot(timestamp, row, self.geometry.slot_size(archive))

    def joined(self, older: Histogram, newer: Histogram) -> Histogram:
        result = older.copy()
        result.merge(newer)
        return result

    def detached(self) -> DistributionFile:
        """What waits, without the file: when the disk refuses."""
        twin = DistributionFile(self.path, self.retention, None, self.geometry)
        twin.pending, twin.writing = self.pending, self.writing
        return twin

    def weigh(self, delta: Histogram) -> int:
        return 4 + len(delta.buckets)

    def slots_between(
        self, archive: int, start: int, end: int
    ) -> StoredSlots | list[Histogram | None]:
        """The stored histograms of the intervals from `start` up to `end`, in one or two reads."""
        ring, geometry = self.retention.archives[archive], self.geometry
        count = (end - start) // ring.step
        if self.file is None:
            return [None] * count
        per_page = geometry.per_page[archive]
        pieces: list[Pages] = []
        done = 0
        while done < count:  # twice where the ring wraps
            first = ring.slot(start + done * ring.step)
            some = min(count - done, ring.points - first)
            page, last = first // per_page, (first + some - 1) // per_page + 1
            length = (last - page) * PAGE
            data = self.file.read(length, geometry.offsets[archive] + page * PAGE)
            whole = data.ljust(length, b"\0")  # the file has been cut
            pieces.append(Pages(whole, PAGE, per_page, first - page * per_page, some))
            done += some
        unpack = distribution_format.unpack_slot
        slots = StoredSlots(pieces, start, ring.step, bytearray(count), unpack)
        for number in self._checked_slots(archive).look_over(slots):
            slots.known[number] = self.load(archive, start + number * ring.step)
        return slots

    def _checked_slots(self, archive: int) -> CheckedSlots:
        if archive not in self._checked:
            ring, size = self.retention.archives[archive], self.geometry.slot_size(archive)
            self._checked[archive] = CheckedSlots(ring, size)
        return self._checked[archive]
