"""What is computed of many columns at once is what a histogram of each would say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.ground.histogram import Histogram, merged
from inapp_monitor.query.merging import merged_slots


def _histogram(values: list[float], shift: int) -> Histogram:
    made = Histogram.of(values)
    made.coarsen(shift)
    return made


_VALUES = st.floats(0, 1e6, width=32) | st.sampled_from([0.0, 1.0, 2.0, 3.4e38])
_HISTOGRAMS = st.none() | st.builds(
    _histogram, st.lists(_VALUES, min_size=1, max_size=40), st.integers(0, 7)
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_HISTOGRAMS, max_size=12),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.05, 0.07, 0.5, 0.95, 0.99, 1.0]),
    st.data(),
)
def test_columns_are_as_their_histograms(
    slots: list[Histogram | None], factor: int, q: float, data: st.DataObject
) -> None:
    """Counts, quantiles, deviations, extremes; a part of the columns; some of them in one."""
    every = merged_slots(slots, 0, factor)
    skipped = data.draw(st.integers(0, len(every)))
    found, apart = every.without(skipped), list(every)[skipped:]
    assert list(found) == apart
    assert found.filled.tolist() == [each is not None for each in apart]
    assert found.counts().tolist() == [each.count if each else 0 for each in apart]
    np.testing.assert_array_equal(
        found.quantiles(q), [math.nan if each is None else each.quantile(q) for each in apart]
    )
    np.testing.assert_allclose(
        found.deviations(), [math.nan if each is None else each.stddev for each in apart], 1e-9
    )
    begin = data.draw(st.integers(0, len(apart)))
    end = data.draw(st.integers(begin, len(apart)))
    whole, expected = found.joined(begin, end), merged(apart[begin:end]) or Histogram()
    assert whole.total == pytest.approx(expected.total, 1e-12)
    whole.total = expected.total
    assert whole == expected


@given(st.integers(1, 10**7), st.sampled_from([0.01, 0.07, 0.29, 0.5, 0.57, 0.95, 0.999]))
@settings(max_examples=60, deadline=None)
def test_quantiles_take_the_nearest_rank(count: int, q: float) -> None:
    """Also where share times count is a whole number but for the rounding of the product."""
    half = Histogram(count, 1.0, 1.0, 9.0, {16256: count // 2, 16384: count - count // 2})
    (found,) = merged_slots([half], 0, 1).quantiles(q).tolist()
    assert found == half.quantile(q)
