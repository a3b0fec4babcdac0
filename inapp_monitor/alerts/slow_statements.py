"""Statements that got slow: their medians of the last two rows against all those of the day before.

A statement that is slow at night because a batch runs was so yesterday, at the same hour; so it is
held against the slowest ten minutes of a day, not against an average. What is slow once a week was
so a week ago, or two: before a problem begins, that time of those weeks is looked at.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from inapp_monitor.alerts.looks import Seen
from inapp_monitor.alerts.status import Status
from inapp_monitor.ground.histogram import Histogram

#: Seconds of a row, and rows of the past: a day and an hour.
ROW_S, _KEPT = 600, 150
#: Rows that are read at once: a day is read in some minutes, not in one tick.
_ROWS_AT_ONCE = 6
#: Calls of each of the two rows; rows of the past that say what is usual, and calls of each.
_CALLS, _ROWS, _PAST_CALLS = 50, 18, 20
_TIMES, _MORE_MS = 3.0, 50.0
#: An open problem is over below that multiple.
_OVER_TIMES = 2.0
_SHORT = 100
#: Weeks that are looked back, seconds around the same time, and seconds before these that tell what
#: is usual else; rows from then are so long.
_WEEKS, _AROUND_S, _ELSE_S, _PAST_ROW_S = (1, 2), 7_200, 43_200, 10_800
_WEEK_S = 7 * 86_400
#: Of the calls that are slow now, so many as slow must have been there, calls that take this share
#: of the median.
_AS_MANY, _AS_SLOW = 0.25, 0.8
#: Statements whose weeks are looked at in one look; others wait for the next.
_ASKED_AT_ONCE = 20


class Figures(Protocol):
    """What is asked of ten minutes of a statement."""

    @property
    def start(self) -> int: ...
    @property
    def durations(self) -> Histogram: ...


#: Rows of three hours of a statement that began in a window, the oldest first.
Past = Callable[[str, int, int], Sequence[Figures]]


class Known(Protocol):
    """What is asked of a statement."""

    @property
    def shape(self) -> str: ...
    @property
    def sites(self) -> Sequence[str]: ...


class Row(NamedTuple):
    """Ten minutes of a statement: when they began, calls, and their median."""

    start: int
    calls: int
    median_ms: float


class _Ring:
    """The rows of one statement, in 1.2 kB."""

    __slots__ = ("_counts", "_medians")

    def __init__(self) -> None:
        self._counts = array("I", bytes(4 * _KEPT))
        self._medians = array("f", bytes(4 * _KEPT))

    def put(self, start: int, count: int, median_ms: float) -> None:
        at = start // ROW_S % _KEPT
        self._counts[at], self._medians[at] = count, median_ms

    def rows(self, end: int) -> list[Row]:
        """Those that end by `end`, the oldest first."""
        starts = range(end - _KEPT * ROW_S, end, ROW_S)
        places = ((start, start // ROW_S % _KEPT) for start in starts)
        return [
            Row(start, self._counts[at], self._medians[at])
            for start, at in places
            if self._counts[at]
        ]


class SlowStatements:
    """Looks at the tables of statements.

    Args:
        figures: Rows of ten minutes that began in a window (both ends included) by statement.
        statement: One of them by its id.
        past: Rows of a statement from weeks ago.
    """

    def __init__(
        self,
        figures: Callable[[int, int], Mapping[str, Sequence[Figures]]],
        statement: Callable[[str], Known | None],
        past: Past = lambda _key, _start, _end: (),
    ) -> None:
        self._figures, self._statement, self._past = figures, statement, past
        self._rings: dict[str, _Ring] = {}
        self._weekly: dict[str, bool] = {}
        self._weekly_at = self._left = 0
        self._read_until = 0

    def __call__(self, now: float, open_: Mapping[str, float]) -> Iterable[Seen]:
        """A problem for each statement that is slow in both rows; see `looks.Find`."""
        end = int(now) // ROW_S * ROW_S
        is_read = self._read(end)
        if self._weekly_at != end:
            self._weekly, self._weekly_at = {}, end
        self._left = _ASKED_AT_ONCE
        for key in self._rings if is_read else open_:
            ring = self._rings.get(key)
            found = slower(ring.rows(end), end, open_.get(key)) if ring and is_read else None
            if found is not None and key not in open_ and not self._may_begin(key, end, found[0]):
                continue
            if found is not None:
                yield self._seen(key, *found, min(open_.get(key, now), float(end - 2 * ROW_S)))
            elif not is_read:  # what an earlier leader found stands until all has been read
                yield Seen(key, None, "", "")

    def _may_begin(self, key: str, end: int, median_ms: float) -> bool:
        """Whether it is known not to be slow every week at this time."""
        if key not in self._weekly and self._left:
            self._left -= 1
            self._weekly[key] = self._is_weekly(key, end, median_ms)
        return not self._weekly.get(key, True)

    def _is_weekly(self, key: str, end: int, median_ms: float) -> bool:
        """Whether it was as slow, as often, at this time a week or two ago."""
        lately = [row for row in self._rings[key].rows(end) if row.start >= end - 2 * ROW_S]
        calls = sum(row.calls for row in lately)
        for week in _WEEKS:
            then = end - week * _WEEK_S
            begin = then - 2 * ROW_S - _AROUND_S
            rows = self._past(key, begin - _ELSE_S, then + _AROUND_S)
            near = [row.durations for row in rows if row.start + _PAST_ROW_S > begin]
            others = [row.durations for row in rows if row.start + _PAST_ROW_S <= begin]
            usual = _slow(others, median_ms) / max(sum(each.count for each in others), 1)
            more = _slow(near, median_ms) - 1.5 * usual * sum(each.count for each in near)
            if more >= _AS_MANY * calls:
                return True
        return False

    def _read(self, end: int) -> bool:
        """Read some of the rows that are not known yet; whether all are."""
        if not end - _KEPT * ROW_S <= self._read_until <= end:
            self._rings, self._read_until = {}, end - _KEPT * ROW_S
        until = min(self._read_until + _ROWS_AT_ONCE * ROW_S, end)
        if until > self._read_until:
            for start in range(self._read_until, until, ROW_S):
                for ring in self._rings.values():
                    ring.put(start, 0, 0.0)
            for key, rows in self._figures(self._read_until, until - 1).items():
                ring = self._rings.setdefault(key, _Ring())
                for row in rows:
                    if self._read_until <= row.start < until and row.durations.count:
                        ring.put(row.start, row.durations.count, row.durations.quantile(0.5))
            self._read_until = until
            if until == end:
                self._rings = {key: ring for key, ring in self._rings.items() if ring.rows(end)}
        return until == end

    def _seen(self, key: str, median_ms: float, usual_ms: float, since: float) -> Seen:
        known = self._statement(key)
        shape = known.shape[:_SHORT] if known else key
        where = f" · {known.sites[0][:_SHORT]}" if known and known.sites else ""
        detail = f"median {median_ms:.0f} ms, at most {usual_ms:.0f} ms before: {shape}{where}"
        return Seen(key, Status.WARNING, "", detail, median_ms, since)


def _slow(rows: Sequence[Histogram], median_ms: float) -> float:
    """How many calls took about as long."""
    return sum(
        row.count * (1 - row.fraction_at_most(_AS_SLOW * median_ms)) for row in rows if row.count
    )


def slower(
    rows: Sequence[Row], end: int, open_since: float | None = None
) -> tuple[float, float] | None:
    """The median now and the slowest one of the past in ms, where it is a problem.

    Args:
        rows: Those up to `end`, the oldest first.
        end: A row's end.
        open_since: When the problem began that is open: what came later is no past.
    """
    onset = end - 2 * ROW_S if open_since is None else min(open_since, end - 2 * ROW_S)
    lately = [row for row in rows if row.start >= end - 2 * ROW_S]
    past = [
        row.median_ms for row in rows if row.start + ROW_S <= onset and row.calls >= _PAST_CALLS
    ]
    if len(past) < _ROWS or len(lately) < 2 or min(row.calls for row in lately) < _CALLS:
        return None
    usual_ms, median_ms = max(past), min(row.median_ms for row in lately)
    times = _TIMES if open_since is None else _OVER_TIMES
    if median_ms < max(times * usual_ms, usual_ms + _MORE_MS):
        return None
    return median_ms, usual_ms
