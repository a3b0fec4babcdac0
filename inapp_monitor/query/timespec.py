"""Graphite's time words: `now-1d`, `6pm yesterday`, `20231114`, `-1h30min`. Pure: now is given.

    time   = epoch | [time of day] [day] [offset]        `_`, `,` and blanks are dropped
    offset = ("+" | "-") (number unit)+                   units: s min h d w mon y

Beyond Graphite: `12pm` is noon, `m` alone means minutes, and ISO 8601 dates are understood.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from inapp_monitor.ground.exceptions import QueryError

#: Seconds of one unit, by the shortest prefix that names it; months are 30 and years 365 days.
UNITS = (
    ("s", "seconds", 1),
    ("min", "minutes", 60),
    ("h", "hours", 3600),
    ("d", "days", 86_400),
    ("w", "weeks", 604_800),
    ("mon", "months", 30 * 86_400),
    ("y", "years", 365 * 86_400),
)
#: Largest distance and largest time that are understood, in seconds.
MAX_OFFSET_S = 200 * 365 * 86_400
MAX_TIME = 253_402_300_799  # the end of the year 9999

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_OFFSET = re.compile(r"[+-]?(?:[0-9]+[A-Za-z]+)*")
_OFFSET_PART = re.compile(r"([0-9]+)([A-Za-z]+)")
_DROPPED = str.maketrans("", "", "_, ")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{1,2})(am|pm)?")
_HOURS = (re.compile(r"([0-9]{1,2})(am)"), re.compile(r"([0-9]{1,2})(pm)"))
_NAMED_HOURS = {"noon": 12, "midnight": 0, "teatime": 16}
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_SLASHES = re.compile(r"([0-9]+)/([0-9]+)/([0-9]+)")


def parse_time(text: str, now: int, tz: tzinfo = UTC) -> int:
    """The moment that `text` names, in epoch seconds.

    Args:
        text: Any form of this module's docstring; an empty text is `now`.
        now: The current time, in epoch seconds.
        tz: The zone in which days and hours are meant.

    Raises:
        QueryError: the text is no time; the message shows it.
    """
    try:
        moment = _parse_time(text.strip(), now, tz)
    except (ValueError, OverflowError, OSError) as error:
        if isinstance(error, QueryError):
            raise
        raise QueryError(f"invalid time {_shown(text)}: {error}") from None
    if not -MAX_TIME <= moment <= MAX_TIME:
        raise QueryError(f"invalid time {_shown(text)}: out of range")
    return moment


def parse_offset(text: str) -> int:
    """Seconds of an offset such as `-1h30min` or `5min`; without a sign it is positive.

    Raises:
        QueryError: not an offset, or an unknown unit.
    """
    if _OFFSET.fullmatch(text) is None:
        raise QueryError(
            f"invalid interval {_shown(text)}: expected a number and a unit (5min, 1h)"
        )
    seconds = sum(int(n[:12]) * _unit(unit)[2] for n, unit in _OFFSET_PART.findall(text))
    if seconds > MAX_OFFSET_S:
        raise QueryError(f"invalid interval {_shown(text)}: too long")
    return -seconds if text.startswith("-") else seconds


def unit_name(text: str) -> str:
    """The full name of a unit: `h` and `hour` are `hours`. Raises QueryError for any other text."""
    return _unit(text)[1]


def parse_zone(name: str) -> tzinfo | None:
    """The IANA zone of that name, or None when there is none."""
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def to_local(moment: datetime, tz: tzinfo) -> datetime:
    """A naive wall-clock time in `tz`; where the clock is set, standard time is meant."""
    candidates = [moment.replace(tzinfo=tz, fold=fold) for fold in (0, 1)]
    standard = [c for c in candidates if not c.dst()]
    return (standard or candidates)[0]


def _unit(text: str) -> tuple[str, str, int]:
    if text == "m":
        return UNITS[1]
    for row in UNITS:
        if text.startswith(row[0]):
            return row
    raise QueryError(f"invalid unit {_shown(text)}: expected s, min, h, d, w, mon or y")


def _shown(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _parse_time(text: str, now: int, tz: tzinfo) -> int:
    if _ISO.fullmatch(text):
        moment = datetime.fromisoformat(text.upper())
        aware = moment if moment.tzinfo else to_local(moment, tz)
        return int(aware.timestamp())
    text = text.lower().translate(_DROPPED)
    if text.isascii() and text.isdigit() and not _is_date(text):
        return int(text[:20])
    sign = "+" if "+" in text else "-"
    reference, sign, offset = text.partition(sign)
    return _parse_reference(reference, now, tz) + parse_offset(sign + offset)


def _is_date(text: str) -> bool:
    return len(text) == 8 and int(text[:4]) > 1900 and int(text[4:6]) < 13 and int(text[6:]) < 32


def _parse_reference(text: str, now: int, tz: tzinfo) -> int:
    if text in ("", "now"):
        return now
    hour, minute, day = _parse_clock(text)
    today = datetime.fromtimestamp(now, tz).replace(tzinfo=None)
    moment = _parse_day(day, today, text)
    moment = moment.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return int(to_local(moment, tz).timestamp())


def _parse_clock(text: str) -> tuple[int, int, str]:
    """Hour, minute and what is left of the text; of several times in a row the last one counts."""
    hour = minute = 0
    if match := _CLOCK.match(text):
        hour, minute = _half_day(int(match[1]), match[3]), int(match[2])
        text = text[match.end() :]
    for pattern in _HOURS:
        if match := pattern.match(text):
            hour = _half_day(int(match[1]), match[2])
            text = text[match.end() :]
    for name, named in _NAMED_HOURS.items():
        if text.startswith(name):
            return named, 0, text[len(name) :]
    return hour, minute, text


def _half_day(hour: int, suffix: str | None) -> int:
    if suffix == "pm":
        return 12 if hour == 12 else (hour + 12) % 24
    return 0 if suffix == "am" and hour == 12 else hour


def _parse_day(text: str, today: datetime, whole: str) -> datetime:
    if text in ("", "today"):
        return today
    if text in ("yesterday", "tomorrow"):
        return today + timedelta(days=1 if text == "tomorrow" else -1)
    if match := _SLASHES.fullmatch(text):
        month, day, year = (int(part[:6]) for part in match.groups())
        year += 1900 if year < 1900 else 0
        year += 100 if year < 1970 else 0
        return datetime(year, month, day)
    if len(text) == 8 and text.isascii() and text.isdigit():
        return datetime(int(text[:4]), int(text[4:6]), int(text[6:]))
    if text[:3] in _MONTHS:
        digits = re.search(r"[0-9]{1,2}$", text)
        if digits is None:
            raise ValueError("a month needs a day, such as nov14")
        return datetime(today.year, _MONTHS.index(text[:3]) + 1, int(digits[0]))
    if text[:3] in _WEEKDAYS:
        return today - timedelta(days=(today.weekday() - _WEEKDAYS.index(text[:3])) % 7)
    raise ValueError(f"unknown day {whole[:40]!r}")
