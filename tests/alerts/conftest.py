"""What several test modules of the room use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alerts.judged_site import JudgedSite


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[JudgedSite]:
    """A data directory whose rules were judged just now."""
    site = JudgedSite(tmp_path / "data")
    yield site
    site.database.close()
