"""The demo in a real browser, as a newcomer opens it: it moves, and the shop's flaws are listed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser.chromium import NEEDS_CHROMIUM, Tab
from tests.demo.conftest import Process

pytestmark = NEEDS_CHROMIUM
CHARTS = "[...document.querySelectorAll('main svg')].map(svg => svg.outerHTML).join('')"


def test_a_newcomer_sees_it_move(
    start: Callable[..., Process], browser: Any, tmp_path: Path
) -> None:
    """Charts change while one looks; the bug, its cause and the stale link are a click away."""
    demo = start("demo_app", "--port", "0", "--data-dir", str(tmp_path))
    shop, mount, rest = demo.line(r"dashboard: (\S+)")[1].partition("/_metrics")
    tab = Tab(browser, shop, viewport={"width": 1440, "height": 1000})
    page = tab.open(mount + rest)
    before = page.evaluate(CHARTS)
    give_up = time.monotonic() + 60
    while page.evaluate(CHARTS) == before and time.monotonic() < give_up:
        page.wait_for_timeout(200)  # not `wait_for_function`: the page's policy forbids its `eval`
    assert page.evaluate(CHARTS) != before
    page.wait_for_selector("text=PricingError")
    page.click("text=PricingError")
    page.wait_for_selector("text=KeyError")
    tab.open("/_metrics/not-found")
    page.wait_for_selector("text=organic-2023.png")
    tab.close()
