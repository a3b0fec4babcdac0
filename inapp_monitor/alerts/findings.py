"""From a rule and what was measured to the status of each of its series. Pure.

Missing data, too few requests and comparison with an earlier time are decided here; what follows of
a status (attempts, messages) is `state`'s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from inapp_monitor.alerts.question import Answer, Question
from inapp_monitor.alerts.rule import MAX_SERIES, Rule
from inapp_monitor.alerts.shown_numbers import shown
from inapp_monitor.alerts.status import Status
from inapp_monitor.ground.exceptions import QueryError

#: What the monitor measures of requests itself: without any there are no data, which is no fault.
_OF_REQUESTS = re.compile(
    r"(requests|routes\.[^.()]+\.[^.()]+)\."
    r"(?:errors|not_found|broken_links|status\.[0-9x*?]{1,3}|(?:time|queue_time)\.[a-z0-9*]+)"
)
#: What it counts: where nothing was counted there was none.
_COUNTED = re.compile(r".+\.(?:errors|not_found|broken_links|status\.[0-9x]{3}|time\.count)")
#: The series of a rule's own troubles: it could not be evaluated, or found nothing at all.
WHOLE_RULE = ""


class Finding(NamedTuple):
    """What a rule found about one series.

    Attributes:
        series: Its name; "" for the rule as a whole.
        status: What it means; None: nothing is changed by it (too little to say, or `keep`).
        value: What was measured; None when nothing was.
        requests: How many it is made of, where the rule asks for a least number.
        text: The finding in words; "" for a value that is in order, see `words`.
    """

    series: str
    status: Status | None
    value: float | None
    requests: float | None
    text: str


@dataclass(slots=True)
class Questions:
    """What has to be measured for one evaluation of a rule.

    Attributes:
        value, whole, count: The target, what it is a share of, the requests in the window.
        value_before, whole_before: The same at the earlier time it is compared with.
    """

    value: Question
    whole: Question | None = None
    count: Question | None = None
    value_before: Question | None = None
    whole_before: Question | None = None

    def all(self) -> list[Question]:
        """Those that there are."""
        every = (self.value, self.whole, self.count, self.value_before, self.whole_before)
        return [question for question in every if question is not None]


def questions(rule: Rule, end: int) -> Questions:
    """What to measure for a rule, over the window that ends at `end`."""
    window_s = max(int(rule.window_s), 1)
    asked = Questions(Question(rule.target, window_s, end))
    if rule.whole:
        asked.whole = Question(rule.whole, window_s, end)
    elif rule.min_count:
        asked.count = Question("requests.time.count", window_s, end)
    if rule.before_s:
        asked.value_before = Question(rule.target, window_s, end - rule.before_s)
        if rule.whole:
            asked.whole_before = Question(rule.whole, window_s, end - rule.before_s)
    return asked


def findings(
    rule: Rule,
    asked: Questions,
    answers: Mapping[Question, Answer | QueryError],
    before: Mapping[str, Status],
    silent_s: Mapping[str, float],
) -> list[Finding]:
    """What a rule found.

    Args:
        rule: The rule.
        asked: Its questions.
        answers: To these and to others.
        before: The status of each series known so far.
        silent_s: For how long each of them has had no data.
    """
    for question in asked.all():
        answer = answers[question]
        if isinstance(answer, QueryError):
            text = f"cannot be evaluated: {answer}"
            return [Finding(WHOLE_RULE, Status.UNKNOWN, None, None, text)]
    measured = _measured(asked, answers)
    if _is_of_requests(rule) and not (rule.whole or rule.before_s):
        total = _total(asked, answers)
        known = {rule.target} if rule.target.startswith("requests.") else set()
        for name in sorted({*known, *before} - set(measured)):
            if _COUNTED.fullmatch(name) and not _has_wildcard(name):
                measured[name] = (0.0, total)
    if len(measured) > MAX_SERIES:
        text = f"{len(measured)} series, at most {MAX_SERIES} have a state of their own"
        return [Finding(WHOLE_RULE, Status.UNKNOWN, None, None, text)]
    found = [_judged(rule, name, *each, before) for name, each in measured.items()]
    missing = [name for name in before if name not in measured and name != WHOLE_RULE]
    found += [_missing(rule, name, silent_s.get(name, 0.0)) for name in missing]
    if not found and _is_new(rule, asked, answers):
        return _nothing(before, "nothing is known of the time it is compared with")
    if not found and _is_of_requests(rule) and _may_be_idle(rule):
        return _nothing(before, "no requests")
    if not found:
        return [_missing(rule, WHOLE_RULE, silent_s.get(WHOLE_RULE, 0.0))]
    if WHOLE_RULE in before:  # its trouble is over
        found.append(Finding(WHOLE_RULE, Status.OK, None, None, "evaluated again"))
    return found


def _is_of_requests(rule: Rule) -> bool:
    """Whether a rule without a policy of its own for missing data is about requests: a site that
    nobody visits at night is not UNKNOWN."""
    given = rule.no_data != "unknown" or rule.no_data_s
    return not given and _OF_REQUESTS.fullmatch(rule.whole or rule.target) is not None


def _may_be_idle(rule: Rule) -> bool:
    """Whether perhaps nobody came; a route of which nothing was ever known may be misspelt."""
    subject = rule.whole or rule.target
    return subject.startswith("requests.") or _has_wildcard(subject)


def _is_new(rule: Rule, asked: Questions, answers: Mapping[Question, Answer | QueryError]) -> bool:
    """Whether there are values, but none of the earlier time."""
    return bool(rule.before_s) and bool(_of(answers, asked.value))


def _nothing(before: Mapping[str, Status], text: str) -> list[Finding]:
    """Nothing is known, and nothing is wrong with the rule."""
    is_over = before.get(WHOLE_RULE, Status.OK) != Status.OK
    return [Finding(WHOLE_RULE, Status.OK if is_over else None, None, None, text)]


def _measured(
    asked: Questions, answers: Mapping[Question, Answer | QueryError]
) -> dict[str, tuple[float, float | None]]:
    """Value and count of each series."""
    now = _shares(asked.value, asked.whole, answers)
    if asked.count is not None:
        total = _total(asked, answers)
        now = {name: (value, total) for name, (value, _) in now.items()}
    if asked.value_before is None:
        return now
    earlier = _shares(asked.value_before, asked.whole_before, answers)
    return {
        name: (value / earlier[name][0], count)
        for name, (value, count) in now.items()
        if name in earlier and earlier[name][0]
    }


def _total(asked: Questions, answers: Mapping[Question, Answer | QueryError]) -> float:
    """The requests in the window."""
    return math.fsum(_of(answers, asked.count).values()) if asked.count is not None else 0.0


def _shares(
    value: Question, whole: Question | None, answers: Mapping[Question, Answer | QueryError]
) -> dict[str, tuple[float, float | None]]:
    parts = _of(answers, value)
    if whole is None:
        return {name: (part, None) for name, part in parts.items()}
    wholes = _of(answers, whole)
    if len(wholes) == 1 and len(parts) <= 1 and not _has_wildcard(value.target):
        (total,) = wholes.values()
        name = next(iter(parts), value.target)
        return {name: (100 * parts.get(name, 0.0) / total, total)} if total else {}
    return _by_route(parts, wholes)


def _by_route(parts: Answer, wholes: Answer) -> dict[str, tuple[float, float | None]]:
    """Shares of each whole by the part with the longest common beginning, up to its last node."""
    by_parent: dict[str, list[str]] = {}
    for part in parts:
        by_parent.setdefault(part.rpartition(".")[0], []).append(part)
    found: dict[str, tuple[float, float | None]] = {}
    for name, total in wholes.items():
        if total:
            best = _part_of(name, by_parent)
            found[name] = (100 * parts[best] / total if best else 0.0, total)
    return found


def _part_of(name: str, by_parent: Mapping[str, Sequence[str]]) -> str:
    """The part that belongs to a whole; "" for none."""
    parent = name
    while True:
        near = by_parent.get(parent)
        if near:
            return next((part for part in near if f"{name}.".startswith(f"{part}.")), near[0])
        if not parent:
            return ""
        parent = parent.rpartition(".")[0]


def _has_wildcard(target: str) -> bool:
    return any(character in target for character in "*?[{")


def _of(answers: Mapping[Question, Answer | QueryError], question: Question) -> Answer:
    answer = answers[question]
    return {} if isinstance(answer, QueryError) else answer


def _judged(
    rule: Rule, name: str, value: float, count: float | None, before: Mapping[str, Status]
) -> Finding:
    if rule.min_count and count is not None and count < rule.min_count:
        text = f"{count:.0f} requests are not enough to say, at least {rule.min_count} are needed"
        known = before.get(name, Status.OK)
        return Finding(name, None if known != Status.UNKNOWN else Status.OK, value, count, text)
    status = rule.status_of(value, before.get(name, Status.OK))
    text = "" if status == Status.OK else words(rule, value, count, status)  # most are, unread
    return Finding(name, status, value, count, text)


def _missing(rule: Rule, name: str, silent_s: float) -> Finding:
    if name != WHOLE_RULE and _is_of_requests(rule):
        return Finding(name, None, None, None, "no requests")
    text = f"no data for {silent_s:.0f} s" if silent_s >= 1 else "no data"
    if rule.no_data == "ok":
        return Finding(name, Status.OK, None, None, text)
    if rule.no_data == "keep" or silent_s < rule.missing_after_s:
        return Finding(name, None, None, None, text)
    status = Status.CRITICAL if rule.no_data == "critical" else Status.UNKNOWN
    return Finding(name, status, None, None, text)


def words(rule: Rule, value: float, count: float | None, status: Status) -> str:
    """A measured value for people: `812 ms in 60 s, critical range ~:500`."""
    figure = shown(value)
    text = f"{figure}{_unit(rule)}"
    if rule.before_s:
        text = f"{figure} times that of {_before(rule.before_s)}"
    if rule.whole and count is not None:
        text += f" of {_whole(rule, count)}"
    crossed = rule.critical if status == Status.CRITICAL else rule.warning
    if status == Status.OK or crossed is None:
        return f"{text} in {rule.window_s:.0f} s"
    return f"{text} in {rule.window_s:.0f} s, {status.name.lower()} range {crossed}"


def _whole(rule: Rule, count: float) -> str:
    """What a share is of: a number of requests, or of bytes in units that can be read."""
    if not rule.whole.endswith("_bytes"):
        return f"{count:,.0f}"
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024:
            return f"{shown(count, 3)} {unit}"
        count /= 1024
    return f"{shown(count, 3)} TB"


def _unit(rule: Rule) -> str:
    return f" {rule.unit}" if rule.unit else ""


def _before(seconds: int) -> str:
    return "the same hour last week" if seconds == 7 * 86_400 else f"{seconds / 3_600:.0f} h before"
