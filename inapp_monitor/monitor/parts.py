"""The parts that only a running monitor needs: store, database, tracker, 404 table, collectors.

The monitor imports this module on first need, in its ticking thread as a rule: an app starts, and
answers its first requests, without the cost of loading them. No logic here, only what is made of
what, and what they say of themselves.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from inapp_monitor.collectors.discovery import Candidate
from inapp_monitor.collectors.runner import Runner
from inapp_monitor.database import connections
from inapp_monitor.database.file import Database
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.process import late_imports
from inapp_monitor.ground.workers.leader import Leadership
from inapp_monitor.issues.not_found import NotFoundTable
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.monitor.self_cost import SelfCost
from inapp_monitor.monitor.self_metrics import OwnNumbers
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.request.live import LiveRequests
from inapp_monitor.request.slowest_file import SlowRequests
from inapp_monitor.request.stacks import LiveStacks
from inapp_monitor.store.retention import parse_retention
from inapp_monitor.store.series import Store


class Parts:
    """One monitor's parts; making them does no I/O.

    Raises:
        ConfigError: a retention or schema file that cannot be understood.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        guard: Guard,
        recorder: Recorder,
        live_requests: LiveRequests,
        collectors: list[Candidate],
    ) -> None:
        self._clock = clock
        self._recorder = recorder
        self._live_requests = live_requests
        recorder.step_s = parse_retention(settings.distribution_retention)[0].step
        common = (settings.data_dir, settings, clock, guard)
        self.store = Store(*common)
        self.database = Database(*common)
        self.tracker = Tracker(settings, clock, guard, self.database)
        self.not_found_table = NotFoundTable(settings, guard, self.database)
        self.leadership = Leadership(settings.data_dir)
        self.collectors = Runner(settings, clock, guard, collectors)
        elsewhere = (self.collectors.drops, live_requests.drops)
        self.own_numbers = OwnNumbers(recorder, self.store, self.tracker, *elsewhere)
        self.self_cost = SelfCost(clock, recorder)
        self.slow_requests = SlowRequests(
            *(settings.data_dir, clock, recorder, self.tracker.without_secrets)
        )
        self.stacks = LiveStacks(
            *(settings.data_dir, clock, live_requests, self.tracker, settings.flush_interval_s)
        )

    def load_what_ticks_import(self, *, errors: bool) -> None:
        """Load now what else the first ticks would import; also what the first of `errors` needs,
        or not."""
        with late_imports.loading():
            import inapp_monitor.issues.channels
            import inapp_monitor.web.access.login_token  # noqa: F401
        if errors:
            connections.load_library()

    def facts(
        self, stored_routes: Mapping[str, str], about: dict[str, Any], web: object
    ) -> dict[str, Any]:
        """What only a running process knows, for the dashboard.

        Args:
            stored_routes: Routes by slug, as all workers have named them.
            about: This worker's row in the table of workers.
            web: The dashboard, for the memory that it holds.
        """
        holders = (self.store, self.database, self.tracker, self.not_found_table, self.collectors)
        recorder, live_requests = self._recorder, self._live_requests
        routes = {**stored_routes, **recorder.routes.slugs}
        return {
            "routes": {slug: {"route": route} for slug, route in routes.items()},
            "pid": os.getpid(),
            "leader": self.leadership.is_leader,
            "requests_seen": recorder.total_requests,
            "routes_over_the_cap": recorder.routes.overflowed,
            "release": self.tracker.release,
            "dropped": self.own_numbers.drops(),
            "cost_us": round(self.self_cost.us(), 2),
            "memory_bytes": self.self_cost.held_bytes((*holders, self.slow_requests, web)),
            "cpu_share": self.own_numbers.cpu_share(self._clock.wall() - about["started"]),
            "misuses": [
                {"place": place, "problem": problem, "count": count}
                for (place, problem), count in recorder.instruments.misuses.items()
            ],
            "live": self.stacks.rows(),
            "workers": live_requests.workers(about),
            "collectors": self.collectors.rows(),
            "slowest": self.slow_requests.rows(),
        }
