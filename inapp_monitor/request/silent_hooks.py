"""Hooks that remember nothing: for the request path alone, without the rest of the monitor."""

from __future__ import annotations

from inapp_monitor.recorder.request_cells import Record
from inapp_monitor.recorder.tallies import Tallies
from inapp_monitor.request.exchange import BodyAsker, RouteAsker, Shortcut
from inapp_monitor.request.server_timing import ServerTiming
from inapp_monitor.traces.ended_request import Pending
from inapp_monitor.traces.profiling import Profiling


class SilentHooks:
    """Hooks that remember nothing: to measure the request path alone, and to build others on.

    Args:
        tallies: Where ordinary requests are noted.
    """

    def __init__(self, tallies: Tallies) -> None:
        self.live: set[Record] = set()
        self.tallies = tallies
        self.shortcut: Shortcut | None = None
        self.own_asker: RouteAsker | None = None
        self.route_askers: list[RouteAsker] = []
        self.body_askers: list[BodyAsker] = []
        self.traced: Pending | None = None
        self.profiling: Profiling | None = None
        self.server_timing: ServerTiming | None = None

    def ignore(self, *_: object) -> None:
        """Whatever happens."""

    record = not_found = answered_5xx = failed = broke = sampled = ignore
