"""The state machine is Nagios's: recorded rows, and what it does beyond them."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.alerts.downtime import WEEK_S, Downtime
from inapp_monitor.alerts.state import (
    Acknowledgement,
    Kind,
    State,
    StateConfig,
    acknowledge,
    advance,
    cancel_downtime,
    schedule_downtime,
    step,
)
from inapp_monitor.alerts.status import Status
from tests.alerts.nagios_rows import LETTERS, play
from tests.each import each

DATA = Path(__file__).parents[1] / "data" / "alerts"
GOLDEN = json.loads((DATA / "nagios_golden.json").read_text())["sequences"]
PLAIN = StateConfig(flap_detection=False)


@each("events", GOLDEN)
def test_recorded_rows(events: str) -> None:
    """Row by row what Nagios 4.4.6 did after each event."""
    assert play(events)[0] == GOLDEN[events]


def feed(
    config: StateConfig,
    results: str,
    state: State | None = None,
    start: float = 0.0,
    every: float = 60.0,
) -> tuple[State, list[Kind]]:
    """Results at equal distances; what was sent."""
    state, kinds = state or State(), []
    for number, letter in enumerate(results):
        state, sent = step(config, state, LETTERS[letter], start + every * (number + 1))
        kinds += [one.kind for one in sent]
    return state, kinds


@settings(max_examples=200, deadline=None)
@given(st.text("OWCUaArdx", max_size=40))
def test_recovery_follows_a_problem(events: str) -> None:
    """Between two RECOVERYs there is a PROBLEM, whatever happens."""
    open_problem = False
    for row in play(events)[0]:
        for sent in row["notify"]:
            kind = sent.split(":")[0]
            assert kind != "RECOVERY" or open_problem
            open_problem = kind == "PROBLEM" or (open_problem and kind != "RECOVERY")
            assert row["down"] == 0 or kind not in {"PROBLEM", "RECOVERY"}


def test_flapping_is_silent_and_ends_with_its_recovery() -> None:
    """One FLAPPINGSTART, then nothing while it flaps; a RECOVERY that was held follows."""
    config = StateConfig(attempts=1)
    state, kinds = feed(config, "COCOCOCOCC")
    assert state.flapping
    assert kinds.count(Kind.FLAPPINGSTART) == 1
    assert kinds[kinds.index(Kind.FLAPPINGSTART) + 1 :] == []
    state, kinds = feed(config, "O" * 25, state, start=600)
    assert not state.flapping
    assert kinds in ([Kind.FLAPPINGSTOP], [Kind.FLAPPINGSTOP, Kind.RECOVERY])


def test_problem_is_sent_again_when_asked_for() -> None:
    """With `renotify_s` a problem that goes on is sent again after that time, not before."""
    config = StateConfig(attempts=1, renotify_s=300, flap_detection=False)
    assert feed(config, "C" * 12)[1] == [Kind.PROBLEM] * 3
    assert feed(PLAIN, "C" * 12)[1] == [Kind.PROBLEM]


def test_one_more_of_a_problem_that_lasts_changes_nothing() -> None:
    """So that nothing is written of it; what comes after is as ever."""
    config, state, sent = StateConfig(attempts=2), State(), []
    for minute in range(30):
        state, more = step(config, state, Status.CRITICAL, 60.0 * minute)
        sent += more
    lasting, _ = step(config, state, Status.CRITICAL, 1_860.0)
    assert lasting is state and [each.kind for each in sent] == [Kind.PROBLEM]
    state, more = step(config, state, Status.WARNING, 1_920.0)
    assert [(each.kind, each.status) for each in more] == [(Kind.PROBLEM, Status.WARNING)]
    state, more = step(config, state, Status.OK, 1_980.0)
    assert [each.kind for each in more] == [Kind.RECOVERY] and state.problem_since is None


def test_recovery_attempts_keep_a_problem_open() -> None:
    """One OK between failures ends nothing when three are needed."""
    config = StateConfig(attempts=1, recovery_attempts=3, flap_detection=False)
    state, kinds = feed(config, "COOCOOC")
    assert (state.status, kinds) == (Status.CRITICAL, [Kind.PROBLEM])
    state, kinds = feed(config, "OOO", state, start=600)
    assert (state.status, kinds) == (Status.OK, [Kind.RECOVERY])


def test_acknowledgement_expires() -> None:
    """After its end the next HARD change is sent again."""
    config = StateConfig(attempts=1, flap_detection=False)
    state, _ = feed(config, "C")
    state, sent = acknowledge(state, Acknowledgement(61, "ann", "on it", sticky=True, expires=200))
    assert [(one.kind, one.author, one.note) for one in sent] == [
        (Kind.ACKNOWLEDGEMENT, "ann", "on it")
    ]
    state, kinds = feed(config, "W", state, start=60)
    assert state.acknowledged and kinds == []
    state, kinds = feed(config, "C", state, start=200)
    assert not state.acknowledged and kinds == [Kind.PROBLEM]


def test_ok_cannot_be_acknowledged() -> None:
    """There is nothing to acknowledge in OK."""
    assert acknowledge(State(), Acknowledgement(1.0)) == (State(), [])


def test_problem_that_outlives_its_downtime_is_sent() -> None:
    """A fixed downtime is silent; the result after its end is not."""
    config = StateConfig(attempts=1, flap_detection=False)
    state, sent = schedule_downtime(State(), Downtime("1", 0, 600), 0)
    assert [one.kind for one in sent] == [Kind.DOWNTIMESTART]
    state, kinds = feed(config, "CCC", state)
    assert kinds == []
    state, kinds = feed(config, "C", state, start=600)
    assert kinds == [Kind.DOWNTIMEEND, Kind.PROBLEM]
    assert state.downtimes == ()


def test_flexible_downtime_begins_with_the_problem() -> None:
    """Between its limits it waits for the first problem, and lasts its duration from then on."""
    config = StateConfig(attempts=1, flap_detection=False)
    state, sent = schedule_downtime(State(), Downtime("1", 0, 3600, duration_s=300), 0)
    assert (state.in_downtime, sent) == (False, [])
    state, kinds = feed(config, "OOC", state)
    assert (state.in_downtime, kinds) == (True, [Kind.DOWNTIMESTART])
    state, kinds = feed(config, "CCCCC", state, start=180)
    assert (state.in_downtime, kinds) == (False, [Kind.DOWNTIMEEND, Kind.PROBLEM])


def test_flexible_downtime_without_problem_passes() -> None:
    """It leaves nothing behind when no problem came."""
    state, _ = schedule_downtime(State(), Downtime("1", 0, 600, duration_s=300), 0)
    assert advance(state, 601) == (State(), [])


def test_weekly_downtime_comes_back() -> None:
    """It is in effect at the same time each week, and survives each end."""
    state, _ = schedule_downtime(State(), Downtime("1", 1000, 2000, weekly=True), 0)
    seen = []
    for week in range(3):
        for at in (999, 1000, 1999, 2000):
            state, _ = advance(state, at + week * WEEK_S)
            seen.append(state.in_downtime)
    assert seen == [False, True, True, False] * 3
    # Nothing was running for ten weeks: it finds its place again.
    state, _ = advance(state, 1500 + 13 * WEEK_S)
    assert state.in_downtime


def test_one_of_two_downtimes_is_cancelled() -> None:
    """It stays silent until the last one is gone."""
    state, _ = schedule_downtime(State(), Downtime("1", 0, 600), 0)
    state, sent = schedule_downtime(state, Downtime("2", 0, 600), 0)
    assert sent == []
    state, sent = cancel_downtime(state, 10, "1")
    assert state.in_downtime and sent == []
    state, sent = cancel_downtime(state, 10, "2")
    assert [one.kind for one in sent] == [Kind.DOWNTIMECANCELLED]


def test_numbers_of_notifications_never_repeat() -> None:
    """The number is the key by which each is sent once."""
    config, state, numbers = StateConfig(attempts=1), State(), []
    for at, letter in enumerate("COCOCWCUOOOO" * 5):
        state, sent = step(config, state, LETTERS[letter], float(at))
        numbers += [one.number for one in sent]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 3


def test_clock_set_back_harms_nothing() -> None:
    """A result from before the last one is a result."""
    state, _ = feed(PLAIN, "CCC", start=10_000)
    state, sent = step(PLAIN, state, Status.OK, 6_400)
    assert [one.kind for one in sent] == [Kind.RECOVERY]
