"""Where the labels of the axes go. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from inapp_monitor.query.calendar import midnights, round_times
from inapp_monitor.query.units import SYSTEMS, format_units
from inapp_monitor.web.human import Unit

_DAY = 86_400
_SECONDS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1_800),
    *(3_600, 7_200, 10_800, 21_600, 43_200),
    *(86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 15_552_000, 31_536_000),
)
#: Parts of a smaller range would be rounded to nothing.
_LEAST_SPAN = 1e-300


class Scale(NamedTuple):
    """A range of values, the distance of its ticks, and the ticks."""

    low: float
    high: float
    step: float
    ticks: list[float]


def value_ticks(low: float, high: float, at_most: int, unit: Unit = "") -> list[float]:
    """Round values within low..high, 0 among them where it lies inside; bytes in powers of two."""
    span = high - low
    if not (math.isfinite(span) and span > _least_span(low, high)) or at_most < 1:
        return []
    least = span / at_most
    step = _round_step(
        max(least, 1.0) if unit == "count" else least,
        1024.0 if unit == "bytes" and high >= 1024 else 10.0,
    )
    return _multiples(step, low, high, at_most)


def value_scale(
    low: float, high: float, at_most: int, fixed: tuple[bool, bool], base: float = 10.0
) -> Scale:
    """A range rounded outwards to its ticks; `fixed` bounds stay as they are."""
    if not math.isfinite(high - low):
        low, high = 0.0, 1.0
    if not high - low > _least_span(low, high):
        high = low + (abs(low) if abs(low) > _LEAST_SPAN else 1.0)
    step = _round_step((high - low) / max(at_most, 1), base if high >= base else 10.0)
    bottom = low if fixed[0] else math.floor(low / step + 1e-9) * step
    top = high if fixed[1] else math.ceil(high / step - 1e-9) * step
    return Scale(bottom, top, step, _multiples(step, bottom, top, at_most + 2))


def time_ticks(
    start: float, end: float, at_most: int, zone: tzinfo = UTC
) -> list[tuple[float, str]]:
    """Round times within start..end with their labels, in the zone's local time."""
    span = end - start
    if not span > 0 or at_most < 1:
        return []
    longest = _SECONDS[-1] * math.ceil(span / at_most / _SECONDS[-1])
    step = next((s for s in _SECONDS if span / s <= at_most), longest)
    try:
        if step < _DAY:
            ticks = list(round_times(start, end, step, zone))
        else:
            ticks = [moment for moment, _ in midnights(start, end, step // _DAY, zone)]
    except (OverflowError, OSError, ValueError):  # beyond what a calendar can say
        return []
    return [(tick, _label(tick, step, span, zone)) for tick in ticks]


def unit_label(value: float, step: float, system: str) -> str:
    """A value with a prefix of Graphite's systems `si` or `binary`: `1.5k`, `1.5Ki`.

    It has the digits that tell it from its neighbours, `step` away.
    """
    if system not in SYSTEMS:
        return f"{value:g}"
    number, prefix = format_units(value, system)
    size = value / number if number else 1.0
    digits = max(0, min(6, -math.floor(math.log10(step / size) + 1e-9)))
    return f"{number:.{digits}f}{prefix}"


def _least_span(low: float, high: float) -> float:
    """Up to which a range is none: floats do not tell its ticks apart."""
    return max(1e-9 * max(abs(low), abs(high)), _LEAST_SPAN)


def _multiples(step: float, low: float, high: float, at_most: int) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, min(last, first + at_most) + 1)]


def _round_step(least: float, base: float) -> float:
    """The smallest of 1, 2, 5 (1, 2, 4... for bytes) times a power of the base that is >= least."""
    power = float(base ** math.floor(math.log(least, base) + 1e-12))
    factors = (1.0, 2.0, 5.0, 10.0) if base == 10 else tuple(2.0**i for i in range(11))
    return power * next((f for f in factors if power * f >= least * (1 - 1e-9)), factors[-1])


def _label(tick: float, step: float, span: float, zone: tzinfo) -> str:
    moment = _local(tick, zone)
    if span > 300 * 86_400:
        return moment.strftime("%b %Y")
    if step >= 86_400 or (moment.hour == moment.minute == moment.second == 0 and step >= 60):
        return f"{moment.day} {moment:%b}"
    return moment.strftime("%H:%M" if step >= 60 else "%H:%M:%S")


def _local(timestamp: float, zone: tzinfo) -> datetime:
    try:
        return datetime.fromtimestamp(timestamp, zone)
    except (OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(0, zone)
