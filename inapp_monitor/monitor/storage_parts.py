"""The parts that keep things: data directory, store, issues, 404 table, database, slow requests.

Thin: each calls what its room offers when the monitor's life says so. The rooms do not know them.
"""

from __future__ import annotations

from collections.abc import Mapping

from inapp_monitor.ground import data_directory
from inapp_monitor.ground.exceptions import FormatError
from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.issues.release import ReleaseFacts
from inapp_monitor.monitor.announcements import signals
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services
from inapp_monitor.request.slowest_file import SlowestFacts


class DataDirectory(Part):
    """Is there, and may be written. First, so that the first message says what to do."""

    name = "data directory"

    def __init__(self, services: Services) -> None:
        self._data_dir = services.core.settings.data_dir

    def tick(self, now: float) -> None:  # noqa: ARG002
        data_directory.prepare(self._data_dir)


class StoreWriting(Part):
    """Series on disk."""

    name = "writing to the store"
    ending_name = "closing the store"
    closes_last = True

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self.holds = (services.store,)

    def tick(self, now: float) -> None:  # noqa: ARG002
        self._store.flush()

    def forked(self) -> None:
        self._store.forked()

    def close(self) -> None:
        self._store.close()

    def drops(self) -> Mapping[str, int]:
        return self._store.status().drops


class RouteNaming(Part):
    """Tells the other workers of new routes; where two slugs met, the first writer's stays."""

    name = "route names"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._saved = 0

    def tick(self, now: float) -> None:
        core = self._core
        if core.route_names.is_damaged:
            moved = core.route_names.set_aside(now)
            why = f"what was sound is kept; moved to {moved}" if moved else "it cannot be moved"
            core.guard.failed("damaged file routes", FormatError(why))
        table = core.recorder.routes
        deleted = self._saved and not core.route_names.is_there()
        if deleted or len(table.slugs) != self._saved:
            core.recorder.adopt_routes(core.route_names.save_new(dict(table.slugs)))
            self._saved = len(table.slugs)

    def facts(self) -> RouteFacts:
        return RouteFacts({**self._core.stored_routes(), **self._core.recorder.routes.slugs})


class SlowestSharing(Part):
    """The slowest requests of all workers."""

    name = "slow requests"

    def __init__(self, services: Services) -> None:
        self._guard = services.core.guard
        self._requests = services.slow_requests
        self.holds = (services.slow_requests,)

    def tick(self, now: float) -> None:  # noqa: ARG002
        try:
            if self._requests.share():
                self._guard.recovered("file of slow requests")
        except OSError as error:  # shown until it works again, not until the next tick
            self._guard.failed("file of slow requests", error)

    def close(self) -> None:
        self._requests.share(at_once=True)

    def facts(self) -> SlowestFacts:
        return SlowestFacts(self._requests.rows())


class Issues(Part):
    """Errors, counted and kept."""

    name = "issues"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._tracker = services.tracker
        self.holds = (services.tracker,)

    def tick(self, now: float) -> None:  # noqa: ARG002
        self.is_behind = self._tracker.tick(self._core.part_ends)

    def close(self) -> None:
        self._tracker.flush()  # what no tick came to; the database is closed, and written, last

    def drops(self) -> Mapping[str, int]:
        dropped = self._tracker.status().dropped_events
        first = self._core.dropped_first_errors
        return {f"event {reason}": n for reason, n in dropped.items()} | {"error not loaded": first}

    def facts(self) -> ReleaseFacts:
        return ReleaseFacts(self._tracker.release)


class NotFound(Part):
    """Addresses that were asked for in vain."""

    name = "404 table"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._table = services.not_found_table
        self.holds = (services.not_found_table,)

    def tick(self, now: float) -> None:  # noqa: ARG002
        core = self._core
        hits = core.recorder.take_not_found()
        if hits:
            self._table.add(hits)
            signals().send_not_found(core.monitor, hits, core.guard)
        self._table.flush()


class DatabaseWriting(Part):
    """The SQLite file. The last one to tick: the others have submitted what they want written."""

    name = "writing to the database"
    ending_name = "closing the database"
    closes_last = True

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._database = services.database
        self.holds = (services.database,)

    def tick(self, now: float) -> None:  # noqa: ARG002
        self.is_behind = self._database.write_pending(self._core.part_ends)

    def forked(self) -> None:
        self._database.forked()

    def close(self) -> None:
        self._database.write_pending()  # what others submitted when they were closed
        self._database.close()
