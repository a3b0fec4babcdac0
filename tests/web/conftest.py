"""The sample installation and a client that is let in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from werkzeug.test import Client

sys.path.insert(0, str(Path(__file__).parent))

from sample_backend import TOKEN, sample_backend

from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    """The sample's data."""
    return sample_backend(tmp_path / "data")


@pytest.fixture
def client(backend: Backend) -> Client:
    """A client of the dashboard, mounted at the top."""
    return Client(WebApp(backend))


@pytest.fixture
def authorized() -> dict[str, str]:
    """Headers that let a program in."""
    return dict(AUTHORIZED)
