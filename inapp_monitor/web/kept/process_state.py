"""What the Graphite endpoints keep beside a backend: events, tag names, answers, places.

It belongs to a process: after a fork, places taken and locks held by threads of the parent would
never be given back in the child.
"""

from __future__ import annotations

import os
import threading

from inapp_monitor.database.posted_events import Events
from inapp_monitor.database.tagged_names import TagRegistry
from inapp_monitor.query.sources import StoreSource
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.dashboards.files import DashboardFiles
from inapp_monitor.web.kept.settled import SettledAnswers


class Beside:
    """State of one backend in one process.

    Attributes:
        events: Posted events.
        tags: Registered names of tagged series.
        dashboard_files: Dashboards that are files.
        answers: Kept answers about periods that are over.
        places: One for each render request at a time.
    """

    def __init__(self, backend: Backend) -> None:
        self.events = Events(backend.database)
        self.tags = TagRegistry(backend.database)
        self.dashboard_files = DashboardFiles(backend.loaded.settings.dashboards_dir)
        size = backend.loaded.settings.render_cache_size
        self.answers = SettledAnswers(backend.clock, size)
        self.places = threading.BoundedSemaphore(backend.loaded.settings.max_renders)


def beside(backend: Backend) -> Beside:
    """The state that belongs to a backend in this process, made at the first request."""
    pid = os.getpid()
    found = backend.kept.get(pid)
    if not isinstance(found, Beside):
        kept = backend.kept.setdefault(pid, Beside(backend))  # one of two threads wins
        assert isinstance(kept, Beside)
        found = kept
        if isinstance(backend.source, StoreSource):
            backend.source.use_names(found.tags.paths)
    return found
