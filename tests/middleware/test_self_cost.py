"""The monitor's own cost is measured where it runs."""

from __future__ import annotations

from inapp_monitor.clock import SYSTEM
from inapp_monitor.self_cost import SelfCost, request_path_us
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
    recorder._fold_s = 2e-6
    assert cost.us() == 2.0
