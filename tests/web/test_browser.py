"""The dashboard in a real browser: nothing breaks, nothing leaves, keys do what the mouse does."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from inapp_monitor.recorder.slowest import Slow
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend
from tests.browser.chromium import NEEDS_CHROMIUM, Tab
from tests.web import sample_past
from tests.web.stored_backend import NOW, TOKEN, close, stored_backend

pytestmark = NEEDS_CHROMIUM


class Site:
    """A dashboard on a port of this machine."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.server = make_server("127.0.0.1", 0, WebApp(backend), threaded=True)
        self.address = f"http://127.0.0.1:{self.server.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.thread.join(5)
        self.server.server_close()
        close(self.backend)


@pytest.fixture(scope="module")
def serve(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Site]]:
    """Serves copies of the recorded past, by settings, each made once."""
    sites: dict[tuple[str, ...], Site] = {}

    def site(**settings: Any) -> Site:
        key = (*sorted(map(str, settings.items())),)
        if key not in sites:
            data_dir = sample_past.copy(past, tmp_path_factory.mktemp("site") / "data")
            sites[key] = Site(
                stored_backend(data_dir, shared=True, **{"dev_access": True, **settings})
            )
        return sites[key]

    yield site
    for each in sites.values():
        each.close()


@pytest.fixture
def tab(browser: Any, serve: Callable[..., Site]) -> Iterator[Tab]:
    """A tab of 1440 by 900 on the sample."""
    made = Tab(browser, serve().address, viewport={"width": 1440, "height": 900})
    yield made
    made.close()


def test_odd_installations_hold_up(browser: Any, tmp_path: Path) -> None:
    """Empty, and with many routes of long names, on a phone."""
    empty, many = (stored_backend(tmp_path / name, dev_access=True) for name in ("empty", "many"))
    sample_past.record_routes(many, ["/" + "x" * 190 + f"/{n}" for n in range(60)])
    for backend in (empty, many):
        site = Site(backend)
        tab = Tab(browser, site.address, viewport={"width": 360, "height": 740})
        for path in ("/", "/routes", "/errors", "/not-found", "/status"):
            page = tab.open(f"{path}?from=-15min")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        tab.close()
        site.close()


def test_the_fault_is_seen_without_scrolling(tab: Tab) -> None:
    """Which route, since when, and what to click."""
    page = tab.open("/")
    first = page.locator(".verdicts li").first
    assert first.get_attribute("class") == "crit"
    assert "/checkout" in first.inner_text()
    assert "since deploy 2.4.1" in first.inner_text()
    box = first.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900
    first.locator("a").click()
    page.wait_for_url("**/routes/checkout**")


def test_hovering_shows_all_values(tab: Tab) -> None:
    """A crosshair and a box with the time and each series."""
    page = tab.open("/")
    chart = page.locator("figure.hover svg[data-chart]").nth(1)
    chart.hover(position={"x": 300, "y": 60})
    text = page.locator(".tip").inner_text()
    for part in ("UTC", "p50", "p95", "p99", "ms"):
        assert part in text
    assert page.locator(".cross").count() == 1


def test_a_visitor_sees_the_times_of_his_own_zone(browser: Any, serve: Callable[..., Site]) -> None:
    """Offered where it differs; a click, and all pages and boxes have them."""
    tab = Tab(
        browser,
        serve().address,
        timezone_id="Europe/Berlin",
        viewport={"width": 1440, "height": 900},
    )
    page = tab.open("/?from=-6h&compare=day")
    page.locator(".custom summary").click()
    page.locator(".mine").click()
    page.wait_for_url("**tz=Europe*Berlin**")
    assert "compare=day" in page.url
    page.locator("figure.hover svg[data-chart]").nth(1).hover(position={"x": 300, "y": 60})
    assert re.search(r"\d\d:\d\d:\d\d Europe/Berlin", page.locator(".tip").inner_text())
    page.locator("nav a", has_text="Routes").click()
    page.wait_for_url("**/routes?**tz=Europe*Berlin**")
    page.locator(".custom summary").click()
    assert not page.locator(".mine").is_visible()
    tab.close()


