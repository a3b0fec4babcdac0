"""Many stored histograms merged into a few columns at once, with numpy. Pure.

Equal to `Histogram.merge` of the same slots one by one: the same buckets, at the coarsest shift of
each column. The format of a slot is the store's (`store.distribution_format`): a head, then counts
of neighbouring buckets as differences, zigzag and of variable length; a zero byte begins a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.stored_slots import Pages, StoredSlots
from inapp_monitor.query.merged_columns import BUCKET_BITS, Array, MergedColumns

#: Checksum, shift, flags, first bucket, time, total, minimum, maximum.
_HEAD = [
    *(("crc", "<u4"), ("shift", "u1"), ("flags", "u1"), ("first", "<u2"), ("time", "<u8")),
    *(("total", "<f8"), ("minimum", "<f8"), ("maximum", "<f8")),
]
_HEAD_BYTES = 40
#: Slots decoded at a time: what they take stays in the processor's cache.
_AT_A_TIME = 512

#: Columns times buckets that are counted in an array with a place for each.
_MOST_PLACES = 2**20
#: Differences below it add up to less than 2 ** 31 in any slot.
_SMALL = 2**20
#: Column, bucket and count of filled buckets; the buckets of one shift.
_Filled = tuple[Array, Array, Array]


class _Slots(NamedTuple):
    """Slots that have something, in any order: the column of each, its shift, and so on."""

    column: Array
    shift: Array
    total: Array
    minimum: Array
    maximum: Array


def merged_slots(slots: Sequence[Histogram | None], lead: int, factor: int) -> MergedColumns:
    """Columns of `factor` slots each.

    Args:
        lead: Slots that the first column lacks.
    """
    columns = -(-(lead + len(slots)) // factor)
    if isinstance(slots, StoredSlots):
        known, read = slots.known, held_slots(slots, lead, factor)
    else:
        known, read = dict(enumerate(slots)), None
    apart = {at: each for at, each in known.items() if each is not None and each.count}
    column = (np.fromiter(apart, np.int64, len(apart)) + lead) // factor
    return _merged(columns, read, column, list(apart.values()))


def _merged(
    columns: int, read: HeldSlots | None, column: Array, apart: Sequence[Histogram]
) -> MergedColumns:
    """What was read from pages and what is known as histograms, the latter's columns given."""
    heads = [_heads_of(column, apart)] if apart else []
    if read is not None:
        heads.insert(0, read.sums())
    shift, total = np.zeros(columns, np.int64), np.zeros(columns)
    minimum, maximum = np.full(columns, np.inf), np.full(columns, -np.inf)
    for each in heads:
        np.maximum.at(shift, each.column, each.shift)
        total += np.bincount(each.column, each.total, columns)
        np.minimum.at(minimum, each.column, each.minimum)
        np.maximum.at(maximum, each.column, each.maximum)
    pieces = []
    if read is not None:
        pieces += [_coarser(*piece, shift) for piece in read.filled()]
    pieces += [_coarser(*piece, shift) for piece in _filled_of(column, apart)]
    key, count = _sorted(pieces)
    return MergedColumns(key, count, shift, total, minimum, maximum)


def _coarser(level: int, filled: _Filled, shift: Array) -> tuple[Array, Array]:
    """Keys of column and bucket at the shift of their column, and the counts."""
    column, bucket, count = filled
    return column << BUCKET_BITS | bucket >> (shift[column] - level), count


