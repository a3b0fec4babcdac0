"""Built-in rules about issues: new ones, those that are back, workers that were killed.

Each issue is a series of its own. What people resolved or muted is silent at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from inapp_monitor.alerts.built_in import ISSUES, KILLED, NEW, REGRESSED
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.findings import Finding
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.shown_numbers import times
from inapp_monitor.alerts.status import Status

#: Seconds between two looks.
_LOOK_S = 5.0
#: An issue is new for so long after its last event; a worker was killed lately for so long.
_NEW_S, _KILLED_S = 3_600.0, 300.0
#: An issue that is older when this process first looks has been seen before.
_ALREADY_S = 60.0
_WORKER_DIED = "WorkerDied"
#: Jobs that failed or did not come have a rule of their own.
_CHECK_IN = "Check-in "
_SHORT = 200


class Issue(Protocol):
    """What is asked of an issue."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def culprit(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def first_seen(self) -> float: ...
    @property
    def last_seen(self) -> float: ...


class IssueRules:
    """Holds issues against the rules, in the one process that leads.

    Args:
        engine: Keeps the states.
        latest: The issues seen last, of all processes.
    """

    def __init__(self, engine: Engine, latest: Callable[[], Iterable[Issue]]) -> None:
        self._engine = engine
        self._latest = latest
        self._looked = float("-inf")
        self._since: float | None = None
        for rule in ISSUES:
            engine.add_default(rule)

    def resign(self) -> None:
        """Another process leads."""
        self._since = None

    def tick(self, now: float) -> None:
        """Look at them, every few seconds."""
        if self._since is None:
            self._since = now - _ALREADY_S
        if 0 <= now - self._looked < _LOOK_S:
            return
        self._looked = now
        seen = set()
        for issue in self._latest():
            seen.add(issue.id)
            self._judge(issue, now)
        for rule in ISSUES:  # deleted, or older than what is looked at
            for name, series in list(self._engine.states):
                if name == rule.name and series not in seen and self._is_open(name, series):
                    self._apply(rule, series, "", Status.OK, "not seen any more", now)

    def _judge(self, issue: Issue, now: float) -> None:
        is_silent = issue.status in ("resolved", "muted")
        if issue.type == _WORKER_DIED:
            lately = not is_silent and now - issue.last_seen < _KILLED_S
            self._hold(KILLED, issue, Status.CRITICAL if lately else Status.OK, now)
            return
        if issue.type.startswith(_CHECK_IN):
            return
        known = (NEW.name, issue.id) in self._engine.states
        is_new = issue.first_seen >= (self._since or now) or known
        goes_on = not is_silent and issue.status == "open" and now - issue.last_seen < _NEW_S
        if is_new:
            self._hold(NEW, issue, Status.WARNING if goes_on else Status.OK, now)
        back = issue.status == "regressed"
        self._hold(REGRESSED, issue, Status.WARNING if back else Status.OK, now)

    def _hold(self, rule: Rule, issue: Issue, status: Status, now: float) -> None:
        if (status != Status.OK) == self._is_open(rule.name, issue.id):
            return
        where = f" · {issue.culprit}" if issue.culprit else ""
        text = f"{issue.title[:_SHORT]}{where}, {times(issue.count)}"
        if status == Status.OK:
            text = f"{issue.status}: {text}"
        title = f"{rule.title}: {issue.type}"
        self._apply(rule, issue.id, title, status, text, now)

    def _is_open(self, name: str, series: str) -> bool:
        kept = self._engine.states.get((name, series))
        return kept is not None and kept.state.status != Status.OK

    def _apply(
        self, rule: Rule, series: str, title: str, status: Status, text: str, now: float
    ) -> None:
        rule = self._engine.rules.get(rule.name, rule)
        self._engine.apply(rule, Finding(series, status, None, None, text), now, title=title)
