"""Every page of a shop with a past: at any size, in any colours, without and with disabilities."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from tests.browser.chromium import NEEDS_CHROMIUM

pytestmark = NEEDS_CHROMIUM
PAGES = [
    "/",
    "/?from=-6h&compare=deploy",
    "/routes",
    "/routes/search",
    "/errors",
    "/errors/{issue}",
    "/not-found",
    "/statements",
    "/logs",
    "/explore",
    "/explore?target=routes.*.GET.status.2xx&path=routes",
    "/dashboards",
    "/dashboards/checkout",
    "/runtime",
    "/status",
    "/search?q=check",
    "/login",
    "/nowhere",
    "/?from=wrong",
]
#: Lists and forms without charts; to save time opened on a phone only, where they have least room.
PHONE_PAGES = ["/traces", "/alerts", "/edit-alert", "/sources", "/sdks"]
EMPTY_PAGES = ["/", "/routes", "/errors", "/not-found", "/explore", "/dashboards", "/runtime"]
#: What axe calls these is felt by somebody at once.
SEVERE = {"serious", "critical"}
#: Tables and the navigation that a finger would have to push aside; a matrix of values may.
SIDEWAYS = """[...document.querySelectorAll('nav, .scroll:not([aria-label=Values])')]
    .filter(box => box.scrollWidth > box.clientWidth + 1)
    .map(box => box.getAttribute('aria-label'))"""
#: Charts that stand outside of the page, where nobody sees them.
OUTSIDE = """[...document.querySelectorAll('main figure')].filter(chart => {
    const page = document.querySelector('main').getBoundingClientRect();
    const box = chart.getBoundingClientRect();
    return box.bottom > page.bottom + 1 || box.top < page.top;
}).length"""
RUN_AXE = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .map(v => [v.impact, v.id, v.nodes.map(n => n.target.join(' ')).slice(0, 3).join(', ')])"""


@pytest.fixture(scope="module")
def pages(site: Any) -> list[str]:
    """The addresses of all pages, a dashboard among them."""
    from werkzeug.test import Client

    panels = [{"title": "Paying", "targets": ["routes.checkout.POST.time.p95"]}]
    answer = Client(site.monitor).post(
        "/_metrics/dashboards/checkout",
        json={"title": "Checkout", "panels": panels},
        headers={"Authorization": "Bearer browser-token-0123456789"},
    )
    assert answer.status_code < 400
    return [path.replace("{issue}", site.issue("PricingError")) for path in PAGES]


@pytest.fixture(scope="module")
def axe() -> str:
    """The accessibility checker's script, as the package brings it."""
    pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 360)])
def test_every_page_loads_cleanly(
    scheme: str, width: int, pages: list[str], axe: str, open_tab: Callable[..., Any]
) -> None:
    """No message on the console, no violation of the policy, no request to anywhere else, nothing
    wider than the screen, and a title of its own. axe, which looks at contrast, names of controls,
    landmarks and tables, finds nothing severe. On a phone a table's rows are cards, and nothing
    scrolls sideways.
    """
    tab = open_tab(width=width, color_scheme=scheme)
    titles, found = {}, []
    for path in [*pages, *(PHONE_PAGES if width == 360 else ())]:
        page = tab.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert width > 360 or not page.evaluate(SIDEWAYS), path
        assert page.evaluate(OUTSIDE) == 0, path
        assert page.locator("h1").count() == 1, path
        titles[path.partition("?")[0]] = page.title()
        page.evaluate(axe)
        found += [(path, *row) for row in page.evaluate(RUN_AXE) if row[0] in SEVERE]
    assert not found
    assert len(set(titles.values())) == len(titles), titles


def test_an_empty_installation_says_what_will_appear(
    empty_site: Any, axe: str, open_tab: Callable[..., Any]
) -> None:
    """No chart without data; every page has a sentence about what it will show."""
    tab = open_tab(empty_site, width=360)
    tab.page.goto(f"{empty_site.home}/?token=browser-token-0123456789")
    for path in EMPTY_PAGES:
        page = tab.open(path)
        text = page.locator("main").inner_text()
        assert any(word in text for word in ("appear", "shows", "Pick a series")), path
        assert "No data in this period" not in text, path
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        page.evaluate(axe)
        assert not [row for row in page.evaluate(RUN_AXE) if row[0] in SEVERE], path


def test_a_broken_site_is_understood_without_scrolling(
    new_site: Any, open_tab: Callable[..., Any]
) -> None:
    """Which route is slow, which one fails, which address is missing, since when, what to click."""
    tab = open_tab(new_site)
    page = tab.open("/")
    seen = {}
    for number in range(page.locator(".verdicts li").count()):
        item = page.locator(".verdicts li").nth(number)
        box = item.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 900
        seen[number] = item.inner_text()
    # The two routes come first, the worse one before the other.
    first, second, new, missing = seen[0], seen[1], seen[2], seen[3]
    slow, failing = (first, second) if "/search" in first else (second, first)
    assert "/search is slow" in slow
    assert "/checkout fails" in failing
    assert "PaymentProviderError" in new
    assert "links of your own pages are broken" in missing
    assert "/static/app.9f3c1d.js" in missing
    for text in (slow, failing, missing):
        assert "min" in text
        assert "since deploy 2.5.0" in text
    routes = ("/routes/search", "/routes/checkout")
    targets = (*(routes if slow is first else reversed(routes)), "/errors/", "/not-f")
    for number, target in enumerate(targets):
        address = page.locator(".verdicts li a").nth(number).get_attribute("href")
        assert target in address