def _sorted(pieces: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """All keys in order, each once."""
    if not pieces:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    key, count = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    order = np.argsort(key, kind="stable")  # the pieces are sorted mostly: they are only merged
    key, count = key[order], count[order]
    firsts = np.flatnonzero(np.diff(key, prepend=-1))
    return (key[firsts], np.add.reduceat(count, firsts)) if len(firsts) else (key, count)


def _heads_of(column: Array, histograms: Sequence[Histogram]) -> _Slots:
    shifts = np.fromiter((each.shift for each in histograms), np.int64)
    sums = np.array([(each.total, each.minimum, each.maximum) for each in histograms], np.float64)
    return _Slots(column, shifts, *sums.T)


def _filled_of(column: Array, histograms: Sequence[Histogram]) -> Iterable[tuple[int, _Filled]]:
    for place, each in zip(column.tolist(), histograms, strict=True):
        bucket = np.fromiter(each.buckets, np.int64, len(each.buckets))
        count = np.fromiter(each.buckets.values(), np.int64, len(each.buckets))
        yield each.shift, (np.full(len(bucket), place), bucket, count)


class HeldSlots(NamedTuple):
    """The intact slots of what was read, without those that something else stands for.

    Attributes:
        column: Into which each belongs.
        shift, first: Of its buckets, and the number of the first one.
        payload: Its counts as stored, a row a slot.
        heads: All of its head.
    """

    column: Array
    shift: Array
    first: Array
    payload: Array
    heads: Any

    def sums(self) -> _Slots:
        """What is added up."""
        heads = self.heads
        return _Slots(self.column, self.shift, heads["total"], heads["minimum"], heads["maximum"])

    def filled(self) -> Iterable[tuple[int, _Filled]]:
        """The filled buckets, some slots of one shift at a time."""
        # `np.unique` would load numpy.ma, 1.3 MB.
        for level in sorted(set(self.shift.tolist())):
            chosen = np.flatnonzero(self.shift == level)
            for begin in range(0, len(chosen), _AT_A_TIME):
                some = chosen[begin : begin + _AT_A_TIME]
                yield level, tally(self.payload[some], self.first[some], self.column[some])


def held_slots(slots: StoredSlots, lead: int, factor: int) -> HeldSlots:
    """What was read, in columns of `factor` slots, of which the first one lacks `lead`."""
    sound = np.frombuffer(bytes(slots.sound), bool).copy()
    sound[list(slots.known)] = False
    number = np.flatnonzero(sound)
    matrix = np.concatenate([_slot_bytes(pages) for pages in slots.pages])[number]
    heads: Any = np.ascontiguousarray(matrix[:, :_HEAD_BYTES]).view(np.dtype(_HEAD)).reshape(-1)
    shift, first = heads["shift"].astype(np.int64), heads["first"].astype(np.int64)
    return HeldSlots((number + lead) // factor, shift, first, matrix[:, _HEAD_BYTES:], heads)


def _slot_bytes(pages: Pages) -> Array:
    """A row a slot."""
    size = pages.page_bytes // pages.per_page
    whole = np.frombuffer(pages.data, np.uint8).reshape(-1, pages.page_bytes)
    rows = np.ascontiguousarray(whole[:, : pages.per_page * size]).reshape(-1, size)
    return rows[pages.first : pages.first + pages.slot_count]


def tally(payload: Array, first: Array, column: Array) -> _Filled:
    """(column, bucket, count) of the filled buckets of slots of one shift, mostly sorted.

    One running sum over all slots gives counts, another one bucket numbers: the first number of
    each slot takes back what the slots before it have added.
    """
    change, step, edges = _counts(payload)
    some = np.flatnonzero(np.diff(edges))
    if not some.size:
        return column[:0], column[:0], column[:0]
    starts, first, column = edges[some], first[some], column[some]
    step[starts] = 1
    change[starts[1:]] -= np.add.reduceat(change, starts)[:-1]
    reach = np.add.reduceat(step, starts)
    begin, lowest = int(column[0]), int(first.min())
    span = int((first + reach).max()) - lowest
    base = (column - begin) * span + first - 1 - lowest
    step[starts] += np.diff(base, prepend=0) - np.concatenate(([0], reach[:-1]))
    if (int(column[-1]) - begin + 1) * span > _MOST_PLACES:
        into, bucket = np.divmod(np.cumsum(step), span)
        return into + begin, bucket + lowest, np.cumsum(change)
    filled = np.bincount(np.cumsum(step), np.cumsum(change))
    place = np.flatnonzero(filled)
    into, bucket = np.divmod(place, span)
    return into + begin, bucket + lowest, filled[place].astype(np.int64)


def decoded(payload: Array, first: Array) -> _Filled:
    """(slot, bucket, count) of the filled buckets of slots of any shift, one slot after the other.

    Args:
        first: The number of each slot's first bucket.
    """
    change, step, edges = _counts(payload)
    lengths = np.diff(edges)
    slot = np.repeat(np.arange(len(lengths)), lengths)
    starts = edges[:-1][lengths > 0]
    step[starts] = 1
    count, bucket = np.cumsum(change), np.cumsum(step)
    before = edges[:-1][slot]
    count -= (count - change)[before]
    bucket += first[slot] - bucket[before]
    return slot, bucket, count


def _counts(payload: Array) -> tuple[Array, Array, Array]:
    """The counts of some payloads, end to end: how much each differs from the one before it, how
    many buckets after that it is; and where those of each payload begin, and the last ones end.
    """
    width, data = payload.shape[1], payload.tobytes()
    streams = [data[at : at + width].rstrip(b"\0") for at in range(0, len(data), width)]
    stream = np.frombuffer(b"".join(streams), np.uint8)
    ends = np.cumsum([0, *map(len, streams)])
    value, parts = _numbers(stream)
    gap = value == 0  # the mark of one, whose length comes next
    counted = ~gap
    counted[1:] &= ~gap[:-1]
    at = np.flatnonzero(counted)
    change = _changes(value)[at].astype(np.int32 if value.itemsize < 8 else np.int64)
    length = np.zeros(len(value), value.dtype)  # of the gap before each number
    np.multiply(value[1:-1], gap[:-2], out=length[2:])
    step = length[at].astype(np.int64) + 1
    return change, step, np.searchsorted(at, ends - np.searchsorted(parts, ends))


def _changes(value: Array) -> Array:
    """Differences of either sign from numbers without one; small ones are bytes, for speed."""
    odd = value & 1
    half = value >> 1
    if value.dtype == np.uint8:
        odd, half = odd.view(np.int8), half.view(np.int8)
    less = odd - 1
    half ^= less
    half -= less
    return half


def _numbers(stream: Array) -> tuple[Array, Array]:
    """The numbers in bytes of seven bits, the lowest first, and where those bytes are that another
    one continues: they are few. Sums of the numbers of a slot fit into what is returned.
    """
    parts = np.flatnonzero(stream > 127)
    if not parts.size:
        return stream, parts
    ends = parts[np.diff(parts, append=-1) != 1] + 1
    value = stream[ends].astype(np.int64)
    more, back = np.arange(len(ends)), 1
    while more.size:
        value[more] = value[more] << 7 | stream[ends[more] - back] & 127
        back += 1
        more = more[stream[ends[more] - back] > 127]
    every = stream[stream < 128].astype(np.int32 if value.max() < _SMALL else np.int64)
    every[ends - np.searchsorted(parts, ends)] = value
    return every, parts
