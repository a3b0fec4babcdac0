"""The histogram is exact where it says so, and within its stated error everywhere else."""

import math
import random
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.ground import histogram as module
from inapp_monitor.ground.histogram import (
    MAX_SHIFT,
    Histogram,
    bucket_bounds,
    bucket_numbers,
    nearest_rank,
    relative_error,
)

VALUES = st.floats(0.0, 2.0**100, width=32, allow_subnormal=False)
LISTS = st.lists(VALUES, max_size=60)
SHIFTS = st.integers(0, MAX_SHIFT)


def shifted(values: list[float], shift: int) -> Histogram:
    histogram = Histogram.of(values)
    histogram.coarsen(shift)
    return histogram


def merged(*histograms: Histogram) -> Histogram:
    def merge(left: Histogram, right: Histogram) -> Histogram:
        result = left.copy()
        result.merge(right)
        return result

    return reduce(merge, histograms)


def same(left: Histogram, right: Histogram) -> bool:
    """Equal but for the last digits of the float sum, which depend on the order of adding."""
    totals = math.isclose(left.total, right.total, rel_tol=1e-9, abs_tol=1e-30)
    left.total = right.total
    return totals and left == right


@given(VALUES)
def test_a_value_lies_in_its_bucket(value: float) -> None:
    """The bounds of a value's bucket enclose it."""
    lower, upper = bucket_bounds(bucket_numbers([value])[0])
    assert lower <= value < upper


@given(st.floats(1e-30, 1e30), SHIFTS)
def test_a_midpoint_is_within_the_stated_error(value: float, shift: int) -> None:
    """What is reported for a bucket differs by at most `relative_error(shift)`."""
    lower, upper = bucket_bounds(bucket_numbers([value])[0] >> shift, shift)
    assert abs((lower + upper) / 2 - value) <= relative_error(shift) * value * (1 + 1e-6)


@given(LISTS, LISTS, LISTS)
def test_merging_equals_recording_everything_in_one(
    a: list[float], b: list[float], c: list[float]
) -> None:
    """Any order and grouping of merges gives the histogram of all values."""
    everything = Histogram.of(a + b + c)
    x, y, z = map(Histogram.of, (a, b, c))
    assert same(merged(merged(x, y), z), everything.copy())
    assert same(merged(z, merged(y, x)), everything.copy())


@given(LISTS, LISTS, SHIFTS, SHIFTS)
def test_histograms_of_different_shift_merge_at_the_coarser(
    a: list[float], b: list[float], shift_a: int, shift_b: int
) -> None:
    """Coarsening before or after merging makes no difference."""
    together = merged(shifted(a, shift_a), shifted(b, shift_b))
    assert same(together, shifted(a + b, max(shift_a, shift_b)))


@given(st.lists(VALUES, min_size=1, max_size=60), st.floats(0, 1), SHIFTS)
def test_a_quantile_is_within_the_error_of_the_exact_one(
    values: list[float], q: float, shift: int
) -> None:
    """Nearest rank on the sorted values, within `relative_error(shift)`."""
    exact = sorted(values)[nearest_rank(q, len(values)) - 1]
    got = shifted(values, shift).quantile(q)
    assert abs(got - exact) <= relative_error(shift) * exact * (1 + 1e-6) + 1e-37


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10_000), st.integers(0, 1000), st.integers(0, 999))
def test_a_quantile_is_the_value_of_the_nearest_rank(count: int, per_mille: int, seed: int) -> None:
    """Of n values, p95 is the one of rank ceil(0.95 n): never the one below it."""
    chosen = random.Random(seed)  # whole numbers below 129 have buckets of their own
    values = [float(chosen.randint(1, 128)) for _ in range(count)]
    rank = max(-(-per_mille * count // 1000), 1)
    found = Histogram.of(values).quantile(per_mille / 1000)
    assert math.floor(found) == sorted(values)[rank - 1]


def test_an_outlier_among_few_is_the_p99() -> None:
    """p99 of two values is the larger one, and of twenty the single outlier."""
    assert Histogram.of([14.5, 193.8]).quantile(0.99) == pytest.approx(193.8, rel=1e-6)
    assert Histogram.of([3.0] * 19 + [800.0]).quantile(0.99) == 800.0
    assert Histogram.of([3.0] * 19 + [800.0]).quantile(0.95) == pytest.approx(3.0, rel=0.01)


@given(st.lists(VALUES, max_size=60), st.lists(st.floats(-0.1, 1.1), max_size=8), SHIFTS)
def test_several_quantiles_at_once_are_those_one_by_one(
    values: list[float], fractions: list[float], shift: int
) -> None:
    """In the order in which they were asked for; the ends are the extremes, exactly."""
    whole = shifted(values, shift)
    found = whole.quantiles(fractions)
    assert [repr(value) for value in found] == [repr(whole.quantile(q)) for q in fractions]
    if values:
        assert whole.quantiles([0.0, 1.0]) == [min(values), max(values)]


@given(st.lists(st.one_of(st.none(), LISTS.map(Histogram.of)), max_size=5))
def test_many_are_merged_into_one(slots: list[Histogram | None]) -> None:
    """Missing and empty ones add nothing, and none of them is changed."""
    before = [None if slot is None else slot.copy() for slot in slots]
    whole = module.merged(slots)
    assert slots == before
    known = [slot for slot in slots if slot is not None and slot.count]
    assert (whole is None) == (not known)
    if whole is not None:
        assert same(whole.copy(), merged(*known))


def test_merging_does_not_change_the_other() -> None:
    """The merged histogram stays usable."""
    left, right = Histogram.of([1.0]), Histogram.of([2.0, 3.0])
    before = right.copy()
    left.merge(right)
    assert right == before


def test_an_empty_histogram_has_no_statistics() -> None:
    """NaN, not zero: nothing was measured."""
    empty = Histogram()
    assert all(map(math.isnan, (empty.mean, empty.stddev, empty.quantile(0.5))))
    assert math.isnan(empty.fraction_at_most(1.0))


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, 1e39])
def test_values_that_cannot_be_counted_are_refused(value: float) -> None:
    """Negative, infinite, NaN and beyond float32: ValueError, and nothing is counted."""
    histogram = Histogram()
    with pytest.raises((ValueError, OverflowError)):
        histogram.add([1.0, value])
    assert histogram == Histogram()


def test_mean_is_exact_and_deviation_close() -> None:
    """The mean comes from the sum; the deviation from bucket midpoints."""
    generator = random.Random(7)
    values = [generator.lognormvariate(3, 0.7) for _ in range(5_000)]
    histogram = Histogram.of(values)
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
    assert histogram.mean == pytest.approx(mean, rel=1e-12)
    assert histogram.stddev == pytest.approx(deviation, rel=0.01)


def test_fraction_at_most_counts_the_values_below_a_limit() -> None:
    """What apdex is made of: exact outside the limit's own bucket."""
    histogram = Histogram.of([100.0] * 70 + [900.0] * 20 + [5000.0] * 10)
    assert histogram.fraction_at_most(500.0) == pytest.approx(0.7)
    assert histogram.fraction_at_most(2000.0) == pytest.approx(0.9)
    assert histogram.fraction_at_most(5000.0) == 1.0
    assert histogram.fraction_at_most(1.0) == 0.0
