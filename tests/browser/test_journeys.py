"""What people do on the dashboard, each by mouse and by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.chromium import NEEDS_CHROMIUM

pytestmark = NEEDS_CHROMIUM
TOKEN = "browser-token-0123456789"
MOST_TABS = 150


class Mouse:
    """Points and clicks; types only into fields."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def press(self, place: Any) -> None:
        """Activate a button or link."""
        place.click()

    def write(self, place: Any, text: str) -> None:
        """Fill a field."""
        place.click()
        self.page.keyboard.type(text)

    def choose(self, place: Any, label: str) -> None:
        """Take an entry of a list."""
        place.select_option(label=label)

    def mark(self, chart: Any) -> None:
        """Choose a part of a chart."""
        box = chart.bounding_box()
        self.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=4)
        self.page.mouse.up()


class Keyboard:
    """Never touches the mouse: reaches everything by Tab."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def reach(self, place: Any) -> None:
        """Press Tab until a place has the focus, which must show."""
        for _ in range(MOST_TABS):
            if place.evaluate("e => e === document.activeElement"):
                style = place.evaluate("e => getComputedStyle(e).outlineStyle")
                assert style != "none", "the focus does not show"
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{place} is not reached by Tab")

    def press(self, place: Any) -> None:
        """Activate a button or link."""
        self.reach(place)
        self.page.keyboard.press("Enter")

    def write(self, place: Any, text: str) -> None:
        """Fill a field."""
        self.reach(place)
        self.page.keyboard.type(text)

    def choose(self, place: Any, label: str) -> None:
        """Take an entry of a list."""
        self.reach(place)
        self.page.keyboard.press(label[0])

    def mark(self, chart: Any) -> None:
        """Choose a part of a chart."""
        self.reach(chart)
        for key in ("Shift+ArrowLeft", "Enter", "Shift+ArrowRight", "Shift+ArrowRight", "Enter"):
            self.page.keyboard.press(key)


@pytest.fixture(params=[Mouse, Keyboard], ids=["mouse", "keyboard"])
def hand(request: Any) -> Any:
    """Both ways."""
    return request.param


def test_zooming_into_a_chart(hand: Any, open_tab: Callable[..., Any]) -> None:
    """The part is in the address, one press leads back to the last hour, and Back undoes it."""
    page = open_tab().open("/?from=-6h")
    hand(page).mark(page.locator("svg[data-chart]").first)
    page.wait_for_url("**from=*until=*")
    hand(page).press(page.get_by_title("Back to the last hour"))
    page.wait_for_url(lambda url: "until" not in url)
    page.go_back()
    page.wait_for_url("**from=*until=*")


def test_comparing_with_before_the_deploy(hand: Any, open_tab: Callable[..., Any]) -> None:
    """A ghost of the earlier period and how much worse it is now."""
    page = open_tab().open("/")
    hand(page).choose(page.get_by_label("Compare with"), "before the deploy")
    page.wait_for_url("**compare=deploy**")
    assert page.locator("figure path.ghost").count() >= 2
    assert "before the deploy" in page.locator("main").inner_text()


def test_switching_a_series_off(hand: Any, open_tab: Callable[..., Any]) -> None:
    """By its entry in the legend, and on again."""
    page = open_tab().open("/")
    figure = page.locator("figure.hover").first
    entry = figure.get_by_role("button", name="2xx")
    hand(page).press(entry)
    assert not figure.locator("g.n0").is_visible()
    hand(page).press(entry)
    assert figure.locator("g.n0").is_visible()


def test_pausing_and_resuming_the_refresh(hand: Any, open_tab: Callable[..., Any]) -> None:
    """Resuming fetches the page at once, and the place of the keyboard stays. Until then requests
    are drawn second by second.
    """
    page = open_tab().open("/")
    page.wait_for_selector(".now rect")
    assert "in the last" in page.locator(".now small").inner_text()
    live = page.get_by_role("button", name="live")
    hand(page).press(live)
    assert live.get_attribute("aria-pressed") == "false"
    with page.expect_response(lambda answer: answer.url.endswith("/_metrics/")):
        hand(page).press(live)
    assert live.get_attribute("aria-pressed") == "true"


def test_searching_for_a_route(hand: Any, open_tab: Callable[..., Any]) -> None:
    """From anywhere to the route's page."""
    page = open_tab().open("/status")
    hand(page).write(page.get_by_role("searchbox"), "checkout")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?**")
    hand(page).press(page.locator("main").get_by_role("link", name="/checkout").first)
    page.wait_for_url("**/routes/checkout**")


def test_logging_in_and_out(hand: Any, empty_site: Any, open_tab: Callable[..., Any]) -> None:
    """The page that was asked for comes after the token; the way out is closed behind one."""
    page = open_tab(empty_site).open("/not-found")
    hand(page).write(page.get_by_label("Token"), TOKEN)
    hand(page).press(page.get_by_role("button", name="Open"))
    page.wait_for_url("**/not-found")
    hand(page).press(page.get_by_text("More", exact=True))
    hand(page).press(page.get_by_role("button", name="Log out"))
    page.wait_for_url("**/login")
    page.goto(f"{empty_site.home}/not-found")
    assert page.get_by_label("Token").is_visible()


@pytest.mark.parametrize(
    ("hand", "kind"), [(Mouse, "CardDeclinedError"), (Keyboard, "PricingError")]
)
def test_resolving_an_issue(hand: Any, kind: str, site: Any, open_tab: Callable[..., Any]) -> None:
    """From the list to the issue, resolve it, see that it is."""
    page = open_tab().open("/errors")
    hand(page).press(page.locator("main").get_by_role("link", name=kind).first)
    page.wait_for_url(f"**/errors/{site.issue(kind)}**")
    hand(page).press(page.get_by_role("button", name="Resolve", exact=True))
    page.wait_for_selector("text=resolved")
    assert site.monitor.tracker.get_issue(site.issue(kind)).summary.status == "resolved"


def test_saving_a_dashboard(hand: Any, open_tab: Callable[..., Any]) -> None:
    """A chart of Explore, kept under a name, opens from the list of dashboards."""
    page = open_tab().open("/explore")
    hand(page).write(page.get_by_label("Another target"), "requests.time.p95")
    hand(page).press(page.get_by_role("button", name="Draw"))
    page.wait_for_selector("figure svg")
    name = f"by-{hand.__name__.lower()}"
    hand(page).write(page.get_by_label("Dashboard", exact=True), name)
    hand(page).press(page.get_by_role("button", name="Save to dashboard"))
    page.wait_for_url(f"**/dashboards/{name}**")
    assert page.locator("figure svg path").count() >= 1
    hand(page).press(page.get_by_text("More", exact=True))
    hand(page).press(page.get_by_role("navigation").get_by_role("link", name="Dashboards"))
    page.wait_for_selector(f"main a:has-text('{name}')")
