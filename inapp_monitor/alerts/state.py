"""The state machine of a rule's series, exactly as Nagios 4.4.6 keeps a service. Pure.

A result goes in, the new state and the notifications it causes come out. A problem is SOFT until it
was found `attempts` times in a row, and only a HARD one is notified of. A RECOVERY follows a
PROBLEM and nothing else. Nothing is sent of what is acknowledged, in a downtime or flapping; a
problem that outlives its downtime is sent by the next result.

Beyond Nagios: a HARD problem may need several OK results to end (`recovery_attempts`), an
acknowledgement may expire, a downtime may come back weekly, and a RECOVERY that flapping held back
is sent when it stops flapping in OK.

Nothing here reads a clock, knows a rule or a table.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from inapp_monitor.alerts.downtime import Downtime
from inapp_monitor.alerts.flapping import KEPT, change_percent, is_flapping
from inapp_monitor.alerts.status import Status


class Kind(StrEnum):
    """Kinds of notification, by Nagios's names."""

    PROBLEM = "PROBLEM"
    RECOVERY = "RECOVERY"
    ACKNOWLEDGEMENT = "ACKNOWLEDGEMENT"
    FLAPPINGSTART = "FLAPPINGSTART"
    FLAPPINGSTOP = "FLAPPINGSTOP"
    DOWNTIMESTART = "DOWNTIMESTART"
    DOWNTIMEEND = "DOWNTIMEEND"
    DOWNTIMECANCELLED = "DOWNTIMECANCELLED"


