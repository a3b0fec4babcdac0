"""The states of all rules' series, and what people asked to be done with them, in SQLite.

The leader keeps the states and writes those that changed, together with the messages that the
change causes, as one transaction. Pages and commands of any process leave a *request*
(acknowledge, plan a downtime), which the leader carries out at its next tick.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from inapp_monitor.alerts.downtime import Downtime
from inapp_monitor.alerts.state import Acknowledgement, State
from inapp_monitor.alerts.status import Status
from inapp_monitor.ground.visible_text import visible

if TYPE_CHECKING:
    from inapp_monitor.database.file import Connection, Database

PART = "alert_states"
_SCRIPT = """
create table alert_states (
    rule text not null, series text not null, status integer not null, hard integer not null,
    since real not null, value real, detail text not null, document text not null,
    primary key (rule, series)
) without rowid;
create table alert_transitions (
    id integer primary key, rule text not null, series text not null, moment real not null,
    status integer not null, hard integer not null, value real, detail text not null
);
create index alert_transitions_rule on alert_transitions (rule, series, id);
create table alert_requests (
    id integer primary key, moment real not null, rule text not null, series text not null,
    action text not null, document text not null
)
"""
#: Transitions kept; the oldest go first.
MAX_TRANSITIONS = 5_000
#: Actions of requests.
ACKNOWLEDGE, UNACKNOWLEDGE = "acknowledge", "unacknowledge"
DOWNTIME, CANCEL_DOWNTIME = "downtime", "cancel_downtime"

#: Rule and series.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """One state as it is shown.

    Attributes:
        state: As the state machine keeps it.
        value: What was measured last; None when nothing was.
        detail: The last finding in words.
    """

    state: State
    value: float | None = None
    detail: str = ""


class Transition(NamedTuple):
    """A change of status, or from SOFT to HARD."""

    rule: str
    series: str
    moment: float
    status: Status
    hard: bool
    value: float | None
    detail: str


class Request(NamedTuple):
    """What somebody asked to be done with a state; `series` "*" means all of the rule."""

    id: int
    moment: float
    rule: str
    series: str
    action: str
    document: Mapping[str, Any]


class KeptStates:
    """The tables; empty and not to be written without a database."""

    def __init__(self, database: Database | None) -> None:
        """No I/O."""
        self._database = database
        if database is not None:
            database.declare(PART, [_SCRIPT], _forget_oldest)

    # -- for everybody

    def all(self) -> dict[Key, Kept]:
        """All states as they were last written."""
        if self._database is None:
            return {}
        rows = self._database.read("select rule, series, value, detail, document from alert_states")
        return {
            (row["rule"], row["series"]): Kept(
                state_of(json.loads(row["document"])), row["value"], row["detail"]
            )
            for row in rows
        }

    def transitions(
        self, rule: str, series: str | None = None, limit: int = 200
    ) -> list[Transition]:
        """The latest changes of a rule's states, the newest first."""
        if self._database is None:
            return []
        where, values = ("", ()) if series is None else (" and series = ?", (series,))
        rows = self._database.read(
            "select rule, series, moment, status, hard, value, detail from alert_transitions"  # noqa: S608  # fixed texts
            f" where rule = ?{where} order by id desc limit ?",
            (rule, *values, limit),
        )
        return [_transition(row) for row in rows]

    def transitions_between(self, start: float, end: float, limit: int = 200) -> list[Transition]:
        """The latest changes of all states in a window, the newest first."""
        if self._database is None:
            return []
        rows = self._database.read(
            "select rule, series, moment, status, hard, value, detail from alert_transitions"
            " where moment >= ? and moment <= ? order by id desc limit ?",
            (start, end, limit),
        )
        return [_transition(row) for row in rows]

    def ask(
        self, rule: str, series: str, action: str, document: Mapping[str, Any], now: float
    ) -> bool:
        """Leave a request for the leader; False when nothing can be written."""

        def write(connection: Connection) -> None:
            connection.execute(
                "insert into alert_requests (moment, rule, series, action, document)"
                " values (?, ?, ?, ?, ?)",
                (now, rule, series, action, json.dumps(document)),
            )

        if self._database is None or not self._database.submit(write, 400):
            return False
        self._database.write_now()
        return True

    # -- for the leader

    def requests(self, after: int) -> list[Request]:
        """What was asked for, the oldest first."""
        if self._database is None:
            return []
        rows = self._database.read(
            "select * from alert_requests where id > ? order by id limit 1000", (after,)
        )
        return [
            Request(
                *(row["id"], row["moment"], row["rule"], row["series"], row["action"]),
                json.loads(row["document"]),
            )
            for row in rows
        ]


def _transition(row: Mapping[str, Any]) -> Transition:
    return Transition(
        *(row["rule"], row["series"], row["moment"], Status(row["status"])),
        *(bool(row["hard"]), row["value"], row["detail"]),
    )


def write_state(connection: Connection, key: Key, kept: Kept) -> None:
    """Put one state, inside a transaction."""
    state = kept.state
    detail = visible(kept.detail)  # a lone surrogate would cost the whole transaction
    row = (*key, int(state.status), int(state.hard), state.since, kept.value, detail)
    connection.execute(
        "insert into alert_states values (?, ?, ?, ?, ?, ?, ?, ?)"
        " on conflict (rule, series) do update set status = excluded.status, hard = excluded.hard,"
        " since = excluded.since, value = excluded.value, detail = excluded.detail,"
        " document = excluded.document",
        (*row, json.dumps(document_of(state))),
    )


def write_transition(connection: Connection, transition: Transition) -> None:
    """Add one change, inside a transaction."""
    connection.execute(
        "insert into alert_transitions (rule, series, moment, status, hard, value, detail)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        (
            *(*transition[:3], int(transition.status), int(transition.hard), transition.value),
            visible(transition.detail),
        ),
    )
    connection.execute(
        "delete from alert_transitions where id <= (select max(id) from alert_transitions) - ?",
        (MAX_TRANSITIONS,),
    )


def delete_state(connection: Connection, key: Key) -> None:
    """Forget a state whose rule is gone, inside a transaction."""
    connection.execute("delete from alert_states where rule = ? and series = ?", key)


def delete_request(connection: Connection, request_id: int) -> None:
    """A request was carried out, inside a transaction."""
    connection.execute("delete from alert_requests where id = ?", (request_id,))


def document_of(state: State) -> dict[str, Any]:
    """A state as plain data. By hand: `asdict` copies deeply, at five times the cost of all else
    when a thousand states become bad at once."""
    known = state.acknowledgement
    return {
        **{name: getattr(state, name) for name in State.__slots__},
        "acknowledgement": asdict(known) if known is not None else None,
        "downtimes": [asdict(downtime) for downtime in state.downtimes],
    }


def state_of(document: Mapping[str, Any]) -> State:
    """The state of `document_of`; what it does not hold is as in a new state."""
    state = State(**document)
    acknowledgement = document.get("acknowledgement")
    return replace(
        state,
        status=Status(state.status),
        last_hard=Status(state.last_hard),
        acknowledgement=Acknowledgement(**acknowledgement) if acknowledgement else None,
        downtimes=tuple(Downtime(**downtime) for downtime in document.get("downtimes", ())),
        history=tuple(state.history),
    )


def _forget_oldest(connection: Connection) -> None:
    connection.execute(
        "delete from alert_transitions where id <= (select (min(id) + max(id)) / 2 from"
        " alert_transitions)"
    )
