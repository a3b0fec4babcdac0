"""Many stored histograms merged into a few columns at once, with numpy. Pure.

Equal to `Histogram.merge` of the same slots one by one: the same buckets, at the coarsest shift of
each column. The format of a slot is the store's (`store.distribution_format`): a head, then counts
of neighbouring buckets as differences, zigzag and of variable length; a zero byte begins a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inapp_monitor.ground.histogram import Histogram, merged
from inapp_monitor.ground.stored_slots import Pages, StoredSlots

#: Checksum, shift, flags, first bucket, time, total, minimum, maximum.
_HEAD = [
    *(("crc", "<u4"), ("shift", "u1"), ("flags", "u1"), ("first", "<u2"), ("time", "<u8")),
    *(("total", "<f8"), ("minimum", "<f8"), ("maximum", "<f8")),
]
_HEAD_BYTES = 40
#: Slots decoded at a time: what they take stays in the processor's cache.
_AT_A_TIME = 512
#: Fewer slots are not worth preparing arrays for.
_FEW = 16
#: Bucket numbers have as many bits.
_BUCKET_BITS = 16

Array = np.ndarray[Any, Any]


def merged_slots(
    slots: Sequence[Histogram | None], lead: int, factor: int
) -> list[Histogram | None]:
    """Columns of `factor` slots each; None where nothing was recorded.

    Args:
        lead: Slots that the first column lacks.
    """
    if not isinstance(slots, StoredSlots) or len(slots) < _FEW:
        return [
            merged(slots[max(begin, 0) : begin + factor])
            for begin in range(-lead, len(slots), factor)
        ]
    column = (np.arange(len(slots)) + lead) // factor
    made = _decoded(slots, column, int(column[-1]) + 1)
    for number, histogram in slots.known.items():
        if histogram is not None and histogram.count:
            there = made[int(column[number])]
            if there is None:
                made[int(column[number])] = histogram.copy()
            else:
                there.merge(histogram)
    return made


def _decoded(slots: StoredSlots, column: Array, columns: int) -> list[Histogram | None]:
    """What was read, merged by column; without what stands instead of it."""
    matrix = np.concatenate([_slot_bytes(pages) for pages in slots.pages])
    heads = np.ascontiguousarray(matrix[:, :_HEAD_BYTES]).view(np.dtype(_HEAD)).reshape(-1)
    sound = np.frombuffer(bytes(slots.sound), bool).copy()
    sound[list(slots.known)] = False
    into = column[sound]
    if not into.size:
        return [None] * columns
    shift = np.zeros(columns, np.int64)
    np.maximum.at(shift, into, heads["shift"][sound])
    total = np.bincount(into, heads["total"][sound], columns)
    minimum, maximum = np.full(columns, np.inf), np.full(columns, -np.inf)
    np.minimum.at(minimum, into, heads["minimum"][sound])
    np.maximum.at(maximum, into, heads["maximum"][sound])
    edges, numbers, counts = _buckets(matrix, heads, sound, column, shift)
    made: list[Histogram | None] = []
    for at in range(columns):
        here = slice(edges[at], edges[at + 1])
        known = dict(zip(numbers[here], counts[here], strict=True))
        extremes = float(minimum[at]), float(maximum[at])
        whole = Histogram(sum(counts[here]), float(total[at]), *extremes, known, int(shift[at]))
        made.append(whole if known else None)
    return made


def _slot_bytes(pages: Pages) -> Array:
    """A row a slot."""
    size = pages.page_bytes // pages.per_page
    whole = np.frombuffer(pages.data, np.uint8).reshape(-1, pages.page_bytes)
    rows = np.ascontiguousarray(whole[:, : pages.per_page * size]).reshape(-1, size)
    return rows[pages.first : pages.first + pages.slot_count]


def _buckets(
    matrix: Array, heads: Array, sound: Array, column: Array, shift: Array
) -> tuple[list[int], list[int], list[int]]:
    """The filled buckets of all columns, sorted: where each column begins, bucket, count."""
    pieces = []
    for level in np.unique(heads["shift"][sound]).tolist():
        chosen = np.flatnonzero(sound & (heads["shift"] == level))
        for begin in range(0, len(chosen), _AT_A_TIME):
            some = chosen[begin : begin + _AT_A_TIME]
            first = heads["first"][some].astype(np.int64)
            place, bucket, count = _tally(matrix[some, _HEAD_BYTES:], first, column[some])
            coarse = bucket >> (shift[place] - level)
            pieces.append((place << _BUCKET_BITS | coarse, count))
    key, count = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    order = np.argsort(key, kind="stable")  # the pieces are sorted: they are only merged
    key, count = key[order], count[order]
    firsts = np.flatnonzero(np.diff(key, prepend=-1))
    if len(firsts):
        key, count = key[firsts], np.add.reduceat(count, firsts)
    edges = np.searchsorted(key, np.arange(len(shift) + 1) << _BUCKET_BITS)
    return edges.tolist(), (key & (1 << _BUCKET_BITS) - 1).tolist(), count.tolist()


def _numbers(payload: Array) -> tuple[Array, Array]:
    """The variable-length numbers of some payloads, end to end, and how many each has."""
    filled = payload != 0
    length = payload.shape[1] - filled[:, ::-1].argmax(axis=1)
    length[~filled[np.arange(len(payload)), length - 1]] = 0
    stream = payload[np.arange(payload.shape[1]) < length[:, None]]
    value = stream.astype(np.int64)
    part = np.flatnonzero(stream >= 128)  # bytes that another one continues: they are few
    if not part.size:
        return value, length
    begins = np.flatnonzero(np.diff(part, prepend=-2) != 1)
    runs = np.diff(np.append(begins, len(part)))
    last = part[begins] + runs  # where each such number ends
    value[last] <<= 7 * runs
    place = np.arange(len(part)) - np.repeat(begins, runs)
    np.add.at(value, np.repeat(last, runs), (value[part] & 127) << 7 * place)
    ends = np.cumsum(length)
    length = np.diff(ends - np.searchsorted(part, ends), prepend=0)
    return value[stream < 128], length


def _tally(payload: Array, first: Array, column: Array) -> tuple[Array, Array, Array]:
    """(column, bucket, count) of the filled buckets of slots of one shift, sorted.

    One running sum over all slots gives counts, another one bucket numbers: the first number of
    each slot takes back what the slots before it have added.
    """
    value, length = _numbers(payload)
    some = np.flatnonzero(length)
    if not some.size:
        return column[:0], column[:0], column[:0]
    starts = np.concatenate(([0], np.cumsum(length[some])[:-1]))
    mark = np.flatnonzero(value == 0)  # of a gap, whose length comes next
    change = (value >> 1) ^ ((value & 1) - 1)
    change -= (value & 1) - 1
    change[mark + 1] = 0
    step = np.ones(len(value), np.int64)
    step[mark] = 0
    step[mark + 1] = value[mark + 1]
    change[starts[1:]] -= np.add.reduceat(change, starts)[:-1]
    first, column = first[some], column[some]
    reach = np.add.reduceat(step, starts)
    begin, lowest = int(column[0]), int(first.min())
    span = int((first + reach).max()) - lowest
    base = (column - begin) * span + first - 1 - lowest
    step[starts] += np.diff(base, prepend=0) - np.concatenate(([0], reach[:-1]))
    count = np.cumsum(change)
    count[mark] = 0
    count[mark + 1] = 0
    filled = np.bincount(np.cumsum(step), count)
    place = np.flatnonzero(filled)
    into, bucket = np.divmod(place, span)
    return into + begin, bucket + lowest, filled[place].astype(np.int64)
