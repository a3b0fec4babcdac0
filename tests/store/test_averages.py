"""An average is its sum by its count, with and without numpy; nothing where none was counted."""

from __future__ import annotations

import math
import subprocess
import sys
from array import array

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.store.averages import averages

assert np  # what draws has loaded it
_COUNTS = st.sampled_from([0.0, -0.0, math.nan]) | st.integers(1, 2**40).map(float)
_SUMS = st.floats(allow_nan=True, allow_infinity=False)


@given(st.lists(st.tuples(_SUMS, _COUNTS), max_size=50))
def test_as_divided_one_by_one(pairs: list[tuple[float, float]]) -> None:
    """To the last bit."""
    sums, counts = (array("d", [pair[i] for pair in pairs]) for i in (0, 1))
    apart = [s / n if n else math.nan for s, n in pairs]
    found = averages(sums, counts)
    assert [value.hex() for value in found] == [value.hex() for value in apart]


def test_without_numpy() -> None:
    """A process that has not loaded it gets the same and does not load it."""
    code = (
        "import sys; from array import array; from inapp_monitor.store.averages import averages;"
        "print(list(averages(array('d', [3, 1]), array('d', [2, 0]))), 'numpy' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "[1.5, nan] False\n", ran.stderr
