"""The judge as a user meets it: a monitored app and its overview, on a clock stepped by hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.testing import FakeClock

TOKEN = "judge-token-0123456789"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


class Site:
    """A small app; what is slow or fails can be set."""

    def __init__(self, data_dir: Path) -> None:
        self.clock = FakeClock()
        self.slow: dict[str, float] = {}
        self.failing: set[str] = set()
        quiet = {"collect_process": False, "collect_host": False}  # of the machine of the test
        self.monitor = Monitor(self._app, data_dir=data_dir, clock=self.clock, token=TOKEN, **quiet)
        self.client = Client(self.monitor)

    def _app(self, environ: Any, start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.clock.advance(self.slow.get(path, 0.003))
        if path == "/gone.css":
            start_response("404 Not Found", [])
        elif path in self.failing:
            start_response("503 Service Unavailable", [])
        else:
            start_response("200 OK", [])
        return [b""]

    def ask(self, path: str, **headers: str) -> None:
        self.client.get(path, headers=headers).close()

    def wait(self, seconds: float) -> None:
        """Nobody comes."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.advance(min(10.0, until - self.clock.now))
            self.monitor.tick()

    def busy(self, seconds: int, *paths: str) -> None:
        """Each path once a second."""
        for _ in range(seconds):
            for path in paths:
                self.ask(path, Referer="http://localhost/")
            self.clock.advance(1.0)
            self.monitor.tick()

    def overview(self, query: str = "") -> dict[str, Any]:
        answer = self.client.get(f"/_metrics/overview.json{query}", headers=HEADERS)
        assert answer.status_code == 200
        return dict(answer.json)

    def wrong(self, query: str = "") -> list[str]:
        return [
            f"{each['title']} | {each['detail']}"
            for each in self.overview(query)["verdicts"]
            if each["state"] in ("warn", "crit") and "issue" not in each["title"]
        ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.monitor.close()


def test_four_of_four_slow_requests_on_a_quiet_site_are_named(site: Site) -> None:
    """Ten requests an hour; the fourth that takes 2.5 s is named, with "4 of 4"."""
    for _ in range(6):
        site.ask("/")
        site.wait(360)
    site.slow["/"] = 2.5
    for number in range(1, 5):
        site.ask("/")
        site.wait(20)
        found = site.wrong()
        assert bool(found) == (number == 4), (number, found)
        site.wait(340)
    assert "4 of 4" in site.wrong()[0]


def test_a_trouble_is_on_the_overview_then_gone_and_found_again_by_looking_back(site: Site) -> None:
    """The live page is calm a minute after the end; the period still names route and time."""
    site.busy(120, "/list", "/")
    begin = int(site.clock.now)
    site.slow["/list"] = 0.8
    site.busy(20, "/list", "/")
    (found,) = site.wrong()
    assert "is slow" in found and "of" in found
    site.slow.clear()
    end = int(site.clock.now)
    site.busy(60, "/list", "/")
    assert site.wrong() == []
    (incident,) = site.overview()["incidents"]
    assert incident["until"] is not None and abs(incident["since"] - begin) < 10
    assert "was slow" in site.wrong(f"?from={begin - 60}&until={end + 40}")[0]
    page = site.client.get("/_metrics/", headers={**HEADERS, "Accept": "text/html"})
    assert "Incidents" in page.text and "was slow" in page.text


def test_broken_links_are_named_in_the_first_minute_of_life(site: Site) -> None:
    """And what asks for it unasked, such as the icon of a browser, is none."""
    site.busy(30, "/", "/gone.css")
    (found,) = site.wrong()
    assert found.startswith("404s: links of your own pages are broken | /gone.css")


def test_a_wrong_rule_is_refused_at_once_and_a_right_one_is_judged(site: Site) -> None:
    """`monitor.alert` raises what a file would; the state is on the page of alerts."""
    with pytest.raises(ConfigError, match="condition"):
        site.monitor.alert("slow", "p95 >")
    site.monitor.alert("slow", "p95 > 300ms for 2", interval="10s", window="30s")
    site.slow["/"] = 0.5
    site.busy(60, "/")
    states = site.monitor.life.services.alerts.states
    assert states["slow", "requests.time.p95"].state.status.name == "CRITICAL"
    page = site.client.get("/_metrics/alerts", headers={**HEADERS, "Accept": "text/html"})
    assert page.status_code == 200 and "500 ms" in page.text


def test_a_door_that_rejects_is_a_warning_of_that_door_until_it_ends(site: Site) -> None:
    """One line in two is rejected by one of two doors; a rule that is there from the start."""

    def warned(seconds: int, rejected: float) -> list[str]:
        for _ in range(seconds // 10):
            now = int(site.clock.now)
            counts = {"udp_8125.rejected": rejected, "udp_8125.lines": 10.0, "tcp_2003.lines": 9.0}
            scalars = [
                Scalar(f"monitor.ingest.doors.{path}", now, count, Method.SUM)
                for path, count in counts.items()
                if count
            ]
            site.monitor.life.services.store.add(Batch(scalars, []))
            site.wait(10)
        states = site.monitor.life.services.alerts.states
        return [
            series
            for (rule, series), kept in states.items()
            if rule == "rejecting-doors"
            and (kept.state.status.name, kept.state.hard) == ("WARNING", True)
        ]

    assert warned(120, 0.0) == []
    (series,) = warned(360, 5.0)
    assert "udp_8125" in series
    assert warned(300, 0.0) == []
