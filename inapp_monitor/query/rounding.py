"""Decimal rounding of arrays exactly as Python's `round` does it. Pure.

`numpy.round` multiplies, rounds and divides, which is wrong where the product falls on a half by
accident; those few values are rounded one by one.
"""

from __future__ import annotations

import numpy as np

from inapp_monitor.query.series import Floats

_EXACT = 2.0**52
_MAX_FAST_DIGITS = 15


def round_half_even(values: Floats, digits: int) -> Floats:
    """Every value rounded to a number of decimals (negative: to tens, hundreds, ...)."""
    if digits > 330 or not len(values):
        return values
    if digits < -330:
        return np.where(np.isfinite(values), values * 0.0, values)
    result = values.copy()
    odd = np.isfinite(values)
    if 0 <= digits <= _MAX_FAST_DIGITS:
        with np.errstate(all="ignore"):
            scaled = values * 10.0**digits
            nearest = np.rint(scaled)
            quick = odd & (np.abs(scaled) < _EXACT)
            result[quick] = nearest[quick] / 10.0**digits
            distance = np.abs(np.abs(scaled - nearest) - 0.5)
            close = distance <= 1e-6 + np.abs(scaled) * 1e-15
            odd = odd & (~quick | close)
    for i in np.flatnonzero(odd):
        try:
            result[i] = round(float(values[i]), digits)
        except OverflowError:
            result[i] = values[i]
    return result
