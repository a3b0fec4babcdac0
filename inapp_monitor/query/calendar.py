"""Beginnings of minutes, hours, days, weeks, months and years in a zone, and round times. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta, tzinfo

from inapp_monitor.query.timespec import to_local


def floor_to(unit: str, moment: int, tz: tzinfo, weekday: int = 1) -> int:
    """The last beginning of `unit` (`hours`, `days`, ...) at or before `moment`, epoch seconds.

    Args:
        weekday: First day of the week for `weeks`, Monday is 1.
    """
    local = datetime.fromtimestamp(moment, tz).replace(tzinfo=None)
    if unit == "seconds":
        return moment
    keep = ("years", "months", "days", "hours", "minutes").index(
        "days" if unit == "weeks" else unit
    )
    parts = [local.year, local.month, local.day, local.hour, local.minute]
    year, month, day, hour, minute = parts[: keep + 1] + [1, 1, 1, 0, 0][keep + 1 :]
    floored = datetime(year, month, day, hour, minute)
    if unit == "weeks":
        floored -= timedelta(days=(local.isoweekday() - weekday) % 7)
    return int(to_local(floored, tz).timestamp())


_DAY_S = 86_400
#: All offsets from UTC of our days are multiples of this, in seconds.
_OFFSETS_S = 900
#: Clocks are set by no more than this; what comes before the next round time by so much may be one.
_LARGEST_SHIFT_S = 7_200
_MOST_TICKS = 1_000


def round_times(start: float, end: float, step: int, tz: tzinfo) -> Iterator[int]:
    """The moments within start..end at which clocks in the zone show a multiple of `step` seconds
    (at most a day's) since midnight: none in an hour that is left out, all of one that comes twice.
    """
    stride = math.gcd(step, _OFFSETS_S)
    moment = math.ceil(start / stride) * stride
    last = min(end, start + _MOST_TICKS * step)
    while moment <= last:
        local = datetime.fromtimestamp(moment, tz)
        if (local.hour * 3600 + local.minute * 60 + local.second) % step == 0:
            yield moment
            moment += max(step - _LARGEST_SHIFT_S, 0) // stride * stride
        moment += stride


def midnights(start: float, end: float, days: int, tz: tzinfo) -> Iterator[tuple[int, date]]:
    """The beginnings of every `days`-th day within start..end, with their dates; of weeks the
    Mondays."""
    day = datetime.fromtimestamp(start, tz).date()
    day -= timedelta(days=(day.toordinal() - 1) % days)
    for _ in range(_MOST_TICKS):
        moment = int(to_local(datetime(day.year, day.month, day.day), tz).timestamp())
        if moment > end:
            return
        if moment >= start:
            yield moment, day
        try:
            day += timedelta(days=days)
        except OverflowError:
            return
