"""Numbers and times for people: units, thousands, ages. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo
from typing import Literal

#: What a value measures: `ms` durations, `bytes`, `rate` (per second), `percent`, `count`, or "".
Unit = Literal["ms", "bytes", "rate", "percent", "count", ""]

_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"))
_BYTES = ((2**40, "TB"), (2**30, "GB"), (2**20, "MB"), (2**10, "kB"))
_NOTHING = "–"


def value(number: float | None, unit: Unit = "") -> str:
    """A value with its unit, three significant digits: `812 ms`, `1.93 s`, `61 MB`, `71.2 /s`."""
    if number is None or not math.isfinite(number):
        return _NOTHING
    match unit:
        case "ms":
            return _duration_ms(number)
        case "bytes":
            for size, name in _BYTES:
                if abs(number) >= size:
                    return f"{_digits(number / size)} {name}"
            return f"{_digits(number)} B"
        case "percent":
            if 0 < number < 0.005:
                return "< 0.01 %"
            if 99.9 < number < 100:
                return "99.9 %"  # not all of them
            text = _digits(number) if abs(number) >= 10 else f"{number:.2f}"
            return f"{text} %"
        case "rate":
            return f"{plain(number)} /s"
        case _:
            return plain(number)


def plain(number: float) -> str:
    """A number without unit: `1,930`, `12.4 M`, `0.02`."""
    if not math.isfinite(number):
        return _NOTHING
    for size, name in _SI:
        if abs(number) >= size:
            return f"{_digits(number / size)} {name}"
    return _digits(number)


def count(number: float | None) -> str:
    """A whole number with thousands separators: `71,204`."""
    if number is None or not math.isfinite(number):
        return _NOTHING
    return f"{round(number):,}"


def seconds(number: float | None) -> str:
    """A length of time: `8 min`, `2 h`, `6 d`."""
    if number is None or not math.isfinite(number):
        return _NOTHING
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if number >= size:
            return f"{number / size:.0f} {name}"
    return f"{max(number, 0):.0f} s"


def ago(timestamp: float | None, now: float) -> str:
    """How long since: `just now`, `2 min ago`."""
    if timestamp is None or not math.isfinite(timestamp) or timestamp <= 0:
        return "never"
    age = now - timestamp
    return "just now" if age < 5 else f"{seconds(age)} ago"


def moment(timestamp: float, zone: tzinfo = UTC) -> str:
    """A point in time: `2026-11-23 14:43:05 CET`."""
    return _at(timestamp, zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def time_of_day(timestamp: float, zone: tzinfo = UTC) -> str:
    """A time of day: `14:43:05.250`."""
    return _at(timestamp, zone).strftime("%H:%M:%S.%f")[:-3]


def period(start: float, end: float, zone: tzinfo = UTC) -> str:
    """A window: `23 Nov 01:59 – 02:17`, with what both ends share said once."""
    first, last = _at(start, zone), _at(end, zone)
    form = "%H:%M:%S" if end - start < 3_600 else "%H:%M"
    day, other = f"{first.day} {first:%b}", f"{last.day} {last:%b}"
    if first.year != last.year:
        day, other = f"{day} {first.year}", f"{other} {last.year}"
    return f"{day} {first:{form}} – {'' if day == other else other + ' '}{last:{form}}"


def iso(timestamp: float) -> str:
    """A point in time for machines, UTC."""
    return _at(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def change(current: float | None, before: float | None) -> str:
    """How a value moved: `+73 %`, `×6.1`, `-12 %`; "" where there is nothing to compare."""
    if current is None or before is None or not math.isfinite(current) or not before > 0:
        return ""
    ratio = current / before
    if ratio >= 3:
        return f"×{_digits(ratio)}"
    return f"{(ratio - 1) * 100:+.0f} %".replace("-0 %", "±0 %").replace("+0 %", "±0 %")


def shorten(text: str, length: int) -> str:
    """At most `length` characters, the middle left out."""
    if len(text) <= length:
        return text
    tail = length // 3
    return f"{text[: length - tail - 1]}…{text[-tail:]}"


def _duration_ms(number: float) -> str:
    size = abs(number)
    if size < 1 and number:
        return f"{_digits(number * 1_000)} µs"
    if size < 1_000:
        return f"{_digits(number)} ms"
    if size < 120_000:
        return f"{_digits(number / 1_000)} s"
    if size < 7_200_000:
        return f"{_digits(number / 60_000)} min"
    return f"{_digits(number / 3_600_000)} h"


def _digits(number: float) -> str:
    """Three significant digits, no exponent, thousands separated, no trailing zeros."""
    if number == 0:
        return "0"
    size = abs(number)
    if size >= 100:
        return f"{number:,.0f}"
    places = 1 if size >= 10 else 2 if size >= 1 else min(3 - math.floor(math.log10(size)) - 1, 6)
    text = f"{number:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _at(timestamp: float, zone: tzinfo) -> datetime:
    try:
        return datetime.fromtimestamp(timestamp, zone)
    except (OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(0, zone)
