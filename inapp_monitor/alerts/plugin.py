"""What the Nagios plugin answers: from the JSON of `/alerts` or `/render` to status and text. Pure.

The status is the HARD one: attempts were counted by the monitor already. Whatever cannot be known
is UNKNOWN: no such rule, nobody judges, no data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from inapp_monitor.alerts import nagios_output, words
from inapp_monitor.alerts.nagios_output import Metric
from inapp_monitor.alerts.range import Range, status_of
from inapp_monitor.alerts.shown_numbers import shown
from inapp_monitor.alerts.status import Status, worst

#: Rules named in an error.
_NAMED = 8


class Answer(NamedTuple):
    """What a plugin ends with.

    Attributes:
        status: Its exit code.
        output: What it prints.
    """

    status: Status
    output: str


def unknown(text: str) -> Answer:
    """UNKNOWN with the reason."""
    return Answer(Status.UNKNOWN, nagios_output.output(f"UNKNOWN: {text}"))


def of_rule(document: Mapping[str, Any], name: str, now: float) -> Answer:
    """The status of one rule."""
    rules = {row["name"]: row for row in document["rules"]}
    trouble = _trouble(document, now)
    if trouble:
        return unknown(trouble)
    if name not in rules:
        known = ", ".join(sorted(rules)[:_NAMED]) or "none"
        return unknown(f"no rule {name!r}; there are {known}")
    row = rules[name]
    if not row["judged"]:
        return unknown(f"{name} has not been judged yet")
    status = Status[row["status"]]
    bad = [each for each in row["series"] if each["hard_status"] != "OK"]
    text = _sentence(row, bad[0]) if bad else f"{status.name}: {row['title']}: {_fine(row)}"
    if len(bad) > 1:
        text += f" (+{len(bad) - 1} more)"
    lines = [_sentence(row, each) for each in bad] if len(bad) > 1 else []
    return Answer(status, nagios_output.output(text, lines, _metrics(row)))


def of_all(document: Mapping[str, Any], now: float) -> Answer:
    """The worst status of all rules."""
    trouble = _trouble(document, now)
    if trouble:
        return unknown(trouble)
    rules = [row for row in document["rules"] if row["judged"]]
    if not rules:
        return unknown("no rule has been judged yet")
    bad = [row for row in rules if row["status"] != "OK"]
    status = worst([Status[row["status"]] for row in rules])
    lines = [_sentence(row, row["series"][0]) for row in bad]
    text = f"{status.name}: {len(bad)} of {len(rules)} rules: {lines[0]}" if bad else ""
    counts = [Metric("problems", float(len(bad))), Metric("rules", float(len(rules)))]
    further = lines if len(lines) > 1 else []
    fine = f"OK: no problem, {len(rules)} rule{'s' if len(rules) != 1 else ''}"
    return Answer(status, nagios_output.output(text or fine, further, counts))


def of_target(
    series: Sequence[Mapping[str, Any]], warning: Range | None, critical: Range | None
) -> Answer:
    """The worst status of some series as the render API returns them, each by its mean."""
    measured = {str(each["target"]): _mean(each["datapoints"]) for each in series}
    if not measured:
        return unknown("the target selects no series")
    found = {name: status_of(value, warning, critical) for name, value in measured.items()}
    status = worst(list(found.values()))
    ordered = sorted(measured, key=lambda name: -found[name].severity)
    limits = (nagios_output.threshold(warning), nagios_output.threshold(critical))
    lines = [f"{found[name].name}: {name} = {_value(measured[name])}" for name in ordered]
    bad = sum(each != Status.OK for each in found.values())
    more = f" (+{bad - 1} more)" if bad > 1 else ""
    metrics = [Metric(name, measured[name], "", *limits) for name in ordered]
    further = lines[1:] if len(lines) > 1 else []
    return Answer(status, nagios_output.output(lines[0] + more, further, metrics))


def _trouble(document: Mapping[str, Any], now: float) -> str:
    if document.get("fault"):
        return str(document["fault"])
    if document["judged"] is None:
        return "nobody has judged the rules yet: the app has not answered a request"
    if document["stale"]:
        age = words.duration(now - document["judged"])
        return f"nobody has judged the rules for {age}: the app does not run"
    return ""


def _sentence(row: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    about = row["title"]
    if state["series"] and state["series"] != row["target"]:
        about += f" {state['series']}"
    text = f"{state['hard_status']}: {about}: {state['detail']}"
    if state["acknowledged"]:
        text += f" (acknowledged by {state['acknowledged']['author'] or 'somebody'})"
    return text + (" (in downtime)" if state["in_downtime"] else "")


def _fine(row: Mapping[str, Any]) -> str:
    states = row["series"]
    if not states:
        return "nothing found"
    return f"{len(states)} series" if len(states) > 1 else states[0]["detail"] or "fine"


def _metrics(row: Mapping[str, Any]) -> list[Metric]:
    return [
        Metric(
            each["series"] or row["name"],
            math.nan if each["value"] is None else float(each["value"]),
            row["unit"],
            row["warning"],
            row["critical"],
        )
        for each in row["series"]
    ]


def _mean(points: Sequence[Sequence[float | None]]) -> float:
    known = [float(point[0]) for point in points if point[0] is not None]
    return math.fsum(known) / len(known) if known else math.nan


def _value(value: float) -> str:
    return "no data" if value != value else shown(value)
