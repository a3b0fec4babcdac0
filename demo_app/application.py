"""The shop with the monitor around it: what a user of inapp-monitor writes into their own app."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from flask import Flask

from demo_app.fault import RELEASE, Fault
from demo_app.provider import PaymentProvider
from demo_app.shop import create_app, events
from demo_app.warehouse import ShopDatabase
from inapp_monitor import Monitor
from inapp_monitor.database.posted_events import PostedEvent, PostedEvents


def build(data_dir: Path, fault_after_s: float | None = None) -> Flask:
    """The monitored shop; its database and all recorded data are below `data_dir`.

    Args:
        fault_after_s: When a bad deploy comes, seconds from now; None for never.
    """
    app = create_app(data_dir / "shop.db")
    monitor = Monitor(
        app.wsgi_app,
        data_dir=data_dir / "monitor",
        app_name="Kettle & Leaf",
        log_level="INFO",
        dev_access=True,  # what is shown here is made up
        collectors=[ShopDatabase(data_dir / "shop.db")],
    )
    logging.getLogger("demo_app.shop").setLevel(logging.INFO)
    app.wsgi_app = monitor  # type: ignore[method-assign]
    _count_events(app, monitor)
    provider = PaymentProvider()
    app.config["PROVIDER"] = provider.accepts
    if fault_after_s is not None:
        Fault(fault_after_s, lambda: _tell_of_deploy(monitor), provider).bring_into(app)
    return app


def _tell_of_deploy(monitor: Monitor) -> None:
    """What a deploy script posts to `/_metrics/events/`."""
    PostedEvents(monitor.database).add(PostedEvent(int(time.time()), RELEASE, ("deploy",), ""))


def _count_events(app: Flask, monitor: Monitor) -> None:
    """What the shop announces, as series of its own."""

    def registered(_shop: Flask) -> None:
        monitor.incr("users.registered")

    def ordered(_shop: Flask, total: int, items: int) -> None:
        monitor.incr("shop.orders")
        monitor.incr("shop.items", items)
        monitor.incr("shop.revenue", total / 100)

    events.user_registered.connect(registered, app, weak=False)
    events.order_placed.connect(ordered, app, weak=False)
