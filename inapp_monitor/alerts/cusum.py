"""Evidence that a share of bad requests has risen: a CUSUM of log likelihood ratios. Pure.

Of n requests k are bad (slower than a limit, or failed). What they say for "the share is p1" and
against "the share is p0, as usual" is

    S = max(0, S + k ln(p1/p0) + (n-k) ln((1-p1)/(1-p0)))

While all is well S passes a threshold h after e^h requests in the mean, or later (Lorden 1971), and
no test that cries as seldom finds p1 sooner (Moustakides 1986). The last zero of S is the onset.

Real requests are not independent: pauses and noisy neighbours make bad ones come in clumps. So an
arm remembers how far its evidence went in troubles that passed by themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

DAY_S = 86_400.0
#: What is remembered, and for how long.
_RECORDS, REMEMBERED_S = 12, 14 * DAY_S
#: Peaks above this share of the threshold are worth remembering.
SUSPICIOUS = 0.3
#: A trouble that came so often need not be shown, and after so often is no news to send.
_OFTEN, UNSEEN = 9, 2
#: An arm whose p1 would be above has nothing to find: nearly all are bad as ever.
_MOST = 0.9

Kind = Literal["slow", "fail", "broken links", "not found", "stop", "hang"]


@dataclass(frozen=True, slots=True)
class Spec:
    """What one arm looks for.

    Attributes:
        limit: Which limit makes a request bad, see `usual`.
        kind: What it is called then.
        least_p1: The share it looks for, at least.
        times: The same as a multiple of the usual share.
        least_s: For so long at least.
        least_bad: With so many bad requests at least.
    """

    limit: int
    kind: Kind
    least_p1: float
    times: float
    least_s: float
    least_bad: int


class Arm:
    """One sequential test.

    Attributes:
        spec: What it looks for.
        up, down: What a bad and a good request add; both 0 while it is off.
        s: The evidence now; `peak` its largest since the onset.
        onset: Its last zero, epoch seconds; `count` and `bad`: the requests since.
        p0, p1: The shares that are told apart.
        shown_at, sent_at: Evidence that is worth showing and worth a message.
    """

    __slots__ = (
        *("bad", "count", "down", "onset", "p0", "p1", "peak", "records", "s", "sent_at"),
        *("shown_at", "since", "spec", "up"),
    )

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.up = self.down = self.s = self.peak = self.p0 = 0.0
        self.p1 = spec.least_p1
        self.onset = self.since = 0.0
        self.count = self.bad = 0
        self.records: list[tuple[float, float]] = []
        self.shown_at = self.sent_at = 0.0

    def aim(self, p0: float) -> None:
        """Tell a usual share from what it would be in trouble."""
        self.p0, self.p1 = p0, max(self.spec.least_p1, self.spec.times * p0)
        if self.p1 > _MOST:
            self.turn_off()
        else:
            self.up, self.down = math.log(self.p1 / p0), math.log((1 - self.p1) / (1 - p0))

    def turn_off(self) -> None:
        """Nothing is known to compare with."""
        self.up = self.down = 0.0

    def add(self, t: float, dt: float, count: int, bad: int, gain: float, h: float) -> bool:
        """Add a step's requests. Returns whether the evidence is enough to be shown.

        Args:
            t: The end of the step; it lasted `dt` seconds.
            count, bad: Its requests.
            gain: What they add: the log likelihood ratio.
            h: The threshold.
        """
        if self.s <= 0:
            if gain <= 0:
                return False
            self.onset, self.count, self.bad, self.s, self.peak = t - dt, 0, 0, 0.0, 0.0
            self.since = t - min(dt, 1)
        self.s = s = self.s + gain
        if s > self.peak:
            self.peak = s
        elif s <= 0:
            if self.peak > SUSPICIOUS * h:
                self.record(t)
            self.s = 0.0
            return False
        self.count += count
        self.bad += bad
        enough = gain > 0 and s >= h and s >= self.shown_at
        spec = self.spec
        return enough and t - self.since >= spec.least_s - 1 and self.bad >= spec.least_bad

    def record(self, t: float) -> None:
        """Remember how far the evidence went in a trouble that passed."""
        self.records.append((t, self.peak))
        if len(self.records) > _RECORDS:
            self.records.remove(min(self.records, key=lambda record: record[1]))

    def learn(self, t: float, h: float, age_s: float) -> None:
        """Renew the thresholds. What happened thrice in 14 days is usual: a message needs twice as
        much evidence. What happened ten times need not be shown. A new judge is slow to send."""
        patient = h * (1 + 2 * math.exp(-age_s / DAY_S))
        if not self.records:  # as of nearly all arms nearly always
            self.shown_at, self.sent_at = h, max(h, patient)
            return
        self.records = [record for record in self.records if record[0] > t - REMEMBERED_S]
        peaks = sorted((peak for _, peak in self.records), reverse=True)
        self.shown_at = max(h, 1.2 * peaks[_OFTEN]) if len(peaks) > _OFTEN else h
        twice = 2 * peaks[UNSEEN] if len(peaks) > UNSEEN else 0.0
        self.sent_at = max(self.shown_at, patient, twice)

    def dump(self) -> list[Any]:
        """What has to survive a restart: evidence and memory. Aim and thresholds are made anew."""
        return [self.s, self.peak, self.onset, self.since, self.count, self.bad, self.records]

    def load(self, dumped: list[Any]) -> None:
        """Take what `dump` gave."""
        self.s, self.peak, self.onset, self.since, self.count, self.bad, records = dumped
        self.records = [(t, peak) for t, peak in records]
