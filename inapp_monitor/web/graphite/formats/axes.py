"""Where axes have their ticks and what is written there. Pure."""

from __future__ import annotations

import math
from datetime import datetime, tzinfo
from itertools import islice
from typing import NamedTuple

from inapp_monitor.query.calendar import midnights, round_times
from inapp_monitor.query.units import format_units

#: Distances of time ticks, in seconds; longer ones are whole days.
_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
)  # fmt: skip
_DAYS = (1, 2, 7, 14, 30, 60, 90, 180, 365, 730, 1825, 3650)
_DAY = 86_400


class Scale(NamedTuple):
    """A range of values and its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]


def value_scale(low: float, high: float, most: int, fixed: tuple[bool, bool]) -> Scale:
    """Round bounds and at most `most` intervals; `fixed` bounds stay as they are."""
    if not math.isfinite(high - low):
        low, high = 0.0, 1.0
    if high <= low:
        high = low + (abs(low) or 1.0)
    step = _round_step((high - low) / max(most, 1))
    bottom = low if fixed[0] else math.floor(low / step) * step
    top = high if fixed[1] else math.ceil(high / step) * step
    first = math.ceil(bottom / step - 1e-9)
    last = math.floor(top / step + 1e-9)
    ticks = tuple(i * step for i in range(first, min(last, first + 100) + 1))
    return Scale(bottom, top, ticks)


def _round_step(step: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(step)) if step > 0 else 1.0
    for factor in (1, 2, 2.5, 5):
        if step <= factor * magnitude * (1 + 1e-9):
            return factor * magnitude
    return 10 * magnitude


def value_label(value: float, step: float, system: str) -> str:
    """A short text for a value on an axis whose ticks are `step` apart."""
    if system not in ("si", "binary"):
        return f"{value:g}"
    number, prefix = format_units(value, system)
    size = value / number if number else 1.0
    digits = max(0, min(6, -math.floor(math.log10(step / size) + 1e-9))) if step > 0 else 0
    return f"{number:.{digits}f}{prefix}"


def time_ticks(start: int, end: int, most: int, tz: tzinfo) -> list[tuple[int, str]]:
    """Moments and labels: at most about `most`, at round times of the zone; none where the
    calendar ends."""
    try:
        return _time_ticks(start, end, most, tz)
    except (OverflowError, OSError, ValueError):
        return []


def _time_ticks(start: int, end: int, most: int, tz: tzinfo) -> list[tuple[int, str]]:
    wanted = max(1, (end - start) // max(1, most))
    for step in _STEPS:
        if step >= wanted:
            return _clock_ticks(start, end, step, tz)
    days = next((d for d in _DAYS if d * _DAY >= wanted), _DAYS[-1])
    return _day_ticks(start, end, days, tz)


def _clock_ticks(start: int, end: int, step: int, tz: tzinfo) -> list[tuple[int, str]]:
    shape = "%H:%M:%S" if step < 60 else "%H:%M"
    ticks: list[tuple[int, str]] = []
    for moment in round_times(start, end, step, tz):
        local = datetime.fromtimestamp(moment, tz)
        at_midnight = (local.hour, local.minute, local.second) == (0, 0, 0)
        ticks.append((moment, local.strftime("%d %b" if at_midnight else shape)))
    return ticks


def _day_ticks(start: int, end: int, days: int, tz: tzinfo) -> list[tuple[int, str]]:
    shape = "%d %b" if days < 180 else "%b %Y"
    found = midnights(start, end, days, tz)
    return [(moment, day.strftime(shape)) for moment, day in islice(found, 100)]
