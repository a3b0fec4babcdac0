"""What new occurrences do to the state of an issue. Pure.

    open ──resolve──► resolved ──new event──► regressed ──resolve──► resolved
      └────mute────► muted ──condition met──► open

An event of a release that is older than the one an issue was resolved in is no regression: old
workers go on failing until they are replaced. And what happened before somebody decided changes
nothing, though another worker may write it afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from inapp_monitor.issues.counts import Delta
from inapp_monitor.issues.model import Status

#: What listeners are informed of.
Transition = Literal["new", "regressed", "unmuted", "spike"]

#: A spike is an hour with at least so many occurrences and so many times the hourly mean of the
#: day before.
SPIKE_LEAST, SPIKE_FACTOR = 20, 10


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of an issue before new occurrences.

    Attributes:
        status: The state.
        count: Occurrences so far.
        resolved_at: When, seconds since 1970 UTC.
        resolved_release: In which release; empty for unconditionally.
        muted_until: Until when; None for no limit by time.
        muted_count: Total at which it speaks up; None for no limit by count.
        muted_rate: (occurrences, seconds) at which it speaks up.
        muted_at: Since when it is muted.
        muted_total: Total when it was muted, with those written later that happened before.
    """

    status: Status
    count: int
    resolved_at: float = 0.0
    resolved_release: str = ""
    muted_until: float | None = None
    muted_count: int | None = None
    muted_rate: tuple[int, int] | None = None
    muted_at: float = 0.0
    muted_total: int = 0

    @property
    def decided_at(self) -> float:
        """When somebody resolved or muted it; 0 when nobody did."""
        return {"resolved": self.resolved_at, "muted": self.muted_at}.get(self.status, 0.0)


def standing_from(row: Sequence[Any], count: int) -> Standing:
    """A standing from a row of the columns status to muted_total, in the order of the table."""
    status, resolved_at, resolved_release, until, more, rate, rate_s, muted_at, total = row
    period = None if rate is None else (rate, rate_s)
    return Standing(
        status, count, resolved_at, resolved_release, until, more, period, muted_at, total
    )


def since_decision(standing: Standing, delta: Delta, now: float) -> int:
    """How many of new occurrences happened after somebody resolved or muted the issue.

    All of them when the clock has been set back since: then times cannot be compared.
    """
    return delta.count if now < standing.decided_at else delta.since(standing.decided_at)


def after_events(
    standing: Standing,
    new: int,
    now: float,
    release: str,
    releases: Mapping[str, float],
    recent: int,
) -> tuple[Status, Transition | None]:
    """The state after `new` occurrences of `release`.

    Args:
        standing: Before them; its count includes what happened before somebody decided.
        new: How many since somebody decided, see `since_decision`.
        now: When the last of them happened.
        release: Of the process that they happened in, "" when unknown.
        releases: First time each release was seen running.
        recent: Occurrences in the muted rate's period, the new ones included.
    """
    if not new:
        return standing.status, None
    if standing.status == "resolved":
        if is_older(release, standing, releases):
            return "resolved", None
        return "regressed", "regressed"
    if standing.status == "muted" and _speaks_up(standing, new, now, recent):
        return "open", "unmuted"
    return standing.status, None


def earliest(some: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
    """Releases by when they were first seen, of two such tables."""
    found = dict(some)
    for release, moment in others.items():
        found[release] = min(moment, found.get(release, moment))
    return found


def is_older(release: str, standing: Standing, releases: Mapping[str, float]) -> bool:
    """Whether a release came before the one that an issue was resolved in."""
    fixed_in = standing.resolved_release
    if not fixed_in or not release or release == fixed_in:
        return False
    fixed_at = releases.get(fixed_in, standing.resolved_at)
    return releases.get(release, float("inf")) < fixed_at


def _speaks_up(standing: Standing, new: int, now: float, recent: int) -> bool:
    if standing.muted_until is not None and now >= standing.muted_until:
        return True
    if standing.muted_count is not None and standing.count + new >= standing.muted_count:
        return True
    since_muted = standing.count + new - standing.muted_total
    return standing.muted_rate is not None and min(recent, since_muted) >= standing.muted_rate[0]


def is_spike(hours: Mapping[int, int], hour: int, added: int) -> bool:
    """Whether this hour has just become a spike: many, and many times the mean of the day before.

    Args:
        hours: Occurrences by start of hour, the new ones included.
        hour: Start of the current hour, seconds.
        added: How many of this hour's are new.
    """
    total = hours.get(hour, 0)
    before = [count for start, count in hours.items() if hour - 86_400 <= start < hour]
    if not before:
        return False
    least = max(SPIKE_LEAST, SPIKE_FACTOR * sum(before) / 24)
    return total >= least > total - added
