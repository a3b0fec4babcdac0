"""The parts that judge: rules and their states. Thin: the rooms do not know them."""

from __future__ import annotations

from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.issue_rules import IssueRules
from inapp_monitor.alerts.looks import Looks
from inapp_monitor.alerts.page_rules import InForce, PageRules
from inapp_monitor.issues.triage import Triage
from inapp_monitor.monitor import looked_at
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services

#: Issues held against the rules: those seen last.
_LATEST = 50


class Alerting(Part):
    """Judges the app and evaluates rules, in the one process that leads."""

    name = "alerts"
    ticks_at_end = False

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._engine = services.alerts
        self._judge = services.judge
        # Of what is written: the tracker's own would finish in one tick what a flood has left.
        triage = Triage(services.database, services.core.clock)
        self._issues = IssueRules(services.alerts, lambda: triage.list_issues(_LATEST))
        self._looks = Looks(services.alerts, looked_at.looks(services))
        made = PageRules(services.database)
        self._in_force = InForce(made, services.alerts, built_in.all_rules())
        self._leadership = services.leadership
        self._added = 0
        self.holds = (services.alerts,)

    def tick(self, now: float) -> None:
        if not self._leadership.is_leader:
            self._engine.resign()
            self._judge.resign()
            self._issues.resign()
            self._looks.resign()
            self._in_force.resign()
            return
        self._add_rules()
        self._in_force.tick(now)  # before states are restored: those of unknown rules are forgotten
        self._judge.tick(now)
        self._issues.tick(now)
        self._looks.tick(now)
        self._engine.tick(now)

    def _add_rules(self) -> None:
        """Those that the app gave since the last tick."""
        given = self._core.alert_rules
        for name, table in given[self._added :]:
            self._engine.add(built_in.rule_of(name, table, "monitor.alert"))
        self._added = len(given)

    def forked(self) -> None:
        self._engine.resign()
        self._judge.resign()

    def close(self) -> None:
        self._judge.close(self._core.clock.wall())
