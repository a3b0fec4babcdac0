"""What users' tests can ask: which numbers, errors and 404s a block of code has recorded."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import flask
import pytest

from inapp_monitor import Monitor, metrics
from inapp_monitor.monitor.recorded import Timings
from inapp_monitor.testing import recorded


def shop() -> flask.Flask:
    """As a user has it: wrapped, and (in a test) switched off."""
    app = flask.Flask("shop")

    @app.get("/orders/<int:number>")
    def order(number: int) -> str:
        metrics.incr("orders.seen", 2)
        metrics.timing("orders.time", 12.5)
        if number == 13:
            raise ValueError("bad luck")
        return "order"

    app.wsgi_app = Monitor(app.wsgi_app, enabled=False)  # type: ignore[method-assign]
    return app


def test_numbers_errors_and_404s_of_a_block(tmp_path: Path) -> None:
    """The application's own monitor records for the time of the block."""
    app = shop()
    client = app.test_client()
    with recorded(app.wsgi_app) as found:
        client.get("/orders/7")
        client.get("/orders/13")
        client.get("/nowhere")
        app.wsgi_app.gauge("stock", 5)  # type: ignore[attr-defined]
        app.wsgi_app.gauge("stock", 4)  # type: ignore[attr-defined]
        metrics.set("customers", "ann")
        assert found["orders.seen"] == 4
        assert found["stock"] == 4
        assert found["customers"] == 1
        assert found.timings("orders.time") == Timings(2, 12.5, 12.5, 12.5)
        assert found.values().keys() == {"orders.seen", "orders.time", "stock", "customers"}
        assert [issue.title for issue in found.errors] == ["ValueError: bad luck"]
        assert found.not_found == {"/nowhere": 1}
        assert found.requests()["orders-number.GET"] == 2


def test_the_block_leaves_nothing(tmp_path: Path) -> None:
    """Afterwards the application's monitor is what it was; no thread and no file stays."""
    app = shop()
    before = threading.active_count()
    with recorded(app.wsgi_app) as found:
        app.test_client().get("/orders/7")
        directory = found.monitor.settings.data_dir.parent
        assert directory.is_dir()
    assert not directory.exists()
    assert threading.active_count() == before
    assert not app.wsgi_app.settings.enabled  # type: ignore[attr-defined]
    app.test_client().get("/orders/7")
    with recorded(app.wsgi_app) as found:
        assert found.values() == {}


def test_a_plain_application_and_none() -> None:
    """Requests are sent to `monitor`; without an application, numbers alone."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("404 Not Found", [])
        return [b"none"]

    with recorded(app) as found:
        environ = {"PATH_INFO": "/gone", "REQUEST_METHOD": "GET"}
        b"".join(found.monitor(environ, lambda *given: lambda data: None))
        assert found.not_found == {"/gone": 1}
    with recorded() as found:
        metrics.incr("jobs")
        assert found["jobs"] == 1


def test_a_name_that_was_not_recorded_is_answered_with_those_that_were() -> None:
    """So that a failing test shows the slip."""
    with recorded() as found:
        metrics.incr("order")
        with pytest.raises(KeyError, match=r"as 'orders', only as \['order'\]"):
            _ = found["orders"]
        with pytest.raises(KeyError, match="nothing was timed as 'order'"):
            found.timings("order")
