"""What users call: recorded exactly, and never in the way."""

from __future__ import annotations

import enum
import math
import sys
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ground.exceptions import SeriesNameError
from inapp_monitor.ground.points import Method, Scalar
from inapp_monitor.recorder import instruments as module
from inapp_monitor.recorder.instruments import (
    COUNTER,
    GAUGE,
    GAUGE_DELTA,
    SET,
    TIMER,
    Instruments,
)
from tests.each import each

STEP = 1_700_000_000


def new_instruments(**limits: Any) -> Instruments:
    settings: dict[str, Any] = {
        "max_series": 100,
        "max_pending": 1_000,
        "strict": False,
        "first_use": lambda: None,
        **limits,
    }
    return Instruments(**settings)


def take(instruments: Instruments, step: int = STEP) -> tuple[list[Scalar], list[Any]]:
    instruments.fold(instruments.pending, step)
    instruments.pending.clear()
    return instruments.take(step)


def value_of(instruments: Instruments, step: int = STEP) -> Any:
    (scalar,) = take(instruments, step)[0]
    return scalar.value


def test_counter_sums() -> None:
    """Calls of a counter add up to one delta of method sum."""
    instruments = new_instruments()
    for value in (1, 2.5, -1):
        instruments.record(COUNTER, "orders", value)
    assert take(instruments) == ([Scalar("orders", STEP, 2.5, Method.SUM)], [])
    assert take(instruments) == ([], [])


def test_gauge_keeps_the_last() -> None:
    """A gauge is its last value; a delta moves it, also after a flush."""
    instruments = new_instruments()
    instruments.record(GAUGE, "queue", 7)
    instruments.record(GAUGE, "queue", 3)
    assert take(instruments)[0] == [Scalar("queue", STEP, 3.0, Method.LAST)]
    instruments.record(GAUGE_DELTA, "queue", -1)
    assert value_of(instruments) == 2.0


def test_timer_is_a_distribution() -> None:
    """Timings, numbers in ms or timedeltas, become a histogram."""
    instruments = new_instruments()
    for value in (10, timedelta(seconds=1), 0):
        instruments.record(TIMER, "query", value)
    ((path, timestamp, histogram),) = take(instruments)[1]
    assert (path, timestamp, histogram.count, histogram.maximum) == ("query", STEP, 3, 1000.0)


def test_set_counts_distinct_members_of_a_step() -> None:
    """A member counts once in a step, over any number of flushes, and again in the next step."""
    instruments = new_instruments()
    for member in ("ann", "bob", "ann", 1, b"x", ("t", 1)):
        instruments.record(SET, "users", member)
    assert value_of(instruments) == 5
    instruments.record(SET, "users", "ann")
    instruments.record(SET, "users", "eve")
    assert value_of(instruments) == 1
    instruments.record(SET, "users", "ann")
    assert value_of(instruments, STEP + 10) == 1
    instruments.record(SET, "users", "ann")
    assert take(instruments, STEP + 10)[0] == []


def test_set_keeps_no_large_or_foreign_objects() -> None:
    """Members are remembered in bounded size, and nobody's objects are kept alive."""
    instruments = new_instruments()
    member = type("Order", (), {})()
    instruments.record(SET, "orders", member)
    instruments.record(SET, "orders", "x" * 1_000_000)
    assert all(value is not member and len(str(value)) < 200 for _, _, value in instruments.pending)
    assert value_of(instruments) == 2


