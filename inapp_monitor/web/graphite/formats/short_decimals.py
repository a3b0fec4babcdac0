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


def joined_decimals(values: Floats, after: Array) -> str | None:
    """The same in one text, `null` for NaN, with something after each.

    Args:
        values: As above.
        after: Of ASCII bytes, one item a value.
    """
    places = _places(values)
    if places is None:
        return None
    made = np.empty(
        len(values), [("whole", np.uint64), ("fraction", np.uint32), ("after", after.dtype)]
    )
    tables = _tables()
    made["whole"] = tables.whole_bytes[places[0]]
    made["fraction"] = tables.fraction_bytes[places[1]]
    made["after"] = after
    return made.tobytes().translate(None, b"\0").decode("ascii")


def _places(values: Floats) -> tuple[Array, Array] | None:
    """Where the text of each value is in the tables; None when one has no place there."""
    is_null = np.isnan(values)
    size = np.abs(np.where(is_null, 0.0, values))
    with np.errstate(over="ignore"):
        thousandths = np.rint(size * 1000)
    if not ((thousandths < 1_000 * _LIMIT) & (thousandths / 1000 == size)).all():
        return None
    number = thousandths.astype(np.int32)
    wholes = number // 1_000
    fractions = number - 1_000 * wholes
    wholes[np.signbit(values)] += _LIMIT
    wholes[is_null], fractions[is_null] = _NULL, _NO_FRACTION
    return wholes, fractions
