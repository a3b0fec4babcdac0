"""What people ask for, read from texts: an acknowledgement, a downtime.

Forms and the command line give the same words; each error names the input and what was expected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from inapp_monitor.alerts.downtime import WEEK_S
from inapp_monitor.ground.setting_values import parse_duration

_LONGEST_NOTE = 1_000
_LONGEST_S = 366 * 86_400.0
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(
    r"(mon|tue|wed|thu|fri|sat|sun)[a-z]*\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})",
    re.ASCII | re.IGNORECASE,
)
#: Monday 1970-01-05 00:00 UTC.
_A_MONDAY = 4 * 86_400


def acknowledgement(given: Mapping[str, str], author: str, now: float) -> dict[str, Any]:
    """The document of an acknowledgement.

    Args:
        given: `note`, `sticky` (any text: yes), `for` (a duration; empty: until it is over).

    Raises:
        ValueError: a text that cannot be understood.
    """
    for_s = _duration("for", given.get("for", ""), 0.0)
    return {
        "at": now,
        "author": author[:100],
        "note": given.get("note", "").strip()[:_LONGEST_NOTE],
        "sticky": bool(given.get("sticky")),
        "expires": now + for_s if for_s else None,
    }


def downtime(given: Mapping[str, str], author: str, now: float) -> dict[str, Any]:
    """The document of a downtime.

    Args:
        given: `for` (its length), `in` (how long until it begins), `flexible` (a duration: it
            begins with the first problem within `for`, and lasts so long), or `weekly`
            (`sun 03:00-04:00`, UTC); and `note`.

    Raises:
        ValueError: a text that cannot be understood.
    """
    weekly = given.get("weekly", "").strip()
    if weekly:
        start, end = _weekly(weekly, now)
    else:
        start = now + _duration("in", given.get("in", ""), 0.0)
        length_s = _duration("for", given.get("for", ""), 0.0)
        if not length_s:
            raise ValueError("for must be a duration such as 30min, or weekly a time of the week")
        end = start + length_s
    flexible_s = _duration("flexible", given.get("flexible", ""), 0.0)
    return {
        "id": f"{int(now * 1000):x}",
        "start": start,
        "end": end,
        "duration_s": flexible_s or None,
        "weekly": bool(weekly),
        "author": author[:100],
        "note": given.get("note", "").strip()[:_LONGEST_NOTE],
    }


def _weekly(text: str, now: float) -> tuple[float, float]:
    match = _WEEKLY.fullmatch(text)
    expected = f"weekly must be such as 'sun 03:00-04:00' (UTC), got {text[:40]!r}"
    if match is None:
        raise ValueError(expected)
    hours, minutes = (int(match[2]), int(match[4])), (int(match[3]), int(match[5]))
    if max(hours) > 24 or max(minutes) > 59:
        raise ValueError(expected)
    begin, end = (hours[n] * 3_600 + minutes[n] * 60 for n in (0, 1))
    length = (end - begin) % 86_400 or 86_400
    week = _A_MONDAY + (now - _A_MONDAY) // WEEK_S * WEEK_S
    start = week + _DAYS.index(match[1].lower()[:3]) * 86_400 + begin
    if start + length <= now:
        start += WEEK_S
    return float(start), float(start + length)


def _duration(name: str, text: str, default: float) -> float:
    text = text.strip()
    if not text:
        return default
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = -1.0
    if not math.isfinite(seconds) or not 0 < seconds <= _LONGEST_S:
        raise ValueError(
            f"{name} must be a duration such as 30min, at most 366d, got {text[:40]!r}"
        )
    return seconds
