"""The calls that users put into their code: incr, decr, gauge, timing, set, folded. No I/O.

A call checks its arguments and appends one tuple; it never raises, blocks or loses the caller's
result (unless `strict`, for tests). Misuse is counted together with the place that did it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from inapp_monitor.exceptions import SeriesNameError
from inapp_monitor.histogram import Histogram
from inapp_monitor.names import check_path
from inapp_monitor.points import Distribution, Method, Scalar

#: Kinds of instrument; a name keeps the kind of its first use.
COUNTER: Final = "counter"
GAUGE: Final = "gauge"
GAUGE_DELTA: Final = "gauge delta"
TIMER: Final = "timer"
SET: Final = "set"

#: Call sites of misuse that are remembered.
MAX_MISUSES = 50
#: Distinct members of a set counted exactly within one step.
MAX_SET_MEMBERS = 10_000

#: (kind, name, value)
Call = tuple[str, str, Any]


class Instruments:
    """What was recorded by name since the last flush.

    Attributes:
        pending: Calls not yet folded: (kind, name, value).
        misuses: (call site, what was wrong) to how often.
        refused: Reason to number of calls that were not recorded.

    *Threads:* `record` from anywhere; `fold` and `take` under the recorder's lock.
    """

    def __init__(
        self, max_series: int, max_pending: int, strict: bool, first_use: Callable[[], None]
    ) -> None:
        self.pending: list[Call] = []
        self.misuses: dict[tuple[str, str], int] = {}
        self.refused: dict[str, int] = {}
        self._max_series = max_series
        self._max_pending = max_pending
        self._strict = strict
        self._first_use = first_use
        self._forget()

    def _forget(self) -> None:
        self._kinds: dict[str, str] = {}
        self._gauges: dict[str, float] = {}
        self._changed_gauges: set[str] = set()
        self._sums: dict[str, float] = {}
        self._timings: dict[str, list[float]] = {}
        self._members: dict[str, set[object]] = {}
        self._new_members: dict[str, int] = {}
        self._members_step = 0

    def forked(self) -> None:
        """In a child process: what is pending belongs to the parent."""
        self.pending.clear()
        self._forget()

    # -- recording, in the caller's thread

    def record(self, kind: str, name: Any, value: Any) -> None:
        """Take one call. *Cost:* about 0.3 us."""
        try:
            of_name = GAUGE if kind is GAUGE_DELTA else kind
            if self._kinds.get(name) is not of_name:
                self._introduce(of_name, name)
            if kind is not SET:
                value = _number(kind, value)
            else:
                hash(value)
            if len(self.pending) >= self._max_pending:
                self._refuse("too many calls since the last fold")
                return
            self.pending.append((kind, name, value))
        except (SeriesNameError, ValueError, TypeError) as error:
            self._misused(str(error))
            if self._strict:
                raise

    def _introduce(self, kind: str, name: object) -> None:
        self._first_use()
        path = check_path(name)
        known = self._kinds.get(path)
        if known is not None and known != kind:
            raise ValueError(f"{path!r} is a {known}, not a {kind}")
        if known is None and len(self._kinds) >= self._max_series:
            self._refuse("too many series")
            raise ValueError(f"{path!r}: more than max_series={self._max_series} names")
        self._kinds[path] = kind

    def _refuse(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def _misused(self, problem: str) -> None:
        key = (_call_site(), problem)
        if key in self.misuses or len(self.misuses) < MAX_MISUSES:
            self.misuses[key] = self.misuses.get(key, 0) + 1
        self._refuse("misuse")

    # -- folding, off the caller's thread

    def fold(self, calls: list[Call]) -> None:
        """Add a slice of calls."""
        for kind, name, value in calls:
            if kind is COUNTER:
                self._sums[name] = self._sums.get(name, 0.0) + value
            elif kind is TIMER:
                self._timings.setdefault(name, []).append(value)
            elif kind is SET:
                self._add_member(name, value)
            else:
                base = self._gauges.get(name, 0.0) if kind is GAUGE_DELTA else 0.0
                self._gauges[name] = base + value
                self._changed_gauges.add(name)

    def _add_member(self, name: str, value: object) -> None:
        members = self._members.setdefault(name, set())
        if value not in members and len(members) < MAX_SET_MEMBERS:
            members.add(value)
            self._new_members[name] = self._new_members.get(name, 0) + 1

    def take(self, timestamp: int, step_s: int) -> tuple[list[Scalar], list[Distribution]]:
        """The deltas of all names, and start again from nothing."""
        if timestamp // step_s != self._members_step:  # a member is counted once a step
            self._members_step = timestamp // step_s
            self._members = {}
        sums = {**self._sums, **self._new_members}
        scalars = [Scalar(name, timestamp, float(n), Method.SUM) for name, n in sums.items()]
        scalars += [
            Scalar(name, timestamp, self._gauges[name], Method.LAST)
            for name in self._changed_gauges
        ]
        distributions = [
            Distribution(name, timestamp, Histogram.of(values))
            for name, values in self._timings.items()
        ]
        self._sums, self._timings, self._new_members = {}, {}, {}
        self._changed_gauges = set()
        return scalars, distributions


def _number(kind: str, value: object) -> float:
    if isinstance(value, timedelta) and kind is TIMER:
        value = value.total_seconds() * 1000.0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{kind} value must be a number, got {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or abs(number) > 3e38:
        raise ValueError(f"{kind} value must be a finite number, got {number}")
    if kind is TIMER and number < 0.0:
        raise ValueError(f"{kind} value must not be negative, got {number}")
    return number


def _call_site() -> str:
    """File and line of the innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        if not frame.f_globals.get("__name__", "").startswith("inapp_monitor"):
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
