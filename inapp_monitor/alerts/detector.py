"""What is wrong with an app, since when, and by which evidence. Pure: no clock, no I/O.

Each step brings, for each route, how many requests ended, how many failed, and their durations.
Each route has a few sequential tests (`cusum`), and so has the app as a whole, which adds up the
evidence of its routes: four slow requests on four routes of a tiny site are one piece of evidence.
What passes a threshold is an open trouble until as much evidence says that it is over. Most is
*shown* at once; it is *sent* when it is more than what this app goes through every week.

While all is well, false alarms a month are at most the requests of a month times the tests that one
takes part in times e^-h: that gives the threshold h for one false alarm in twenty months.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from inapp_monitor.alerts import buckets
from inapp_monitor.alerts.cusum import DAY_S, Arm, Kind, Spec
from inapp_monitor.alerts.lessons import Lessons
from inapp_monitor.alerts.missing_pages import MissingPages
from inapp_monitor.alerts.observed import Change, Row, Sums, UnderWay, What
from inapp_monitor.alerts.traffic import Traffic
from inapp_monitor.alerts.trouble import WHOLE_APP, Trouble, TroubleKey
from inapp_monitor.alerts.usual import FAILED, HANGS_MS, LEAST_PAST, TARGET
from inapp_monitor.alerts.watched import SHORT_S, SLOT_S, SPECS, Watched

#: Tests that a request takes part in, over the false alarms a month that are wanted; requests of a
#: month that are reckoned with at least.
_ARMS_OVER_ALARMS, _LEAST_MONTH = 16 / 0.05, 1_000.0
#: The first slot; later ones last a quarter of the judge's age, up to `SLOT_S`.
_FIRST_SLOT_S = 20.0
#: After so long a trouble is the new life.
NEW_LIFE_S = 3 * DAY_S
_HANG_OVER_S, _HANGS_KNOWN = 20.0, 100
#: Usual share of broken links, and of all 404s, where nothing is known.
_LEAST_BROKEN, _LEAST_NOT_FOUND = 0.002, 0.005
_BROKEN = Spec(FAILED, "broken links", 0.1, 4.0, 3, 5)
_NOT_FOUND = Spec(FAILED, "not found", 0.2, 4.0, 3, 8)


class Detector:
    """The judge of one app. Feed `step` about once a second; read `troubles` and take `changes`.

    Args:
        target_ms: The apdex target: four times as long is slow whatever is usual.
        error_budget: Share of requests that may fail.

    Attributes:
        troubles: The open ones.
        changes: What has changed since they were taken.
        h: The threshold of evidence now.
    """

    def __init__(self, target_ms: float = 250.0, error_budget: float = 0.001) -> None:
        self.target_ms, self.error_budget = target_ms, error_budget
        self.routes: dict[str, Watched] = {}
        self.troubles: dict[TroubleKey, Trouble] = {}
        self.changes: list[Change] = []
        self.h = math.log(_LEAST_MONTH * _ARMS_OVER_ALARMS)
        self.started: float | None = None
        self.last_t = 0.0
        self._warm_until = float("-inf")
        self._slot_end = 0.0
        self._day = 0
        self._per_day = 0.0
        self._today = 0
        self._app_arms = [Arm(spec) for spec in SPECS]
        self._missing: dict[Kind, MissingPages] = {
            "broken links": MissingPages(_BROKEN, _LEAST_BROKEN),
            "not found": MissingPages(_NOT_FOUND, _LEAST_NOT_FOUND),
        }
        self._traffic = Traffic()
        self.lessons = Lessons()

    # -- one step

    def step(
        self,
        t: float,
        dt: float,
        rows: Iterable[Row],
        broken_links: int = 0,
        not_found: int = 0,
    ) -> None:
        """Judge what has ended since the last step.

        Args:
            t: Now.
            dt: Seconds since the last step.
            rows: One for each route with requests.
            broken_links: 404s of links on the app's own pages.
            not_found: All 404s.
        """
        if self.started is None:
            self._start(t)
        every = 0
        sums = Sums()
        for row in rows:
            every += row.requests
            self._judge(row, t, dt, sums)
        self._judge_app(t, dt, sums)
        self._judge_missing("broken links", t, dt, every, broken_links)
        self._judge_missing("not found", t, dt, every, not_found)
        self._judge_traffic(t, every)
        self._today += every
        if t >= self._slot_end:
            self._close_slot(t)
        self._end_hanging(t)
        self.last_t = t

    def restarted(self, t: float, warm_up_s: float) -> None:
        """The app has begun, or another release of it: for a while slowness is no evidence."""
        self._warm_until = t + warm_up_s

    def _start(self, t: float) -> None:
        self.started = self.last_t = t
        self._slot_end = t + _FIRST_SLOT_S
        self._day = int(t // DAY_S)

    @property
    def _age_s(self) -> float:
        return self.last_t - self.started if self.started is not None else 0.0

    def watched(self, route: str, t: float) -> Watched:
        """The route, under watch from now on."""
        found = self.routes.get(route)
        if found is None:
            found = self.routes[route] = Watched(t)
            found.aim(t, self.target_ms, self.error_budget, self.h, self._age_s)
        return found

    def aim(self, route: str, t: float) -> None:
        """Renew limits and thresholds of a route whose past has become known."""
        budget = self.error_budget
        self.watched(route, t).aim(t, self.target_ms, budget, self.h, self._age_s)

    def learned(self, requests: int, first: float, t: float) -> None:
        """The past of the routes has been filled in: so many requests since `first`."""
        self._start(t)
        self.started = first
        self._per_day = requests / max((t - first) / DAY_S, 1.0)
        self._count_day(t, t - first)
        for route in self.routes:
            self.aim(route, t)
        for arm in (*self._app_arms, self._traffic.arm):
            arm.learn(t, self.h, t - first)

    def remember_traffic(self, hours: Mapping[int, int], now: float) -> None:
        """Requests by the hour (epoch seconds over 3,600) before this detector began."""
        self.learned(sum(hours.values()), min(hours) * 3_600.0, now)
        self._traffic.remember(hours, int(now // 3_600))

    def _judge(self, row: Row, t: float, dt: float, sums: Sums) -> None:
        watched = self.watched(row.route, t)
        watched.note(t, row.requests, row.errors, row.counts)
        bad = watched.bad_counts(row.counts, row.errors)
        if row.counts and buckets.lower(max(row.counts)) >= watched.usual.hangs_ms:
            for bucket in row.counts:
                if (ms := buckets.lower(bucket)) >= watched.usual.hangs_ms:
                    self._hangs(row.route, t, row.counts[bucket], t - dt - ms / 1_000)
        slow = self._go_on((row.route, "slow"), t, row.requests, bad)
        self._go_on((row.route, "fail"), t, row.requests, bad)
        warm = t < self._warm_until
        for number, arm in enumerate(watched.arms):
            if not arm.up:
                continue
            spec = arm.spec
            n_bad = bad[spec.limit]
            gain = n_bad * arm.up + (row.requests - n_bad) * arm.down
            if spec.kind != "slow" or slow is None or not slow.as_ever:
                sums.add(number, gain, row.requests, n_bad)
            if (gain <= 0 and arm.s <= 0) or (warm and spec.kind == "slow"):
                continue
            if arm.add(t, dt, row.requests, n_bad, gain, self.h):
                self._found(row.route, arm, watched, t)

    def _go_on(self, key: TroubleKey, t: float, count: int, bad: tuple[int, ...]) -> Trouble | None:
        """The open trouble of this name after these requests."""
        trouble = self.troubles.get(key)
        if trouble is not None and trouble.goes_on(t, count, bad[trouble.limit]):
            self._end(trouble, t, "over")
            return None
        return trouble

    # -- troubles begin

    def _found(
        self, route: str, arm: Arm, watched: Watched | None, t: float, number: int = 0
    ) -> None:
        """An arm has enough evidence: a trouble begins, or one that is open is worth a message."""
        spec = arm.spec
        trouble = self.troubles.get((route, spec.kind))
        if trouble is None:
            limit_ms = 0.0
            if spec.limit == TARGET:
                limit_ms = 4 * self.target_ms
            elif watched is not None and spec.limit < FAILED:
                limit_ms = buckets.lower(watched.usual.limits[spec.limit])
            trouble = Trouble(
                *(route, spec.kind, arm.onset, t, arm.count, arm.bad, spec.limit, limit_ms),
                usual_ms=watched.usual.p95_ms if watched is not None else 0.0,
                p0=arm.p0 if watched is not None else 0.01,
                worst=route or self._worst(number),
                arm=number,
            )
            trouble.as_ever = spec.limit == TARGET and self._was_never_better(watched)
            self._begin(trouble)
        patient = t - trouble.onset >= self.lessons.patience_s[spec.limit]
        if patient and not trouble.sent and arm.s >= arm.sent_at:
            self._send(trouble, t)

    def _was_never_better(self, watched: Watched | None) -> bool:
        every = self.routes.values() if watched is None else (watched,)
        return all(each.usual.requests < LEAST_PAST for each in every)

    def _worst(self, number: int) -> str:
        return max(self.routes, key=lambda route: self.routes[route].arms[number].s, default="")

    def _begin(self, trouble: Trouble) -> None:
        trouble.quiet_s = self.lessons.quiet_s(trouble)
        trouble.passed = self.lessons.passed(trouble)
        self.troubles[trouble.key] = trouble
        self.changes.append(Change(trouble.begun, "begins", trouble))

    def _send(self, trouble: Trouble, t: float) -> None:
        if trouble.kind == "not found" or self.lessons.comes_daily(trouble, t):
            return
        trouble.sent = True
        self.changes.append(Change(t, "sent", trouble))

    # -- troubles end

    def _end(self, trouble: Trouble, t: float, why: What) -> None:
        del self.troubles[trouble.key]
        self.changes.append(Change(t, why, trouble))
        route = trouble.route
        for name in (route,) if route else list(self.routes):
            if name in self.routes:
                self.routes[name].last_bad = (trouble.onset, trouble.calm_since)
        short = why == "over" and trouble.calm_since - trouble.onset < SHORT_S
        self.lessons.learn(trouble, t, short=short)
        for arm in self._arms_of(trouble):
            if arm.spec.kind == trouble.kind:
                if short and arm.s > 0 and arm.peak > 0.3 * self.h:
                    arm.record(t)
                    arm.learn(t, self.h, self._age_s)
                arm.s = 0.0

    def _arms_of(self, trouble: Trouble) -> list[Arm]:
        if trouble.kind in self._missing:
            return [self._missing[trouble.kind].arm]
        if trouble.kind == "stop":
            return [self._traffic.arm]
        if trouble.route == WHOLE_APP:
            return self._app_arms
        found = self.routes.get(trouble.route)
        return found.arms if found is not None else []

    # -- requests that hang

    def under_way(self, t: float, requests: Iterable[UnderWay]) -> None:
        """Requests that have not ended; once a step."""
        hanging: dict[str, list[UnderWay]] = {}
        for request in requests:
            if request.age_ms >= HANGS_MS:
                watched = self.watched(request.route, t)
                if request.age_ms >= watched.usual.hangs_ms:
                    hanging.setdefault(request.route, []).append(request)
        for route, those in hanging.items():
            begun = t - max(request.age_ms for request in those) / 1_000
            self._hangs(route, t, len(those), begun, those[0].label)

    def _hangs(self, route: str, t: float, count: int, onset: float, label: str = "") -> None:
        found, usual = self.troubles.get((route, "hang")), self.routes[route].usual
        if found is None:
            found = Trouble(
                *(route, "hang", onset, t, count, count, FAILED, usual.hangs_ms),
                usual_ms=usual.p99_ms,
                worst=label,
            )
            self._begin(found)
        if not found.sent and (usual.requests >= _HANGS_KNOWN or count >= 3):
            self._send(found, t)  # it is not one slow report of an app that nobody knows yet
        found.at_once = max(found.at_once, count)
        found.calm_since = t

    def _end_hanging(self, t: float) -> None:
        for trouble in [each for each in self.troubles.values() if each.kind == "hang"]:
            if not 0 <= t - trouble.calm_since <= _HANG_OVER_S:
                self._end(trouble, t, "over")

    # -- the app as a whole

    def _judge_app(self, t: float, dt: float, sums: Sums) -> None:
        warm = t < self._warm_until
        for number, arm in enumerate(self._app_arms):
            gain, count, bad = sums.gains[number], sums.counts[number], sums.bad[number]
            kind = arm.spec.kind
            trouble = self.troubles.get((WHOLE_APP, kind)) if self.troubles else None
            looks = (gain > 0 or arm.s > 0) and not (warm and kind == "slow")
            if looks and arm.add(t, dt, count, bad, gain, self.h):
                self._found(WHOLE_APP, arm, None, t, number)
            if trouble is None or trouble.arm != number:
                continue
            if trouble.goes_on(t, count, bad, gain):
                self._end(trouble, t, "over")

    def _judge_missing(self, kind: Kind, t: float, dt: float, count: int, bad: int) -> None:
        missing = self._missing[kind]
        arm = missing.arm
        missing.note(count, bad)
        trouble = self.troubles.get((WHOLE_APP, kind)) if self.troubles else None
        if trouble is not None and (count or bad) and trouble.goes_on(t, count, bad):
            self._end(trouble, t, "over")
            return
        gain = bad * arm.up + max(count - bad, 0) * arm.down
        if (gain > 0 or arm.s > 0) and arm.add(t, dt, count, bad, gain, self.h):
            self._found_missing(kind, arm, t)

    def _found_missing(self, kind: Kind, arm: Arm, t: float) -> None:
        trouble = self.troubles.get((WHOLE_APP, kind))
        if trouble is None:
            trouble = Trouble(WHOLE_APP, kind, arm.onset, t, arm.count, arm.bad, FAILED, p0=arm.p0)
            self._begin(trouble)
        if not trouble.sent and arm.s >= arm.sent_at:
            self._send(trouble, t)

    def _judge_traffic(self, t: float, count: int) -> None:
        trouble = self.troubles.get((WHOLE_APP, "stop")) if self.troubles else None
        if trouble is not None:
            trouble.count += count
            trouble.calm_since = t
            if self._traffic.has_come_back(t, count):
                self._end(trouble, t, "over")
        elif self._traffic.has_stopped(t, count, self.h):
            arm = self._traffic.arm
            usual = self._traffic.least_per_s * 3_600
            trouble = Trouble(
                *(WHOLE_APP, "stop", arm.onset, t, arm.count, 0, FAILED), usual_ms=usual
            )
            arm.s = 0.0
            self._begin(trouble)
            self._send(trouble, t)
        self._traffic.note(t, count, self.h, is_usual=(WHOLE_APP, "stop") not in self.troubles)

    # -- what is learned

    def _close_slot(self, t: float) -> None:
        age_s = t - (self.started or t)
        self._slot_end = t + min(SLOT_S, max(_FIRST_SLOT_S, age_s / 4))
        new_day = self._count_day(t, age_s)
        for route, watched in self.routes.items():
            own = self.troubles.get((route, "slow"))
            open_ = self._troubles_of(route) if self.troubles else []
            is_usual = own is not None and own.as_ever
            watched.close_slot(t, self.h, in_trouble=bool(open_), is_usual=is_usual)
            if open_ and all(t - trouble.begun > NEW_LIFE_S for trouble in open_):
                watched.begin_new_life()
                for trouble in open_:
                    if trouble.key in self.troubles:
                        self._end(trouble, t, "new life")
            if new_day:
                watched.usual.fade()
            watched.aim_if_due(t, self.target_ms, self.error_budget, self.h, age_s)
        self.lessons.forget_old(t, age_s)
        for arm in (*self._app_arms, self._traffic.arm):
            arm.learn(t, self.h, age_s)
        for kind, missing in self._missing.items():
            missing.close_slot(
                *(t, self.h, age_s),
                is_usual=(WHOLE_APP, kind) not in self.troubles,
                new_day=new_day,
            )
        self._end_unseen(t, age_s)

    def _count_day(self, t: float, age_s: float) -> bool:
        """Renew the threshold by the traffic. Returns whether a new day has begun."""
        day = int(t // DAY_S)
        new_day, self._day = day != self._day, day
        if new_day:
            known = self._per_day
            self._per_day = 0.8 * known + 0.2 * self._today if known else float(self._today)
            self._today = 0
        today = self._today / max(age_s, 3_600) * DAY_S if age_s < DAY_S else 0.0
        month = max(30 * max(self._per_day, today), _LEAST_MONTH)
        self.h = math.log(month) + math.log(_ARMS_OVER_ALARMS)
        return new_day

    def _troubles_of(self, route: str) -> list[Trouble]:
        """Open troubles in which requests of a route teach nothing."""
        keys: tuple[TroubleKey, ...] = (
            *((route, "slow"), (route, "fail")),
            *((WHOLE_APP, "slow"), (WHOLE_APP, "fail")),
        )
        found = (self.troubles.get(key) for key in keys)
        return [trouble for trouble in found if trouble is not None and not trouble.as_ever]

    def _end_unseen(self, t: float, age_s: float) -> None:
        """What nobody asks for any more is not known any more; what was never better is a note."""
        for trouble in list(self.troubles.values()):
            if trouble.kind not in ("slow", "fail"):
                continue
            watched = self.routes.get(trouble.route)
            requests = watched.usual.requests if watched is not None else 0.0
            if watched is not None:
                gap_s = min(age_s, 14 * DAY_S) / max(requests, 1)
                if t - watched.seen > max(3_600, 10 * gap_s):
                    self._end(trouble, t, "not seen")
                    continue
            known = trouble.route == WHOLE_APP or requests > 100
            if trouble.as_ever and t - trouble.begun > 3_600 and known:
                self._end(trouble, t, "as ever")

    # -- over restarts

    def dump(self) -> dict[str, Any]:
        """All but the routes, as plain data: a few kB."""
        return {
            "started": self.started, "last_t": self.last_t, "day": self._day,
            "per_day": self._per_day, "today": self._today, "h": self.h, "slot_end": self._slot_end,
            "app": [arm.dump() for arm in self._app_arms],
            "missing": {kind: each.dump() for kind, each in self._missing.items()},
            "traffic": self._traffic.dump(),
            "lessons": self.lessons.dump(),
            "troubles": [trouble.dump() for trouble in self.troubles.values()],
        }  # fmt: skip

    def load(self, dumped: Mapping[str, Any], routes: Mapping[str, Mapping[str, Any]]) -> None:
        """Take what `dump`, and that of each route, gave."""
        self.started, self.last_t = dumped["started"], dumped["last_t"]
        self._day, self._per_day, self._today = dumped["day"], dumped["per_day"], dumped["today"]
        self.h, self._slot_end = dumped["h"], dumped["slot_end"]
        for arm, kept in zip(self._app_arms, dumped["app"], strict=False):
            arm.load(kept)
        for kind, kept in dumped["missing"].items():
            self._missing[kind].load(kept)
        self._traffic.load(dumped["traffic"])
        self.lessons.load(dumped["lessons"])
        for kept in dumped["troubles"]:
            trouble = Trouble(**kept)
            self.troubles[trouble.key] = trouble
        for route, kept in routes.items():
            watched = self.routes[route] = Watched(self.last_t)
            watched.load(kept)
            watched.aim(self.last_t, self.target_ms, self.error_budget, self.h, self._age_s)
        for arm in (*self._app_arms, self._traffic.arm):
            arm.learn(self.last_t, self.h, self._age_s)
