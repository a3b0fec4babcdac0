"""The beginning of the minute, hour, day, week, month or year of a moment in a zone. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

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
