"""What a rule would have found over the past week, by the very functions that judge it.

A week is looked at in some hundred steps, each of which stands for one evaluation or more: what
lasted for less than a step is averaged there, as the page says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from inapp_monitor.alerts.findings import findings, questions
from inapp_monitor.alerts.question import Question
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.state import Kind, State, StateConfig, step
from inapp_monitor.alerts.status import Status
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.request import RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import work_time
from inapp_monitor.web.graphite.render import limits_of
from inapp_monitor.web.kept.process_state import process_state

WEEK_S = 7 * 86_400
_POINTS, _SERIES, _SHOWN = 1_008, 25, 20


def preview(backend: Backend, rule: Rule) -> dict[str, Any]:
    """What it would have sent: `problems` (series, since, until, status, detail; the newest first,
    at most 20), `count` of them, `share` of the time in per cent, `step_s`, `series` looked at.

    Raises:
        QueryError: the target cannot be evaluated.
    """
    now = backend.now()
    asked = questions(rule, now)
    read = {each: _read(backend, rule, each, now, WEEK_S)[:_SERIES] for each in asked.all()}
    lines = read[asked.value]
    step_s = max((line.step for line in lines), default=600)
    config = _config(rule, step_s)
    states: dict[str, State] = {}
    problems: list[dict[str, Any]] = []
    open_: dict[str, dict[str, Any]] = {}
    silent: dict[str, float] = {}
    start = max(int(now - WEEK_S), _first(lines) or now) // step_s * step_s
    for end in range(start + step_s, int(now) // step_s * step_s + 1, step_s):
        answers = {
            each: _at(series, end - step_s - (now - each.end)) for each, series in read.items()
        }
        before = {name: state.status for name, state in states.items()}
        for found in findings(rule, asked, answers, before, silent):
            silent[found.series] = (
                0.0 if found.value is not None else (silent.get(found.series, 0.0) + step_s)
            )
            if found.status is None:
                continue
            known = states.get(found.series, State())
            state, notices = step(config, known, found.status, float(end))
            states[found.series] = state
            for notice in notices:
                _note(problems, open_, found.series, notice.kind, state, end, found.text)
    for each in open_.values():
        each["until"] = None
    bad_s = sum((each["until"] or now) - each["since"] for each in problems)
    return {
        "problems": sorted(problems, key=lambda each: -each["since"])[:_SHOWN],
        "count": len(problems),
        "share": 100 * bad_s / (WEEK_S * max(len(states), 1)),
        "step_s": step_s,
        "series": len(lines),
        "known": any(not math.isnan(value) for line in lines for value in line.values),
    }


def _note(
    problems: list[dict[str, Any]],
    open_: dict[str, dict[str, Any]],
    series: str,
    kind: Kind,
    state: State,
    end: int,
    text: str,
) -> None:
    """A problem begins, changes or ends."""
    if kind == Kind.PROBLEM:
        if series not in open_:
            open_[series] = {"series": series, "since": state.problem_since or end, "until": None}
            problems.append(open_[series])
            open_[series].update(status=state.status.name, detail=text)
        elif state.status == Status.CRITICAL:
            open_[series].update(status=state.status.name, detail=text)
    elif kind == Kind.RECOVERY and series in open_:
        open_.pop(series)["until"] = end


def _first(series: list[Series]) -> int | None:
    """When the first value is known: what was not there yet was no problem."""
    known = [
        each.start + each.step * number
        for each in series
        for number, value in enumerate(each.values)
        if value == value
    ]
    return min(known, default=None)


def _config(rule: Rule, step_s: int) -> StateConfig:
    """A step stands for so many evaluations as it has intervals."""
    in_step = max(step_s / rule.interval_s, 1.0)
    attempts = max(math.ceil(rule.attempts / in_step), 1)
    recovery = max(math.ceil(rule.recovery_attempts / in_step), 1)
    return StateConfig(attempts, recovery, 0.0, flap_detection=False)


def check(backend: Backend, rule: Rule) -> None:
    """Evaluate what a rule looks at, over a few minutes.

    Raises:
        QueryError: it cannot be evaluated.
    """
    now = backend.now()
    for asked in questions(rule, now).all():
        _read(backend, rule, asked, now, 600)


def _read(backend: Backend, rule: Rule, asked: Question, now: int, span_s: int) -> list[Series]:
    """The series of a target over so long, up to the question's end."""
    request = RenderRequest(
        start=asked.end - span_s,
        end=asked.end,
        now=now,
        max_points=_POINTS,
        own_consolidation=True,
        limits=limits_of(backend.loaded.settings),
        events=process_state(backend).events,
        elapsed=work_time.stopwatch(backend.clock),
    )
    found = evaluate([asked.target], request, backend.source)
    return [_in_windows(s.consolidated(-(-len(s) // _POINTS)), rule) for s in found]


def _in_windows(series: Series, rule: Rule) -> Series:
    """Of counts, what falls into one window of the rule on average."""
    if series.consolidation != "sum" or series.step <= rule.window_s:
        return series
    values = series.values * (rule.window_s / series.step)
    return Series(series.name, series.start, series.end, series.step, values)


def _at(series: list[Series], start: float) -> Mapping[str, float]:
    """The values of a step that begins at `start`, of those that have one."""
    found = {}
    for each in series:
        at = int((start - each.start) // each.step)
        if 0 <= at < len(each.values):
            value = float(each.values[at])
            if value == value:
                found[each.name] = value
    return found
