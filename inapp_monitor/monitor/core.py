"""What a monitor has from its construction on: all that requests need, and what parts are made of.

Plain state, loaded with the package: nothing of store, database, tracker or dashboard is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Loaded, Settings
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.workers.route_names import RouteNames
from inapp_monitor.monitor.early_records import EarlyRecords
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.request.live import LiveRequests
from inapp_monitor.request.server_timing import ServerTiming
from inapp_monitor.request.wsgi_types import Environ
from inapp_monitor.traces.ended_request import Pending
from inapp_monitor.traces.profiling import Profiling

if TYPE_CHECKING:
    from inapp_monitor.collectors.discovery import Candidate
    from inapp_monitor.ingest.adopted import Adopted
    from inapp_monitor.issues.writer import BeforeSend
    from inapp_monitor.web.app import WebApp

#: What a request says of the server that handed it over.
_OF_THE_SERVER = (
    *("SERVER_NAME", "SERVER_PORT", "SERVER_SOFTWARE"),
    *("wsgi.url_scheme", "wsgi.multithread", "wsgi.multiprocess"),
)


@dataclass(slots=True)
class TickCosts:
    """What ticks took.

    Attributes:
        last_ms: Time that the last one took.
        cpu_ms: CPU time since it was last written down.
        cpu_total_ms: The same since the beginning.
    """

    last_ms: float = 0.0
    cpu_ms: float = 0.0
    cpu_total_ms: float = 0.0

    def add(self, tick_s: float, cpu_s: float) -> None:
        """A tick has ended: what it took by the clock and of a processor."""
        self.last_ms = tick_s * 1000.0
        self.cpu_ms += cpu_s * 1000.0
        self.cpu_total_ms += cpu_s * 1000.0


@dataclass(slots=True, eq=False)
class Core:
    """One monitor's.

    Attributes:
        monitor: The sender of its signals.
        collectors: What the app registered; may grow.
        alert_rules: Names and tables of the rules that the app gave; may grow.
        before_send, authorizer: The app's own functions.
        profiling: Who is profiled; None: nobody.
        server_timing: Who writes that header; None: nobody.
        traced: Where requests wait that traces want; None: traces are off.
        app_packages: Finds the packages of the application.
        static_folders: Finds where it keeps the files that it hands out.
        pid: The process that it lives in; 0 in none.
        release: Of the code that runs: the setting, else the revision that was checked out when the
            monitor was made.
        attached_at: Since when, by the wall clock.
        server: What the server calls itself, as the first request says.
        web: The dashboard, once somebody has visited it.
        ticks: What they cost.
        part_ends: Until when, by the performance counter, a part may work that can leave some of
            its work to its next tick: short where a request calls it.
        early_records: What was logged before they do.
        hears_channels: Whether the parts hear what is logged, dies and ends.
        job: Name of a process that answers no requests, such as a cron job; it leads nothing.
        adopted: What live StatsD clients of the app write into; made with the first of them.
        dropped_first_errors: Errors of which nothing was kept: what records them was not loaded.
    """

    monitor: object
    loaded: Loaded
    clock: Clock
    guard: Guard
    recorder: Recorder
    live_requests: LiveRequests
    route_names: RouteNames
    collectors: list[Candidate]
    alert_rules: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    before_send: BeforeSend | None = None
    authorizer: Callable[[Environ], object] | None = None
    traced: Pending | None = None
    profiling: Profiling | None = None
    server_timing: ServerTiming | None = None
    release: str = ""
    app_packages: Callable[[], tuple[str, ...]] = tuple
    static_folders: Callable[[], tuple[str, ...]] = tuple
    pid: int = 0
    attached_at: float = 0.0
    server: dict[str, Any] | None = None
    web: WebApp | None = None
    ticks: TickCosts = field(default_factory=TickCosts)
    part_ends: float = float("inf")
    hears_channels: bool = False
    early_records: EarlyRecords = field(default_factory=EarlyRecords)
    job: str = ""
    adopted: Adopted | None = None
    dropped_first_errors: int = 0

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.loaded.settings

    def note_address(self, environ: Environ) -> None:
        """Remember, once, what the server calls itself: for the login URL."""
        if self.server is None:
            self.server = {name: environ.get(name) for name in _OF_THE_SERVER}

    def stored_routes(self) -> dict[str, str]:
        """Routes by slug, as all workers have named them; none when they cannot be read."""
        try:
            routes = self.route_names.load()
        except OSError as error:
            self.guard.failed("file of routes", error)
            return {}
        self.guard.recovered("file of routes")
        return routes
