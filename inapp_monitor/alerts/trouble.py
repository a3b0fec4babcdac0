"""Something that is wrong now: since when, by which evidence, and when it is over. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from inapp_monitor.alerts.cusum import Kind

#: The route of the app as a whole.
WHOLE_APP = ""
#: Evidence (nats) that it is over.
CALM = 5.0
#: Seconds without anything bad before it is.
QUIET_S = 20.0

#: Route and kind.
TroubleKey = tuple[str, Kind]


@dataclass(slots=True)
class Trouble:
    """One open finding of the detector.

    Attributes:
        route: Whose; "" of the app as a whole.
        kind: What it is.
        onset: When it began.
        begun: When it was found.
        count, bad: Requests since the onset, and the bad ones among them; while it may be over,
            those until then.
        limit: Which limit makes them bad, see `usual`; `limit_ms` the same as a duration.
        usual_ms: What is usual: the p95 (of a hang the p99), or requests an hour.
        p0: The usual share of bad ones.
        worst: Of the whole app: the route with the most evidence.
        arm: Of the whole app: which test has found it.
        sent: Whether it is worth a message.
        as_ever: It is above the target, and no better past is known.
        quiet_s: For so long nothing bad must happen before it is over.
        calm, calm_since: Evidence that it is over, and since when; `calm_count` and `calm_bad` are
            the requests since.
        at_once: Of a hang: how many requests.
        passed: How often the like has passed by itself in 14 days.
    """

    route: str
    kind: Kind
    onset: float
    begun: float
    count: int
    bad: int
    limit: int
    limit_ms: float = 0.0
    usual_ms: float = 0.0
    p0: float = 0.001
    worst: str = WHOLE_APP
    arm: int = 0
    sent: bool = False
    as_ever: bool = False
    quiet_s: float = QUIET_S
    calm: float = 0.0
    calm_since: float = 0.0
    calm_count: int = 0
    calm_bad: int = 0
    up: float = 0.0
    down: float = 0.0
    at_once: int = 1
    passed: int = 0
    severe: bool = False

    def __post_init__(self) -> None:
        self.calm_since = self.calm_since or self.begun
        self._weigh()

    @property
    def key(self) -> TroubleKey:
        """Route and kind: there is one open trouble of each."""
        return self.route, self.kind

    @property
    def share(self) -> float:
        """The share of bad requests since the onset, 0 to 1."""
        return self.bad / max(self.count, 1)

    def _weigh(self) -> None:
        """Weights for its end: half of the bad share since the onset against the usual one."""
        p1 = min(0.5, max(2 * self.p0, 0.5 * self.share))
        if p1 > self.p0:
            self.up, self.down = math.log(p1 / self.p0), math.log((1 - p1) / (1 - self.p0))

    def goes_on(self, t: float, count: int, bad: int, gain: float | None = None) -> bool:
        """Add requests of a step. Returns whether it is over.

        Args:
            gain: What they say for the trouble, where others than its own weights tell.
        """
        self.calm_count += count
        self.calm_bad += bad
        if gain is None:
            gain = bad * self.up + (count - bad) * self.down
        self.calm = min(self.calm - gain, 2 * CALM)
        if self.calm <= 0:
            self.calm, self.calm_since = 0.0, t
            self.count += self.calm_count
            self.bad += self.calm_bad
            self.calm_count = self.calm_bad = 0
            self._weigh()
            return False
        return self.calm >= CALM and t - self.calm_since >= self.quiet_s

    def dump(self) -> dict[str, Any]:
        """It as plain data; `Trouble(**...)` makes it again."""
        return {name: getattr(self, name) for name in self.__slots__}
