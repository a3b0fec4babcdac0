"""What the request path needs of traces, made with the monitor; nothing where traces are off."""

from __future__ import annotations

from collections.abc import Callable

from inapp_monitor.ground.config import Settings
from inapp_monitor.request.server_timing import ServerTiming
from inapp_monitor.traces.ended_request import Pending
from inapp_monitor.traces.profiling import Profiling

TracingHooks = tuple[Pending | None, Profiling | None, ServerTiming | None]


def make(settings: Settings, clock: Callable[[], float]) -> TracingHooks:
    """Where requests wait for the fold, who is profiled, and who writes `Server-Timing`."""
    if not (settings.enabled and settings.traces):
        return None, None, None
    profiling = Profiling(clock) if settings.profiles else None
    return Pending(), profiling, ServerTiming(settings.server_timing, settings.mount, clock)
