"""A part of a route's time that has grown, judged by its own past. Pure.

The whole of a request may be too restless to show it: after a cold start, or where the machine was
busy for a while, everything took longer, and a call that takes 150 ms now is no more than that. But
this call took 4 ms in nearly every period before.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final, NamedTuple

from inapp_monitor.traces.time_parts import RouteTime

#: Requests of now, and periods before, that are enough to tell.
_ENOUGH: Final = 4
_PERIODS: Final = 6
#: It took so many times as long, so many milliseconds, so many standard errors more.
_TIMES, _MS, _ERRORS = 2.0, 10.0, 4.0
#: It is what requests take their time for now: so much of it.
_SHARE: Final = 0.5
#: And half as long as now it took in so few of the periods before.
_RARE: Final = 0.1
#: A standard deviation in median deviations, of what is normally distributed.
_OF_DEVIATION: Final = 1.4826


class GrownPart(NamedTuple):
    """Kind and text of a part, and its milliseconds a request: the usual ones before, and now."""

    key: tuple[str, str]
    before_ms: float
    now_ms: float


def grown_part(before: Sequence[RouteTime], now: RouteTime) -> GrownPart | None:
    """The part that takes most of a request's time now, if it is certain that it did not before.

    Args:
        before: The route in the periods before.
        now: The same since.
    """
    periods = [each for each in before if each.requests]
    if now.requests < _ENOUGH or len(periods) < _PERIODS:
        return None
    key = max(now.parts, key=lambda each: now.parts[each].ms, default=None)
    if key is None:
        return None
    now_ms = now.ms_of(key)
    usual = [each.ms_of(key) for each in periods]
    median, spread = median_and_deviation(usual)
    # A part differs no more than requests do, but for what makes up for it elsewhere.
    error = math.sqrt(spread**2 + now.variance / now.requests)
    as_long = sum(ms >= now_ms / 2 for ms in usual)
    is_sure = now_ms - median > max(_ERRORS * error, _MS) and as_long <= _RARE * len(usual)
    is_most = now_ms >= max(_TIMES * median, _SHARE * now.mean)
    return GrownPart(key, median, now_ms) if is_sure and is_most else None


def median_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """The median, and a standard deviation by median deviations: a few odd values move neither."""
    median = statistics.median(values)
    return median, _OF_DEVIATION * statistics.median(abs(value - median) for value in values)
