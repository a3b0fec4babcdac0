"""docs/alerts.md names every notifier and every key of a webhook's JSON."""

from __future__ import annotations

import re
from pathlib import Path

from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers.registry import TYPES

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text("utf-8")


def test_every_type_has_its_row() -> None:
    """The table's first column is the registry."""
    table = PAGE.split("| type | keys of its own | gets |")[1].split("\n\n")[0]
    named = [name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in row.split(", ")]
    assert sorted(name.strip("`") for name in named) == sorted(TYPES)


def test_every_key_is_told() -> None:
    """What a receiver gets is what it can read about."""
    section = PAGE.split("### JSON of a webhook")[1].split("\n## ")[0]
    assert {"version", *Notice.__slots__} <= set(re.findall(r"`(\w+)`", section))
