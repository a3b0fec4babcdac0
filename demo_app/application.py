"""The shop with the monitor around it: what a user of inapp-monitor writes into their own app."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from demo_app.shop import create_app


def build(data_dir: Path) -> Flask:
    """The monitored shop; its database and all recorded data are below `data_dir`."""
    return create_app(data_dir / "shop.db")
