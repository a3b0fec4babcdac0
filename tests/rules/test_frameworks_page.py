"""docs/frameworks.md names every framework that has an integration, and every fixed name."""

from __future__ import annotations

from pathlib import Path

from inapp_monitor.integrations.frameworks import FRAMEWORKS
from inapp_monitor.recorder import routes

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"


def test_all_frameworks_and_names_are_described() -> None:
    """Nothing that the code knows is missing from the page."""
    text = PAGE.read_text("utf-8")
    for framework in FRAMEWORKS:
        assert framework in text.lower()
    for name in routes.FIXED:
        assert f"`{name}`" in text
