"""Built-in rules that look at something every now and then: memory, statements, jobs, threads.

What is looked at is each `Look`'s own; this turns what it finds into states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.findings import Finding
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.status import Status

#: Of these rules, a problem that goes on is renewed so often.
_RENEW_S = 60.0


class Seen(NamedTuple):
    """What a look found of one series.

    Attributes:
        series: Whose.
        status: What it means; None: nothing is changed by it.
        title, detail: In words.
        value: What was measured, where it is a number.
        since: When it began, where that is known.
    """

    series: str
    status: Status | None
    title: str
    detail: str
    value: float | None = None
    since: float | None = None


#: From now and the open problems (series to their begin) to what was seen.
Find = Callable[[float, Mapping[str, float]], Iterable[Seen]]


@dataclass(slots=True)
class Look:
    """One rule, how it is found, and how often."""

    rule: Rule
    find: Find
    every_s: float
    looked: float = float("-inf")


class Looks:
    """Those of the one process that leads.

    Args:
        engine: Keeps the states.
        looks: What to look at.
    """

    def __init__(self, engine: Engine, looks: Iterable[Look]) -> None:
        self._engine = engine
        self._looks = list(looks)
        self._applied: dict[tuple[str, str], float] = {}
        for look in self._looks:
            engine.add_default(look.rule)

    def resign(self) -> None:
        """Another process leads."""
        self._applied.clear()

    def tick(self, now: float) -> None:
        """Look at what is due."""
        for look in self._looks:
            if not 0 <= now - look.looked < look.every_s:
                look.looked = now
                self._look(look, now)

    def _look(self, look: Look, now: float) -> None:
        name = look.rule.name
        open_ = {
            series: kept.state.problem_since or now
            for (rule, series), kept in self._engine.states.items()
            if rule == name and kept.state.status != Status.OK
        }
        found = {seen.series: seen for seen in look.find(now, open_)}
        for seen in found.values():
            self._apply(look, seen, now)
        for series in open_:
            if series not in found:
                self._apply(look, Seen(series, Status.OK, "", "not seen any more"), now)

    def _apply(self, look: Look, seen: Seen, now: float) -> None:
        engine, key = self._engine, (look.rule.name, seen.series)
        known = engine.states.get(key)
        if known is None and seen.status == Status.OK:
            return
        is_same = known is not None and known.state.hard and known.state.status == seen.status
        if is_same and 0 <= now - self._applied.get(key, float("-inf")) < _RENEW_S:
            return
        if seen.status == Status.OK:
            self._applied.pop(key, None)
        else:
            self._applied[key] = now
        rule = engine.rules.get(look.rule.name, look.rule)
        finding = Finding(seen.series, seen.status, seen.value, None, seen.detail)
        engine.apply(rule, finding, now, title=seen.title or rule.title, since=seen.since)
