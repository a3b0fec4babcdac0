"""How many wrong tokens are judged: an allowance a place and one for all places together. Pure.

A place may send some wrong tokens at once; what it used comes back one by one. When nothing is
left, wrong tokens from there are not judged until one has come back.

A right token that is too long to be guessed is let in all the while: a pause protects nothing
there, and would let a stranger behind the same proxy lock out its owner. A short one that somebody
has chosen waits, since an answer in the pause would make guessing it as fast as the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

#: A token of so many characters is not guessed: 120 bits where it was made by chance.
UNGUESSABLE_CHARS = 20
#: Places remembered; the ones that have used least go first.
MAX_PLACES = 500
#: How long a place that sent the right token is exempt from what others used.
KNOWN_S = 7 * 86_400
_KNOWN_AGAIN_S = 86_400


class Limit(NamedTuple):
    """Wrong tokens judged at once, and seconds after which one more is."""

    at_once: int
    back_s: float


PLACE = Limit(30, 6.0)
TOTAL = Limit(100, 1.0)


@dataclass(slots=True)
class Used:
    """What is used of an allowance: `count` at the time `at`."""

    count: float = 0.0
    at: float = 0.0

    def left_over(self, limit: Limit, now: float) -> float:
        """What is still used now.

        A clock that was ahead must not keep the right token out until its time comes: what it
        noted comes back as fast by the distance. No client can set the clock.
        """
        return max(0.0, self.count - abs(now - self.at) / limit.back_s)

    def wait_s(self, limit: Limit, now: float) -> float:
        """Seconds until one more is judged; 0 when it is now."""
        return max(0.0, self.left_over(limit, now) + 1.0 - limit.at_once) * limit.back_s

    def use(self, limit: Limit, now: float) -> None:
        """One was wrong."""
        self.count = min(self.left_over(limit, now) + 1.0, float(limit.at_once))
        self.at = now


@dataclass(slots=True)
class Attempts:
    """What is used, by place and in total, and from where the right token came, and when."""

    places: dict[str, Used] = field(default_factory=dict)
    total: Used = field(default_factory=Used)
    known: dict[str, float] = field(default_factory=dict)

    def wait_s(self, place: str, now: float) -> float:
        """Seconds until a token from this place is judged."""
        own = self.places.get(place, Used()).wait_s(PLACE, now)
        if 0 <= now - self.known.get(place, -KNOWN_S) < KNOWN_S:
            return own
        return max(own, self.total.wait_s(TOTAL, now))

    def wrong(self, place: str, now: float) -> None:
        """A wrong token came from there."""
        self.total.use(TOTAL, now)
        self.places.setdefault(place, Used()).use(PLACE, now)
        if len(self.places) > MAX_PLACES:
            for name in [n for n, used in self.places.items() if not used.left_over(PLACE, now)]:
                del self.places[name]
        while len(self.places) > MAX_PLACES:
            del self.places[min(self.places, key=lambda n: self.places[n].left_over(PLACE, now))]

    def is_news(self, place: str, now: float) -> bool:
        """Whether the right token from there is worth to be noted."""
        return not 0 <= now - self.known.get(place, -KNOWN_S) < _KNOWN_AGAIN_S

    def right(self, place: str, now: float) -> None:
        """The right token came from there."""
        self.known[place] = now
        while len(self.known) > MAX_PLACES:
            del self.known[min(self.known, key=lambda name: self.known[name])]
