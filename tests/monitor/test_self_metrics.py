"""What the monitor drops is counted by reason, as series and for the status page."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

from inapp_monitor import Monitor
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.facts import CostFacts

Make = Callable[..., Monitor]


def _with_a_length(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", [("Content-Length", "1")])
    return iter([b"x"])


def _call(monitor: Monitor) -> Any:
    environ: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1"}
    setup_testing_defaults(environ)
    return monitor(environ, lambda *_: None)


def test_what_is_dropped_is_a_series(make: Make, recorded: Callable[[Monitor, str], float]) -> None:
    """Whoever drops it: calls that are refused, requests that a server drops; each once."""
    now = [1_600_000_000.0]
    monitor = make(_with_a_length, clock=Clock(wall=lambda: now[0], perf=lambda: now[0]))
    _call(monitor).close()
    monitor.tick()
    for _ in range(3):
        monitor.gauge("load", math.nan)
        contextvars.copy_context().run(_call, monitor)  # and nobody closes what it returns
    for _ in range(4):
        now[0] += 10
        monitor.tick()
    drops = monitor.facts().of(CostFacts).dropped
    assert drops == {"misuse": 3, "requests never closed": 3}
    assert recorded(monitor, "monitor.drops.misuse") == 3
    assert recorded(monitor, "monitor.drops.requests_never_closed") == 3
