"""The monitor's own cost is measured where it runs."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.monitor import memory_use
from inapp_monitor.monitor.self_cost import SelfCost, request_path_us
from inapp_monitor.recorder.fold_costs import FoldCosts
from inapp_monitor.testing import FakeClock
from tests.recorder.test_fold import new_recorder, put


def test_request_path_is_measured() -> None:
    """Microseconds, of a size that can be believed."""
    assert 0.1 < request_path_us(SYSTEM) < 100.0


def test_folding_is_measured_as_it_happens() -> None:
    """Nothing folded costs nothing; it is the processor's time that counts, not a clock's."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    cost = SelfCost(clock, recorder)
    assert cost.us() == 0.0
    put(recorder, clock)
    recorder.fold()
    recorder.take()
    assert 0.0 < recorder.fold_us() < 10_000.0
    assert cost.us() == recorder.fold_us()


def test_what_a_cold_start_took_is_no_cost_of_a_request() -> None:
    """Half of the requests were folded for less."""
    costs = FoldCosts()
    assert costs.median_us() == 0.0
    costs.add(0, 1.0)
    costs.add(10, 0.010)
    for _ in range(20):
        costs.add(100, 0.0001)
    assert costs.median_us() == pytest.approx(1.0)


class Part:
    """Holds something, and knows others."""

    __module__ = "inapp_monitor.monitor.parts"

    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


def test_memory_of_parts() -> None:
    """What they hold counts once, however it is held; code, loggers and strangers do not."""
    shared, stranger = bytes(100_000), Part(of_the_app=bytes(1_000_000))
    one = Part(rows={"a": [shared]}, log=logging.getLogger("x"), module=sys, app=stranger)
    other = Part(same=(shared,), call=stranger.__init__, kind=Part)  # type: ignore[misc]
    size_bytes = memory_use.held_bytes([one, other], strangers=[stranger])
    assert 100_000 < size_bytes < 105_000


class Lazy:
    """The application's, like a proxy that asks its database when somebody looks at it."""

    @property
    def __class__(self) -> Any:
        raise AssertionError("asked")

    def __sizeof__(self) -> int:
        raise AssertionError("asked")


def test_objects_of_the_application_are_left_alone() -> None:
    """They are not looked into, and no code of theirs runs."""
    assert memory_use.held_bytes([Part(before_send=Lazy())]) < 1_000


def test_memory_is_not_counted_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much there is to look at, the count ends."""
    monkeypatch.setattr(memory_use, "MAX_OBJECTS", 1_000)
    assert 0 < memory_use.held_bytes([[[n] for n in range(100_000)]]) < 1_000_000


def test_memory_is_counted_once_a_minute() -> None:
    """Requests under way do not count: what they hold is the application's."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    cost = SelfCost(clock, recorder)
    before = cost.held_bytes(())
    recorder.live.add(Part(environ=bytes(1_000_000)))  # type: ignore[arg-type]
    recorder.not_found += [("x" * 1_000 + str(n), "", 0.0) for n in range(10)]
    assert cost.held_bytes(()) == before
    clock.advance(61.0)
    assert before + 10_000 < cost.held_bytes(()) < before + 20_000
