"""Sequences of events as the recorded rows of Nagios spell them, played to our state machine."""

from __future__ import annotations

from inapp_monitor.alerts.downtime import Downtime
from inapp_monitor.alerts.state import (
    Acknowledgement,
    State,
    StateConfig,
    acknowledge,
    cancel_downtime,
    remove_acknowledgement,
    schedule_downtime,
    step,
)
from inapp_monitor.alerts.status import Status

LETTERS = {status.letter: status for status in Status}
Row = dict[str, object]


def play(events: str, config: StateConfig | None = None) -> tuple[list[Row], State]:
    """A row an event, and the last state.

    O W C U = a result; a / A = acknowledged (normal / sticky); r = acknowledgement removed; d = a
    fixed downtime begins; x = all downtimes deleted.
    """
    config = config or StateConfig(flap_detection=False)
    state, rows, now = State(), [], 1000.0
    for event in events:
        now += 60
        if event in LETTERS:
            state, sent = step(config, state, LETTERS[event], now)
        elif event in "aA":
            state, sent = acknowledge(state, Acknowledgement(now, sticky=event == "A"))
        elif event == "r":
            state, sent = remove_acknowledgement(state), []
        elif event == "d":
            state, sent = schedule_downtime(state, Downtime(str(now), now, now + 1e6), now)
        else:
            state, sent = cancel_downtime(state, now)
        rows.append(
            {
                "ev": event,
                "state": state.status.letter,
                "type": "H" if state.hard else "S",
                "attempt": state.attempt,
                "ack": int(state.acknowledged),
                "down": int(state.in_downtime),
                "notify": [f"{one.kind}:{one.status.name}" for one in sent],
            }
        )
    return rows, state
