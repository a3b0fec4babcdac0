"""docs/settings.md says what the settings table says."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from inapp_monitor.ground import config, settings_page
from tests.each import each

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_what_the_table_generates() -> None:
    """Whoever changes a setting runs `make docs`."""
    assert PAGE.read_text("utf-8") == settings_page.settings_markdown(), "run `make docs`"


@each("name", [entry.name for entry in fields(config.Settings)])
def test_each_setting_is_documented(name: str) -> None:
    """Its row has a default (or none), what it takes and what it is."""
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if f"| `{name}` |" in line]
    assert len(rows) == 1
    _, _, takes, meaning = (cell.strip() for cell in rows[0].strip("|").split("|"))
    assert takes
    assert meaning.endswith(".")
