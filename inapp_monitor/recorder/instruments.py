"""What the verbs record: checked, appended, and folded into series. No I/O.

A call checks its arguments and appends one tuple; it never raises, blocks or loses the caller's
result (unless `strict`, for tests). Misuse is counted together with the place that did it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from numbers import Real
from typing import Any, Final

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.names import (
    MAX_TAG_SETS,
    check_path,
    metric_of,
    of_other_tags,
    refuse_reserved,
)
from inapp_monitor.ground.points import Distribution, Method, Scalar

#: Kinds of instrument; a name keeps the kind of its first use.
COUNTER: Final = "counter"
GAUGE: Final = "gauge"
GAUGE_DELTA: Final = "gauge delta"
TIMER: Final = "timer"
SET: Final = "set"

#: Call sites of misuse that are remembered.
MAX_MISUSES = 50
#: Durations of a name that are kept until they are counted: memory stays small if nobody takes.
_COUNT_AT = 5_000
#: Characters kept of what was wrong.
MAX_PROBLEM_LENGTH = 300
#: Distinct members of a set counted exactly within one step.
MAX_SET_MEMBERS = 10_000
#: Larger members, as Python counts, are remembered by their hash.
_MAX_MEMBER_BYTES = 200
#: What makes an honest value of one of a subclass, whatever the subclass overrides.
_PLAIN: Final[tuple[tuple[type, Callable[[Any], object]], ...]] = (
    (str, str.__str__),
    (bytes, bytes.__bytes__),
    (int, int.__int__),
    (float, float.__float__),
)
#: Values stay below it: what a float32 can hold.
MAX_VALUE: Final = 3e38

#: (kind, name, value)
Call = tuple[str, str, Any]


class Instruments:
    """What was recorded by name since the last flush.

    Attributes:
        pending: Calls not yet folded: (kind, name, value).
        misuses: (call site, what was wrong) to how often.
        relieve: Folds some of `pending` when much waits, unless somebody does; set by the recorder.
        refused: Reason to number of calls that were not recorded; of two threads that are refused
            at the same moment one may not count.

    *Threads:* `record` from anywhere; `fold` and `take` under the recorder's lock.
    """

    def __init__(
        self, max_series: int, max_pending: int, strict: bool, first_use: Callable[[], None]
    ) -> None:
        self.pending: list[Call] = []
        self._max_series = max_series
        self._max_pending = max_pending
        self._much_pending = max_pending // 2
        self.relieve: Callable[[], object] = _nobody_relieves
        self._strict = strict
        self._first_use = first_use
        self._forget()

    def _forget(self) -> None:
        self.misuses: dict[tuple[str, str], int] = {}
        self._first_problems: dict[tuple[str, str], str] = {}
        self.refused: dict[str, int] = {}
        self._kinds: dict[str, str] = {}
        self._tag_sets: dict[str, int] = {}
        self._gauges: dict[str, float] = {}
        self._changed_gauges: set[str] = set()
        self._sums: dict[str, float] = {}
        self._timings: dict[str, list[float]] = {}
        self._histograms: dict[str, Histogram] = {}
        self._members: dict[str, set[object]] = {}
        self._new_members: dict[str, int] = {}
        self._members_step = 0

    def forked(self) -> None:
        """In a child process: what is pending belongs to the parent."""
        self.pending.clear()
        self._forget()

    # -- recording, in the caller's thread

    def record(self, kind: str, name: Any, value: Any) -> None:
        """Record one call. *Cost:* about 0.3 us."""
        try:
            of_name = GAUGE if kind is GAUGE_DELTA else kind
            if self._kinds.get(name) is not of_name:
                name = self._introduce(of_name, name)
            value = member(value) if kind is SET else _number(kind, value)
            if len(self.pending) >= self._much_pending:
                self.relieve()
                if len(self.pending) >= self._max_pending:
                    self._refuse("too many calls since the last fold")
                    return
            self.pending.append((kind, name, value))
        except Exception as error:  # whatever a caller's value does
            self.misused(error)
            if self._strict:
                raise

    def _introduce(self, kind: str, name: object) -> str:
        """Check a name that is new, or of another kind. Returns the path to record under."""
        self._first_use()
        path = str.__str__(check_path(name))
        refuse_reserved(path)
        if ";" in path and path not in self._kinds:
            path = self._bounded_tags(path)
        if path not in self._kinds and len(self._kinds) >= self._max_series:
            self._refuse("too many series")
            raise ValueError(f"{path!r}: more than max_series={self._max_series} names")
        known = self._kinds.setdefault(path, kind)  # atomic: of two threads one decides
        if known != kind:
            raise ValueError(f"{path!r} is a {known}, not a {kind}")
        return path

    def _bounded_tags(self, path: str) -> str:
        """A new tag set of a name, or what stands for all that are one too many."""
        metric = metric_of(path)
        sets = self._tag_sets.get(metric, 0)
        if sets >= MAX_TAG_SETS:
            self._refuse("tag sets past the cap of a name")
            return of_other_tags(path)
        self._tag_sets[metric] = sets + 1
        return path

    def _refuse(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def misused(self, error: Exception) -> None:
        """Count a misuse by its place and kind; the first text of a kind stands for all."""
        self._refuse("misuse")
        try:
            place = _call_site()
            problem = self._first_problems.get((place, type(error).__name__))
            if problem is None:
                if len(self._first_problems) >= MAX_MISUSES:
                    return
                problem = str(error)[:MAX_PROBLEM_LENGTH]
                self._first_problems[place, type(error).__name__] = problem
            self.misuses[place, problem] = self.misuses.get((place, problem), 0) + 1
        except Exception:  # noqa: BLE001, S110  # an error that cannot be printed: it is counted
            pass

    # -- folding, off the caller's thread

    def fold(self, calls: list[Call], step: int) -> None:
        """Add a slice of calls, made in the step that is labelled `step`."""
        if step != self._members_step:  # a member is counted once a step
            self._members_step = step
            self._members = {}
        for kind, name, value in calls:
            if type(name) is not str:  # an enumeration's member, say
                name = str.__str__(name)
            if kind is COUNTER:
                self._sums[name] = self._sums.get(name, 0.0) + value
            elif kind is TIMER:
                values = self._timings.setdefault(name, [])
                values.append(value)
                if len(values) >= _COUNT_AT:
                    self._histograms.setdefault(name, Histogram()).add(values)
                    values.clear()
            elif kind is SET:
                self._add_member(name, value)
            else:
                base = self._gauges.get(name, 0.0) if kind is GAUGE_DELTA else 0.0
                self._gauges[name] = base + value
                self._changed_gauges.add(name)

    def _add_member(self, name: str, value: object) -> None:
        members = self._members.setdefault(name, set())
        if value in members:
            return
        if len(members) >= MAX_SET_MEMBERS:
            self._refuse("set members past the limit of a step")
            return
        members.add(value)
        self._new_members[name] = self._new_members.get(name, 0) + 1

    def take(self, timestamp: int) -> tuple[list[Scalar], list[Distribution]]:
        """The deltas of all names, and start again from nothing."""
        sums = {**self._sums, **self._new_members}
        scalars = [Scalar(name, timestamp, float(n), Method.SUM) for name, n in sums.items()]
        scalars += [
            Scalar(name, timestamp, self._gauges[name], Method.LAST)
            for name in self._changed_gauges
        ]
        histograms = self._histograms
        for name, values in self._timings.items():
            if name in histograms:
                histograms[name].add(values)
            else:
                histograms[name] = Histogram.of(values)
        distributions = [Distribution(name, timestamp, each) for name, each in histograms.items()]
        self._sums, self._timings, self._new_members = {}, {}, {}
        self._histograms = {}
        self._changed_gauges = set()
        return scalars, distributions


def _nobody_relieves() -> None:
    """Where there is no recorder."""


def _number(kind: str, value: object) -> float:
    if isinstance(value, timedelta) and kind is TIMER:
        value = value.total_seconds() * 1000.0
    if type(value) is float or type(value) is int:
        number = value + 0.0 if -MAX_VALUE < value < MAX_VALUE else math.inf
    elif isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
        raise TypeError(f"{kind} value must be a number, got {type(value).__name__}")
    else:
        number = float(value)
    if not -MAX_VALUE < number < MAX_VALUE:
        raise ValueError(f"{kind} value must be a finite number below {MAX_VALUE}")
    if number < 0.0 and kind is TIMER:
        raise ValueError(f"{kind} value must not be negative")
    return number


def member(value: object) -> object:
    """What is remembered of a set's member: never a large or a foreign object."""
    for kind, plain in _PLAIN:
        if isinstance(value, kind):
            value = plain(value)
            size = sys.getsizeof(value)
            return value if size <= _MAX_MEMBER_BYTES else (size, hash(value))
    return type(value).__name__, hash(value)


def _call_site() -> str:
    """File and line of the innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] != "inapp_monitor":
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