def test_zooming_keeps_the_rest_of_the_address(tab: Tab) -> None:
    """Method, zone and comparison stay, in the zoom and in the way out of it."""
    page = tab.open("/routes/checkout?method=POST&tz=Europe/Berlin&compare=day")
    page.locator("figure.hover svg[data-chart]").first.focus()
    for key in ("ArrowLeft", "Enter", "Shift+ArrowRight", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**until=**")
    page.locator(".range a[title]").click()
    page.wait_for_url(lambda url: "until=" not in url)
    for part in ("method=POST", "tz=Europe", "compare=day"):
        assert part in page.url


def test_a_slash_jumps_to_the_search(tab: Tab) -> None:
    """From wherever one is, without a click; Enter searches."""
    page = tab.open("/errors")
    page.keyboard.press("/")
    page.keyboard.type("check")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?**q=check**")
    assert "/checkout" in page.locator("main").inner_text()


def test_the_page_refreshes_itself_until_it_is_paused(tab: Tab) -> None:
    """Without losing the place of the keyboard; the button stops it."""
    tab.page.clock.install()
    page = tab.open("/")
    page.evaluate("document.querySelector('main').firstElementChild.remove()")
    page.locator(".verdicts a").nth(1).focus()
    with page.expect_response(lambda answer: answer.url.endswith("/")):
        page.clock.run_for(11_000)
    page.wait_for_selector("main h1")
    assert page.evaluate("document.activeElement.closest('.verdicts') !== null")
    page.locator(".live").click()
    assert page.locator(".live").get_attribute("aria-pressed") == "false"


def test_a_hidden_tab_is_left_alone(tab: Tab) -> None:
    """No refresh while nobody looks; one as soon as somebody does."""
    asked: list[str] = []
    tab.page.clock.install()
    page = tab.open("/")
    page.wait_for_load_state("networkidle")
    page.on("request", lambda request: asked.append(request.url))
    turn = (
        "hidden => { Object.defineProperty(document, 'hidden', "
        "{ configurable: true, get: () => hidden });"
        "document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.evaluate(turn, True)
    page.clock.run_for(120_000)
    assert [address for address in asked if "/static/" not in address] == []  # an icon comes late
    with page.expect_response(lambda answer: answer.url.endswith("/")):
        page.evaluate(turn, False)


def test_what_is_being_filled_in_is_not_refreshed_away(tab: Tab) -> None:
    """Also when the focus has left the form; the button goes on."""
    tab.page.clock.install()
    page = tab.open("/dashboards")
    page.locator("textarea").fill("title = 'mine'")
    page.locator("h1").click()
    page.evaluate("document.activeElement.blur()")
    page.clock.run_for(120_000)
    assert page.locator("textarea").input_value() == "title = 'mine'"
    assert page.locator(".live").get_attribute("aria-pressed") == "false"


def test_paper_is_light_and_says_what_it_shows(browser: Any, serve: Callable[..., Site]) -> None:
    """In a dark theme too: legends and period are printed, what one clicks is not."""
    tab = Tab(
        browser, serve().address, viewport={"width": 800, "height": 1100}, color_scheme="dark"
    )
    page = tab.open("/?from=-6h")
    page.emulate_media(media="print", color_scheme="dark")
    style = "getComputedStyle(document.querySelector('.card')).backgroundColor"
    assert page.evaluate(style) == "rgb(255, 255, 255)"
    assert "23 Nov 09:00 – 15:00 UTC" in page.locator(".paper").inner_text()
    assert page.locator(".legend button").first.is_visible()
    assert not page.locator(".top").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    tab.close()


def test_the_theme_can_be_chosen(tab: Tab) -> None:
    """Light, dark or the system's; remembered for the next page."""
    page = tab.open("/")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.locator("button.theme")
    button.click()
    button.click()
    assert button.get_attribute("data-chosen") == "dark"
    dark = page.evaluate(ground)
    assert dark != light
    tab.open("/errors")
    assert page.evaluate(ground) == dark
    page.locator("button.theme").click()
    assert page.evaluate(ground) == light


def test_the_page_is_complete_without_script(browser: Any, serve: Callable[..., Site]) -> None:
    """Everything but refresh, hover and zoom."""
    tab = Tab(browser, serve().address, java_script_enabled=False)
    page = tab.open("/?from=-15min")
    assert page.locator("svg.chart path.line").count() > 5
    page.select_option(".compare select", "day")
    page.locator(".compare button").click()
    page.wait_for_url("**compare=day**")
    assert "from=-15min" in page.url
    tab.close()


def test_logging_in_by_hand(browser: Any, serve: Callable[..., Site]) -> None:
    """A wrong token is told; the right one leads to the page that was asked for."""
    tab = Tab(browser, serve(dev_access=False).address)
    page = tab.open("/errors")
    page.keyboard.type("wrong-token")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    page.locator("#token").fill(TOKEN)
    page.locator("#token").press("Enter")
    page.wait_for_url("**/errors")
    assert "PaymentError" in page.locator("main").inner_text()
    tab.close()


def test_a_slow_request_leads_to_its_evidence(browser: Any, past: Path, tmp_path: Path) -> None:
    """What a mark stands for is told on hover and on focus; a failed one opens its issue."""
    backend = stored_backend(
        sample_past.copy(past, tmp_path / "data"), shared=True, dev_access=True
    )
    issue = sample_past.issue_of(backend)
    sample_past.record_slow(
        backend,
        ("checkout", "POST"),
        [
            Slow(2_900, "/checkout/2900", NOW - 2_900, "500 INTERNAL SERVER ERROR", issue),
            Slow(900, "/checkout/900", NOW - 900, "200 OK"),
            Slow(400, "/checkout/400", NOW - 400, None),
        ],
    )
    site = Site(backend)
    tab = Tab(browser, site.address, viewport={"width": 900, "height": 900})
    page = tab.open("/routes/checkout")
    assert page.locator("svg .point").count() == 3
    failed = page.locator("svg .point", has=page.locator(".mark.open.s-crit"))
    failed.hover()
    told = page.locator(".tip").inner_text()
    for part in ("POST /checkout/2900", "2.9 s", "500", "at 20"):
        assert part in told
    page.mouse.move(0, 0)
    assert page.locator(".tip").count() == 0
    slow = page.locator('svg a.point[href="#slow-2"]')
    slow.focus()
    assert "/checkout/900 took 900 ms, 200 OK" in page.locator(".tip").inner_text()
    page.keyboard.press("Escape")
    assert page.locator(".tip").count() == 0
    page.keyboard.press("Enter")
    page.wait_for_url("**#slow-2")
    assert "/checkout/900" in page.locator("tr:target").inner_text()
    failed.click()
    page.wait_for_url(f"**/errors/{issue}*")
    tab.close()
    site.close()


def test_the_heatmap_counts_and_zooms(tab: Tab) -> None:
    """As every chart over time."""
    page = tab.open("/")
    heat = page.locator('figure.hover svg[aria-label^="Heatmap"]')
    assert "nine of ten between" in heat.get_attribute("aria-label")
    heat.hover(position={"x": 300, "y": 60})
    assert "values" in page.locator(".tip").inner_text()
    heat.focus()
    for key in ("Enter", "Shift+ArrowRight", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**from=*until=*")


def test_a_chart_is_told_in_words(tab: Tab) -> None:
    """Extremes, the last value and the trend of its series."""
    page = tab.open("/routes/checkout")
    told = page.locator("figure.hover svg").first.get_attribute("aria-label")
    assert "p95 from" in told
    assert "last" in told
    assert "rising" in told
