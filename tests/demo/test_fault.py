"""The bad deploy of the demo: nothing before its time, then what the dashboard is to find."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from demo_app.fault import LOST, Fault
from demo_app.mishaps import PaymentProviderError
from demo_app.provider import PaymentProvider
from demo_app.shop import create_app


def test_it_does_nothing_before_its_time(tmp_path: Path) -> None:
    """Pages are as they were, and nobody is told."""
    app = create_app(tmp_path / "shop.db")
    app.testing = True
    told: list[str] = []
    Fault(3_600, lambda: told.append("began"), failing=1.0).bring_into(app)
    visitor = app.test_client()
    assert LOST not in visitor.get("/").text
    assert visitor.post("/checkout").status_code == 400
    assert not told


def test_it_breaks_what_it_says(tmp_path: Path) -> None:
    """A slow search, payments that fail with a cause, a link to nothing; told once."""
    app = create_app(tmp_path / "shop.db")
    app.testing = True
    told: list[str] = []
    Fault(0, lambda: told.append("began"), slow_s=0.05, failing=1.0).bring_into(app)
    visitor = app.test_client()
    assert LOST in visitor.get("/").text
    assert visitor.get(LOST).status_code == 404
    begin = time.monotonic()
    assert visitor.get("/search?q=tea").status_code == 200
    assert time.monotonic() - begin >= 0.035
    with pytest.raises(PaymentProviderError) as caught:
        visitor.post("/checkout")
    assert isinstance(caught.value.__cause__, KeyError)
    assert told == ["began"]


def test_failing_payments_have_waited_for_the_provider(tmp_path: Path) -> None:
    """What the shop cannot read is an answer: a failed payment is as slow as one that succeeds."""
    app = create_app(tmp_path / "shop.db")
    app.testing = True
    provider = PaymentProvider()
    Fault(0, lambda: None, provider, failing=1.0).bring_into(app)
    visitor = app.test_client()
    visitor.get("/").close()
    provider.slow_s = 0.05
    begin = time.monotonic()
    with pytest.raises(PaymentProviderError):
        visitor.post("/checkout")
    assert time.monotonic() - begin >= 0.05