class Unequal(str):
    """A text that cannot be compared, with more to it than the text."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise ValueError("not to be compared")


class Colour(str, enum.Enum):  # noqa: UP042  # as many have it
    """A text that says another thing when it is formatted."""

    RED = "red"


@each("value", [1 << 100_000, -(1 << 100_000), b"x" * 1_000], ids=type)
def test_a_set_member_is_small(value: object) -> None:
    """Of numbers and bytes, too, no more than a hash is kept when they are large."""
    instruments = new_instruments()
    instruments.record(SET, "orders", value)
    instruments.record(SET, "orders", value)
    assert all(sys.getsizeof(member) < 300 for _, _, member in instruments.pending)
    assert value_of(instruments) == 1


def test_a_set_member_of_a_subclass_is_what_it_says() -> None:
    """Whatever it overrides: it is neither kept nor asked."""
    instruments = new_instruments()
    for value in ("red", Unequal("red"), Colour.RED, 1, np.float64(1.0), True):
        instruments.record(SET, "colours", value)
    assert {type(value) for _, _, value in instruments.pending} <= {str, int, float}
    assert value_of(instruments) == 2


class Unhashed(str):
    """A name that answers when it is first asked, and fails in the fold."""

    asked = 0

    def __hash__(self) -> int:
        Unhashed.asked += 1
        if Unhashed.asked > 3:
            raise ValueError("no hash")
        return str.__hash__(self)


def test_a_name_of_a_subclass_is_what_it_says() -> None:
    """Its calls, and those of others in the same fold, are counted under an honest string."""
    instruments = new_instruments()
    for name in ("before", Unhashed("odd"), Colour.RED, "red"):
        instruments.record(COUNTER, name, 1)
    found = {path: value for path, _, value, _ in take(instruments)[0]}
    assert found == {"before": 1.0, "odd": 1.0, "red": 2.0}
    assert {type(path) for path in found} == {str}


def test_a_child_was_refused_nothing() -> None:
    """What a parent's calls did wrong is not reported again by its children."""
    instruments = new_instruments()
    instruments.record(COUNTER, "", 1)
    instruments.forked()
    assert (instruments.refused, instruments.misuses) == ({}, {})


def test_set_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit further members are not counted, which is."""
    monkeypatch.setattr(module, "MAX_SET_MEMBERS", 10)
    instruments = new_instruments()
    for n in range(50):
        instruments.record(SET, "users", n)
    assert value_of(instruments) == 10
    assert instruments.refused == {"set members past the limit of a step": 40}


@each("value", [1, 1.5, -2, Decimal("1.5"), Fraction(1, 2), np.int64(3), np.float32(1.5)], ids=repr)
def test_any_real_number_counts(value: Any) -> None:
    """Numbers of other libraries are numbers."""
    instruments = new_instruments()
    instruments.record(COUNTER, "n", value)
    assert value_of(instruments) == float(value)


class Unprintable:
    """An object on which everything fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __hash__ = __eq__ = __float__ = __repr__  # type: ignore[assignment]


BAD_VALUES = [None, "7", b"7", True, [], {}, object(), Unprintable(), math.nan, math.inf, -math.inf]
BAD_VALUES += [1e300, 10**400, Decimal("NaN"), 1j]
BAD_NAMES = [
    None,
    7,
    b"x",
    [],
    "",
    ".",
    "a..b",
    "a.",
    "a b",
    "a\nb",
    "x" * 300,
    "a*",
    Unprintable(),
]


@each("kind", [COUNTER, GAUGE, GAUGE_DELTA, TIMER])
@each("value", BAD_VALUES, ids=lambda value: type(value).__name__)
def test_bad_value_is_counted_with_its_place(kind: Any, value: Any) -> None:
    """A value that is no number never raises; its call site is remembered."""
    instruments = new_instruments()
    instruments.record(kind, "name", value)
    assert instruments.pending == []
    assert instruments.refused == {"misuse": 1}
    assert all(place.startswith(f"{__file__}:") for place, _ in instruments.misuses)


@each("name", BAD_NAMES, ids=lambda name: type(name).__name__)
def test_bad_name_is_counted_with_its_place(name: Any) -> None:
    """A name that cannot be stored never raises."""
    instruments = new_instruments()
    instruments.record(COUNTER, name, 1)
    assert instruments.pending == []
    assert instruments.refused == {"misuse": 1}


