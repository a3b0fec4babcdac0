"""A shop with half a day of past that has just gone wrong, live on a port, and tabs on it."""

from __future__ import annotations

import shutil
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
from tests.browser.chromium import Tab
from tests.ports import number_of, reserve_port

#: A Monday, 15:20 UTC: enough visitors for every verdict.
NOW = 1_795_447_200
TOKEN = "browser-token-0123456789"


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
            **{"dev_access": True, **settings},
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
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """Written once."""
    with reserve_port() as reserved:
        port = number_of(reserved)
        data_dir = tmp_path_factory.mktemp("past") / "data"
        history.write(data_dir, days=0.4, end=NOW + 120, fault=True, site=f"127.0.0.1:{port}")
        yield Past(data_dir, port)


# Sites end with each module: their threads are in the way of tests elsewhere.


@pytest.fixture(scope="module")
def site(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The shop."""
    data_dir = tmp_path_factory.mktemp("shop") / "data"
    shutil.copytree(past.data_dir, data_dir)
    made = Site(data_dir, past.port)
    yield made
    made.close()


@pytest.fixture
def new_site(past: Past, tmp_path: Path) -> Iterator[Site]:
    """The shop, of which this test is the first visitor: its past ends two minutes later."""
    shutil.copytree(past.data_dir, tmp_path / "data")
    made = Site(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture(scope="module")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An app that nobody has visited, and whose dashboard asks for the token."""
    made = Site(tmp_path_factory.mktemp("empty") / "data", dev_access=False)
    yield made
    made.close()


@pytest.fixture
def open_tab(browser: Any, site: Site) -> Iterator[Callable[..., Tab]]:
    """Opens tabs and closes them, with what they have seen."""
    tabs: list[Tab] = []

    def make(where: Site = site, width: int = 1440, **options: Any) -> Tab:
        tabs.append(Tab(browser, where.home, viewport={"width": width, "height": 900}, **options))
        return tabs[-1]

    yield make
    for tab in tabs:
        tab.close()
