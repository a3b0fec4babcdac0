"""Texts put together from tables are those that Python gives each float."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inapp_monitor.web.graphite.formats.short_decimals import JoinedDecimals, short_decimals

_SHORT = st.integers(-9_999_999, 9_999_999).map(lambda n: n / 1_000) | st.just(float("nan"))
_ANY = _SHORT | st.floats()


@settings(max_examples=80, deadline=None)
@given(st.lists(_SHORT, min_size=1, max_size=20) | st.lists(_ANY, min_size=1, max_size=4))
@example([-0.0, 0.0, 9_999.999, -9_999.999, 0.001])
@example([10_000.0])
@example([0.0005])
@example([float("inf")])
def test_texts_are_as_python_gives_them_or_there_are_none(given_values: list[float]) -> None:
    """One by one, and in one piece with a time after each; others are left to Python."""
    values = np.array(given_values)
    expected = ["null" if value != value else repr(value) for value in given_values]
    times = [f", {1_000 ** (at % 3)}]" for at in range(len(values))]
    every = JoinedDecimals(np.array(times, dtype="S"))
    every.text(np.full(len(values), 12.5))  # leaves nothing to the next ones
    joined = every.text(values)
    if short_decimals(values, "null") is None:
        assert joined is None
        assert any(
            not abs(value) < 9_999.9995 or round(value, 3) != value for value in given_values
        )
        return
    assert short_decimals(values, "null") == expected
    assert joined == "".join(a + b for a, b in zip(expected, times, strict=True))
