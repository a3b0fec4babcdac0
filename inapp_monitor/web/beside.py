"""What the Graphite endpoints keep beside a backend: events, tag names, places for renders."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from inapp_monitor.query import StoreSource
from inapp_monitor.query.event_log import Events
from inapp_monitor.query.tag_registry import TagRegistry

if TYPE_CHECKING:
    from inapp_monitor.guard import Guard

_lock = threading.Lock()
_kept: WeakKeyDictionary[Guard, Beside] = WeakKeyDictionary()


class Beside:
    """State of one backend.

    Attributes:
        events: Posted events.
        tags: Registered names of tagged series.
        places: One for each render request at a time.
    """

    def __init__(self, backend: Any) -> None:
        self.events = Events(backend.database)
        self.tags = TagRegistry(backend.database)
        self.places = threading.BoundedSemaphore(backend.loaded.settings.max_renders)
        if isinstance(backend.source, StoreSource):
            backend.source.use_names(self.tags.paths)


def beside(backend: Any) -> Beside:
    """The state that belongs to a backend, made at the first request."""
    with _lock:
        found = _kept.get(backend.guard)
        if found is None:
            found = _kept[backend.guard] = Beside(backend)
        return found
