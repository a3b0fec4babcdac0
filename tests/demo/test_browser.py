"""The demo in a real browser, as a newcomer opens it: it moves, and the shop's flaws are listed.

Needs Chromium and the `playwright` package (only its client: no download); skipped without them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.demo.conftest import Process

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
CHARTS = "[...document.querySelectorAll('main svg')].map(svg => svg.outerHTML).join('')"


def test_a_newcomer_sees_it_move(start: Callable[..., Process], tmp_path: Path) -> None:
    """Charts change while one looks; the bug, its cause and the stale link are a click away."""
    demo = start("demo_app", "--port", "0", "--data-dir", str(tmp_path))
    dashboard = demo.line(r"dashboard: (\S+)")[1]
    shop = dashboard.partition("/_metrics")[0]
    elsewhere: list[str] = []
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(60_000)
        page.on("request", lambda r: None if r.url.startswith(shop) else elsewhere.append(r.url))
        page.goto(dashboard)
        before = page.evaluate(CHARTS)
        page.wait_for_function(f"before => {CHARTS} !== before", arg=before)
        page.wait_for_selector("text=PricingError")
        page.click("text=PricingError")
        page.wait_for_selector("text=KeyError")
        page.goto(f"{shop}/_metrics/not-found")
        page.wait_for_selector("text=organic-2023.png")
        browser.close()
    assert not elsewhere
