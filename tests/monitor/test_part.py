"""A further capability is a part in the list: the monitor's life calls it and shows its faults."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from inapp_monitor import Monitor
from inapp_monitor.ground.facts import CostFacts
from inapp_monitor.ground.guard import FAILURES_ALLOWED
from inapp_monitor.ground.process import lifecycle
from inapp_monitor.monitor import parts
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services
from inapp_monitor.testing import FakeClock

Make = Callable[..., Monitor]
Visit = Callable[..., bytes]


@dataclass(frozen=True)
class BellFacts:
    """What the bell knows of itself."""

    rung: int = 0


class Bell(Part):
    """A part of its own, with all that a part can have."""

    name = "bell"
    ending_name = "silencing the bell"

    def __init__(self, services: Services) -> None:
        self.store = services.store
        self.seen: list[str] = []
        self.times: list[float] = []
        self.broken: Exception | None = None

    def load_early(self, *, errors: bool) -> None:
        self.seen.append(f"load early, errors: {errors}")

    def attached(self) -> None:
        self.seen.append("attached")

    def tick(self, now: float) -> None:
        self.times.append(now)
        self.seen.append("tick")
        if self.broken is not None:
            raise self.broken

    def forked(self) -> None:
        self.seen.append("forked")

    def stop(self) -> None:
        self.seen.append("stop")

    def close(self) -> None:
        self.seen.append("close")
        if self.broken is not None:
            raise self.broken

    def drops(self) -> dict[str, int]:
        return {"unheard": 3, "nothing": 0}

    def facts(self) -> BellFacts:
        if self.broken is not None:
            raise self.broken
        return BellFacts(len(self.times))


class Plain(Part):
    """A part that can do nothing."""

    name = "plain"

    def __init__(self, services: Services) -> None: ...


@pytest.fixture(autouse=True)
def _one_line_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PARTS", [*parts.PARTS, Bell, Plain])


def bell_of(monitor: Monitor) -> Bell:
    (bell,) = (part for part in monitor.life.services.parts if isinstance(part, Bell))
    return bell


def test_a_part_ticks_with_the_time(make: Make, visit: Visit) -> None:
    """Once a tick, also when a request or a visit to the dashboard ticks."""
    clock = FakeClock()
    monitor = make(clock=clock)
    visit(monitor)
    monitor.tick()
    clock.advance(10)
    monitor.refresh()
    assert bell_of(monitor).times == [clock.now - 10, clock.now]


def test_a_part_ends_in_order(make: Make, visit: Visit) -> None:
    """It begins nothing more, ticks once again, and is closed, before those that it writes to."""
    monitor = make()
    visit(monitor)
    monitor.tick()
    bell = bell_of(monitor)
    closed: list[str] = []
    store_close = monitor.store.close

    def close_store() -> None:
        closed.append(bell.seen[-1])
        store_close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor.store, "close", close_store)
        monitor.close()
    assert bell.seen == ["tick", "stop", "tick", "close"]
    assert closed == ["close"]
    monitor.life.attach_if_needed()
    assert bell.seen[-1] == "attached"


def test_the_last_tick_leaves_out_who_does_not_want_it(
    make: Make, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the workers, which do not look for the dead at the end."""
    monkeypatch.setattr(Bell, "ticks_at_end", False)
    monitor = make()
    visit(monitor)
    monitor.tick()
    bell = bell_of(monitor)
    monitor.close()
    assert bell.seen == ["tick", "stop", "close"]


def test_a_part_is_told_of_a_fork(make: Make, visit: Visit, tmp_path: Path) -> None:
    """In the child, before it attaches there."""
    monitor = make()
    visit(monitor)
    monitor.tick()
    bell = bell_of(monitor)
    child = os.fork()
    if child == 0:
        try:
            monitor.life.attach_if_needed()
            begun = bell.seen.index("forked")  # threads tick before and after it
            (tmp_path / "seen").write_text(" ".join(bell.seen[begun : begun + 2]))
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tmp_path / "seen").read_text() == "forked attached"
    assert set(bell.seen) == {"tick"}


def test_a_part_loads_early_what_it_imports(make: Make) -> None:
    """Where a server forks for each request, or none of ours may be imported at its end."""
    monitor = make()
    living: lifecycle.Observer = monitor.life
    living.load_early(errors=True)
    assert bell_of(monitor).seen == ["load early, errors: True"]
    assert monitor.guard.faults == {}


def test_what_a_part_drops_is_shown_and_a_series(
    make: Make, visit: Visit, recorded: Callable[[Monitor, str], float]
) -> None:
    """With the drops of all others."""
    monitor = make()
    visit(monitor)
    monitor.refresh()
    assert monitor.facts().of(CostFacts).dropped["unheard"] == 3
    assert recorded(monitor, "monitor.drops.unheard") == 3


def test_what_a_part_knows_is_gathered(make: Make, visit: Visit) -> None:
    """By the class of its facts; a part that cannot tell costs nobody else's, and is a fault."""
    monitor = make()
    visit(monitor)
    monitor.tick()
    bell = bell_of(monitor)
    before = len(bell.times)
    rung = monitor.facts().of(BellFacts).rung
    assert 1 <= before <= rung <= len(bell.times)  # the monitor's own thread may tick beside it
    bell.broken = ValueError("cracked")
    known = monitor.facts()
    assert known.of(BellFacts) == BellFacts()
    assert known.of(CostFacts).dropped["unheard"] == 3
    assert "cracked" in monitor.guard.faults["facts of bell"].last


def test_a_part_that_fails_alone_is_switched_off(make: Make, visit: Visit) -> None:
    """After its own failures in a row; what passes, as a full disk does, never switches it off."""
    monitor = make()
    visit(monitor)
    monitor.tick()
    bell = bell_of(monitor)
    bell.broken = OSError(28, "no room")
    for _ in range(2 * FAILURES_ALLOWED):
        monitor.tick()
    assert monitor.guard.faults["bell"].count == 2 * FAILURES_ALLOWED
    bell.broken = None
    monitor.tick()
    assert "bell" not in monitor.guard.faults
    bell.broken = ValueError("cracked")
    for _ in range(2 * FAILURES_ALLOWED):
        monitor.tick()
    assert monitor.guard.faults["bell"].count == FAILURES_ALLOWED
    assert monitor.guard.faults["bell"].disabled
    monitor.close()
    assert "silencing the bell" in monitor.guard.faults
    assert set(monitor.guard.faults) == {"bell", "silencing the bell"}


def test_ticks_go_in_the_order_of_the_list(make: Make) -> None:
    """The names are those that the status page shows."""
    monitor = make()
    assert [part.name for part in monitor.life.services.parts] == [
        "data directory",
        "login token",
        "error channels",
        "recorder",
        "looks at slow requests",
        "profiles",
        "traces",
        "own numbers",
        "collectors",
        "adopted clients",
        "ingest",
        "writing to the store",
        "positions in spool files",
        "route names",
        "workers",
        "doors",
        "stacks",
        "slow requests",
        "issues",
        "404 table",
        "alerts",
        "notifiers",
        "log records",
        "SDKs",
        "kept traces",
        "writing to the database",
        "export",
        "memory",
        "bell",
        "plain",
    ]
