"""The reference page of all settings, as `docs/settings.md` holds it."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

from inapp_monitor.ground.config import Settings, show, show_limit
from inapp_monitor.ground.setting_sources import ENVIRONMENT_PREFIX
from inapp_monitor.ground.setting_values import parse_size


def settings_markdown() -> str:
    """The reference page of all settings, as `docs/settings.md` holds it."""
    lines = [
        "# Settings",
        "",
        "Written by `make docs` from `inapp_monitor/ground/config.py`; edit that, not this page.",
        "",
        "A setting is taken, first found first, from a keyword (`Monitor(app, NAME=...)`), a TOML",
        "file (`Monitor(app, config=FILE)` or `INAPP_MONITOR_CONFIG`; its top level or a table",
        f"`[inapp_monitor]`), a variable (`{ENVIRONMENT_PREFIX}` and the name in capitals) and the",
        "default. An unknown name or a bad value raises `ConfigError` when the monitor is made.",
        "`inapp-monitor settings` prints what is in force, and where each value comes from.",
        "",
        "| setting | default | takes | what it is |",
        "|---|---|---|---|",
    ]
    for entry in fields(Settings):
        value: Any = entry.default
        default = f"{value // 2**20}MB" if entry.metadata["parse"] is parse_size else show(value)
        shown = f"`{default}`" if default else ""
        takes = (entry.metadata["parse"].__doc__ or "").rstrip(".") + _limits(entry)
        lines.append(f"| `{entry.name}` | {shown} | {takes} | {entry.metadata['doc']} |")
    return "\n".join(lines) + "\n"


def _limits(entry: Field[Any]) -> str:
    at_least, at_most = entry.metadata["at_least"], entry.metadata["at_most"]
    return "".join(
        f", {words} {show_limit(entry, limit)}"
        for words, limit in (("at least", at_least), ("at most", at_most))
        if limit is not None
    )
