"""Carbon's two protocols on the way out: numbers in, bytes out. Pure.

Plaintext: `path value timestamp` a line. Pickle: a list of (path, (timestamp, value)), protocol 2,
behind its length. Formats: graphite.readthedocs.io/en/latest/feeding-carbon.html
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from inapp_monitor.export.portions import Counted, Number, Portion
from inapp_monitor.export.statistics import NAMES, statistics_of
from inapp_monitor.ground.points import Method

#: (path, timestamp, value)
Point = tuple[str, int, float]
#: Points of one pickle; Carbon refuses messages of more than a megabyte.
_AT_ONCE: Final = 500
_LENGTH: Final = struct.Struct("!L")
#: What StatsD calls a timer's statistics.
_STATSD: Final = {
    "count": "count",
    "rate": "count_ps",
    "sum": "sum",
    "mean": "mean",
    "min": "lower",
    "max": "upper",
    "stddev": "std",
    "p50": "median",
    "p75": "upper_75",
    "p90": "upper_90",
    "p95": "upper_95",
    "p99": "upper_99",
    "p999": "upper_999",
}


class Naming:
    """Under which paths series leave.

    Args:
        prefix: In front of every path.
        statsd: As StatsD's graphite back end names them: `stats.counters.…`, `stats.timers.…`.
    """

    def __init__(self, prefix: str = "", *, statsd: bool = False) -> None:
        self._prefix = f"{prefix.strip('.')}." if prefix.strip(".") else ""
        self._statsd = statsd

    def number(self, number: Number) -> Iterator[Point]:
        """One value's points."""
        path, at, value = self.plain(number.path), number.timestamp, number.value
        if not self._statsd:
            yield self._prefix + path, at, value
        elif number.method is Method.SUM:
            yield _inside(f"{self._prefix}stats.counters.", path, ".count"), at, value
            rate = value / number.step_s
            yield _inside(f"{self._prefix}stats.counters.", path, ".rate"), at, rate
        else:
            yield f"{self._prefix}stats.gauges.{path}", at, value

    def counted(self, counted: Counted) -> Iterator[Point]:
        """One histogram's points."""
        path, at = self.plain(counted.path), counted.timestamp
        for name, value in zip(
            NAMES, statistics_of(counted.histogram, counted.step_s), strict=True
        ):
            if self._statsd:
                yield _inside(f"{self._prefix}stats.timers.", path, f".{_STATSD[name]}"), at, value
            else:
                yield _inside(self._prefix, path, f".{name}"), at, value

    def plain(self, path: str) -> str:
        """A path as Carbon takes it: a slash would be a directory."""
        return path.replace("/", "%2F")


def _inside(before: str, path: str, end: str) -> str:
    """A path with something behind its name, and in front of its tags."""
    name, semicolon, tags = path.partition(";")
    return f"{before}{name}{end}{semicolon}{tags}"


def points_of(portion: Portion, naming: Naming) -> Iterator[Point]:
    """All points of a portion."""
    for number in portion.numbers:
        yield from naming.number(number)
    for counted in portion.counted:
        yield from naming.counted(counted)


def as_lines(points: Iterable[Point]) -> Iterator[bytes]:
    """The plaintext protocol, in pieces."""
    rest = iter(points)
    while piece := list(islice(rest, _AT_ONCE)):
        lines = [f"{path} {value!r} {timestamp}\n" for path, timestamp, value in piece]
        yield "".join(lines).encode("utf-8", "replace")


def as_pickles(points: Iterable[Point]) -> Iterator[bytes]:
    """The pickle protocol, in messages."""
    rest = iter(points)
    while piece := list(islice(rest, _AT_ONCE)):
        message = [(path, (timestamp, value)) for path, timestamp, value in piece]
        body = pickle.dumps(message, protocol=2)
        yield _LENGTH.pack(len(body)) + body
