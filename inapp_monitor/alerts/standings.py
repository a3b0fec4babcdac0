"""All states as a snapshot, for those who receive it whole."""

from __future__ import annotations

import math
from collections.abc import Mapping

from inapp_monitor.alerts.kept_states import Kept, Key
from inapp_monitor.alerts.notifiers.base import Standing
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.state import State


def standings(rules: Mapping[str, Rule], states: Mapping[Key, Kept]) -> list[Standing]:
    """A line a state of the rules that there are, sorted by name.

    A rule of the detector that has found nothing is OK: it looks at everything.
    """
    known = {rule for rule, _ in states}
    quiet = {
        (name, ""): Kept(State(), None, "nothing found")
        for name, rule in rules.items()
        if rule.kind == "detector" and name not in known
    }
    return [
        _standing(rules[rule], series, kept)
        for (rule, series), kept in sorted({**states, **quiet}.items())
        if rule in rules
    ]


def hard_statuses(states: Mapping[Key, Kept]) -> list[int]:
    """The HARD status of each state, for finding out cheaply whether one has changed."""
    each = [kept.state for kept in states.values()]
    return [state.status if state.hard else state.last_hard for state in each]


def _standing(rule: Rule, series: str, kept: Kept) -> Standing:
    state = kept.state
    name = rule.title or rule.name
    return Standing(
        rule=rule.name,
        series=series,
        status=int(state.status),
        hard=state.hard,
        hard_status=int(state.status if state.hard else state.last_hard),
        title=f"{name}: {series}" if series and series != rule.target else name,
        detail=kept.detail,
        value=math.nan if kept.value is None else kept.value,
        unit=rule.unit,
        warning=str(rule.warning) if rule.warning is not None else "",
        critical=str(rule.critical) if rule.critical is not None else "",
        since=state.problem_since or 0.0,
        silent=state.in_downtime,
        severity=rule.severity,
        labels=rule.labels,
        runbook=rule.runbook,
    )
