"""When something began: the rules behind `for 22 min` in a verdict."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inapp_monitor.web.findings.onset import onset
from inapp_monitor.web.findings.verdicts import slow_since


@pytest.mark.parametrize(
    ("counts", "column", "times"),
    [
        ([1] * 30 + [20] * 10, 30, 20.0),
        ([1] * 10 + [20] * 30, 10, 20.0),  # most of the window is the surge
        ([0] * 20 + [5] * 20, 20, None),  # nothing before
        ([0, 3, 0, 2, 0, 0, 1, 0] * 3 + [9, 0, 12, 8, 11, 0, 10, 9], 24, 9.833),
        ([math.nan] * 20 + [4] * 20, 20, None),
    ],
)
def test_a_rise_is_found_where_it_begins(
    counts: list[float], column: int, times: float | None
) -> None:
    """However long it lasts, and over noise."""
    found = onset(np.array(counts, dtype=float))
    assert found is not None
    assert found.column == column
    assert found.times == (None if times is None else pytest.approx(times, rel=0.01))


@pytest.mark.parametrize(
    "counts",
    [
        [5] * 40,
        [1, 2] * 20,
        [0] * 40,
        [1] * 10 + [30] * 10 + [1] * 20,  # over
        [1] * 20 + [2] * 20,  # not three times as many
        [9],
        [],
    ],
)
def test_what_is_usual_or_over_is_no_rise(counts: list[float]) -> None:
    """No verdict without a change that lasts."""
    assert onset(np.array(counts, dtype=float)) is None


@pytest.mark.parametrize(
    ("p95", "since"),
    [
        ([100] * 5 + [900] * 5, 1_050),
        ([100] * 5 + [900] * 4 + [100], 1_050),  # the present one has just begun
        ([100] * 5 + [None, None] + [900] * 3, 1_070),
        ([900] * 10, None),  # all along
        ([900] * 5 + [100] * 5, None),  # over
    ],
)
def test_a_route_is_slow_since_it_rose_for_good(
    p95: list[float | None], since: float | None
) -> None:
    """Over the target of 250 ms, in columns of 10 s from second 1,000 on."""
    row = {"spark": p95, "spark_start": 1_000, "spark_step": 10}
    assert slow_since(row, 250) == since
