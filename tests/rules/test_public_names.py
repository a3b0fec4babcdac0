"""The public names: what the package offers is what the documentation lists."""

from __future__ import annotations

import re
from pathlib import Path

import inapp_monitor

ROOT = Path(__file__).parents[2]


def test_the_page_lists_exactly_the_public_names() -> None:
    """docs/api.md has a row for each name in `__all__`, and no other."""
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.M)) == sorted(inapp_monitor.__all__)


def test_each_public_name_is_there() -> None:
    """Also those that are loaded on first use."""
    for name in inapp_monitor.__all__:
        assert getattr(inapp_monitor, name) is not None


def test_documented_imports_use_public_names_only() -> None:
    """A reader may copy any `from inapp_monitor import` line of the documentation."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for names in re.findall(r"^from inapp_monitor import ([\w, ]+)$", page.read_text(), re.M):
            assert {name.strip() for name in names.split(",")} <= set(inapp_monitor.__all__), page
