"""A backend over a real store in a directory, at a clock that is stepped by hand."""

from __future__ import annotations

from pathlib import Path

from inapp_monitor.database.file import Database
from inapp_monitor.ground import config
from inapp_monitor.ground.guard import Guard
from inapp_monitor.issues.not_found import NotFoundTable
from inapp_monitor.issues.triage import Triage
from inapp_monitor.query.sources import StoreSource
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.backend import Backend


def stored_backend(
    data_dir: Path, clock: FakeClock, *, token: str = "sample-token-0123456789"
) -> tuple[Backend, Store]:
    """The backend, and its store to write to."""
    guard = Guard()
    given = {"data_dir": data_dir, "sync_interval_s": 3_600, "token": token}
    loaded = config.load(given, environ={})
    parts = (data_dir, loaded.settings, clock, guard)
    store, database = Store(*parts), Database(*parts)
    backend = Backend(
        loaded=loaded,
        clock=clock,
        guard=guard,
        source=StoreSource(store),
        store=store,
        triage=Triage(database, clock),
        not_found=NotFoundTable(loaded.settings, guard, database),
        database=database,
    )
    return backend, store
