"""The dashboard's backend over a data directory, at a clock that is stepped by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inapp_monitor.database.file import Database
from inapp_monitor.ground import config
from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.workers.route_names import RouteFacts, RouteNames
from inapp_monitor.issues.not_found import NotFoundTable
from inapp_monitor.issues.triage import Triage
from inapp_monitor.query.sources import StoreSource
from inapp_monitor.request import slowest_file
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.backend import Backend

TOKEN = "sample-token-0123456789"
#: A Monday, 15:00 UTC: when the recorded past ends.
NOW = 1_795_446_000


def stored_backend(
    data_dir: Path, clock: FakeClock | None = None, *, shared: bool = False, **settings: Any
) -> Backend:
    """A backend of what is recorded there, and of nothing in a directory that is not there yet.

    Args:
        shared: The store's files belong to other tests as well, and are only read.
    """
    clock = clock or FakeClock(NOW)
    guard = Guard()
    given = {"token": TOKEN, "app_name": "shop", "sync_interval_s": 3_600, **settings}
    loaded = config.load({**given, "data_dir": data_dir}, environ={})
    parts = (data_dir, loaded.settings, clock, guard)
    store = Store(*parts, read_only=shared)
    database = Database(*parts)
    names = RouteNames(data_dir)

    def facts() -> Facts:
        slowest = slowest_file.stored(data_dir, clock.wall())
        return Facts(
            [RouteFacts(names.load()), slowest_file.SlowestFacts(slowest_file.as_rows(slowest))]
        )

    return Backend(
        loaded=loaded,
        clock=clock,
        guard=guard,
        source=StoreSource(store),
        store=store,
        triage=Triage(database, clock),
        not_found=NotFoundTable(loaded.settings, guard, database),
        database=database,
        refresh=database.write_pending,
        facts=facts,
    )


def close(backend: Backend) -> None:
    """Close the files of a backend."""
    backend.store.close()
    if backend.database is not None:
        backend.database.close()
