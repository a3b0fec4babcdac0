"""Our state machine beside a real Nagios 4: random events, compared row by row.

Needs Debian's package nagios4-core.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from inapp_monitor.alerts.state import StateConfig
from tests.alerts.nagios_rows import Row, play
from tests.compat.nagios_server import BASE_OBJECTS, BINARY, PASSIVE_SERVICE, NagiosServer

CODES = {"O": 0, "W": 1, "C": 2, "U": 3}
WEIGHTS = {"O": 5, "W": 2, "C": 5, "U": 1, "a": 1, "A": 1, "r": 0.4, "d": 0.8, "x": 0.8}


def commands(events: dict[str, str], position: int) -> list[str]:
    """The external commands for one event of each service."""
    now, mark, lines = int(time.time()), f"event {position}", []
    for name, letters in events.items():
        service = f"h;{name}"
        lines.append(
            {
                "a": f"ACKNOWLEDGE_SVC_PROBLEM;{service};1;1;0;operator;note",
                "A": f"ACKNOWLEDGE_SVC_PROBLEM;{service};2;1;0;operator;note",
                "r": f"REMOVE_SVC_ACKNOWLEDGEMENT;{service}",
                "d": f"SCHEDULE_SVC_DOWNTIME;{service};{now - 1};{now + 9999};1;0;0;operator;note",
                "x": f"DEL_DOWNTIME_BY_HOST_NAME;{service}",
            }.get(letters[position])
            or f"PROCESS_SERVICE_CHECK_RESULT;{service};{CODES[letters[position]]};{mark}"
        )
    return lines


def row_of(event: str, fields: dict[str, str], sent: list[str]) -> Row:
    kinds = [what.rstrip(")").replace(" (", ":") for what in sent]
    return {
        "ev": event,
        "state": "OWCU"[int(fields["current_state"])],
        "type": "SH"[int(fields["state_type"])],
        "attempt": int(fields["current_attempt"]),
        "ack": int(fields["problem_has_been_acknowledged"]),
        "down": int(fields["scheduled_downtime_depth"] != "0"),
        "notify": [
            kind if ":" in kind else f"{'RECOVERY' if kind == 'OK' else 'PROBLEM'}:{kind}"
            for kind in kinds
        ],
    }


@pytest.mark.compat
@pytest.mark.peer
@pytest.mark.skipif(BINARY is None, reason="needs nagios4 (Debian's package nagios4-core)")
@pytest.mark.parametrize("flapping", [False, True])
def test_random_events(tmp_path: Path, flapping: bool) -> None:
    """Every row is Nagios's, but for the RECOVERY that flapping held back, which it never sends."""
    rolls = random.Random(7)
    length, services = (30, 60) if flapping else (12, 120)
    events = {
        f"s{number}": "".join(rolls.choices(list(WEIGHTS), list(WEIGHTS.values()), k=length))
        for number in range(services)
    }
    objects = BASE_OBJECTS.format(host="h") + "".join(
        PASSIVE_SERVICE.format(host="h", name=name, attempts=3, flap=int(flapping))
        for name in events
    )
    rows: dict[str, list[Row]] = {name: [] for name in events}
    with NagiosServer(tmp_path / "nagios", objects) as server:
        seen = 0
        for position in range(length):
            server.command(*commands(events, position))
            results = [name for name in events if events[name][position] in CODES]
            mark = f"event {position}"
            server.wait(lambda: all(server.status()[n]["plugin_output"] == mark for n in results))  # noqa: B023
            time.sleep(2.2)  # acknowledgements and downtimes reach the status file a second later
            sent, status = server.notifications(), server.status()
            for name in events:
                what = [text for service, text in sent[seen:] if service == name]
                rows[name].append(row_of(events[name][position], status[name], what))
            seen = len(sent)
    for name, letters in events.items():
        ours, state = play(letters, StateConfig(flap_detection=flapping))
        for row in ours:
            if "FLAPPINGSTOP:OK" in row["notify"]:
                row["notify"] = [sent for sent in row["notify"] if sent != "RECOVERY:OK"]
        assert ours == rows[name], letters
        if flapping:
            assert float(status[name]["percent_state_change"]) == pytest.approx(
                state.flap_percent, abs=0.01
            )
