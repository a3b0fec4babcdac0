"""Ranges mean what Nagios plugins mean by them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.alerts.range import Range, status_of
from inapp_monitor.alerts.status import Status
from tests.each import each

TABLE = [
    ("10", [-1, 10.1], [0, 5, 10]),
    ("10:", [9.9, -5], [10, 1e9]),
    ("~:10", [10.1], [10, -1e9]),
    ("10:20", [9.9, 20.1], [10, 15, 20]),
    (":5.75", [-0.1, 5.76], [0, 5.75]),
    ("@10:20", [10, 15, 20], [9.9, 20.1]),
    ("@1:1", [1], [0.9, 1.1]),
    ("1:1", [0, 2], [1]),
    ("~:-95.99", [-95.98, 0], [-95.99, -100]),
    ("12345678901234567890:", [12345678901234567889], [12345678901234567890]),
    ("-10:-5", [-11, -4], [-10, -5]),
    ("0", [-1, 1], [0]),
    ("@~:0", [0, -5], [0.1]),
    ("", [-1], [0, 1e12]),
    ("1e3", [1001], [1000]),
]


@each(("text", "alerts", "fine"), TABLE)
def test_table(text: str, alerts: list[float], fine: list[float]) -> None:
    """Every form: what alerts, and what does not."""
    parsed = Range.parse(text)
    assert [value for value in alerts if not parsed.violated_by(value)] == []
    assert [value for value in fine if parsed.violated_by(value)] == []


BAD = [
    *(
        "2:1",
        "a",
        "10:x",
        "1:2:3",
        "~",
        "@~",
        "1:~",
        "nan",
        "inf",
        "0x10",
        "1_0",
        "٣",
        "5:4",
        "--1",
        "1,5",
    ),
    *("10;", "1e999", "9" * 300, "12%", "/home:10"),
]


@each("text", BAD)
def test_garbage_is_refused(text: str) -> None:
    """What is no range raises an error that names it."""
    with pytest.raises(ValueError, match="range"):
        Range.parse(text)


def test_unquoted_tilde_is_explained() -> None:
    """A shell makes a path of an unquoted `~:10`; the error says so."""
    with pytest.raises(ValueError, match="quote the range"):
        Range.parse("/srv/nagios:10")


def test_unit_of_the_metric_may_follow() -> None:
    """A unit that equals the metric's is accepted, another is not."""
    assert Range.parse("1:12%", "%") == Range(1, 12)
    assert Range.parse("300ms", "ms") == Range(0, 300)
    with pytest.raises(ValueError, match="not a number"):
        Range.parse("300s", "ms")


def test_no_value_is_neither_fine_nor_an_alert() -> None:
    """NaN is UNKNOWN, never OK."""
    with pytest.raises(ValueError, match="UNKNOWN"):
        Range.parse("10").violated_by(math.nan)
    assert status_of(math.nan, Range.parse("10"), None) is Status.UNKNOWN


def test_critical_is_looked_at_first() -> None:
    """A value outside both ranges is CRITICAL."""
    warning, critical = Range.parse("10"), Range.parse("20")
    found = [status_of(value, warning, critical).letter for value in (5, 15, 25, -1)]
    assert found == ["O", "W", "C", "C"]


NUMBERS = st.one_of(st.integers(-(10**20), 10**20), st.floats(-1e6, 1e6).map(lambda x: round(x, 3)))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["", "@"]), NUMBERS, NUMBERS, st.sampled_from("aset"))
def test_written_and_read_again(at: str, one: float, other: float, form: str) -> None:
    """`str` gives a range that `parse` reads as an equal one."""
    low, high = sorted((one, other))
    end = high if high >= 0 else 0
    text = {"a": f"{low}:{high}", "s": f"{low}:", "e": f"{end}", "t": f"~:{high}"}[form]
    parsed = Range.parse(at + text.replace("e+", "e"))
    assert Range.parse(str(parsed)) == parsed
