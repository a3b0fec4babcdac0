"""The values that a picture shows are those of the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from inapp_monitor.alerts.last_values import last_shares, last_values
from inapp_monitor.alerts.pictured import pictured
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

END = 1_700_000_040


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two minutes: 10 requests and 1 error each 10 s, of 5 and 50 ms."""
    made = Store(tmp_path, load({"data_dir": tmp_path}).settings, FakeClock(END), Guard())
    for at in range(END - 120, END, 10):
        scalars = [
            Scalar("shop.requests", at, 10.0, Method.SUM),
            Scalar("shop.errors", at, 1.0 if at >= END - 60 else 0.0, Method.SUM),
        ]
        made.add(Batch(scalars, [Distribution("shop.time", at, Histogram.of([5.0] * 9 + [50.0]))]))
    made.flush()
    return made


def test_scalars_and_leaves(store: Store) -> None:
    """Sums add up in a step; a percentile is that of all values in it."""
    assert last_values(store, "shop.requests", END, 240, 60) == [None, None, 60.0, 60.0]
    (*_, p50, _last) = last_values(store, "shop.time.p50", END, 240, 60)
    assert p50 == pytest.approx(5.0, rel=0.01)
    assert last_values(store, "shop.requests", END, 120, 60) == [60.0, 60.0]
    assert last_values(store, "shop.time.count", END, 120, 60) == [60.0, 60.0]
    assert last_values(store, "not.there", END, 120, 60) == []


def test_shares(store: Store) -> None:
    """Per cent of the whole; without any part it is 0, without a whole unknown."""
    assert last_shares(store, "shop.errors", "shop.requests", END, 180, 60) == [None, 0.0, 10.0]
    assert last_shares(store, "shop.none", "shop.requests", END, 120, 60) == [0.0, 0.0]
    assert last_shares(store, "shop.errors", "shop.*", END, 120, 60) == []


def test_what_shows_a_finding_of_the_detector() -> None:
    """A route's or the app's own numbers; a rule that is evaluated names its series itself."""
    failing = Rule("failing-requests", "share of failed requests", kind="detector")
    assert pictured(failing, "pay.POST") == (
        "routes.pay.POST.errors",
        "routes.pay.POST.time.count",
        "%",
    )
    assert pictured(failing, "app").series == "requests.errors"
    slow = Rule("slow-requests", "slow", kind="detector")
    assert pictured(slow, "pay.POST") == ("routes.pay.POST.time.p95", "", "ms")
    own = Rule("own", "shop.depth", unit="jobs")
    assert pictured(own, "shop.depth") == ("shop.depth", "", "jobs")
