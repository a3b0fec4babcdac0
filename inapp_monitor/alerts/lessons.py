"""What past troubles have taught: how long the usual ones last, and which come back. Pure."""

from __future__ import annotations

import math
from typing import Any

from inapp_monitor.alerts.cusum import DAY_S, REMEMBERED_S, UNSEEN
from inapp_monitor.alerts.trouble import QUIET_S, Trouble, TroubleKey
from inapp_monitor.alerts.usual import FAILED, OWN, SMALL, TARGET

#: A trouble that comes back within the hour is over only after a longer quiet, an hour at most.
_COMES_BACK_S = 3_600.0
#: Two troubles within a minute are the same one on two routes.
_SAME_S = 60.0
#: Patience with slowness in the first days, fading; and with failures at most.
_FIRST_PATIENCE_S, _FIRST_DAYS_S, _MOST_FOR_FAILURES_S = 300.0, 130_000.0, 60.0
#: At this time of day, give or take.
_SAME_TIME_S = 1_200.0
_KEPT, _KEPT_SHORT, _KEYS = 30, 100, 2_000


class Lessons:
    """What is remembered of troubles that are over.

    Attributes:
        patience_s: By limit: a trouble is worth a message once it has lasted so long.
    """

    __slots__ = ("_ended", "_history", "_short", "patience_s")

    def __init__(self) -> None:
        self.patience_s = [_FIRST_PATIENCE_S] * 4 + [0.0]
        self._short: list[list[tuple[float, float]]] = [[] for _ in range(5)]
        self._history: dict[TroubleKey, list[tuple[float, float]]] = {}
        self._ended: dict[TroubleKey, tuple[float, float]] = {}

    def quiet_s(self, trouble: Trouble) -> float:
        """How long nothing bad must happen until a trouble that has just begun is over."""
        ended, quiet = self._ended.get(trouble.key, (float("-inf"), QUIET_S))
        gap = trouble.begun - ended
        return min(_COMES_BACK_S, max(quiet, 2.5 * gap)) if 0 <= gap < _COMES_BACK_S else QUIET_S

    def passed(self, trouble: Trouble) -> int:
        """How often the like has passed by itself."""
        return len(self._history.get(trouble.key, ()))

    def comes_daily(self, trouble: Trouble, t: float) -> bool:
        """Whether slowness came at this time of day twice before, and lasted as long."""
        if trouble.kind != "slow":
            return False
        half = DAY_S / 2
        same = [
            lasted
            for begun, lasted in self._history.get(trouble.key, ())
            if abs((trouble.begun - begun + half) % DAY_S - half) < _SAME_TIME_S
        ]
        return len(same) >= 2 and t - trouble.onset < 1.5 * max(same)

    def learn(self, trouble: Trouble, t: float, *, short: bool) -> None:
        """A trouble is over; `short`: by itself, and soon."""
        key = trouble.key
        self._ended[key] = (t, trouble.quiet_s)
        lasted = trouble.calm_since - trouble.onset
        kept = self._history.setdefault(key, [])
        kept.append((trouble.begun, lasted))
        kept[:] = [each for each in kept if each[0] > t - REMEMBERED_S][-_KEPT:]
        if short and trouble.kind in ("slow", "fail"):
            limit = OWN if trouble.limit in (SMALL, TARGET) else trouble.limit
            others = self._short[limit]
            if others and trouble.onset - others[-1][0] < _SAME_S:
                others[-1] = (t, max(lasted, others[-1][1]))
            else:
                others.append((t, lasted))

    def forget_old(self, t: float, age_s: float) -> None:
        """Renew the patience; what is older than 14 days is forgotten."""
        for limit in range(5):
            kept = self._short[OWN if limit in (SMALL, TARGET) else limit]
            kept[:] = [each for each in kept if each[0] > t - REMEMBERED_S][-_KEPT_SHORT:]
            usual = 1.3 * max(lasted for _, lasted in kept) if len(kept) > UNSEEN else 0.0
            first = _FIRST_PATIENCE_S * math.exp(-age_s / _FIRST_DAYS_S)
            failing = limit == FAILED
            self.patience_s[limit] = (
                min(usual, _MOST_FOR_FAILURES_S) if failing else max(usual, first)
            )
        while len(self._ended) > _KEYS:
            self._ended.pop(next(iter(self._ended)))
        while len(self._history) > _KEYS:
            self._history.pop(next(iter(self._history)))

    def dump(self) -> dict[str, Any]:
        """What has to survive a restart."""
        history = [[*key, kept] for key, kept in self._history.items()]
        ended = [[*key, *kept] for key, kept in self._ended.items()]
        return {
            "short": self._short,
            "history": history,
            "ended": ended,
            "patience": self.patience_s,
        }

    def load(self, dumped: dict[str, Any]) -> None:
        """Take what `dump` gave."""
        self._short = [[(t, s) for t, s in kept] for kept in dumped["short"]]
        self._history = {
            (route, kind): [(t, s) for t, s in kept] for route, kind, kept in dumped["history"]
        }
        self._ended = {(route, kind): (t, s) for route, kind, t, s in dumped["ended"]}
        self.patience_s = list(dumped["patience"])
