"""Sessions: how many of a release went without a crash. Pure.

A session is sent when it begins and whenever something about it changes; servers send counts of a
minute instead (`sessions`, with `aggregates`). Each session counts once, by the worst that happened
in it: an error, one that nobody handled (`unhandled`), a crash (`crashed`, `abnormal`).

Source: develop.sentry.dev/sdk/telemetry/sessions.
"""

from __future__ import annotations

from typing import NamedTuple

from inapp_monitor.ingest.sentry import values

MAX_AGGREGATES = 100
_DAY_S = 86_400
#: The worst of a session, in order.
FINE, ERRORED, UNHANDLED, CRASHED = range(4)
_RANKS = {"ok": FINE, "exited": FINE, "errored": ERRORED, "unhandled": UNHANDLED,
          "crashed": CRASHED, "abnormal": CRASHED}  # fmt: skip
_MOST = 10_000_000


class SessionUpdate(NamedTuple):
    """What is known of one session, or of several of a minute.

    Attributes:
        sid: Which one; "" of several, which are counted as they are.
        rank: The worst so far.
        many: How many of this rank.
        day: Start of the day it began, seconds since 1970 UTC.
    """

    project: str
    release: str
    environment: str
    day: int
    sid: str
    rank: int
    many: int = 1


def of_session(payload: dict[str, object], project: str, now: float) -> list[SessionUpdate]:
    """The update in a `session` item; none without an id or a release."""
    sid = values.text(payload.get("sid"), 64)
    attributes = values.mapping(payload.get("attrs"))
    release = values.text(attributes.get("release"), 200)
    if not sid or not release:
        return []
    rank = _RANKS.get(values.text(payload.get("status") or "ok", 20), FINE)
    errors = values.number(payload.get("errors")) or 0
    if rank == FINE and errors > 0:
        rank = ERRORED
    environment = values.text(attributes.get("environment"), 100)
    day = _day(payload.get("started"), now)
    return [SessionUpdate(project, release, environment, day, f"{project}/{sid}", rank)]


def of_aggregates(payload: dict[str, object], project: str, now: float) -> list[SessionUpdate]:
    """The updates in a `sessions` item."""
    attributes = values.mapping(payload.get("attrs"))
    release = values.text(attributes.get("release"), 200)
    if not release:
        return []
    environment = values.text(attributes.get("environment"), 100)
    found = []
    for row in values.mappings(payload.get("aggregates"), MAX_AGGREGATES):
        day = _day(row.get("started"), now)
        for name, rank in _RANKS.items():
            count = values.whole(row.get(name)) or 0
            if 0 < count <= _MOST:
                found.append(SessionUpdate(project, release, environment, day, "", rank, count))
    return found


def steps_to(update: SessionUpdate, before: int | None) -> tuple[int, int, int, int]:
    """What an update adds to (total, errored, unhandled, crashed).

    Args:
        update: Of a session, or of several.
        before: The worst that was known of the session, None of one that is new.
    """
    new = before is None
    worst = update.rank if before is None else max(update.rank, before)
    added = [update.many if new else 0]
    for rank in (ERRORED, UNHANDLED, CRASHED):
        is_now, was = worst == rank, before == rank
        added.append(update.many * (is_now - was))
    return added[0], added[1], added[2], added[3]


def crash_free(total: int, unhandled: int, crashed: int) -> float | None:
    """The share of sessions without a crash or an error that nobody handled, None without any."""
    return (total - unhandled - crashed) / total if total > 0 else None


def _day(started: object, now: float) -> int:
    moment = values.moment(started)
    if moment is None or not now - 7 * _DAY_S <= moment <= now + _DAY_S:
        moment = now
    return int(min(moment, now)) // _DAY_S * _DAY_S
