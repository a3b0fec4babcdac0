"""Texts of many floats that have few decimals, from tables.

Python needs most of the time of an answer to find the shortest text of each float. Where three
decimals say it all, that text is put together from two tables.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from inapp_monitor.query.series import Floats

#: What stands before the point is below this.
_LIMIT = 10_000
_NULL, _NO_FRACTION = 2 * _LIMIT, 1_000

Array = np.ndarray[Any, Any]


class _Tables(NamedTuple):
    """Texts as objects, and as numbers of eight and of four bytes, filled up with zero bytes.

    Attributes:
        wholes: What stands before the point; negative ones behind the others, `null` at the end.
        fractions: The point and what follows; at the end nothing.
    """

    wholes: Array
    fractions: Array
    whole_bytes: Array
    fraction_bytes: Array


@cache
def _tables() -> _Tables:
    """Made when an answer first needs them: 2 MB that most workers never do."""
    wholes = [*map(str, range(_LIMIT)), *(f"-{i}" for i in range(_LIMIT)), "null"]
    fractions = [*("." + (f"{i:03d}".rstrip("0") or "0") for i in range(1_000)), ""]
    return _Tables(
        np.array(wholes, dtype=object),
        np.array(fractions, dtype=object),
        np.array(wholes, dtype="S8").view(np.uint64),
        np.array(fractions, dtype="S4").view(np.uint32),
    )


def short_decimals(values: Floats, null: str) -> list[str] | None:
    """The texts, as `repr` gives them, when all values have at most three decimals and are small.

    Args:
        values: NaN is `null`.
        null: What is written for it.

    Returns:
        None when a value has more decimals, or is large.
    """
    places = _places(values)
    if places is None:
        return None
    wholes, fractions = places
    tables = _tables()
    texts = tables.wholes[wholes] + tables.fractions[fractions]
    if null != "null":
        texts[wholes == _NULL] = null
    found: list[str] = texts.tolist()
    return found


class JoinedDecimals:
    """Texts of values that have the same texts after them, again and again: series of one grid.

    Args:
        after: Of ASCII bytes, one item a value.
    """

    def __init__(self, after: Array) -> None:
        fields = [("whole", np.uint64), ("fraction", np.uint32), ("after", after.dtype)]
        self._cells = np.empty(len(after), fields)
        self._cells["after"] = after

    def text(self, values: Floats) -> str | None:
        """As `short_decimals` in one text, `null` for NaN, with what comes after each."""
        places = _places(values)
        if places is None:
            return None
        tables, cells = _tables(), self._cells
        cells["whole"] = tables.whole_bytes[places[0]]
        cells["fraction"] = tables.fraction_bytes[places[1]]
        return cells.tobytes().translate(None, b"\0").decode("ascii")


def _places(values: Floats) -> tuple[Array, Array] | None:
    """Where the text of each value is in the tables; None when one has no place there."""
    with np.errstate(over="ignore", invalid="ignore"):
        thousandths = np.rint(values * 1_000)
        has_text = (thousandths / 1_000 == values) & (np.abs(thousandths) < 1_000 * _LIMIT)
    nulls = np.flatnonzero(~has_text)
    if len(nulls):
        if not np.isnan(values[nulls]).all():
            return None
        thousandths[nulls] = 0.0
    number = np.abs(thousandths).astype(np.int32)
    wholes = number // 1_000
    fractions = number - 1_000 * wholes
    negative = np.signbit(values)
    if negative.any():
        wholes[negative] += _LIMIT
    wholes[nulls], fractions[nulls] = _NULL, _NO_FRACTION
    return wholes, fractions
