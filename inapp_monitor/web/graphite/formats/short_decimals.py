"""Texts of many floats that have few decimals, from tables."""

from __future__ import annotations

import numpy as np

from inapp_monitor.query.series import Floats

#: Texts of what stands before and after the point of values with up to three decimals.
_WHOLES = np.array([str(i) for i in range(10_000)], dtype=object)
_FRACTIONS = np.array(["." + (f"{i:03d}".rstrip("0") or "0") for i in range(1_000)], dtype=object)


def short_decimals(values: Floats, null: str) -> list[str] | None:
    """The texts, as `repr` gives them, when all values have at most three decimals and are small.

    Python needs most of the time of an answer to find the shortest text of each float. Where three
    decimals say it all, that text is put together from two tables.

    Args:
        values: NaN is `null`.
        null: What is written for it.

    Returns:
        None when a value has more decimals, or is large.
    """
    is_null = np.isnan(values)
    size = np.abs(np.where(is_null, 0.0, values))
    with np.errstate(over="ignore"):
        thousandths = np.rint(size * 1000)
    if not ((thousandths < 1e7) & (thousandths / 1000 == size)).all():
        return None
    wholes, fractions = np.divmod(thousandths.astype(np.int64), 1000)
    texts = _WHOLES[wholes] + _FRACTIONS[fractions]
    negative = np.signbit(values) & ~is_null
    if negative.any():
        texts[negative] = "-" + texts[negative]
    texts[is_null] = null
    found: list[str] = texts.tolist()
    return found
