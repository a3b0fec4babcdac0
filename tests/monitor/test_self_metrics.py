"""What the monitor drops is counted by reason, as series and for the status page."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable
from typing import Any

import pytest

from inapp_monitor import Monitor
from inapp_monitor.ground.facts import CostFacts
from inapp_monitor.testing import FakeClock
from tests.environ import environ_of

Make = Callable[..., Monitor]


def _with_a_length(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", [("Content-Length", "1")])
    return iter([b"x"])


def _call(monitor: Monitor) -> Any:
    return monitor(environ_of(REMOTE_ADDR="127.0.0.1"), lambda *_: None)


def test_what_is_dropped_is_a_series(make: Make, recorded: Callable[[Monitor, str], float]) -> None:
    """Calls that are refused, each once; a request that its server drops unclosed is counted."""
    clock = FakeClock()
    monitor = make(_with_a_length, clock=clock)
    _call(monitor).close()
    monitor.tick()
    for _ in range(3):
        monitor.gauge("load", math.nan)
        contextvars.copy_context().run(_call, monitor)  # and nobody closes what it returns
    for _ in range(4):
        clock.advance(10)
        monitor.tick()
    drops = monitor.facts().of(CostFacts).dropped
    assert drops == {"misuse": 3}
    assert recorded(monitor, "monitor.drops.misuse") == 3
    assert recorded(monitor, "requests.status.2xx") == 4


@pytest.mark.parametrize("profiles", [True, False])
def test_requests_that_a_test_client_leaves_open_are_counted_at_the_end(
    make: Make, recorded: Callable[[Monitor, str], float], *, profiles: bool
) -> None:
    """The first may be profiled, and the thread's context knows the last one."""
    monitor = make(_with_a_length, profiles=profiles)
    for _ in range(3):
        _call(monitor)
    monitor.close()
    assert recorded(monitor, "requests.status.2xx") == 3
