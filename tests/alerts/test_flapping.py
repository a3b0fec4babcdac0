"""Flapping by Nagios's formula."""

from __future__ import annotations

import random

import pytest

from inapp_monitor.alerts.flapping import change_percent, is_flapping


@pytest.mark.parametrize(
    ("history", "percent"),
    [
        ("", 0.0),
        ("0" * 21, 0.0),
        ("02" * 10 + "0", 100.0),
        ("0" * 14 + "2020202", 40.99),  # measured with Nagios 4.4.6
        ("0" * 20 + "1", 6.25),
        ("1" + "0" * 20, 3.75),
    ],
)
def test_percent(history: str, percent: float) -> None:
    """The share of weighted changes among the last 21 states."""
    assert change_percent([int(letter) for letter in history]) == pytest.approx(percent, abs=0.005)


def test_random_histories_equal_the_formula() -> None:
    """Compared with the formula written out, change by change."""
    rolls = random.Random(1)
    for _ in range(1000):
        history = [rolls.choice((0, 0, 0, 1, 2, 3)) for _ in range(rolls.randint(0, 30))]
        padded = ([0] * 21 + history)[-21:]
        changes = [n for n in range(1, 21) if padded[n] != padded[n - 1]]
        expected = sum(0.75 + (n - 1) * 0.5 / 19 for n in changes) / 20 * 100
        assert change_percent(history) == pytest.approx(expected)


def test_between_the_limits_nothing_changes() -> None:
    """It begins at 20 % and ends at 5 %."""
    assert [is_flapping(percent, False) for percent in (5, 19.9, 20, 50)] == [
        False,
        False,
        True,
        True,
    ]
    assert [is_flapping(percent, True) for percent in (5, 5.1, 19.9, 20)] == [
        False,
        True,
        True,
        True,
    ]
