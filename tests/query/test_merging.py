"""Many slots decoded and merged at once are what they are one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.ground.histogram import Histogram, merged
from inapp_monitor.ground.stored_slots import Pages, StoredSlots
from inapp_monitor.query.coarse_counts import CoarseCounts, Wide
from inapp_monitor.query.merging import merged_slots
from inapp_monitor.store.distribution_format import pack_slot, unpack_slot

PAGE, STEP, START = 4096, 60, 1_800_000_000
_HISTOGRAMS = st.none() | st.builds(
    lambda counts, shift: _of(counts, shift),
    st.dictionaries(
        st.integers(15_000, 18_000),
        st.integers(1, 3) | st.integers(60, 2**40),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 3),
)


def _of(counts: dict[int, int], shift: int) -> Histogram:
    lowest, highest = min(counts, default=0), max(counts, default=0)
    made = Histogram(sum(counts.values()), 0.5, float(lowest), float(highest), dict(counts))
    made.coarsen(shift)
    return made


def stored(histograms: Sequence[Histogram | None], size: int, first: int, cut: int) -> StoredSlots:
    """Slots as a store reads them: pages that begin somewhere, in two pieces."""
    per_page = PAGE // size
    pieces = []
    for begin, part in ((0, histograms[:cut]), (cut, histograms[cut:])):
        data = bytearray(-(-(first + len(part)) // per_page) * PAGE)
        for number, histogram in enumerate(part):
            page, place = divmod(first + number, per_page)
            at = page * PAGE + place * size
            time = START + (begin + number) * STEP
            data[at : at + size] = (
                b"\xff" * size if histogram is None else pack_slot(time, histogram, size)
            )
        pieces.append(Pages(bytes(data), PAGE, per_page, first, len(part)))
    sound = bytearray(histogram is not None for histogram in histograms)
    return StoredSlots(pieces, START, STEP, sound, unpack_slot)


def facts(histogram: Histogram | None) -> tuple[Any, ...] | None:
    if histogram is None:
        return None
    known = histogram.shift, histogram.count, histogram.total
    return (*known, histogram.minimum, histogram.maximum, histogram.buckets)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_HISTOGRAMS, min_size=16, max_size=70),
    st.sampled_from([128, 512, 1_365]),
    st.integers(0, 20),
    st.integers(0, 70),
    st.integers(1, 30),
    st.dictionaries(st.integers(0, 15), _HISTOGRAMS, max_size=4),
    st.data(),
)
def test_they_are_as_merged_one_by_one(
    histograms: list[Histogram | None],
    size: int,
    first: int,
    cut: int,
    factor: int,
    known: dict[int, Histogram | None],
    data: st.DataObject,
) -> None:
    """Any counts and gaps, shifts, rings that wrap, damaged slots, newer ones instead."""
    lead = data.draw(st.integers(0, factor - 1))
    slots = stored(histograms, size, first, min(cut, len(histograms)))
    slots.known.update(known)
    apart = list(slots)
    expected = [
        merged(apart[max(begin, 0) : begin + factor]) for begin in range(-lead, len(apart), factor)
    ]
    found = merged_slots(slots, lead, factor)
    assert [facts(each) for each in found] == [facts(each) for each in expected]
    assert [facts(each) for each in slots] == [facts(each) for each in apart]


@given(st.lists(_HISTOGRAMS, min_size=3, max_size=20), st.data())
@settings(max_examples=30, deadline=None)
def test_slots_in_the_middle_of_others(
    histograms: list[Histogram | None], data: st.DataObject
) -> None:
    """A window's edges come from elsewhere: one slot before some, and perhaps one after them."""
    slots = stored(histograms, 512, 3, 2)
    slots.known[1] = None
    count = data.draw(st.integers(0, len(slots)))
    tail = data.draw(st.lists(_HISTOGRAMS, max_size=1))
    whole = slots.between(histograms[0], count, *tail)
    expected = [histograms[0], *slots[:count], *tail]
    assert [facts(each) for each in whole] == [facts(each) for each in expected]
    assert (whole.start, len(whole)) == (START - STEP, len(expected))
    assert [facts(each) for each in whole[-2:]] == [facts(each) for each in expected[-2:]]


@given(
    st.lists(st.tuples(st.lists(_HISTOGRAMS, max_size=20), st.integers(1, 4)), max_size=4),
    st.dictionaries(st.integers(0, 5), _HISTOGRAMS, max_size=2),
    st.sampled_from([0, 2, 5]),
    st.data(),
)
@settings(max_examples=40, deadline=None)
def test_wide_buckets_are_those_of_what_is_merged(
    every: list[tuple[list[Histogram | None], int]],
    known: dict[int, Histogram | None],
    shift: int,
    data: st.DataObject,
) -> None:
    """Of several distributions at once, any shift, and with what lies outside all of them."""
    wide = Wide(shift, 16_000 >> shift, 40)
    found, expected = CoarseCounts(wide), []
    for histograms, factor in every:
        lead = data.draw(st.integers(0, factor - 1))
        slots: Sequence[Histogram | None] = histograms
        if data.draw(st.booleans()):
            slots = stored(histograms, data.draw(st.sampled_from([128, 512])), 1, 3)
            slots.known.update((at, each) for at, each in known.items() if at < len(histograms))
        found.add(slots, lead, factor)
        expected.append([_wide(each, wide) for each in merged_slots(slots, lead, factor)])
    assert [rows.tolist() for rows in found.counts()] == expected


def _wide(histogram: Histogram | None, wide: Wide) -> list[int]:
    counts = [0] * wide.most
    if histogram is not None:
        down = wide.shift - histogram.shift
        for number, count in histogram.buckets.items():
            place = number >> down if down >= 0 else number << -down
            counts[min(max(place - wide.lowest, 0), wide.most - 1)] += count
    return counts
