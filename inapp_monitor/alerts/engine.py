"""The engine: evaluates the rules that are due, keeps a state for each of their series, and hands
over what is to be sent. One process runs it, the leader.

    rules -> questions -> measured values -> findings -> state machine -> tables and messages

A state that changed, the transition and the messages that it causes are written in one transaction.
A process that is killed before it loses them together, and the next leader finds the same again.
Nothing here knows who reads messages, or how they are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from inapp_monitor.alerts import kept_states
from inapp_monitor.alerts.downtime import Downtime
from inapp_monitor.alerts.findings import (
    WHOLE_RULE,
    Finding,
    Questions,
    findings,
    questions,
    words,
)
from inapp_monitor.alerts.kept_states import Kept, KeptStates, Key, Request, Transition
from inapp_monitor.alerts.measuring import SETTLED_S, Measuring
from inapp_monitor.alerts.message import Message
from inapp_monitor.alerts.question import Answer, Question
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.state import (
    Acknowledgement,
    Notification,
    State,
    acknowledge,
    advance,
    cancel_downtime,
    remove_acknowledgement,
    schedule_downtime,
    step,
)
from inapp_monitor.alerts.status import Status
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.guard import Guard

if TYPE_CHECKING:
    from inapp_monitor.database.file import Connection, Database

#: Steps of the store that windows end at.
_STEP_S = 10
#: Seconds between two looks at downtimes and acknowledgements that may have ended.
_ADVANCE_S = 10.0

Enqueue = Callable[["Connection", Sequence[Message]], None]
#: From a rule, a series, what is known of it, its title and now to the incident it is a part of.
IncidentOf = Callable[[Rule, str, "Kept", str, float], int]


def _send_nothing(connection: Connection, messages: Sequence[Message]) -> None:
    """Messages of an engine that nobody listens to."""


@dataclass(slots=True)
class _Change:
    """What is written together."""

    key: Key
    kept: Kept
    transition: Transition | None
    messages: list[Message]


class Engine:
    """The rules of one monitor and the states of their series.

    Args:
        measuring: Reads what rules look at.
        database: Where states are kept.
        guard: Informed of rules that break the engine itself.
        enqueue: Puts messages into the table of those to be sent, inside the transaction.

    Attributes:
        rules: By name.
        states: By rule and series, as far as this process has led.
        values: What was measured last, by the same.
        incident_of: Asked for each state that changes or is sent, unless the caller knows.

    *Threads:* for the ticking thread; `states` may be read by any.
    """

    def __init__(
        self,
        measuring: Measuring,
        database: Database | None,
        guard: Guard,
        enqueue: Enqueue = _send_nothing,
    ) -> None:
        self.rules: dict[str, Rule] = {}
        self.states: dict[Key, Kept] = {}
        self.enqueue = enqueue
        self.incident_of: IncidentOf = lambda *_of: 0
        self.announce: Callable[[Sequence[Message]], None] = lambda _messages: None
        self.kept_states = KeptStates(database)
        self._measuring = measuring
        self._database = database
        self._guard = guard
        self.values: dict[Key, float] = {}
        self._quiet: set[Key] = set()
        self._due: dict[str, float] = {}
        self._series: dict[str, dict[str, Status]] = {}
        self._seen: dict[Key, float] = {}
        self._restored = False
        self._carried_out: set[tuple[int, float]] = set()
        self._database_mark: tuple[float, ...] = ()
        self._advanced = float("-inf")
        self._latest_deploy = float("-inf")
        self._changes: list[_Change] = []

    def add(self, rule: Rule) -> None:
        """Take a rule, in place of one of the same name."""
        self.rules[rule.name] = rule
        self._due[rule.name] = float("-inf")

    def remove(self, name: str) -> None:
        """Forget a rule and the states of its series."""
        self.rules.pop(name, None)
        self._due.pop(name, None)
        self._changes = [change for change in self._changes if change.key[0] != name]
        for series in self._series.pop(name, {}):
            key = (name, series)
            for known in (self.states, self.values, self._seen):
                known.pop(key, None)
            self._quiet.discard(key)
            if self._database is not None:
                self._database.submit(_forgetting(key), 200)

    def add_default(self, rule: Rule) -> None:
        """Take a rule unless there is one of its name."""
        if rule.name not in self.rules:
            self.add(rule)

    def restored(self) -> bool:
        """Whether the states of earlier leaders have been read by this process."""
        return self._restored

    def restore(self) -> None:
        """Read the states of earlier leaders; of rules that are gone they are forgotten."""
        self.states, self._series, self._restored = {}, {}, True
        self._quiet.clear()
        for key, kept in self.kept_states.all().items():
            if key[0] in self.rules:
                self.states[key] = kept
                self._series.setdefault(key[0], {})[key[1]] = kept.state.status
            elif self._database is not None:
                self._database.submit(_forgetting(key), 200)

    def resign(self) -> None:
        """Another process leads: what is known here is of the past."""
        self._restored = False

    def deployed(self, moment: float) -> None:
        """A release came into use, or the app was started."""
        self._latest_deploy = max(self._latest_deploy, moment)

    # -- one tick

    def tick(self, now: float) -> None:
        """Evaluate what is due, and do what people asked for."""
        if not self._restored:
            self.restore()
        self._carry_out_requests(now)
        self._advance(now)
        self._evaluate(now)
        self.write()

    def _evaluate(self, now: float) -> None:
        due = [rule for rule in self.rules.values() if self._is_due(rule, now)]
        if not due:
            return
        end = int(now - SETTLED_S) // _STEP_S * _STEP_S
        asked = {rule.name: questions(rule, end) for rule in due}
        answers = self._answers(asked.values(), int(now))
        for rule in due:
            before = self._series.get(rule.name, {})
            silent = self._silent_s(rule, before, now)
            try:
                found = findings(rule, asked[rule.name], answers, before, silent)
            except Exception as error:  # noqa: BLE001  # a rule that breaks us is UNKNOWN, not silent
                self._guard.failed(f"rule {rule.name}", error)
                found = [Finding(WHOLE_RULE, Status.UNKNOWN, None, None, f"failed: {error!r}")]
            else:
                self._guard.recovered(f"rule {rule.name}")
            for finding in found:
                self.apply(rule, finding, now)

    def _answers(self, asked: Iterable[Questions], now: int) -> dict[Question, Answer | QueryError]:
        """All answers at once; where one question breaks that, each rule's by themselves."""
        asked = list(asked)
        try:
            answers = self._measuring.answer([q for each in asked for q in each.all()], now)
        except Exception as error:  # noqa: BLE001  # whose fault it is, shows below
            self._guard.failed("rules", error)
        else:
            self._guard.recovered("rules")
            return answers
        answers = {}
        for each in asked:
            try:
                answers.update(self._measuring.answer(each.all(), now))
            except Exception as error:  # noqa: BLE001  # that rule is UNKNOWN, the others go on
                answers.update(dict.fromkeys(each.all(), QueryError(f"failed: {error!r}")))
        return answers

    def _is_due(self, rule: Rule, now: float) -> bool:
        if rule.kind != "query":
            return False
        due = self._due[rule.name]
        # After a clock that was set back, too: no rule waits for the old time to come again.
        if due - rule.interval_s <= now < due:
            return False
        self._due[rule.name] = now - now % rule.interval_s + rule.interval_s
        return True

    def _silent_s(self, rule: Rule, before: Mapping[str, Status], now: float) -> dict[str, float]:
        """For how long each series has had no data; at first, since this process looks."""
        silent = {WHOLE_RULE: 0.0}
        for series in (*before, WHOLE_RULE):
            seen = self._seen.setdefault((rule.name, series), now)
            if seen != now:
                silent[series] = max(now - seen, 0.0)
        return silent

    # -- findings become states

    def apply(
        self,
        rule: Rule,
        finding: Finding,
        now: float,
        *,
        title: str = "",
        attempts: int | None = None,
        since: float | None = None,
        incident: int = 0,
        speaks: bool = True,
    ) -> None:
        """Note what was found of one series.

        Args:
            title: For messages; default: the rule's title and the series.
            attempts: In place of the rule's.
            since: When the problem began, where that is known better than by the first finding.
            incident: What it is a part of.
            speaks: Whether messages are sent; another state may speak for the incident.
        """
        key = (rule.name, finding.series)
        if finding.value is not None:
            self._seen[key] = now
            self.values[key] = finding.value
        if finding.status == Status.OK and key in self._quiet:
            return
        known = self.states.get(key) or Kept(State())
        status = self._explained(rule, finding, now)
        if status is None:
            return
        config = rule.config if attempts is None else replace(rule.config, attempts=attempts)
        state, notifications = step(config, known.state, status, now)
        if since is not None and status != Status.OK and state.problem_since is not None:
            state = replace(state, problem_since=min(since, state.problem_since))
        text = finding.text
        if not text and finding.value is not None:
            text = words(rule, finding.value, finding.requests, status)
        kept = Kept(state, finding.value, text)
        if state is known.state and rule.kind == "query":
            self.states[key] = kept  # its value is measured again by who shows it
            return
        began = state.problem_since or known.state.problem_since or now
        said = notifications if speaks else []
        self._note(rule, key, known, kept, said, now, title, began, incident)

    def _explained(self, rule: Rule, finding: Finding, now: float) -> Status | None:
        """The status that counts: a problem does not begin right after a deploy, nor under a
        problem of a parent."""
        status = finding.status
        before = self._series.get(rule.name, {}).get(finding.series, Status.OK)
        if status in (None, Status.OK) or before != Status.OK:
            return status
        if 0 <= now - self._latest_deploy < rule.quiet_after_deploy_s:
            return None
        return None if any(self._is_bad(parent) for parent in rule.parents) else status

    def _is_bad(self, name: str) -> bool:
        states = (self.states[name, series].state for series in self._series.get(name, ()))
        return any(state.hard and state.status != Status.OK for state in states)

    def _note(
        self,
        rule: Rule,
        key: Key,
        known: Kept,
        kept: Kept,
        notifications: Sequence[Notification],
        now: float,
        title: str,
        since: float,
        incident: int,
    ) -> None:
        before, state = known.state, kept.state
        transition = None
        if (before.status, before.hard) != (state.status, state.hard):
            transition = Transition(*key, now, state.status, state.hard, kept.value, kept.detail)
        title = title or title_of(rule, key[1])
        if not incident and (transition is not None or notifications):
            incident = self.incident_of(rule, key[1], kept, title, now)
        messages = [
            Message(rule, key[1], each, title, kept.detail, kept.value, since, incident)
            for each in notifications
            if rule.notify
        ]
        self._put(key, kept, transition, messages)

    def _put(
        self, key: Key, kept: Kept, transition: Transition | None, messages: list[Message]
    ) -> None:
        self.states[key] = kept
        self._series.setdefault(key[0], {})[key[1]] = kept.state.status
        if _is_quiet(kept.state):
            self._quiet.add(key)
        else:
            self._quiet.discard(key)
        self._changes.append(_Change(key, kept, transition, messages))

    def write(self) -> None:
        """Have written what has changed: one transaction."""
        changes, self._changes = self._changes, []
        if not changes or self._database is None:
            return
        enqueue = self.enqueue
        self.announce([message for change in changes for message in change.messages])

        def write(connection: Connection) -> None:
            for change in changes:
                kept_states.write_state(connection, change.key, change.kept)
                if change.transition is not None:
                    kept_states.write_transition(connection, change.transition)
            messages = [message for change in changes for message in change.messages]
            if messages:
                enqueue(connection, messages)

        self._database.submit(write, 1_000 * len(changes))

    # -- what people ask for, and what time changes

    def _carry_out_requests(self, now: float) -> None:
        if self._database is None or not self._database_has_changed(self._database.path):
            return
        asked = self.kept_states.requests(0)
        # Their rows go a tick later, and SQLite gives the number of a deleted row again.
        self._carried_out &= {(request.id, request.moment) for request in asked}
        for request in asked:
            if (request.id, request.moment) in self._carried_out:
                continue
            self._carried_out.add((request.id, request.moment))
            meant = [key for key in self.states if _is_meant(request, key)]
            if (
                not meant and request.rule in self.rules
            ):  # such as a downtime before the first result
                meant = [(request.rule, WHOLE_RULE if request.series == "*" else request.series)]
                self.states[meant[0]] = Kept(State())
            for key in meant:
                self._carry_out(request, key, now)
            self._database.submit(_done_with(request), 100)

    def _database_has_changed(self, path: Path) -> bool:
        """Whether anything was written since the last look: a read would load SQLite."""
        mark: list[float] = []
        for name in (path, path.with_name(path.name + "-wal")):
            try:
                found = name.stat()
            except OSError:
                continue
            mark += [found.st_mtime_ns, found.st_size]
        changed = tuple(mark) != self._database_mark
        self._database_mark = tuple(mark)
        return changed

    def _carry_out(self, request: Request, key: Key, now: float) -> None:
        known = self.states[key]
        state, document = known.state, request.document
        notifications: list[Notification] = []
        match request.action:
            case kept_states.ACKNOWLEDGE:
                made = Acknowledgement(**document)
                state, notifications = acknowledge(state, made)
            case kept_states.UNACKNOWLEDGE:
                state = remove_acknowledgement(state)
            case kept_states.DOWNTIME:
                state, notifications = schedule_downtime(state, Downtime(**document), now)
            case kept_states.CANCEL_DOWNTIME:
                state, notifications = cancel_downtime(state, now, document.get("id"))
        if state is not known.state:
            kept = replace(known, state=state)
            since = state.problem_since or now
            self._note(self.rules[key[0]], key, known, kept, notifications, now, "", since, 0)

    def _advance(self, now: float) -> None:
        if 0 <= now - self._advanced < _ADVANCE_S:
            return
        self._advanced = now
        for key, known in list(self.states.items()):
            if not known.state.downtimes and known.state.acknowledgement is None:
                continue
            state, notifications = advance(known.state, now)
            if state != known.state:
                kept = replace(known, state=state)
                since = state.problem_since or now
                self._note(self.rules[key[0]], key, known, kept, notifications, now, "", since, 0)


def title_of(rule: Rule, series: str) -> str:
    """A problem of a rule's series in some words."""
    name = rule.title or rule.name
    return name if series in (WHOLE_RULE, rule.target) else f"{name}: {series}"


def _is_quiet(state: State) -> bool:
    """Whether another OK changes nothing."""
    return (
        state.status == Status.OK
        and not state.downtimes
        and not state.flapping
        and not any(state.history)
    )


def _is_meant(request: Request, key: Key) -> bool:
    return key[0] == request.rule and request.series in ("*", key[1])


def _forgetting(key: Key) -> Callable[[Connection], None]:
    return lambda connection: kept_states.delete_state(connection, key)


def _done_with(request: Request) -> Callable[[Connection], None]:
    return lambda connection: kept_states.delete_request(connection, request.id)
