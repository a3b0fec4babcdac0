"""Errors on their way to Sentry, Bugsink or GlitchTip: the stored events, one after another."""

from __future__ import annotations

from typing import Any, Final

from inapp_monitor.database.file import Database
from inapp_monitor.export.channel import LaterError, RefusedError, Work
from inapp_monitor.export.http_calls import Answer, post
from inapp_monitor.export.sentry_event import authorization, envelope
from inapp_monitor.ground.clock import SYSTEM, Clock
from inapp_monitor.ground.destination import Destination
from inapp_monitor.issues import queries

#: Answers to an event that no patience will change.
_NEVER: Final = (400, 405, 413, 415, 422)
#: Times that an event is sent to a peer that fails at it; of those that follow, as many times more.
_MOST_TRIES: Final = 8
_FEWEST_S: Final = 1.0


class EventsChannel:
    """A `Channel` of events; a position is the number of the next one.

    Events have ids of their own, by which the peer drops one that it is sent twice.
    """

    def __init__(self, database: Database, destination: Destination, clock: Clock = SYSTEM) -> None:
        self._database = database
        self._destination = destination
        self._clock = clock
        self._quiet_until = 0.0
        self._failed_tries, self._most_tries = 0, _MOST_TRIES
        folder, _, project = destination.path.rpartition("/")
        self._path = f"{folder}/api/{project}/envelope/"

    def beginning(self, now: float) -> int:  # noqa: ARG002
        """With the errors from now on."""
        return (self._latest() or 0) + 1

    def next(self, position: int, now: float) -> Work | None:
        """The event with that number, or the first one after it."""
        if now < self._quiet_until:
            return None
        rows = self._database.read(
            "select number, fingerprint, body from issue_events where number >= ?"
            " order by number limit 1",
            (position,),
        )
        if not rows:
            latest = self._latest()
            # Numbers begin again below where issues were deleted: at one, where all were.
            if latest is None or latest >= position - 1:
                return None
            return Work(latest + 1, 0, None)
        number = int(rows[0]["number"])
        event = queries.decode(rows[0]["body"])
        dropped = number - position
        if event is None:
            return Work(number + 1, 0, None, dropped + 1)
        return Work(number + 1, 1, (event, str(rows[0]["fingerprint"])), dropped)

    def send(self, payload: object) -> int:
        """Post one event."""
        assert isinstance(payload, tuple)
        event: dict[str, Any]
        event, fingerprint = payload
        now, key = self._clock.wall(), self._destination.user
        headers = {
            "Content-Type": "application/x-sentry-envelope",
            "X-Sentry-Auth": authorization(key),
        }
        body = envelope(event, fingerprint, now)
        answer = post(self._destination, self._path, body, headers)
        limit_s = rate_limit_s(answer.headers.get("x-sentry-rate-limits", ""))
        if answer.status in _NEVER:
            raise RefusedError(answer.text)
        if answer.status == 500:
            self._failed_tries += 1
            if self._failed_tries >= self._most_tries:  # it is this event that the peer fails at
                self._failed_tries = 0
                self._most_tries *= _MOST_TRIES  # at the next one, too: rather the peer itself
                raise RefusedError(answer.text)
        if not 200 <= answer.status < 300:
            raise LaterError(answer.text, _patience_s(answer, limit_s, now))
        self._failed_tries, self._most_tries = 0, _MOST_TRIES
        if limit_s:  # obeyed on a success, too
            self._quiet_until = now + limit_s
        return 0

    def waiting(self, position: int, now: float) -> tuple[float, int]:
        """Age of the oldest event that waits, and how many do."""
        rows = self._database.read(
            "select count(*) as n, min(seen) as oldest from issue_events where number >= ?",
            (position,),
        )
        if not rows or not rows[0]["n"]:
            return 0.0, 0
        return max(0.0, now - float(rows[0]["oldest"])), int(rows[0]["n"])

    def close(self) -> None:
        """Every event has a connection of its own."""

    def _latest(self) -> int | None:
        """The highest number, 0 without any event, None when the file cannot be read."""
        rows = self._database.read("select coalesce(max(number), 0) as n from issue_events")
        return int(rows[0]["n"]) if rows else None


def _patience_s(answer: Answer, limit_s: float, now: float) -> float | None:
    after_s = answer.retry_after_s(now)
    if answer.status == 429:
        return max(after_s or 0.0, limit_s, _FEWEST_S)
    return after_s


def rate_limit_s(header: str) -> float:
    """Seconds in which no errors are wanted, by `X-Sentry-Rate-Limits`.

    `60:error;default:organization, 2700:transaction:organization`: seconds, categories (none: all).
    """
    longest = 0.0
    for limit in header.split(","):
        seconds, _, rest = limit.strip().partition(":")
        categories = {name for name in rest.partition(":")[0].split(";") if name}
        is_ours = not categories or categories & {"error", "default"}
        if is_ours and seconds.isdecimal() and len(seconds) < 10:
            longest = max(longest, float(seconds))
    return longest
