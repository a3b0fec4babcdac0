"""The recorded past, a dashboard over a copy of it, and a client that is let in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client

from inapp_monitor.testing import FakeClock
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend
from tests.made_once import made_once
from tests.web import sample_past
from tests.web.stored_backend import NOW, TOKEN, close, stored_backend

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory that all copies are made of, made once for all processes of the suite."""
    return made_once(tmp_path_factory, "past-of-the-web", sample_past.write)


@pytest.fixture
def clock() -> FakeClock:
    """Stands where the recorded past ends."""
    return FakeClock(NOW)


@pytest.fixture
def backend(past: Path, clock: FakeClock, tmp_path: Path) -> Iterator[Backend]:
    """Over a copy of the recorded past."""
    made = stored_backend(sample_past.copy(past, tmp_path / "data"), clock, shared=True)
    yield made
    close(made)


@pytest.fixture
def issue(backend: Backend) -> str:
    """The id of the issue that the fault brought."""
    return sample_past.issue_of(backend)


@pytest.fixture
def client(backend: Backend) -> Client:
    """A client of the dashboard, mounted at the top."""
    return Client(WebApp(backend))


@pytest.fixture
def authorized() -> dict[str, str]:
    """Headers that let a program in."""
    return dict(AUTHORIZED)
