"""One route under watch: its past, its tests, and what it has just lived through. Pure.

Requests are learned from in slots of some minutes. A slot of a trouble waits until it is known how
long that lasted: what was short is a part of the app's life, what was long must not teach that slow
is usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from inapp_monitor.alerts.cusum import DAY_S, SUSPICIOUS, Arm, Spec
from inapp_monitor.alerts.usual import FAILED, LARGE, OWN, SMALL, TARGET, Usual

#: What is looked for: of each route, and of the sum of all.
SPECS = (
    Spec(OWN, "slow", 0.5, 4.0, 3, 4),
    Spec(LARGE, "slow", 0.5, 4.0, 3, 4),
    Spec(TARGET, "slow", 0.5, 4.0, 3, 4),
    Spec(OWN, "slow", 0.05, 4.0, 60, 8),
    Spec(TARGET, "slow", 0.05, 4.0, 60, 8),
    Spec(SMALL, "slow", 0.3, 5.0, 300, 20),
    Spec(FAILED, "fail", 0.5, 4.0, 2, 3),
    Spec(FAILED, "fail", 0.03, 6.0, 20, 6),
)
#: Trouble no longer than this is learned from.
SHORT_S = 600.0
#: A slot lasts so long, once the judge has been at work for an hour.
SLOT_S = 600.0
#: Slots that wait, and how many of them make a new past when a trouble is the new life.
_HELD, _NEW_LIFE = 600, 144


class Slot(NamedTuple):
    """What happened in a stretch of time that ended at `end`."""

    end: float
    counts: Mapping[int, int]
    requests: int
    errors: int


class Watched:
    """One route.

    Attributes:
        usual: Its past.
        arms: Its tests, one for each of `SPECS`.
        seen: When it was last asked for.
        last_bad: Begin and end of its latest trouble.
        is_changed: Whether it has learned something since that was last set to False.
    """

    __slots__ = (
        *("_aimed_at", "_aimed_with", "_counts", "_errors", "_held", "_previous", "_requests"),
        *("arms", "is_changed", "last_bad", "seen", "usual"),
    )

    def __init__(self, t: float) -> None:
        self.usual = Usual()
        self.arms = [Arm(spec) for spec in SPECS]
        self.seen = t
        self.is_changed = True
        self.last_bad: tuple[float, float] | None = None
        self._aimed_at, self._aimed_with = float("-inf"), 0.0
        self._counts: dict[int, int] = {}
        self._requests = self._errors = 0
        self._previous: Slot | None = None
        self._held: list[Slot] = []

    def note(self, t: float, count: int, errors: int, counts: Mapping[int, int]) -> None:
        """Requests of a step, for the slot that is open."""
        self.seen = t
        own = self._counts
        for bucket, n in counts.items():
            own[bucket] = own.get(bucket, 0) + n
        self._requests += count
        self._errors += errors

    def bad_counts(self, counts: Mapping[int, int], errors: int) -> tuple[int, int, int, int, int]:
        """How many requests of a step are above each limit, and failed."""
        small, own, large, target = self.usual.limits
        n_small = n_own = n_large = n_target = 0
        for bucket, n in counts.items():
            if bucket >= small:
                n_small += n
                if bucket >= own:
                    n_own += n
                    if bucket >= large:
                        n_large += n
            if bucket >= target:
                n_target += n
        return n_small, n_own, n_large, n_target, errors

    def aim_if_due(self, t: float, target_ms: float, budget: float, h: float, age_s: float) -> None:
        """Renew limits each hour, or when the past has doubled."""
        due = not 0 <= t - self._aimed_at < 3_600
        if due or self.usual.requests > 2 * self._aimed_with:
            self.aim(t, target_ms, budget, h, age_s)

    def aim(self, t: float, target_ms: float, budget: float, h: float, age_s: float) -> None:
        """Renew limits, usual shares and thresholds for this hour."""
        usual = self.usual
        self._aimed_at, self._aimed_with = t, usual.requests
        usual.aim(t, target_ms, budget)
        for arm in self.arms:
            limit = arm.spec.limit
            if limit < TARGET and not usual.is_known:
                arm.turn_off()
            else:
                arm.aim(usual.shares[limit])
            arm.learn(t, h, age_s)

    # -- what is learned, and when

    def close_slot(self, t: float, h: float, *, in_trouble: bool, is_usual: bool) -> None:
        """Learn from what is over, or let it wait.

        Args:
            t: Now.
            h: The threshold of evidence.
            in_trouble: Whether a trouble of this route, or of the whole app, is open.
            is_usual: Whether it has been like that from the beginning: then it is learned.
        """
        if not self._requests:
            return
        slot = Slot(t, self._counts, self._requests, self._errors)
        self._counts, self._requests, self._errors = {}, 0, 0
        self.is_changed = True
        if is_usual:
            self._learn(slot)
        elif in_trouble or self._is_suspicious(t, h):
            self._held.append(slot)
            del self._held[:-_HELD]
        elif not self.usual.is_known:  # nothing to compare with yet: all of it, and at once
            self._learn(slot)
        else:
            self._learn_held()
            if self._previous is not None:
                self._learn(self._previous)
            self._previous = slot

    def _is_suspicious(self, t: float, h: float) -> bool:
        """Whether it may be the beginning of a trouble, which more requests will tell."""
        waited = bool(self._held) and t - self._held[0].end > DAY_S
        return not waited and any(arm.s > SUSPICIOUS * h for arm in self.arms)

    def _learn_held(self) -> None:
        bad = self.last_bad
        for slot in self._held:
            if bad is None or bad[1] - bad[0] < SHORT_S or slot.end > bad[1] + SLOT_S:
                self._learn(slot)
        self._held = []

    def begin_new_life(self) -> None:
        """It has been like that for days: that is the past now."""
        self.usual = Usual()
        for slot in self._held[-_NEW_LIFE:]:
            self._learn(slot)
        self._held = []

    def _learn(self, slot: Slot) -> None:
        self.usual.fold(slot.end - 1, slot.counts, slot.requests, slot.errors)

    # -- over restarts

    def dump(self) -> dict[str, Any]:
        """What has to survive a restart."""
        waiting = [self._previous] if self._previous is not None else []
        return {
            "usual": self.usual.dump(),
            "arms": [arm.dump() for arm in self.arms],
            "seen": self.seen,
            "last_bad": self.last_bad,
            "held": [_plain(slot) for slot in [*self._held[-50:], *waiting]],
        }

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take what `dump` gave."""
        self.usual.load(dumped["usual"])
        for arm, kept in zip(self.arms, dumped["arms"], strict=False):
            arm.load(kept)
        self.seen = float(dumped["seen"])
        bad = dumped["last_bad"]
        self.last_bad = (float(bad[0]), float(bad[1])) if bad else None
        self._held = [
            Slot(float(end), {int(b): int(n) for b, n in counts.items()}, int(n), int(errors))
            for end, counts, n, errors in dumped["held"]
        ]


def _plain(slot: Slot) -> list[Any]:
    counts = {str(bucket): count for bucket, count in slot.counts.items()}
    return [slot.end, counts, slot.requests, slot.errors]
