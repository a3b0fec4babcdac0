"""Numbers in verdicts and messages are read by people: no exponents, thousands separated."""

from __future__ import annotations

import math

import pytest

from inapp_monitor.alerts import trouble_words
from inapp_monitor.alerts.shown_numbers import shown
from inapp_monitor.alerts.trouble import Trouble


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 4, "0"),
        (0.0213, 4, "0.0213"),
        (812.54, 4, "812.5"),
        (999.97, 4, "1,000"),
        (12_345.6, 4, "12,346"),
        (-12_345.6, 4, "-12,346"),
        (1_023.0, 3, "1,023"),
        (99.97, 3, "100"),
        (2.345, 3, "2.35"),
        (2.5e9, 4, "2,500,000,000"),
        (math.nan, 4, "nan"),
        (math.inf, 4, "inf"),
    ],
)
def test_a_number_is_shown_without_an_exponent(value: float, digits: int, text: str) -> None:
    """Significant digits behind the point, all digits before it."""
    assert shown(value, digits) == text


@pytest.mark.parametrize(
    ("bad", "share"), [(12_345, "100 %"), (12_344, "99.9 %"), (12_000, "97.2 %"), (0, "0 %")]
)
def test_nearly_all_requests_are_not_all(bad: int, share: str) -> None:
    """100 % is said where each request has failed, and only there."""
    trouble = Trouble("pay", "fail", 0.0, 5.0, 12_345, bad, 0)
    detail = trouble_words.words(trouble, 60.0, str).detail
    assert detail.startswith(f"{share}: {bad:,} of 12,345 requests failed")
