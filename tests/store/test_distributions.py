"""Distributions: merging is exact, and a quantile is within the bound that it reports."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ground.histogram import MAX_SHIFT, Histogram, relative_error
from inapp_monitor.store.distribution_format import (
    SLOT_HEAD,
    DistributionGeometry,
    pack_counts,
    pack_slot,
    unpack_counts,
    unpack_slot,
)
from inapp_monitor.store.retention import Retention
from tests.store.conftest import START, Bench

VALUES = st.lists(st.floats(0, 1e9, width=32), min_size=1, max_size=300)
SIZES = st.sampled_from([4096 // 10, 4096 // 18, 4096 // 17, 4096 // 16])
QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)


def stored(histogram: Histogram, size: int) -> Histogram:
    """What a slot of some size keeps of a histogram."""
    data = pack_slot(START, histogram, size)
    assert len(data) == size
    result = unpack_slot(data, START)
    assert result is not None
    return result


@given(st.dictionaries(st.integers(0, 0x7F80), st.integers(1, 2**40), max_size=200))
def test_counts_round_trip(buckets: dict[int, int]) -> None:
    """Any counts are read back as they were written, also with zeros after them."""
    first, data = pack_counts(buckets)
    assert unpack_counts(data, first) == buckets
    assert unpack_counts(data + bytes(50), first) == buckets


@given(VALUES, SIZES)
def test_a_slot_keeps_count_sum_and_extremes(values: list[float], size: int) -> None:
    """Whatever the shift, nothing but the buckets gets coarser."""
    histogram = Histogram.of(values)
    kept = stored(histogram, size)
    assert (kept.count, kept.total) == (histogram.count, histogram.total)
    assert (kept.minimum, kept.maximum) == (histogram.minimum, histogram.maximum)
    expected = histogram.copy()
    expected.coarsen(kept.shift)
    assert kept == expected


@given(VALUES, st.integers(0, 10**9))
def test_a_slot_is_read_only_as_what_it_is(values: list[float], other: int) -> None:
    """Another time, a flipped bit or a cut end: the slot is no slot."""
    data = pack_slot(START, Histogram.of(values), 455)
    assert unpack_slot(data, START + 10) is None
    flipped = bytearray(data)
    flipped[other % len(data)] ^= 1 << other % 8
    assert unpack_slot(flipped, START) is None
    assert unpack_slot(data[: SLOT_HEAD - 1], START) is None
    assert unpack_slot(bytes(455), START) is None


@given(st.lists(VALUES, min_size=2, max_size=5), SIZES, st.randoms(use_true_random=False))
def test_merging_stored_slots_is_recording_everything(
    parts: list[list[float]], size: int, chance: random.Random
) -> None:
    """In any order and grouping, at the coarsest shift among the parts."""
    slots = [stored(Histogram.of(part), size) for part in parts]
    chance.shuffle(slots)
    while len(slots) > 1:
        first = slots.pop(chance.randrange(len(slots)))
        second = slots.pop(chance.randrange(len(slots)))
        merged = first.copy()
        merged.merge(second)
        slots.append(merged)
    whole = Histogram.of([value for part in parts for value in part])
    whole.coarsen(slots[0].shift)
    assert slots[0].buckets == whole.buckets
    assert slots[0].count == whole.count
    assert slots[0].total == pytest.approx(whole.total)


def lognormal(chance: random.Random) -> float:
    return chance.lognormvariate(3, 0.5)


def bimodal(chance: random.Random) -> float:
    return chance.gauss(4, 0.2) if chance.random() < 0.8 else chance.gauss(900, 50)


DATA: dict[str, Callable[[random.Random], float]] = {
    "uniform": lambda chance: chance.uniform(5, 500),
    "lognormal": lognormal,
    "bimodal": bimodal,
    "constant": lambda _chance: 7.5,
    "adversarial": lambda chance: 2.0 ** chance.uniform(-30, 30),
    "extreme": lambda chance: 2.0 ** chance.uniform(-126, 127),
}


def exact_quantile(values: list[float], q: float) -> float:
    """By nearest rank."""
    return sorted(values)[round(q * (len(values) - 1))]


def assert_within_bound(slot: Histogram, values: list[float]) -> None:
    """Every quantile is next to an exact one, as near as the shift says."""
    ordered = sorted(values)
    assert slot.count == len(values)
    error = relative_error(slot.shift) * 1.0001
    for q in QUANTILES:
        rank = q * (len(ordered) - 1)
        low, high = ordered[math.floor(rank)], ordered[min(math.ceil(rank), len(ordered) - 1)]
        assert low * (1 - error) <= slot.quantile(q) <= high * (1 + error), q


@pytest.mark.parametrize("name", [name for name in DATA if name != "extreme"])
def test_quantiles_keep_their_bound_through_three_rollups(bench: Bench, name: str) -> None:
    """Exact quantiles of the data, against each archive's slots, as stored."""
    chance = random.Random(3)
    by_time: dict[int, list[float]] = {}
    for _ in range(720):
        values = [max(DATA[name](chance), 0.0) for _ in range(60)]
        by_time[int(bench.now)] = values
        bench.observe("time", values)
        bench.store.flush()
        bench.wait(10)
    bench.observe("time", [1.0])
    bench.store.flush()
    now = int(bench.now)
    worst = {}
    for back in (3_500, 80_000, 1_000_000, 30_000_000):
        found = bench.store.fetch_distribution("time", now - back, now - 10, now)
        assert found is not None
        times = range(found.start, found.end, found.step)
        for at, slot in zip(times, found.slots, strict=True):
            inside = [v for t, some in by_time.items() if at <= t < at + found.step for v in some]
            if slot is not None and at + found.step <= now:
                assert_within_bound(slot, inside)
                worst[found.step] = max(worst.get(found.step, 0), slot.shift)
    assert list(worst) == [10, 60, 600, 7_200]
    if name not in ("adversarial", "uniform"):
        assert relative_error(worst[10]) <= 0.01
        assert relative_error(max(worst.values())) <= 0.03


def test_any_values_fit() -> None:
    """Values over the whole range of a float32 keep count, sum and extremes in any slot."""
    chance = random.Random(5)
    values = [DATA["extreme"](chance) for _ in range(20_000)]
    slot = stored(Histogram.of(values), 4096 // 18)
    assert slot.shift == MAX_SHIFT
    assert slot.count == 20_000
    assert slot.quantile(1.0) == max(values)
    assert slot.quantile(0.99) == pytest.approx(exact_quantile(values, 0.99), rel=0.6)


def test_a_file_is_small() -> None:
    """The default archives take at most two megabytes, and no slot lies across two pages."""
    geometry = DistributionGeometry.of(Retention.parse("10s:1h,1m:1d,10m:14d,2h:1y"))
    assert geometry.size <= 2 * 2**20
    for number, archive in enumerate(geometry.retention.archives):
        for slot in range(archive.points):
            start = geometry.offset_of_slot(number, slot)
            assert start // 4096 == (start + geometry.slot_size(number) - 1) // 4096
