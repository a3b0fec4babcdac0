"""Problems of rules as incidents: a user's own rule has onset, end, deploys and who acknowledged as
what the detector finds in the requests has.

A HARD problem opens an incident, or joins the one that runs. The end is that of the state. What is
UNKNOWN opens none, as nothing is known to be wrong, nor does an issue: it is reported as an event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.incidents import Incidents, Part
from inapp_monitor.alerts.kept_states import Kept
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.status import Status

#: Seconds between two looks at what goes on.
_RENEW_S = 10.0
_OPENS_NONE = {*built_in.DETECTED_NAMES, built_in.NEW.name, built_in.REGRESSED.name}


class RuleIncidents:
    """Those of the leader.

    Args:
        engine: Whose states are followed.
        incidents: The table.
        deploys: Releases that came into use in a window.
    """

    def __init__(
        self,
        engine: Engine,
        incidents: Incidents,
        deploys: Callable[[float, float], list[dict[str, Any]]],
    ) -> None:
        self._engine, self._incidents, self._deploys = engine, incidents, deploys
        self._looked = float("-inf")
        engine.incident_of = self._of

    def tick(self, now: float) -> None:
        """Renew what goes on; what is no problem any more, such as of a rule that is gone, ends."""
        if 0 <= now - self._looked < _RENEW_S:
            return
        self._looked = now
        for incident in self._incidents.open:
            for part in incident.parts:
                if part.of_rule and part.ended is None:
                    self._renew(part, self._engine.states.get((part.rule, part.series)), now)

    def _of(self, rule: Rule, series: str, kept: Kept, title: str, now: float) -> int:
        """See `engine.IncidentOf`."""
        if rule.name in built_in.DETECTED_NAMES:
            return 0
        part = self._incidents.part_of(rule.name, series)
        if part is not None:
            number = self._incidents.number_of(part)
            self._renew(part, kept, now)
            return number
        if self._opens(rule, kept):
            return self._incidents.add(_part(rule, series, kept, title, now), self._deploys).id
        running = self._incidents.running
        return running.id if running is not None and running.ended is None else 0

    @staticmethod
    def _opens(rule: Rule, kept: Kept) -> bool:
        if rule.name in _OPENS_NONE or rule.severity == "info" or kept.state.in_downtime:
            return False
        return kept.state.hard and kept.state.status in (Status.WARNING, Status.CRITICAL)

    def _renew(self, part: Part, kept: Kept | None, now: float) -> None:
        if kept is None or kept.state.status == Status.OK:
            ended = now if kept is None else max(kept.state.since, part.begun)
            self._incidents.update(part, ended=ended)
            return
        state = "crit" if kept.state.status == Status.CRITICAL else part.state
        if (state, kept.detail) != (part.state, part.detail):
            self._incidents.update(part, state=state, detail=kept.detail)


def _part(rule: Rule, series: str, kept: Kept, title: str, now: float) -> Part:
    return Part(
        *(rule.name, series, title, kept.detail),
        state="crit" if kept.state.status == Status.CRITICAL else "warn",
        path=f"/alerts/{rule.name}",
        onset=kept.state.problem_since or now,
        begun=now,
        of_rule=True,
    )
