"""What the dashboard keeps for a backend in one process: events, tags, settled results, places.

After a fork, places and locks that threads of the parent held would never be released in the child,
so each process has its own.
"""

from __future__ import annotations

import os

from inapp_monitor.database.posted_events import PostedEvents
from inapp_monitor.database.tagged_names import TagRegistry
from inapp_monitor.export.running_totals import RunningTotals
from inapp_monitor.export.scrape import Scrape
from inapp_monitor.query.sources import StoreSource
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.dashboards.files import DashboardFiles
from inapp_monitor.web.frame.places import Places
from inapp_monitor.web.kept.settled import SettledResults


class ProcessState:
    """State of one backend in one process.

    Attributes:
        events: Posted events.
        tags: Registered names of tagged series.
        dashboard_files: Dashboards that are files.
        settled_results: Kept results of periods that are over.
        render_places: One for each render request that may run at a time.
        scrape: What Prometheus is answered.
    """

    def __init__(self, backend: Backend) -> None:
        self.events = PostedEvents(backend.database)
        self.tags = TagRegistry(backend.database)
        self.dashboard_files = DashboardFiles(backend.loaded.settings.dashboards_dir)
        size = backend.loaded.settings.render_cache_size
        self.settled_results = SettledResults(backend.clock, size)
        self.render_places = Places(backend.clock, backend.loaded.settings.max_renders)
        self.scrape = Scrape(
            RunningTotals(
                backend.store,
                backend.loaded.settings.data_dir,
                backend.clock.perf,
                may_write=backend.live,
            ),
            backend.store,
        )


def process_state(backend: Backend) -> ProcessState:
    """The state that belongs to a backend in this process, made at the first request."""
    pid = os.getpid()
    found = backend.kept.get(pid)
    if not isinstance(found, ProcessState):
        kept = backend.kept.setdefault(pid, ProcessState(backend))  # one of two threads wins
        assert isinstance(kept, ProcessState)
        found = kept
        if isinstance(backend.source, StoreSource):
            backend.source.use_names(found.tags.paths)
    return found