@dataclass(frozen=True, slots=True)
class StateConfig:
    """What a rule says of its states.

    Attributes:
        attempts: How often in a row a problem is found before it is HARD.
        recovery_attempts: How often in a row OK is found before a HARD problem ends.
        renotify_s: After how long a problem that goes on is sent again; 0 for never.
        flap_detection: Whether flapping states are noticed, and then silent.
    """

    attempts: int = 3
    recovery_attempts: int = 1
    renotify_s: float = 0.0
    flap_detection: bool = True


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody knows of the problem.

    Attributes:
        at: When, seconds since the epoch.
        author: Who.
        note: What they wrote.
        sticky: Whether it holds until OK, not only until the status changes.
        expires: When it ends by itself; None for never.
    """

    at: float
    author: str = ""
    note: str = ""
    sticky: bool = False
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """Something to send.

    Attributes:
        kind: PROBLEM, RECOVERY, ...
        status: The status it speaks of.
        at: When it was caused.
        number: Which notification of this state's it is, counted from 1 and never again: with the
            state's name the key by which it is sent once.
        author: Who acknowledged or planned.
        note: What they wrote.
    """

    kind: Kind
    status: Status
    at: float
    number: int
    author: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """What is known after the last result; the default is a state that nothing was heard of.

    Attributes:
        status: Of the last result.
        hard: Whether it counts (HARD), or is still being tried (SOFT).
        attempt: The number of the try.
        last_hard: The last HARD status.
        since: When the status began; 0 before the first result.
        problem_since: When the problem began (its first result that was not OK); None while OK.
        last_result: When the last result came that changed anything.
        acknowledgement: Of the running problem.
        downtimes: Planned ones and those in effect.
        notified: Whether a PROBLEM of the running problem was sent.
        no_more: Whether the present status was sent, and will not be again.
        next_notification: Not before then is it sent again.
        sent: Notifications so far.
        recovering: OK results in a row while the problem still stands.
        history: Up to 21 HARD states (and SOFT recoveries), the oldest first.
        flapping: Whether it flaps.
        recovery_held: Whether flapping held a RECOVERY back.
    """

    status: Status = Status.OK
    hard: bool = True
    attempt: int = 1
    last_hard: Status = Status.OK
    since: float = 0.0
    problem_since: float | None = None
    last_result: float = 0.0
    acknowledgement: Acknowledgement | None = None
    downtimes: tuple[Downtime, ...] = ()
    notified: bool = False
    no_more: bool = False
    next_notification: float = 0.0
    sent: int = 0
    recovering: int = 0
    history: tuple[int, ...] = field(default=())
    flapping: bool = False
    recovery_held: bool = False

    @property
    def in_downtime(self) -> bool:
        """Whether a downtime is in effect."""
        return any(downtime.began is not None for downtime in self.downtimes)

    @property
    def acknowledged(self) -> bool:
        """Whether somebody knows of the running problem."""
        return self.acknowledgement is not None

    @property
    def flap_percent(self) -> float:
        """The weighted share of changes of late."""
        return change_percent(self.history)


Outcome = tuple[State, list[Notification]]


def step(config: StateConfig, previous: State, result: Status, now: float) -> Outcome:
    """The state after a result, and what is to be sent.

    Args:
        config: The rule's.
        previous: The state before; `State()` when there was none.
        result: What the check found.
        now: Seconds since the epoch; may be earlier than that of the result before.
    """
    if _is_settled_problem(config, previous, result):
        return previous, []
    state, notifications = advance(previous, now)
    if _still_recovering(config, state, result):
        return replace(state, recovering=state.recovering + 1, last_result=now), notifications
    before = state
    state, changed, hardened = _transition(config, state, result, now)
    if changed or hardened:
        state = _without_acknowledgement(state, changed=changed)
        state = replace(state, no_more=False, next_notification=0.0)
    state, more = _begin_flexible(state, now)
    notifications += more
    if config.flap_detection:
        state, more = _note_flapping(state, now)
        notifications += more
    if (before.hard and before.status != Status.OK) or hardened:
        state, more = _notify(config, state, now)
        notifications += more
    return _settled(state), notifications


def advance(state: State, now: float) -> Outcome:
    """What time alone changes: downtimes that begin or end, an acknowledgement that expires."""
    acknowledgement = state.acknowledgement
    if (
        acknowledgement is not None
        and acknowledgement.expires is not None
        and now >= acknowledgement.expires
    ):
        state = replace(state, acknowledgement=None)
    if not state.downtimes:
        return state, []
    problem = state.status != Status.OK
    ended = tuple(
        downtime.at(now, problem=problem) if downtime.began is not None else downtime
        for downtime in state.downtimes
        if not downtime.is_over(now)
    )
    state, notifications = _with_downtimes(state, ended, Kind.DOWNTIMEEND, now)
    begun = tuple(
        downtime if downtime.duration_s is not None else downtime.at(now, problem=problem)
        for downtime in state.downtimes
    )
    state, more = _with_downtimes(state, begun, Kind.DOWNTIMESTART, now)
    return state, notifications + more


def acknowledge(state: State, acknowledgement: Acknowledgement) -> Outcome:
    """Acknowledge the running problem; of a state that is OK nothing changes."""
    if state.status == Status.OK:
        return state, []
    state = replace(state, acknowledgement=acknowledgement)
    return _sent(
        *(state, Kind.ACKNOWLEDGEMENT, acknowledgement.at),
        author=acknowledgement.author,
        note=acknowledgement.note,
    )


def remove_acknowledgement(state: State) -> State:
    """Nobody knows of the problem any more."""
    return replace(state, acknowledgement=None)


def schedule_downtime(state: State, downtime: Downtime, now: float) -> Outcome:
    """Plan a downtime; it is in effect at once when its time has come."""
    others = tuple(other for other in state.downtimes if other.id != downtime.id)
    return advance(replace(state, downtimes=(*others, downtime)), now)


def cancel_downtime(state: State, now: float, downtime_id: str | None = None) -> Outcome:
    """Delete one downtime, or all of them."""
    kept = tuple(
        downtime
        for downtime in state.downtimes
        if downtime_id is not None and downtime.id != downtime_id
    )
    return _with_downtimes(state, kept, Kind.DOWNTIMECANCELLED, now)


def _is_settled_problem(config: StateConfig, state: State, result: Status) -> bool:
    """Whether the result is one more of a problem that was sent and whose history is full of it:
    nothing changes then. A thousand series that are bad for hours cost hardly more than good ones.
    """
    return (
        result != Status.OK
        and state.hard
        and state.no_more
        and result == state.status == state.last_hard
        and not (state.recovering or state.flapping or state.downtimes)
        and state.acknowledgement is None
        and (not config.flap_detection or state.history == (int(result),) * KEPT)
    )


def _still_recovering(config: StateConfig, state: State, result: Status) -> bool:
    ending = result == Status.OK and state.status != Status.OK and state.hard
    return ending and state.recovering + 1 < config.recovery_attempts


def _transition(
    config: StateConfig, state: State, result: Status, now: float
) -> tuple[State, bool, bool]:
    """The state with the result in it; whether its status changed; whether a HARD state began."""
    was_ok, changed = state.status == Status.OK, result != state.status
    hard, attempt, hardened = state.hard, state.attempt, False
    if was_ok:
        hard, attempt = result == Status.OK, 1
    elif result == Status.OK and hard:
        hardened, attempt = True, 1
    if not hard:
        attempt = 1 if was_ok else min(attempt + 1, max(config.attempts, attempt))
    tried = attempt >= config.attempts
    if tried and (result != state.last_hard or (not hard and result != Status.OK)):
        hardened = True
    after = replace(
        state,
        status=result,
        hard=hardened or (hard and not changed),
        attempt=attempt,
        last_hard=result if hardened else state.last_hard,
        since=now if changed or not state.last_result else state.since,
        problem_since=None if result == Status.OK else state.problem_since or now,
        last_result=now,
        recovering=0,
    )
    return after, changed, hardened


def _without_acknowledgement(state: State, *, changed: bool) -> State:
    """A normal acknowledgement ends when the status changes, a sticky one at OK."""
    acknowledgement = state.acknowledgement
    if acknowledgement is None or not changed:
        return state
    if acknowledgement.sticky and state.status != Status.OK:
        return state
    return replace(state, acknowledgement=None)


def _begin_flexible(state: State, now: float) -> Outcome:
    if not state.downtimes or state.status == Status.OK:
        return state, []
    begun = tuple(
        downtime.at(now, problem=True) if downtime.began is None else downtime
        for downtime in state.downtimes
    )
    return _with_downtimes(state, begun, Kind.DOWNTIMESTART, now)


def _with_downtimes(
    state: State, downtimes: tuple[Downtime, ...], kind: Kind, now: float
) -> Outcome:
    """The state with other downtimes; a notification when the first began or the last ended."""
    before, after = state.in_downtime, replace(state, downtimes=downtimes)
    if before == after.in_downtime:
        return after, []
    running = downtimes if after.in_downtime else state.downtimes
    about = next(downtime for downtime in running if downtime.began is not None)
    return _sent(after, kind, now, author=about.author, note=about.note)


def _note_flapping(state: State, now: float) -> Outcome:
    """Record a HARD state or a SOFT recovery, and find out whether the state flaps."""
    if not state.hard and state.status != Status.OK:
        return state, []
    history = (*state.history, int(state.status))[-KEPT:]
    flaps = is_flapping(change_percent(history), state.flapping)
    before, state = state.flapping, replace(state, history=history, flapping=flaps)
    if flaps == before or state.in_downtime:
        return state, []
    if flaps:
        return _sent(state, Kind.FLAPPINGSTART, now)
    state, notifications = _sent(state, Kind.FLAPPINGSTOP, now)
    held, state = state.recovery_held, replace(state, recovery_held=False)
    if held and state.status == Status.OK:
        state, more = _sent(state, Kind.RECOVERY, now)
        notifications += more
    return state, notifications


def _notify(config: StateConfig, state: State, now: float) -> Outcome:
    """The PROBLEM or RECOVERY that this result causes, unless something forbids it."""
    recovered = state.status == Status.OK
    if not state.hard or state.acknowledged or (recovered and not state.notified):
        return state, []
    if state.flapping:
        return replace(state, recovery_held=state.recovery_held or recovered), []
    if state.in_downtime or state.no_more or now < state.next_notification:
        return state, []
    if recovered:
        return _sent(state, Kind.RECOVERY, now)
    again = config.renotify_s
    state = replace(
        state, notified=True, no_more=not again, next_notification=now + again if again else 0.0
    )
    return _sent(replace(state, recovery_held=False), Kind.PROBLEM, now)


def _settled(state: State) -> State:
    """An OK state is HARD and begins anew."""
    if state.status != Status.OK:
        return state
    return replace(state, hard=True, attempt=1, last_hard=Status.OK, notified=False)


def _sent(state: State, kind: Kind, now: float, author: str = "", note: str = "") -> Outcome:
    state = replace(state, sent=state.sent + 1)
    return state, [Notification(kind, state.status, now, state.sent, author, note)]
