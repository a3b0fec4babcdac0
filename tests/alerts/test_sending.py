"""From the engine's message to the receiver: at least once, once as a rule, in order."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.alerts import kept_states
from inapp_monitor.alerts import sender as sender_module
from inapp_monitor.alerts.kept_states import Kept, KeptStates
from inapp_monitor.alerts.message import Message
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers.base import FailedError, RefusedError, Standing
from inapp_monitor.alerts.notifiers.registry import Channel
from inapp_monitor.alerts.outbox import GIVEN_UP, LEASE_S, SENT, WAITING, Outbox
from inapp_monitor.alerts.sender import Sender
from inapp_monitor.alerts.state import Kind, State
from inapp_monitor.alerts.status import Status
from inapp_monitor.database.file import Database
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.testing import FakeClock
from tests.alerts.notices import message
from tests.alerts.receivers import wait_until


class Receiver:
    """A notifier that keeps what it was sent; `trouble` is raised instead while it is set."""

    def __init__(self) -> None:
        self.got: list[Notice] = []
        self.trouble: Exception | None = None

    def send(self, notice: Notice) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.got.append(notice)

    @property
    def words(self) -> list[str]:
        return [f"{each.kind} {each.status}" for each in self.got]


def channel(notifier: Receiver | None, name: str = "ops", **changes: Any) -> Channel:
    known: dict[str, Any] = {
        "name": name,
        "type": "test",
        "notifier": notifier,
        "pusher": None,
        "kinds": ("PROBLEM", "RECOVERY"),
        "rules": ("*",),
        "severities": ("page", "ticket"),
        "max_per_hour": 60,
    }
    return Channel(**{**known, **changes})


class Office:
    """An outbox over a real database, and the senders of several leaders."""

    def __init__(self, data_dir: Path) -> None:
        self.clock = FakeClock()
        self.guard = Guard()
        self.receiver = Receiver()
        self.channels = [channel(self.receiver)]
        settings = load({"data_dir": data_dir}, environ={}).settings
        self.database = Database(data_dir, settings, self.clock, self.guard)
        self.outbox = Outbox(self.database, "shop", self.route, self.clock.perf)
        self.sender = self.leader()

    def route(self, notice: Notice) -> list[str]:
        return [each.name for each in self.channels if each.wants(notice)]

    def leader(self, enrich: Callable[[Notice], Notice] = lambda notice: notice) -> Sender:
        path = self.database.path
        return Sender(self.channels, self.outbox, self.clock, self.guard, enrich, path)

    def write(self, *messages: Message) -> None:
        self.database.submit(lambda connection: self.outbox.enqueue(connection, messages), 100)
        self.database.write_pending()

    def states(self) -> list[str]:
        return [row.state for row in self.outbox.rows()][::-1]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.sender.stop()
    made.database.close()


def test_sent_once_in_order(office: Office) -> None:
    """PROBLEM and RECOVERY arrive once each, in their order."""
    office.write(message(1), message(2, kind=Kind.RECOVERY, status=Status.OK))
    office.sender.deliver_now()
    office.sender.deliver_now()
    assert office.receiver.words == ["PROBLEM CRITICAL", "RECOVERY OK"]
    assert office.states() == [SENT, SENT]


def test_written_twice_is_sent_once(office: Office) -> None:
    """Two leaders of one moment write the same notification: one arrives."""
    office.write(message(1))
    office.write(message(1))
    office.sender.deliver_now()
    office.write(message(1))
    office.sender.deliver_now()
    assert office.receiver.words == ["PROBLEM CRITICAL"]


def test_state_that_was_forgotten_counts_anew(office: Office) -> None:
    """The same number an hour later is another notification."""
    office.write(message(1))
    office.sender.deliver_now()
    office.clock.advance(4_000)
    office.write(message(1, at=office.clock.now))
    office.sender.deliver_now()
    assert office.receiver.words == ["PROBLEM CRITICAL"] * 2


def test_only_what_a_notifier_wants(office: Office) -> None:
    """Kinds, rules and severities choose."""
    others = Receiver()
    office.channels += [channel(others, "disk", rules=("disk*",))]
    office.write(message(1), message(1, rule="disk-full"), message(2, kind=Kind.DOWNTIMESTART))
    office.leader().deliver_now()
    assert [each.rule for each in others.got] == ["disk-full"]
    assert [each.rule for each in office.receiver.got] == ["pay-fails", "disk-full"]


def test_receiver_that_is_down_gets_it_later(office: Office) -> None:
    """Down for an hour: tried again with growing pauses, then sent, and the guard shows it."""
    office.write(message(1))
    office.receiver.trouble = FailedError("connection refused")
    tries = 0
    for _ in range(360):
        before = office.outbox.rows()[0].attempts
        office.sender.deliver_now()
        tries += office.outbox.rows()[0].attempts - before
        office.clock.advance(10)
    assert 5 <= tries <= 15
    assert "notifier ops" in office.guard.faults
    office.write(message(2, kind=Kind.RECOVERY, status=Status.OK, at=office.clock.now))
    office.receiver.trouble = None
    office.clock.advance(600)
    office.sender.deliver_now()
    assert office.receiver.words == ["PROBLEM CRITICAL", "RECOVERY OK"]
    assert "notifier ops" not in office.guard.faults


def test_what_is_refused_is_not_tried_again(office: Office) -> None:
    """A receiver that says no for good is not asked again; the next notice is sent."""
    office.write(message(1))
    office.receiver.trouble = RefusedError("410 gone")
    office.sender.deliver_now()
    office.receiver.trouble = None
    office.write(message(2, kind=Kind.RECOVERY, status=Status.OK))
    office.sender.deliver_now()
    assert office.states() == [GIVEN_UP, SENT]
    assert office.outbox.rows()[1].fault == "410 gone"


def test_error_of_a_library_loses_nothing(office: Office) -> None:
    """Whatever a notifier raises, it is tried again, and others are sent meanwhile."""
    office.write(message(1), message(1, rule="other"))
    office.receiver.trouble = UnicodeEncodeError("utf-8", "x", 0, 1, "their own error")
    office.sender.deliver_now()
    office.receiver.trouble = None
    office.clock.advance(60)
    office.sender.deliver_now()
    assert sorted(each.rule for each in office.receiver.got) == ["other", "pay-fails"]


def test_killed_while_sending_is_sent_by_the_next_leader(office: Office) -> None:
    """Who has claimed a notice and dies keeps it until the lease ends, not for ever."""
    office.write(message(1))
    assert len(office.outbox.claim("ops", office.clock.now)) == 1
    office.leader().deliver_now()
    assert office.receiver.got == []
    office.clock.advance(LEASE_S + 1)
    office.leader().deliver_now()
    assert office.receiver.words == ["PROBLEM CRITICAL"]


def test_clock_set_back_loses_nothing(office: Office) -> None:
    """A lease and a due time of the future are not waited for."""
    office.write(message(1, at=office.clock.now))
    office.outbox.claim("ops", office.clock.now)
    office.clock.step_wall(-3_600)
    assert office.outbox.next_due(office.clock.now) == {"ops": 0}
    office.sender.deliver_now()
    assert office.receiver.words == ["PROBLEM CRITICAL"]
    office.receiver.trouble = FailedError("down")
    office.write(message(2, at=office.clock.now))
    office.sender.deliver_now()
    office.receiver.trouble = None
    office.clock.step_wall(-2 * 3_600)
    office.sender.deliver_now()
    assert office.receiver.words == ["PROBLEM CRITICAL"] * 2


def test_disk_that_refuses_keeps_nobody_uninformed(office: Office) -> None:
    """After a quarter of a minute it is sent from memory, and not again when the disk is back."""
    in_the_way = office.database.path
    in_the_way.mkdir(parents=True)
    office.outbox.announce([message(1)])
    office.write(message(1))
    assert office.database.status().fault
    for _ in range(14):
        office.clock.advance(1)
        office.sender.tick(office.clock.now, [])
    assert office.receiver.words == []
    office.clock.advance(2)
    office.sender.tick(office.clock.now, [])
    wait_until(lambda: office.receiver.words == ["PROBLEM CRITICAL"])
    wait_until(lambda: not office.sender.is_busy)
    in_the_way.rmdir()
    for _ in range(60):
        office.clock.advance(10)
        office.database.write_pending()
        office.sender.tick(office.clock.now, [])
        wait_until(lambda: not office.sender.is_busy)
    assert office.states() == [SENT]
    assert office.receiver.words == ["PROBLEM CRITICAL"]


def test_where_no_thread_can_start_it_is_sent_as_soon_as_one_can(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notifier that has no thread is a fault, and what was due is due again ten seconds later."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    office.write(message(1))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        office.sender.tick(office.clock.now)
        office.clock.advance(9)
        office.sender.tick(office.clock.now)
        assert office.guard.faults["notifier ops"].count == 1
    office.clock.advance(1)
    office.sender.tick(office.clock.now)
    wait_until(lambda: office.states() == [SENT])
    assert office.receiver.words == ["PROBLEM CRITICAL"]
    wait_until(lambda: not office.sender.is_busy)
    assert office.guard.faults == {}


def test_busy_database_causes_no_second_message(office: Office) -> None:
    """Changes of others that wait for the next write are no fault of the disk."""
    office.outbox.announce([message(1)])
    office.write(message(1))
    office.sender.deliver_now()
    for _ in range(40):
        office.clock.advance(1)
        office.database.submit(lambda connection: None, 10)
        office.sender.tick(office.clock.now)
        wait_until(lambda: not office.sender.is_busy)
    office.database.write_pending()
    assert office.receiver.words == ["PROBLEM CRITICAL"]


class _Killing:
    """A connection whose n-th statement is never begun: the process is gone."""

    def __init__(self, connection: Any, statements: int) -> None:
        self._connection = connection
        self._left = statements

    def execute(self, *arguments: Any) -> Any:
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        return self._connection.execute(*arguments)


def test_killed_between_any_two_statements(office: Office) -> None:
    """State and notice are written together or not at all."""
    office.write(message(1, rule="before"))
    kept = Kept(State(Status.CRITICAL, notified=True), 100.0, "34 of 34")
    for statements in range(12):
        child = os.fork()
        if child == 0:

            def change(connection: Any, statements: int = statements) -> None:
                killing = _Killing(connection, statements)
                kept_states.write_state(killing, ("pay-fails", ""), kept)
                office.outbox.enqueue(killing, [message(1)])

            try:
                KeptStates(office.database)
                office.database.submit(change, 100)
                office.database.write_pending()
                office.database.close()
            finally:
                os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        states = KeptStates(office.database).all()
        notices = [row for row in office.outbox.rows() if row.notice.rule == "pay-fails"]
        assert (len(states), len(notices)) == ((0, 0) if killed else (1, 1))
        if not killed:
            break
    assert 3 <= statements < 11
    office.sender.deliver_now()
    assert len(office.receiver.got) == 2


def test_storm_is_one_message(office: Office) -> None:
    """Thirty at once are one summary with a line each."""
    office.write(*(message(1, rule=f"rule-{number}") for number in range(30)))
    office.sender.deliver_now()
    assert office.receiver.words == ["SUMMARY CRITICAL"]
    assert len(office.receiver.got[0].lines) == 30
    assert office.states() == [SENT] * 30


def test_what_cannot_be_added_costs_no_notice(office: Office) -> None:
    """A notice whose picture fails is sent without."""

    def fail(notice: Notice) -> Notice:
        raise OSError("store is gone")

    office.write(message(1))
    office.leader(fail).deliver_now()
    assert office.receiver.words == ["PROBLEM CRITICAL"]


def test_rolled_back_leaves_nothing(office: Office) -> None:
    """A transaction that fails leaves neither state nor notice."""

    def change(connection: Any) -> None:
        office.outbox.enqueue(connection, [message(1)])
        raise ValueError("the state cannot be written")

    office.database.submit(change, 100)
    office.database.write_pending()
    assert office.outbox.rows() == []


def test_table_stays_small(office: Office) -> None:
    """What was sent long ago goes; what waits is kept up to its cap."""
    for batch in range(30):
        at = office.clock.now + 20_000 * batch
        office.write(*(message(n, rule=f"r{batch}", at=at) for n in range(100)))
        with sqlite3.connect(office.database.path) as direct:
            direct.execute("update alert_outbox set state = 'sent', sent = moment")
        direct.close()
    assert len(office.outbox.rows(10_000)) <= 1_100


def test_ticks_send_in_a_thread_of_their_own(office: Office) -> None:
    """A tick returns at once, the thread sends; the next tick finds nothing to do."""
    office.write(message(1))
    office.sender.tick(office.clock.now, [])
    wait_until(lambda: office.states() == [SENT])
    office.clock.advance(1)
    office.sender.tick(office.clock.now, [])
    assert office.receiver.words == ["PROBLEM CRITICAL"]


def test_hanging_receiver_keeps_no_other_waiting(office: Office) -> None:
    """One that never returns is abandoned after a time; the others get theirs at once."""
    import threading

    release, begun = threading.Event(), threading.Event()

    class Hanging(Receiver):
        def send(self, notice: Notice) -> None:
            begun.set()
            release.wait(100)

    office.channels.insert(0, channel(Hanging(), "dns"))
    sender = office.leader()
    office.write(message(1))
    sender.tick(office.clock.now, [])
    assert begun.wait(60)
    wait_until(lambda: office.receiver.words == ["PROBLEM CRITICAL"])
    office.clock.advance(sender_module.LEASE_S)
    sender.tick(office.clock.now, [])
    assert "no end" in office.guard.faults["notifier dns"].last
    release.set()
    sender.stop()


def standing(status: Status = Status.CRITICAL, **changes: Any) -> Standing:
    known: dict[str, Any] = {
        "rule": "pay-fails",
        "series": "",
        "status": int(status),
        "hard": True,
        "hard_status": int(status),
        "title": "/pay fails",
        "detail": "34 of 34",
        "value": 100.0,
        "unit": "%",
        "warning": "2",
        "critical": "5",
        "since": 1_700_000_000.0,
        "silent": False,
        "severity": "page",
        "labels": {},
        "runbook": "",
    }
    return Standing(**{**known, **changes})


def test_snapshots_are_pushed_on_change_and_each_minute(office: Office) -> None:
    """At once when a state changes, else after the interval."""
    got: list[float] = []

    class Pushed:
        every_s = 60.0

        def push(self, standings: Any, now: float) -> None:
            got.append(now)

    office.channels[:] = [channel(None, pusher=Pushed())]
    sender = office.leader()
    begun = office.clock.now
    for second in range(130):
        status = Status.OK if second < 30 else Status.CRITICAL
        expected = len(got)
        sender.tick(office.clock.now, [int(status)], lambda: [standing(status)])  # noqa: B023
        if second in (0, 30, 90):
            wait_until(lambda seen=expected: len(got) > seen)  # type: ignore[misc]
            wait_until(lambda: not sender.is_busy)
        office.clock.advance(1)
    assert [at - begun for at in got] == [0, 30, 90]
    assert WAITING not in office.states()
    sender.stop()
