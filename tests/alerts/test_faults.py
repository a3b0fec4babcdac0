"""Faults under the engine: killed anywhere, two leaders, a clock set back, a disk that refuses.

Whatever happens, a problem is sent once and its end is sent once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.findings import Finding
from inapp_monitor.alerts.measuring import Measuring
from inapp_monitor.alerts.message import Message
from inapp_monitor.alerts.outbox import Outbox
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.status import Status
from inapp_monitor.database.file import Database
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

RULE = Rule.parse("deep", {"critical": "shop.depth > 5", "attempts": 2}, "test")
#: What each look finds: two make it HARD, the last one ends it.
FOUND = [Status.OK, Status.CRITICAL, Status.CRITICAL, Status.CRITICAL, Status.OK]


class World:
    """A data directory and the leaders that it has, one after the other or two at once."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.clock = FakeClock()
        self.settings = load({"data_dir": data_dir}, environ={}).settings
        self.database = self.open()

    def open(self) -> Database:
        return Database(self.data_dir, self.settings, self.clock, Guard())

    def outbox(self) -> Outbox:
        return Outbox(self.database, "shop", lambda _notice: ["ops"], self.clock.perf)

    def leader(self) -> Engine:
        store = Store(self.data_dir, self.settings, self.clock, Guard())
        made = Engine(Measuring(store), self.database, Guard())
        made.enqueue = self.outbox().enqueue
        made.add(RULE)
        made.restore()
        return made

    def look(self, leader: Engine, status: Status, *, seconds: float = 15.0) -> None:
        self.clock.advance(seconds)
        leader.apply(RULE, Finding("shop.depth", status, 9.0, None, "9 jobs"), self.clock.now)
        leader.write()
        self.database.write_pending()

    def sent(self) -> list[str]:
        rows = self.outbox().rows()[::-1]
        return [f"{row.notice.kind} {row.notice.status}" for row in rows]

    def states(self) -> list[Status]:
        return [kept.state.status for kept in self.leader().states.values()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.look(made.leader(), Status.OK)  # the tables are there
    yield made
    made.database.close()


class _Killing:
    """A connection whose n-th statement is never begun: the process is gone."""

    def __init__(self, connection: Any, left: list[int]) -> None:
        self._connection, self._left = connection, left

    def execute(self, *arguments: Any) -> Any:
        if not self._left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left[0] -= 1
        return self._connection.execute(*arguments)


def _lead_until_killed(world: World, statements: int, looked: Path) -> None:
    """In a child: one look after the other, with the process gone before that statement."""
    left, submit = [statements], world.database.submit

    def killing(change: Any, *more: Any) -> bool:
        return submit(lambda connection: change(_Killing(connection, left)), *more)

    world.database.submit = killing  # type: ignore[method-assign]
    leader = world.leader()
    for number, status in enumerate(FOUND):
        looked.write_text(str(number))
        world.look(leader, status)
    world.database.close()


def test_killed_between_any_two_statements_of_the_engine(tmp_path: Path) -> None:
    """The next leader finds the same again: one PROBLEM, one RECOVERY, wherever the first died."""
    for statements in range(40):
        world, looked = World(tmp_path / str(statements)), tmp_path / f"looked-{statements}"
        child = os.fork()
        if child == 0:
            try:
                _lead_until_killed(world, statements, looked)
            finally:
                os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if killed:
            leader = world.leader()
            for status in FOUND[int(looked.read_text()) :]:
                world.look(leader, status)
        assert world.sent() == ["PROBLEM CRITICAL", "RECOVERY OK"], statements
        assert world.states() == [Status.OK]
        world.database.close()
        if not killed:
            break
    assert 8 <= statements < 39


def test_two_leaders_for_a_moment_send_once(world: World) -> None:
    """Both find the problem and write it; its key is the same."""
    first, second = world.leader(), world.leader()
    for status in (Status.CRITICAL, Status.CRITICAL, Status.CRITICAL):
        world.look(first, status)
        world.look(second, status, seconds=0.4)
    first.resign()
    world.look(second, Status.OK)
    assert world.sent() == ["PROBLEM CRITICAL", "RECOVERY OK"]


def test_a_leader_that_comes_back_does_not_speak_of_the_past(world: World) -> None:
    """It was paused through a problem's end: it reads what the other one has written."""
    first = world.leader()
    for status in (Status.CRITICAL, Status.CRITICAL):
        world.look(first, status)
    first.resign()
    second = world.leader()
    world.look(second, Status.OK)
    second.resign()
    first.restore()
    world.look(first, Status.OK)
    assert world.sent() == ["PROBLEM CRITICAL", "RECOVERY OK"]


@pytest.mark.parametrize("step_s", [-3_600, -86_400, 3_600])
def test_a_clock_that_is_set_changes_nothing_that_is_sent(world: World, step_s: int) -> None:
    """In the middle of a problem, back or ahead, and over a change of leaders."""
    leader = world.leader()
    for status in (Status.CRITICAL, Status.CRITICAL):
        world.look(leader, status)
    world.clock.step_wall(step_s)
    world.look(leader, Status.CRITICAL)
    world.look(world.leader(), Status.CRITICAL)
    world.look(world.leader(), Status.OK)
    assert world.sent() == ["PROBLEM CRITICAL", "RECOVERY OK"]


def test_a_disk_that_refuses_loses_no_state(tmp_path: Path) -> None:
    """What is found meanwhile is written when there is room, in order."""
    world = World(tmp_path / "data")
    announced: list[Message] = []
    world.database.path.mkdir(parents=True)
    leader = world.leader()

    def announce(messages: Sequence[Message]) -> None:
        announced.extend(messages)

    leader.announce = announce
    for status in (Status.CRITICAL, Status.CRITICAL):
        world.look(leader, status)
    assert world.database.status().fault
    assert [each.notification.kind for each in announced] == ["PROBLEM"]
    world.database.path.rmdir()
    for status in (Status.CRITICAL, Status.OK):
        world.look(leader, status, seconds=60)
    world.look(leader, Status.OK, seconds=60)
    assert world.sent() == ["PROBLEM CRITICAL", "RECOVERY OK"]
    assert world.states() == [Status.OK]
    world.database.close()