def test_negative_timing_is_misuse() -> None:
    """A duration below zero is refused."""
    instruments = new_instruments()
    instruments.record(TIMER, "t", -0.1)
    assert instruments.refused == {"misuse": 1}


@each("value", [[], {}, Unprintable()], ids=lambda v: type(v).__name__)
def test_unhashable_member_is_misuse(value: Any) -> None:
    """A set's member must be hashable."""
    instruments = new_instruments()
    instruments.record(SET, "users", value)
    assert instruments.refused == {"misuse": 1}


def test_misuse_of_one_place_is_one_entry() -> None:
    """A line that misuses in a loop, each time with another value, is listed once."""
    instruments = new_instruments()
    for n in range(200):
        instruments.record(TIMER, "t", -float(n) - 1)
    ((_, problem),) = instruments.misuses
    assert instruments.misuses == {next(iter(instruments.misuses)): 200}
    assert "negative" in problem


def test_misuses_are_bounded() -> None:
    """Places past the limit are only counted."""
    instruments = new_instruments()
    for n in range(200):
        exec(
            compile("record('counter', '', 1)", f"file{n}.py", "exec"),
            {"record": instruments.record},
        )
    assert len(instruments.misuses) == module.MAX_MISUSES
    assert instruments.refused == {"misuse": 200}


@each(
    ("call", "error"),
    [
        ((COUNTER, "a b", 1), SeriesNameError),
        ((COUNTER, "a", None), TypeError),
        ((TIMER, "a", -1), ValueError),
        ((SET, "a", []), TypeError),
    ],
    ids=str,
)
def test_strict_raises(call: Any, error: type[Exception]) -> None:
    """In tests misuse raises."""
    with pytest.raises(error):
        new_instruments(strict=True).record(*call)


def test_name_keeps_its_kind() -> None:
    """A name cannot be a counter here and a timer there."""
    instruments = new_instruments()
    instruments.record(COUNTER, "x", 1)
    instruments.record(TIMER, "x", 1)
    assert instruments.refused == {"misuse": 1}
    instruments.record(GAUGE, "g", 1)
    instruments.record(GAUGE_DELTA, "g", 1)
    assert instruments.refused == {"misuse": 1}


def test_names_are_bounded() -> None:
    """Past max_series new names are refused, counted and shown; known ones go on."""
    instruments = new_instruments(max_series=2)
    for name in ("a", "b", "c", "d", "a"):
        instruments.record(COUNTER, name, 1)
    assert {name for _, name, _ in instruments.pending} == {"a", "b"}
    assert instruments.refused["too many series"] == 2


def test_pending_calls_are_bounded() -> None:
    """When nothing folds, calls past the limit are refused and counted."""
    instruments = new_instruments(max_pending=3)
    for _ in range(5):
        instruments.record(COUNTER, "a", 1)
    assert len(instruments.pending) == 3
    assert instruments.refused == {"too many calls since the last fold": 2}


def test_a_failing_owner_is_not_seen() -> None:
    """What goes wrong when the monitor attaches does not reach the caller."""

    def fail() -> None:
        raise RuntimeError("no threads here")

    new_instruments(first_use=fail).record(COUNTER, "a", 1)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-1000, 1000)), max_size=50))
def test_counters_are_exact(calls: list[tuple[str, int]]) -> None:
    """Whatever is counted adds up, over any flushes."""
    instruments = new_instruments()
    expected: dict[str, float] = {}
    total: dict[str, float] = {}
    for number, (name, value) in enumerate(calls):
        instruments.record(COUNTER, name, value)
        expected[name] = expected.get(name, 0) + value
        if number % 7 == 0:
            for scalar in take(instruments)[0]:
                total[scalar.path] = total.get(scalar.path, 0) + scalar.value
    for scalar in take(instruments)[0]:
        total[scalar.path] = total.get(scalar.path, 0) + scalar.value
    assert total == expected
