"""The table of notices that are to be sent: written in the transaction that changes the state.

A notice is sent at least once. Who sends it holds a lease on its row; when that process dies,
another one sends it after the lease has ended. A notice that is written twice, by two leaders of
one moment, is sent once: its key is the state's and a number that the state counts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from inapp_monitor.alerts.message import Message
from inapp_monitor.alerts.notice import Notice, notice_from, notice_of
from inapp_monitor.alerts.throttle import LOOK_BACK_S, Key
from inapp_monitor.alerts.unwritten import Unwritten
from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.ground.visible_text import visible

if TYPE_CHECKING:
    from inapp_monitor.database.file import Change, Connection, Database

PART = "alert_outbox"
_SCRIPT = """
create table alert_outbox (
    id integer primary key, key text not null, channel text not null, state text not null,
    rule text not null, series text not null, moment real not null, due real not null,
    lease real not null, attempts integer not null, sent real, fault text not null,
    document text not null, unique (key, channel)
);
create index alert_outbox_waiting on alert_outbox (channel, due) where state = 'waiting'
"""
WAITING, SENT, GIVEN_UP = "waiting", "sent", "given up"
#: Rows kept of what was sent or given up.
MAX_SETTLED = 1_000
#: Rows that wait; beyond it the oldest are given up.
MAX_WAITING = 2_000
#: Seconds for which a row belongs to who sends it.
LEASE_S = 120.0
#: Seconds after which the same key is another notice: its state was forgotten and counts anew.
_SAME_S = 3_600.0
_CLAIMED_AT_ONCE = 200
_WRITE_TIMEOUT_S = 10.0

_SELECT = "select id, channel, state, document, attempts, due, sent, fault from alert_outbox"

#: Seconds that nothing waits longer for, but a clock that was set back.
_LONGEST_WAIT_S = 3_700.0
#: The first attempt waits for nothing, nor does what waits for too far a future. Takes that moment.
_DUE = "case when (attempts = 0 and fault = '') or due > ? then 0 else due end"
#: A lease of the far future is none.
_LEASE = "case when lease > ? then 0 else lease end"
_CLAIM = (
    f"{_SELECT} where channel = ? and state = 'waiting' and {_DUE} <= ?"  # fixed texts
    f" and {_LEASE} <= ? order by id limit ?"
)

#: Which notifiers want a notice.
Route = Callable[[Notice], Sequence[str]]


class Row(NamedTuple):
    """A notice of one notifier.

    Attributes:
        id: Its number.
        channel: The notifier.
        state: `waiting`, `sent` or `given up`.
        notice: What is sent.
        attempts: How often it was tried.
        due: Not before then.
        sent: When it was.
        fault: Why the last attempt failed.
    """

    id: int
    channel: str
    state: str
    notice: Notice
    attempts: int
    due: float
    sent: float | None
    fault: str

    @property
    def key(self) -> Key:
        """Rule and series."""
        return self.notice.rule, self.notice.series


class Outbox:
    """The table; nothing is kept without a database.

    *Threads:* any; `claim` and `settle` wait for the disk.
    """

    def __init__(
        self,
        database: Database | None,
        app: str = "",
        route: Route = lambda _notice: (),
        perf: Callable[[], float] = perf_counter,
    ) -> None:
        """No I/O; to look into the table neither name nor route is needed."""
        self._database = database
        self._app = app
        self._route = route
        self._perf = perf
        self.unwritten = Unwritten(self._refuses)
        if database is not None:
            database.declare(PART, [_SCRIPT], _make_room)

    def enqueue(self, connection: Connection, messages: Sequence[Message]) -> None:
        """Put messages of the engine into the table, inside its transaction."""
        for message in messages:
            notice = notice_of(message, self._app)
            for channel in self._route(notice):
                was_sent = self.unwritten.was_sent(notice, channel)
                _insert(connection, channel, notice, SENT if was_sent else WAITING)
        _limit(connection)

    def announce(self, messages: Sequence[Message]) -> None:
        """The engine has submitted them: `enqueue` follows when the disk takes them."""
        now_s = self._perf()
        for message in messages:
            notice = notice_of(message, self._app)
            self.unwritten.add(notice, self._route(notice), now_s)

    def add(self, notice: Notice, channels: Sequence[str]) -> bool:
        """Put a notice into the table; False when nothing can be written here."""

        def change(connection: Connection) -> None:
            for channel in channels:
                _insert(connection, channel, notice, WAITING)

        if self._database is None or not self._database.submit(change, 1_000):
            return False
        self._database.write_pending()
        return True

    def next_due(self, now: float) -> dict[str, float]:
        """When the next notice of each notifier may be sent."""
        if self._database is None:
            return {}
        rows = self._database.read(
            f"select channel, min(max({_DUE}, {_LEASE})) as due from alert_outbox"  # noqa: S608  # fixed texts
            " where state = 'waiting' group by channel",
            (now + _LONGEST_WAIT_S, now + 2 * LEASE_S),
        )
        return {row["channel"]: row["due"] for row in rows}

    def claim(self, channel: str, now: float) -> list[Row]:
        """The notices of a notifier that may be sent now; for a time nobody else gets them."""
        found: list[dict[str, Any]] = []

        def change(connection: Connection) -> None:
            found.clear()
            longest, leased = now + _LONGEST_WAIT_S, now + 2 * LEASE_S
            cursor = connection.execute(
                _CLAIM, (channel, longest, now, leased, now, _CLAIMED_AT_ONCE)
            )
            names = [column[0] for column in cursor.description]
            found.extend(dict(zip(names, row, strict=True)) for row in cursor.fetchall())
            connection.execute(
                "update alert_outbox set lease = ? where id in (select value from json_each(?))",
                (now + LEASE_S, json.dumps([row["id"] for row in found])),
            )

        return [_row(row) for row in found] if self._write(change) else []

    def sent_since(self, channel: str, since: float) -> dict[Key, list[float]]:
        """When messages of a notifier were sent, by state; those sent together count as one."""
        if self._database is None:
            return {}
        rows = self._database.read(
            "select rule, series, sent from alert_outbox where channel = ? and state = 'sent'"
            " and sent > ? group by sent, case when fault = 'together' then '' else id end",
            (channel, since),
        )
        times: dict[Key, list[float]] = {}
        for row in rows:
            times.setdefault((row["rule"], row["series"]), []).append(row["sent"])
        return times

    def settle(self, ids: Sequence[int], state: str, now: float, fault: str = "") -> bool:
        """Note that some were sent, or given up."""

        def change(connection: Connection) -> None:
            connection.execute(
                "update alert_outbox set state = ?, sent = ?, fault = ?, attempts = attempts + 1"
                " where id in (select value from json_each(?))",
                (state, now if state == SENT else None, fault[:500], json.dumps(list(ids))),
            )

        return self._write(change)

    def postpone(self, due: dict[int, float], *, fault: str = "", tried: bool = False) -> bool:
        """Try some again, each not before its time."""

        def change(connection: Connection) -> None:
            for number, moment in due.items():
                connection.execute(
                    "update alert_outbox set due = ?, lease = 0, attempts = attempts + ?,"
                    " fault = ? where id = ?",
                    (moment, int(tried), fault[:500], number),
                )

        return self._write(change)

    def rows(self, limit: int = 100, rule: str | None = None) -> list[Row]:
        """The latest notices of all notifiers, the newest first."""
        if self._database is None:
            return []
        where, values = (" where rule = ?", [rule]) if rule is not None else ("", [])
        rows = self._database.read(f"{_SELECT}{where} order by id desc limit ?", [*values, limit])
        return [_row(row) for row in rows]

    def _refuses(self) -> bool:
        return self._database is not None and bool(self._database.status().fault)

    def _write(self, change: Change) -> bool:
        """Write at once, and wait for it; False when the disk refuses."""
        if self._database is None:
            return False
        written, outcome = threading.Event(), [False]

        def done(success: bool) -> None:
            outcome[0] = success
            written.set()

        if not self._database.submit(change, 1_000, done):
            return False
        self._database.write_pending()  # or another thread is at it, and writes this as well
        return written.wait(_WRITE_TIMEOUT_S) and outcome[0]


def _insert(connection: Connection, channel: str, notice: Notice, state: str) -> None:
    document = json.dumps(asdict(notice))
    connection.execute(
        "insert into alert_outbox (key, channel, state, rule, series, moment, due, lease, attempts,"
        " sent, fault, document) values (?, ?, ?, ?, ?, ?, ?, 0, 0, ?, '', ?)"
        " on conflict (key, channel) do update set state = 'waiting', moment = excluded.moment,"
        " due = excluded.due, lease = 0, attempts = 0, sent = null, fault = '',"
        " document = excluded.document where excluded.moment > moment + ?",
        (
            *(visible(notice.key), channel, state, notice.rule, visible(notice.series)),
            *(notice.at, notice.at, notice.at if state == SENT else None, document, _SAME_S),
        ),
    )


def _limit(connection: Connection) -> None:
    """Keep the latest ones; what has waited longest is given up where too much waits."""
    connection.execute(
        "update alert_outbox set state = 'given up', fault = 'too many waited' where id in"
        " (select id from alert_outbox where state = 'waiting' order by id desc"
        " limit -1 offset ?)",
        (MAX_WAITING,),
    )
    connection.execute(
        "delete from alert_outbox where id in (select id from alert_outbox where state != 'waiting'"
        " and moment < (select max(moment) from alert_outbox) - ? order by id desc"
        " limit -1 offset ?)",
        (LOOK_BACK_S, MAX_SETTLED),
    )


def _make_room(connection: Connection) -> None:
    connection.execute("delete from alert_outbox where state != 'waiting'")


def _row(row: dict[str, Any]) -> Row:
    return Row(
        *(row["id"], row["channel"], row["state"], notice_from(json.loads(row["document"]))),
        *(row["attempts"], row["due"], row["sent"], row["fault"]),
    )
