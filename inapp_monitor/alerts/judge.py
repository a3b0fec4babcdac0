"""The judge of a running app: feeds the detector from the store, and turns what it finds into
states of the built-in rules, incidents, and what pages show. One process runs it, the leader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from inapp_monitor.alerts import built_in, rebuilding
from inapp_monitor.alerts.deploy_words import BEFORE_S, ONSET_WITHIN_S, deploy_words
from inapp_monitor.alerts.detector import Detector
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.feed import Feed, Latest
from inapp_monitor.alerts.findings import Finding
from inapp_monitor.alerts.incidents import Incident, Incidents, Part
from inapp_monitor.alerts.measuring import SeriesStore
from inapp_monitor.alerts.memory import Memory
from inapp_monitor.alerts.observed import Change, UnderWay
from inapp_monitor.alerts.rule_incidents import RuleIncidents
from inapp_monitor.alerts.status import Status
from inapp_monitor.alerts.trouble import WHOLE_APP, Trouble
from inapp_monitor.alerts.trouble_words import over, words
from inapp_monitor.ground.clock import Clock

#: Seconds in which slowness is no evidence: after a restart or deploy, and in the very first life.
WARM_UP_S, FIRST_WARM_UP_S = 30.0, 10.0
#: Silence of the judge that means that the app was down.
_WAS_DOWN_S = 30.0
#: Seconds between two savings of what is remembered, and between two looks for deploys.
_SAVE_S, _DEPLOYS_S = 60.0, 5.0
#: A look at the store that takes as long is not taken each second.
_LONG_S = 0.05
#: While something is wrong, its numbers are renewed for pages so often, and in the tables.
_PUBLISH_S, _UPDATE_S = 1.0, 10.0
#: So many requests that hang at once, and this share of bad ones, are critical.
_CRITICAL_HANGS, _CRITICAL_SLOW, _CRITICAL_FAILING = 3, 0.5, 0.05
#: No problem of the detector becomes HARD by being found often: it says itself when it is one.
_NEVER = 10**9
#: The series of troubles of the app as a whole.
APP_SERIES = "app"

Deploys = Callable[[float, float], list[dict[str, Any]]]


class Judge:
    """The leader's.

    Args:
        store: Where the requests of all workers are.
        engine: Keeps the states.
        memory, incidents: The tables.
        clock: Durations are taken from the one that is never set back.
        target_ms: The apdex target.
        name_of: The name of a route for people, by slug and method.
        under_way: Route and age in ms of the requests of all workers that have not ended.
        deploys: Releases that came into use in a window.

    Attributes:
        findings: What is wrong right now, as it is shown: see `_finding`.

    *Threads:* for the ticking thread; `findings` may be read by any.
    """

    def __init__(
        self,
        store: SeriesStore,
        engine: Engine,
        memory: Memory,
        incidents: Incidents,
        clock: Clock,
        target_ms: float,
        name_of: Callable[[str], str] = str,
        under_way: Callable[[], Iterable[UnderWay]] = tuple,
        deploys: Deploys | None = None,
    ) -> None:
        self.findings: list[dict[str, Any]] = []
        self.incidents, self.memory, self.engine = incidents, memory, engine
        self._store, self._clock, self._target_ms = store, clock, target_ms
        self._name_of, self._under_way = name_of, under_way
        self._deploys: Deploys = deploys or _no_deploys
        self._feed = Feed(store)
        self._of_rules = RuleIncidents(engine, incidents, self._deploys)
        self._leads = False
        self._t = self._perf = self._feed_at = 0.0
        self._saved = self._looked_for_deploys = self._published = self._updated = 0.0
        self._rebuild: rebuilding.Rebuilding | None = None
        self.detector = Detector(target_ms)
        for rule in built_in.DETECTED.values():
            engine.add_default(rule)

    # -- who judges

    def resign(self) -> None:
        """Another process leads."""
        self._leads = False

    def _begin(self, now: float) -> None:
        """This process leads from now on: go on where the last leader was."""
        self._leads = True
        self.detector = Detector(self._target_ms)
        self._feed.forget()
        self.engine.restore()
        self.incidents.restore()
        known = self.memory.load(self.detector)
        self._t, self._perf = max(now, self.detector.last_t), self._clock.perf()
        self._saved = self._looked_for_deploys = self._perf
        self._published = self._updated = float("-inf")
        if not known:
            self._rebuild = rebuilding.Rebuilding(self._store, self.detector, now)
            self.detector.restarted(self._t, FIRST_WARM_UP_S)
        elif now - self.detector.last_t > _WAS_DOWN_S:
            self.detector.restarted(self._t, WARM_UP_S)
            self.engine.deployed(now)
        open_ = [self._key(trouble) for trouble in self.detector.troubles.values()]
        self.incidents.end_others(open_, now)
        self._end_other_states(open_, now)
        if known:
            self.memory.publish([], now)  # what an earlier leader left there

    def _end_other_states(self, open_: Sequence[tuple[str, str]], now: float) -> None:
        """States that an earlier leader left bad, and that the detector knows nothing of."""
        for (name, series), kept in list(self.engine.states.items()):
            bad = kept.state.status != Status.OK
            if name in built_in.DETECTED_NAMES and bad and (name, series) not in open_:
                finding = Finding(series, Status.OK, None, None, "over")
                self.engine.apply(self.engine.rules[name], finding, now)

    # -- one tick

    def tick(self, now: float) -> None:
        """Judge what has ended since the last tick."""
        if not self._leads:
            self._begin(now)
        perf = self._clock.perf()
        dt, self._perf = max(perf - self._perf, 0.0), perf
        # By the wall clock, but never back: setting it must neither end nor begin a trouble.
        self._t = t = max(self._t + dt, now)
        if self._rebuild is not None and self._rebuild.go_on():
            self._rebuild = None
        self._look_for_deploys(t, perf)
        latest = self._latest(int(now), perf)
        detector = self.detector
        detector.under_way(t, self._under_way())
        detector.step(t, max(dt, 0.001), latest.rows, latest.broken_links, latest.not_found)
        changes, detector.changes = detector.changes, []
        for change in changes:
            self._apply(change, now)
        self._note_acknowledgements()
        self._of_rules.tick(now)
        self._show(now, perf, changed=bool(changes))
        if changes or not 0 <= perf - self._saved < _SAVE_S:
            self._save(now, perf, changed=bool(changes))

    def _latest(self, now: int, perf: float) -> Latest:
        """What has ended; at most a twentieth of the time is spent on finding out, which takes long
        while the disk refuses and all that was recorded waits in memory."""
        if perf < self._feed_at:
            return Latest([], 0, 0)
        latest = self._feed.take(now)
        cost = self._clock.perf() - perf
        self._feed_at = perf + 20 * cost if cost > _LONG_S else perf
        return latest

    def _look_for_deploys(self, t: float, perf: float) -> None:
        if 0 <= perf - self._looked_for_deploys < _DEPLOYS_S:
            return
        since = t - (perf - self._looked_for_deploys)
        self._looked_for_deploys = perf
        for deploy in self._deploys(since, t):
            self.detector.restarted(float(deploy["timestamp"]), WARM_UP_S)
            self.engine.deployed(float(deploy["timestamp"]))
            self.incidents.deployed(deploy)

    # -- what has changed

    def _apply(self, change: Change, now: float) -> None:
        trouble = change.trouble
        name, series = self._key(trouble)
        detail = words(trouble, self._t, self._name_of).detail
        part = self.incidents.part_of(name, series)
        if change.what in ("begins", "sent"):
            trouble.severe = trouble.severe or is_severe(trouble)
            if part is None:
                self.incidents.add(self._part(trouble, now), self._deploys)
            self._apply_state(trouble, now, is_open=True)
            return
        if part is not None:
            ended = self._wall(trouble.calm_since, now)
            self.incidents.update(part, ended=ended, **self._numbers(trouble, now, detail))
        self._apply_state(trouble, now, is_open=False)

    def _apply_state(self, trouble: Trouble, now: float, *, is_open: bool) -> None:
        """The state of a trouble. Of an incident one state speaks, that of what was sent first; it
        recovers when all that were worth a message are over."""
        key, incident = self._key(trouble), self.incidents.running
        status = Status.CRITICAL if trouble.severe else Status.WARNING
        speaks = trouble.sent
        if incident is not None and trouble.sent:
            if is_open and incident.speaker is None:
                incident.speaker = key
            elif is_open and incident.speaker == key:
                incident.is_over = False
            speaks = incident.speaker == key
            others = any(each.sent for each in self.detector.troubles.values())
            if not is_open and speaks and others:
                incident.is_over = True
                self.incidents.save()
                return
        self._step(trouble, key, status if is_open else Status.OK, now, speaks=speaks)
        if not is_open and incident is not None:
            self._end_speaking(incident, now)

    def _renew_state(self, trouble: Trouble, now: float) -> None:
        """The state of an open trouble with the numbers of now; a message may be due again."""
        key, incident = self._key(trouble), self.incidents.running
        status = Status.CRITICAL if trouble.severe else Status.WARNING
        speaks = trouble.sent and incident is not None and incident.speaker == key
        self._step(trouble, key, status, now, speaks=speaks)

    def _step(
        self,
        trouble: Trouble,
        key: tuple[str, str],
        status: Status,
        now: float,
        *,
        speaks: bool,
    ) -> None:
        title, detail = words(trouble, self._t, self._name_of)
        if status == Status.OK:
            detail = over(detail)
        incident = self.incidents.running
        self.engine.apply(
            self.engine.rules[key[0]],
            Finding(key[1], status, trouble.share, trouble.count, detail),
            now,
            title=title,
            attempts=1 if trouble.sent else _NEVER,
            since=self._wall(trouble.onset, now),
            incident=incident.id if incident is not None else 0,
            speaks=speaks,
        )

    def _end_speaking(self, incident: Incident, now: float) -> None:
        """When nothing that was worth a message is left, the state that spoke recovers."""
        if any(each.sent for each in self.detector.troubles.values()):
            return
        speaker, waited = incident.speaker, incident.is_over
        incident.speaker, incident.is_over = None, False
        if speaker is not None and waited:
            name, series = speaker
            finding = Finding(series, Status.OK, None, None, "over, with all that belonged to it")
            self.engine.apply(self.engine.rules[name], finding, now, incident=incident.id)
        self.incidents.save()

    def _note_acknowledgements(self) -> None:
        """Who acknowledged a state of an incident is a part of its story."""
        for incident in self.incidents.open:
            for part in incident.parts:
                kept = self.engine.states.get((part.rule, part.series))
                made = None if kept is None else kept.state.acknowledgement
                by = "" if made is None else ": ".join(filter(None, (made.author, made.note)))
                if part.ended is None and part.acknowledged_by != by:
                    self.incidents.update(part, acknowledged_by=by)
                if made is not None:
                    self.incidents.acknowledged(incident, by, made.at)

    def _part(self, trouble: Trouble, now: float) -> Part:
        name, series = self._key(trouble)
        title, detail = words(trouble, self._t, self._name_of)
        return Part(
            *(name, series, title, detail, _state(trouble), path_of(trouble)),
            onset=self._wall(trouble.onset, now),
            begun=now,
            count=trouble.count,
            bad=trouble.bad,
        )

    def _numbers(self, trouble: Trouble, now: float, detail: str) -> dict[str, Any]:
        return {
            "detail": detail,
            "state": _state(trouble),
            "count": trouble.count,
            "bad": trouble.bad,
            "onset": self._wall(trouble.onset, now),
        }

    def _wall(self, t: float, now: float) -> float:
        """A time of the detector's by the wall clock."""
        return t - (self._t - now)

    def _key(self, trouble: Trouble) -> tuple[str, str]:
        """Rule and series of its state."""
        return built_in.DETECTED[trouble.kind].name, trouble.route or APP_SERIES

    # -- what is shown

    def _show(self, now: float, perf: float, *, changed: bool) -> None:
        troubles = list(self.detector.troubles.values())
        if not troubles and not changed:
            return
        for trouble in troubles:
            trouble.severe = trouble.severe or (not trouble.sent and is_severe(trouble))
        self.findings = [self._finding(trouble, now) for trouble in _gathered(troubles)]
        if changed or not 0 <= perf - self._published < _PUBLISH_S:
            self._published = perf
            self.memory.publish(self.findings, now)
        if not 0 <= perf - self._updated < _UPDATE_S:
            self._updated = perf
            for trouble in troubles:
                part = self.incidents.part_of(*self._key(trouble))
                if part is not None:
                    detail = words(trouble, self._t, self._name_of).detail
                    self.incidents.update(part, **self._numbers(trouble, now, detail))
                self._renew_state(trouble, now)

    def _finding(self, trouble: Trouble, now: float) -> dict[str, Any]:
        """One trouble as pages show it."""
        title, detail = words(trouble, self._t, self._name_of)
        onset = self._wall(trouble.onset, now)
        deploys = self._deploys(onset - BEFORE_S, onset + ONSET_WITHIN_S)
        if since := deploy_words(deploys, onset):
            detail += f" · {since}"
        return {
            "kind": trouble.kind,
            "rule": built_in.DETECTED[trouble.kind].name,
            "state": _state(trouble),
            "title": title,
            "detail": detail,
            "path": path_of(trouble),
            "route": trouble.route.rpartition(".")[0],
            "since": onset,
            "count": trouble.count,
            "bad": trouble.bad,
            "share": trouble.share,
            "sent": trouble.sent,
        }

    # -- what is remembered

    def _save(self, now: float, perf: float, *, changed: bool) -> None:
        if not 0 <= perf - self._saved < _SAVE_S:
            self._saved = perf
            changed_routes = [
                route for route, watched in self.detector.routes.items() if watched.is_changed
            ]
        elif changed:
            changed_routes = [trouble.route for trouble in self.detector.troubles.values()]
        if changed_routes or self.detector.troubles or changed:
            self.memory.save(self.detector, changed_routes, now)
            for route in changed_routes:
                if route in self.detector.routes:
                    self.detector.routes[route].is_changed = False

    def close(self, now: float) -> None:
        """The process ends: keep what the next leader needs."""
        if self._leads:
            routes = [r for r, watched in self.detector.routes.items() if watched.is_changed]
            self.memory.save(self.detector, routes, now)
            self._leads = False


