"""Numbers and times as lines write them: ASCII digits, nothing that Python's float adds. Pure.

`1_000`, `0x10`, Arabic digits and `True` are no numbers here. Times follow Carbon: `-1` and `N` are
now; one in milliseconds is known by its size.
"""

from __future__ import annotations

import re
from math import isfinite

from inapp_monitor.ingest.protocols.parsed import Parsed, RejectedError

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_NAN = re.compile(r"[+-]?nan", re.IGNORECASE | re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE | re.ASCII)
#: Longer ones are no measurement.
_MAX_DIGITS = 400
#: From here on a time is one in milliseconds: the year 5138 in seconds.
_FIRST_MS = 1e11
_LAST_MS = 1e14
#: Seconds around now in which a lone value is taken for a time: its sender has forgotten the value.
_YEAR_S = 366 * 86_400.0


def number(text: str) -> float:
    """A finite number.

    Raises:
        RejectedError: `nonfinite` for infinities, `value` for everything else.
    """
    if _NUMBER.fullmatch(text) is None or len(text) > _MAX_DIGITS:
        raise RejectedError("nonfinite" if is_infinite(text) else "value")
    value = float(text)
    if not isfinite(value):
        raise RejectedError("nonfinite")
    return value


def is_nan(text: str) -> bool:
    """Whether it says that there is no value."""
    return _NAN.fullmatch(text) is not None


def is_infinite(text: str) -> bool:
    """Whether it is one of the infinities, as `+Inf`."""
    return _INFINITE.fullmatch(text) is not None


def timestamp(text: str, parsed: Parsed) -> float | None:
    """Seconds since the epoch; None for now.

    Raises:
        RejectedError: `timestamp`.
    """
    if text == "N":
        return None
    if _NUMBER.fullmatch(text) is None or len(text) > _MAX_DIGITS:
        raise RejectedError("timestamp")
    return in_seconds(float(text), parsed)


def in_seconds(value: float, parsed: Parsed) -> float | None:
    """A time that is given as a number; None for now.

    Raises:
        RejectedError: `timestamp`, it is not finite.
    """
    if not isfinite(value):
        raise RejectedError("timestamp")
    if value == -1.0:
        return None
    if _FIRST_MS <= value < _LAST_MS:
        parsed.note("time in milliseconds")
        return value / 1000.0
    return value


def looks_like_a_time(value: float, now: float) -> bool:
    """Whether a value without a time is rather a time without a value."""
    return abs(value - now) < _YEAR_S or abs(value / 1000.0 - now) < _YEAR_S
