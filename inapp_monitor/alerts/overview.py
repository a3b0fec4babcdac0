"""Rules and states as plain data: what the page, its JSON, the plugin and the health address tell.

Read by any process from what the leader publishes and writes. A state is written only when it
changes, so that its value is measured again here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from inapp_monitor.alerts import published_rules
from inapp_monitor.alerts.findings import findings, questions, words
from inapp_monitor.alerts.kept_states import Kept, KeptStates, Key
from inapp_monitor.alerts.measuring import SETTLED_S, Measuring, SeriesStore
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.state import State
from inapp_monitor.alerts.status import Status, worst

#: Seconds after the last judgement from which on nothing that it found is believed.
STALE_S = 120.0
_STEP_S = 10


class Judged(NamedTuple):
    """What is known at a moment.

    Attributes:
        rules: In force, by name.
        states: Of their series.
        at: When the leader last judged; None for never.
        fault: Why the rules cannot be read; "" when they can.
    """

    rules: dict[str, Rule]
    states: dict[Key, Kept]
    at: float | None
    fault: str

    def is_stale(self, now: float) -> bool:
        """Whether nobody judges any more (or nobody ever did)."""
        return self.at is None or now - self.at > STALE_S


def read(data_dir: Path, kept: KeptStates, store: SeriesStore, now: float) -> Judged:
    """What the leader last wrote, with the values of the moment."""
    try:
        rules, at = published_rules.read(data_dir)
        fault = ""
    except (OSError, ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        rules, at, fault = {}, None, f"{published_rules.FILE_NAME}: {error}"
    states = {key: each for key, each in kept.all().items() if key[0] in rules}
    return Judged(rules, _with_values(rules, states, store, now), at, fault)


def _with_values(
    rules: Mapping[str, Rule], states: dict[Key, Kept], store: SeriesStore, now: float
) -> dict[Key, Kept]:
    end = int(now - SETTLED_S) // _STEP_S * _STEP_S
    wanted = {name for name, _ in states}
    asked = {n: questions(rules[n], end) for n in wanted if rules[n].kind == "query"}
    every = [question for each in asked.values() for question in each.all()]
    answers = Measuring(store).answer(every, int(now))
    measured = dict(states)
    for name, each in asked.items():
        for found in findings(rules[name], each, answers, {}, {}):
            known = states.get((name, found.series))
            if known is None or found.value is None or known.state.status == Status.UNKNOWN:
                continue
            text = words(rules[name], found.value, found.requests, known.state.status)
            measured[name, found.series] = replace(known, value=found.value, detail=text)
    return measured


def rule_rows(judged: Judged, now: float) -> list[dict[str, Any]]:
    """A row a rule, the worst first; each with its states, the worst first."""
    by_rule: dict[str, list[dict[str, Any]]] = {name: [] for name in judged.rules}
    for (name, series), kept in judged.states.items():
        by_rule[name].append(state_row(judged.rules[name], series, kept))
    rows = [_rule_row(judged.rules[name], states, now) for name, states in by_rule.items()]
    return sorted(rows, key=_worst_first)


def _worst_first(row: Mapping[str, Any]) -> tuple[int, int, str]:
    hard, soft = Status[row["status"]].severity, Status[row["soft_status"]].severity
    return -hard, -soft, row["name"]


def _rule_row(rule: Rule, states: list[dict[str, Any]], now: float) -> dict[str, Any]:
    states.sort(key=lambda row: (-Status[row["hard_status"]].severity, row["series"]))
    problems = [row for row in states if row["hard_status"] != "OK"]
    since = [row["problem_since"] for row in problems if row["problem_since"] is not None]
    return {
        "name": rule.name,
        "title": rule.title or rule.name,
        "status": worst([Status[row["hard_status"]] for row in states]).name,
        # The detector looks at everything: that it found nothing is a finding.
        "judged": bool(states) or rule.kind == "detector",
        "since": min(since, default=None),
        "problems": len(problems),
        "soft": sum(not row["hard"] for row in states),
        "soft_status": worst([Status[row["status"]] for row in states if not row["hard"]]).name,
        "target": rule.target,
        "of": rule.whole,
        "warning": str(rule.warning) if rule.warning is not None else "",
        "critical": str(rule.critical) if rule.critical is not None else "",
        "recovery": str(rule.recovery) if rule.recovery is not None else "",
        "unit": rule.unit,
        "window_s": rule.window_s,
        "attempts": rule.attempts,
        "severity": rule.severity,
        "labels": dict(rule.labels),
        "runbook": rule.runbook,
        "source": rule.source,
        "kind": rule.kind,
        "notify": rule.notify,
        "silent": bool(problems)
        and all(row["acknowledged"] or row["in_downtime"] for row in problems),
        "age_s": None if not since else max(now - min(since), 0.0),
        "series": states,
    }


def state_row(rule: Rule, series: str, kept: Kept) -> dict[str, Any]:
    """One state as plain data."""
    state = kept.state
    return {
        "series": series,
        "status": state.status.name,
        "hard": state.hard,
        "hard_status": _hard(state).name,
        "attempt": state.attempt,
        "attempts": rule.attempts,
        "since": state.since or None,
        "problem_since": state.problem_since,
        "value": kept.value,
        "detail": kept.detail,
        "acknowledged": None if state.acknowledgement is None else asdict(state.acknowledgement),
        "in_downtime": state.in_downtime,
        "downtimes": [asdict(downtime) for downtime in state.downtimes],
        "flapping": state.flapping,
        "flap_percent": round(state.flap_percent, 2),
        "notified": state.notified,
    }


def _hard(state: State) -> Status:
    return state.status if state.hard else state.last_hard
