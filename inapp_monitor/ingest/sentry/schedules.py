"""When a job is due next: crontab lines and intervals, in a time zone. Pure.

Crontab as cron reads it: five fields of numbers, names, lists, ranges and steps, `@daily` and its
kin; where both days are restricted, either of them suffices.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

_MACROS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}  # fmt: skip
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_PART = re.compile(r"(\*|\w{1,3})(?:-(\w{1,3}))?(?:/(\d{1,2}))?")
_UNITS_S = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800,
            "month": 2_629_800, "year": 31_557_600}  # fmt: skip
#: A line such as `0 0 29 2 *` has its next time within this.
_MOST_DAYS = 9 * 366
_LONGEST_S = 10 * 366 * 86_400


class Crontab(NamedTuple):
    """The minutes, hours, days, months and weekdays of a line; 0 is Sunday.

    Attributes:
        any_day, any_weekday: Whether the field is not restricted.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool


def parse_crontab(line: str) -> Crontab:
    """A line of crontab.

    Raises:
        ValueError: it is none; the message says which field.
    """
    line = _MACROS.get(line.strip().lower(), line)
    fields = line.split()
    if len(fields) != 5:
        raise ValueError(f"a crontab line has five fields, got {line[:80]!r}")
    found = [_values(text, *limits) for text, limits in zip(fields, _FIELDS, strict=True)]
    return Crontab(
        tuple(sorted(found[0])),
        tuple(sorted(found[1])),
        frozenset(found[2]),
        frozenset(found[3]),
        frozenset(day % 7 for day in found[4]),
        fields[2].startswith("*"),
        fields[4].startswith("*"),
    )


def next_of_crontab(line: Crontab, after: float, zone: str = "UTC") -> float | None:
    """The first time of a line after a moment, both in seconds since 1970 UTC.

    Raises:
        ValueError: no zone of this name.
    """
    tz = zone_of(zone)
    begin = datetime.fromtimestamp(after, tz).replace(second=0, microsecond=0, tzinfo=None)
    day = begin.date()
    for _ in range(_MOST_DAYS):
        if day.month in line.months and _is_day(line, day.day, day.isoweekday() % 7):
            for hour in line.hours:
                for minute in line.minutes:
                    local = datetime(day.year, day.month, day.day, hour, minute)
                    moment = local.replace(tzinfo=tz).astimezone(UTC).timestamp()
                    if moment > after:
                        return moment
        day += timedelta(days=1)
    return None


def next_of_interval(value: int, unit: str, after: float) -> float:
    """A time later, at most ten years.

    Raises:
        ValueError: no unit, or no positive number.
    """
    if unit not in _UNITS_S or value < 1:
        raise ValueError(f"an interval is a number of {', '.join(_UNITS_S)}s")
    return after + min(value * _UNITS_S[unit], _LONGEST_S)


def zone_of(name: str) -> ZoneInfo:
    """The zone of a name such as `Europe/Berlin`.

    Raises:
        ValueError: there is none.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(/[A-Za-z0-9_+-]{1,30}){0,2}", name):
        raise ValueError(f"no time zone {name[:60]!r}")
    try:
        return ZoneInfo(name)
    except Exception as error:  # a file that is none, a directory
        raise ValueError(f"no time zone {name[:60]!r}") from error


def _is_day(line: Crontab, day: int, weekday: int) -> bool:
    if line.any_day or line.any_weekday:
        return day in line.days and weekday in line.weekdays
    return day in line.days or weekday in line.weekdays


def _values(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in text.lower().split(",")[:60]:
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"crontab field {text[:40]!r} cannot be read")
        first, last, step = match.groups()
        every = int(step or 1)
        begin = low if first == "*" else _number(first)
        end = high if first == "*" or (step and not last) else begin
        end = _number(last) if last else end
        if every < 1 or not low <= begin <= end <= high:
            raise ValueError(f"crontab field {text[:40]!r} must be from {low} to {high}")
        found.update(range(begin, end + 1, every))
    return found


def _number(text: str) -> int:
    if text in _MONTHS:
        return _MONTHS.index(text) + 1
    if text in _DAYS:
        return _DAYS.index(text)
    if not text.isdigit():
        raise ValueError(f"crontab value {text!r} is neither a number nor a name")
    return int(text)
