"""A tracker over a real database in a temporary directory, and a clock that tests step."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.database.file import Database
from inapp_monitor.ground import current_request
from inapp_monitor.ground.config import Settings, load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.issues.model import IssueDetail
from inapp_monitor.issues.not_found import NotFoundTable
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.testing import FakeClock
from tests.environ import environ_of

NOW = 1_800_000_000.0


@dataclass
class Monitor:
    """The parts that errors need, joined as a worker process joins them."""

    settings: Settings
    clock: FakeClock
    guard: Guard
    database: Database
    tracker: Tracker
    not_found: NotFoundTable

    def tick(self) -> None:
        """What the background does about once a second."""
        self.tracker.flush()
        self.not_found.flush()
        self.database.write_pending()

    def only_issue(self) -> IssueDetail:
        """The one issue there is."""
        issues = self.tracker.list_issues()
        assert len(issues) == 1, [issue.title for issue in issues]
        detail = self.tracker.get_issue(issues[0].id)
        assert detail is not None
        return detail


MakeMonitor = Callable[..., Monitor]


class Record:
    """What the request path keeps of a request."""

    starts = iter(range(10**9))

    def __init__(self, environ: dict[str, Any] | None) -> None:
        self.environ = environ
        self.start = next(self.starts)
        self.route: object = None


@pytest.fixture
def make_monitor(tmp_path: Path) -> Iterator[MakeMonitor]:
    """Make a monitor over the test's directory; several share it as worker processes would."""
    databases: list[Database] = []

    def make(clock: FakeClock | None = None, **keywords: Any) -> Monitor:
        given = {"data_dir": tmp_path / "data", "release": "r1", **keywords}
        budget = given.pop("disk_budget", None)  # may be smaller than an app may ask for
        settings = load(given, environ={}).settings
        if budget is not None:
            settings = replace(settings, disk_budget=budget)
        clock = clock or FakeClock(NOW)
        guard = Guard()
        database = Database(settings.data_dir, settings, clock, guard)
        databases.append(database)
        return Monitor(
            settings,
            clock,
            guard,
            database,
            Tracker(settings, clock, guard, database),
            NotFoundTable(settings, guard, database),
        )

    yield make
    for database in databases:
        database.close()


@pytest.fixture
def monitor(make_monitor: MakeMonitor) -> Monitor:
    return make_monitor()


@pytest.fixture(autouse=True)
def recursion_limit() -> Iterator[None]:
    """Tests of deep stacks set it; the next test finds it as it was."""
    before = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(before)


@pytest.fixture(autouse=True)
def fresh_scope() -> None:
    """Each test is a request of its own that said nothing."""
    current_request.enter(Record(None))


def environ(**more: Any) -> dict[str, Any]:
    """A WSGI environ of a plain GET request."""
    usual = {
        "QUERY_STRING": "page=2",
        "SERVER_NAME": "example.org",
        "SERVER_PORT": "443",
        "wsgi.url_scheme": "https",
        "HTTP_HOST": "example.org",
        "HTTP_USER_AGENT": "test",
        "REMOTE_ADDR": "192.0.2.1",
    }
    return environ_of("/users/7", **usual | more)


def caught(function: Callable[..., object], *arguments: object) -> BaseException:
    """The exception that a call raises."""
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("did not raise")
