"""How long what is kept at which step: archive lists, and which of their slots a time falls into.

Pure arithmetic on epoch seconds. Nothing here knows a file format, a series name or the clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from inapp_monitor.ground.exceptions import ConfigError

#: Archives that one file can describe; Graphite users have three to five.
MAX_ARCHIVES = 16
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_PART = re.compile(r"(\d{1,12})([smhdwy]?)", re.ASCII)


class Archive(NamedTuple):
    """One ring: `points` slots of `step` seconds each."""

    step: int
    points: int

    @property
    def retention(self) -> int:
        """Seconds that the ring holds."""
        return self.step * self.points

    def floor(self, timestamp: int) -> int:
        """Start of the interval that a time falls into."""
        return timestamp - timestamp % self.step

    def slot(self, timestamp: int) -> int:
        """Number of the slot that the interval lives in."""
        return timestamp // self.step % self.points

    def oldest(self, now: int) -> int:
        """Start of the oldest interval whose slot cannot have been reused yet."""
        return self.floor(now) - self.retention + self.step


class ArchiveWindow(NamedTuple):
    """What a read covers: intervals from `start` up to, not including, `end`."""

    archive: int
    start: int
    end: int
    step: int

    @property
    def length(self) -> int:
        """How many intervals."""
        return (self.end - self.start) // self.step


@dataclass(frozen=True)
class Retention:
    """An archive list, finest first.

    Raises:
        ConfigError: when the list breaks one of Whisper's rules: steps grow, each divides the
            next, each archive holds more time than the one before and enough of it to fill one
            slot of the next.
    """

    archives: tuple[Archive, ...]

    def __post_init__(self) -> None:
        problem = _problem(self.archives)
        if problem:
            raise ConfigError(f"retention {self}: {problem}")

    @classmethod
    def parse(cls, text: str) -> Retention:
        """From `10s:6h,1m:3d` (step:length), or `60:1440` (seconds:points).

        Raises:
            ConfigError: not of that form, or not a valid list.
        """
        return cls(tuple(sorted(_parse_archive(part, text) for part in text.split(","))))

    @cached_property
    def longest(self) -> int:
        """Seconds that the coarsest archive holds."""
        return self.archives[-1].retention

    @property
    def step(self) -> int:
        """Seconds of the finest interval."""
        return self.archives[0].step

    def archive_for(self, timestamp: int, now: int) -> int | None:
        """The finest archive that still holds an interval; None when it is too old for all."""
        for number, archive in enumerate(self.archives):
            if timestamp >= archive.oldest(now):
                return number
        return None

    def window(self, start: int, end: int, now: int, max_step_s: int = 0) -> ArchiveWindow | None:
        """The archive and the intervals that answer a request, by Graphite's rule.

        `start` is exclusive and `end` inclusive; when both fall into one interval the next one is
        returned. The finest archive whose retention covers `now - start` answers.

        Args:
            max_step_s: A coarser archive answers instead as long as its step is at most this.

        Returns:
            None when the range is in the future, empty, or older than everything kept.
        """
        if start > end or start > now or end < now - self.longest:
            return None
        start = max(start, now - self.longest, 0)
        end = min(end, now)
        number = next(n for n, a in enumerate(self.archives) if a.retention >= now - start)
        for coarser in range(number + 1, len(self.archives)):
            if self.archives[coarser].step <= max_step_s:
                number = coarser
        archive = self.archives[number]
        first, last = archive.floor(start) + archive.step, archive.floor(end) + archive.step
        return ArchiveWindow(number, first, max(last, first + archive.step), archive.step)

    def __str__(self) -> str:
        return ",".join(
            f"{_duration(archive.step)}:{_duration(archive.retention)}" for archive in self.archives
        )


def parse_retention(text: str) -> tuple[Archive, ...]:
    """The archives of `10s:6h,1m:3d`, finest first.

    Raises:
        ConfigError: as `Retention.parse`.
    """
    return Retention.parse(text).archives


def _parse_archive(part: str, text: str) -> Archive:
    step, colon, length = part.strip().partition(":")
    numbers = _PART.fullmatch(step.strip()), _PART.fullmatch(length.strip())
    if not colon or numbers[0] is None or numbers[1] is None:
        raise ConfigError(f"retention {text!r}: {part.strip()!r} must be like 10s:6h or 60:1440")
    step_s = int(numbers[0][1]) * _UNITS[numbers[0][2] or "s"]
    if step_s <= 0:
        raise ConfigError(f"retention {text!r}: the step of {part.strip()!r} must be above 0")
    if not numbers[1][2]:
        return Archive(step_s, int(numbers[1][1]))
    return Archive(step_s, int(numbers[1][1]) * _UNITS[numbers[1][2]] // step_s)


def _problem(archives: tuple[Archive, ...]) -> str:
    if not 1 <= len(archives) <= MAX_ARCHIVES:
        return f"has {len(archives)} archives, 1 to {MAX_ARCHIVES} are possible"
    if any(archive.points < 1 for archive in archives):
        return "an archive is shorter than its step"
    if any(archive.step >= 2**32 or archive.points >= 2**32 for archive in archives):
        return "an archive is too long"
    for fine, coarse in pairwise(archives):
        if coarse.step <= fine.step:
            return f"two archives have a step of {_duration(fine.step)}"
        if coarse.step % fine.step:
            return f"{_duration(coarse.step)} is no multiple of {_duration(fine.step)}"
        if coarse.retention <= fine.retention:
            return f"the archive of {_duration(coarse.step)} must hold more than the finer one"
        if fine.retention < coarse.step:
            return f"the archive of {_duration(fine.step)} cannot fill one {_duration(coarse.step)}"
    return ""


def _duration(seconds: int) -> str:
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"
