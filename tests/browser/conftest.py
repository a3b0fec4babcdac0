"""A shop with half a day of past that has just gone wrong, live on a port, and one Chromium.

Everything of a browser is imported on first need: where it is missing, the tests say why they skip.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from werkzeug.serving import make_server

from demo_app import history
from inapp_monitor import Monitor
from inapp_monitor.cli.serving import quiet_handler
from inapp_monitor.ground.clock import Clock

#: A Monday, 15:20 UTC: enough visitors for every verdict.
NOW = 1_795_447_200
TOKEN = "browser-token-0123456789"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: The network is cut to this machine, beside the tests' watching it.
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need Chromium."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


def shop(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers everybody; what matters is its past."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


class Site:
    """A monitored app on a port.

    Attributes:
        home: Address of the dashboard.
        monitor: The monitor itself.
    """

    def __init__(self, data_dir: Path, port: int = 0, **settings: Any) -> None:
        ahead_s = NOW - time.time()
        self.monitor = Monitor(
            shop,
            data_dir=data_dir,
            token=TOKEN,
            app_name="Kettle & Leaf",
            release="2.5.0",
            clock=Clock(wall=lambda: time.time() + ahead_s),
            **settings,
        )
        self._server = make_server(
            "127.0.0.1", port, self.monitor, threaded=True, request_handler=quiet_handler()
        )
        self.host = f"127.0.0.1:{self._server.port}"
        self.home = f"http://{self.host}/_metrics"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def issue(self, kind: str) -> str:
        """The id of the issue of a type."""
        return next(i.id for i in self.monitor.tracker.list_issues() if i.type == kind)

    def close(self) -> None:
        """Stop serving and close the monitor."""
        self._server.shutdown()
        self._server.server_close()
        self.monitor.close()


class Past(NamedTuple):
    """Half a day of visitors, and the port of the shop that they visited."""

    data_dir: Path
    port: int


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Written once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    data_dir = tmp_path_factory.mktemp("past") / "data"
    history.write(data_dir, days=0.4, end=NOW + 120, fault=True, site=f"127.0.0.1:{port}")
    return Past(data_dir, port)


# Sites and the browser end with each module: their threads, and the event loop of the browser's
# driver, are in the way of tests elsewhere.


@pytest.fixture(scope="module")
def site(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The shop."""
    data_dir = tmp_path_factory.mktemp("shop") / "data"
    shutil.copytree(past.data_dir, data_dir)
    made = Site(data_dir, past.port)
    yield made
    made.close()


@pytest.fixture(scope="module")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An app that nobody has visited, and whose dashboard asks for the token."""
    made = Site(tmp_path_factory.mktemp("empty") / "data", dev_access=False)
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of a module."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engine:
        found = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


class Tab:
    """A page that notes what must not happen: see `close`."""

    def __init__(self, browser: Any, site: Site, width: int = 1440, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.home = site.home
        self.troubles: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        expected = "Failed to load resource" in message.text  # answers of 4xx that are asked for
        if message.type in ("error", "warning") and not expected:
            self.troubles.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(self.home):
            self.troubles.append(f"request to {request.url}")

    def open(self, path: str) -> Any:
        """Go to a path below the mount."""
        self.page.goto(self.home + path)
        return self.page

    def close(self) -> None:
        """There was no console message, no violation of the policy, no request elsewhere."""
        self.context.close()
        assert not self.troubles


@pytest.fixture
def open_tab(browser: Any, site: Site) -> Iterator[Callable[..., Tab]]:
    """Opens tabs and closes them, with what they have seen."""
    tabs: list[Tab] = []

    def make(where: Site = site, **options: Any) -> Tab:
        tabs.append(Tab(browser, where, **options))
        return tabs[-1]

    yield make
    for tab in tabs:
        tab.close()