def _no_deploys(_start: float, _end: float) -> list[dict[str, Any]]:
    return []


def is_severe(trouble: Trouble) -> bool:
    """Whether it is critical by the harm that it does."""
    match trouble.kind:
        case "stop":
            return True
        case "hang":
            return trouble.at_once >= _CRITICAL_HANGS
        case "slow":
            return trouble.share >= _CRITICAL_SLOW
        case "fail":
            return trouble.share >= _CRITICAL_FAILING
        case _:
            return False


def _state(trouble: Trouble) -> str:
    return "crit" if trouble.severe else "warn"


def path_of(trouble: Trouble) -> str:
    """The page with the evidence."""
    route = (trouble.route or trouble.worst).rpartition(".")[0]
    match trouble.kind:
        case "broken links" | "not found":
            return "/not-found"
        case "fail":
            return f"/routes/{route}" if trouble.route else "/errors"
        case "stop":
            return "/routes"
        case _:
            return f"/routes/{route}" if route else "/routes"


def _gathered(troubles: Sequence[Trouble]) -> list[Trouble]:
    """The worst first; that of the whole app only where it tells more than those of its routes."""
    kinds = {trouble.kind for trouble in troubles if trouble.route != WHOLE_APP}
    broken = any(trouble.kind == "broken links" for trouble in troubles)
    shown = [
        trouble
        for trouble in troubles
        if (trouble.route != WHOLE_APP or trouble.kind not in kinds)
        and not (trouble.kind == "not found" and broken)
    ]
    return sorted(shown, key=lambda each: (not each.severe, -each.share * each.count, each.onset))
