"""What is computed for many points or series at once is what each would be by itself."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.query.functions import forecast
from inapp_monitor.query.functions.moving import windowed


def no_limit() -> None:
    """There is time enough."""


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_forecasts_of_many_series_are_those_of_each(data: st.DataObject) -> None:
    """To the last digit, with nulls, infinities and numbers that overflow."""
    odd = data.draw(st.sampled_from([0.0, math.nan, math.inf, 1e308]))
    shape = data.draw(st.integers(4, 9)), data.draw(st.integers(1, 60))
    season = data.draw(st.integers(1, 30))
    order = np.random.default_rng(data.draw(st.integers(0, 9_999)))
    rows = order.normal(50, 20, shape)
    rows[order.random(shape) < data.draw(st.sampled_from([0.0, 0.1, 0.6]))] = odd
    together = forecast.analyse(rows, season, no_limit)
    for row, found in zip(rows, together, strict=True):
        with np.errstate(all="ignore"):
            (alone,) = forecast.analyse(row[np.newaxis], season, no_limit)
        np.testing.assert_array_equal(found.predictions, alone.predictions)
        np.testing.assert_array_equal(found.deviations, alone.deviations)


@pytest.mark.parametrize("points", [1, 2, 3, 10, 23, 24, 25, 65])
@pytest.mark.parametrize("nulls", [0.0, 0.3])
def test_medians_of_windows_are_medians(points: int, nulls: float) -> None:
    """Whether they are selected, sorted or inserted one by one; nulls do not count."""
    order = np.random.default_rng(points)
    values = order.integers(-9, 9, 120).astype(float)
    values[order.random(120) < nulls] = math.nan
    found = windowed("median", values, points, 0.0, no_limit)
    for i, median in enumerate(found.tolist(), points + 1):
        known = [value for value in values[i - points : i].tolist() if value == value]
        expected = statistics.median(known) if known else math.nan
        assert median == expected or (median != median and expected != expected)
