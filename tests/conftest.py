"""What all tests share: times are shown in UTC unless a test says otherwise; any order will do."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.browser.chromium import started
from tests.distribution import LongestFirst, rank
from tests.ports import number_of, reserve_port

os.environ["TZ"] = "UTC"
time.tzset()

# How long an example takes says how busy the machine is; what must be fast has a test of its own.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture
def port() -> Iterator[int]:
    """A port for a server that the test starts."""
    with reserve_port() as reserved:
        yield number_of(reserved)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of a module; not longer, since other tests look at threads, and
    the event loop of its driver is in their way.
    """
    with started() as found:
        yield found


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--shuffle SEED` finds tests that lean on the ones before them."""
    parser.addoption("--shuffle", metavar="SEED", help="modules, and tests within, in random order")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest first; in random order if asked to."""
    seed = config.getoption("shuffle")
    if seed is None:
        items.sort(key=lambda item: rank(item.nodeid))
        return
    order = random.Random(seed)
    drawn = {path: order.random() for path in dict.fromkeys(item.path for item in items)}
    items.sort(key=lambda item: (drawn[item.path], order.random()))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Units of work instead of single tests."""
    return LongestFirst(config, log)
