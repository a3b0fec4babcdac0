"""Real applications in eight frameworks: a failing view is one event, the answer is their own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from inapp_monitor.integrations.werkzeug import rules
from tests.environ import environ_of
from tests.integrations import apps
from tests.request.battery import serve

FRAMEWORKS = ("flask", "django", "pyramid", "bottle", "falcon", "cherrypy", "werkzeug", "plain")


@pytest.fixture
def static(tmp_path: Path) -> Path:
    directory = tmp_path / "static"
    directory.mkdir()
    return directory


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_one_event_with_route_stack_and_locals(
    framework: str, static: Path, tmp_path: Path
) -> None:
    """Also where the framework answers itself, signals, and logs the same exception."""
    application = getattr(apps, f"{framework}_app")
    routes: dict[str, Any] = {"werkzeug": rules(apps.werkzeug_map()), "plain": apps.PLAIN_TEMPLATES}
    failing = environ_of("/boom", HTTP_HOST="localhost", HTTP_X_NOTE="7")
    bare = serve(application(static), dict(failing))
    monitor = Monitor(application(static), data_dir=tmp_path / "data", route=routes.get(framework))
    try:
        watched = serve(monitor, failing)
        monitor.refresh()
        issues = monitor.tracker.list_issues()
        detail = monitor.tracker.get_issue(issues[0].id)
    finally:
        monitor.close()
    assert watched.content == bare.content
    assert type(watched.error) is type(bare.error)
    assert [start[0] for start in watched.starts] == [start[0] for start in bare.starts]
    assert [(issue.type, issue.count) for issue in issues] == [("Boom", 1)]
    assert detail is not None
    (event,) = detail.events
    assert event["route"] == "/boom"
    assert event["request"]["path"] == "/boom"
    assert event["request"]["after_ms"] > 0
    assert ["X-Note", "7"] in event["request"]["headers"]
    frame = event["exceptions"][0]["frames"][-1]
    assert (frame["function"], frame["in_app"]) == ("boom", True)
    assert set(frame["locals"]) == {"_", "__"}
    assert dict(detail.tags["route"]) == {"/boom": 1}


def test_other_answers_are_no_errors(framework: str, static: Path, tmp_path: Path) -> None:
    """404s and redirects leave no issue behind."""
    application = getattr(apps, f"{framework}_app")(static)
    monitor = Monitor(application, data_dir=tmp_path / "data")
    try:
        for path in ("/users/7", "/missing", "/old", "/stream"):
            serve(monitor, environ_of(path, HTTP_HOST="localhost"))
        monitor.refresh()
        assert monitor.tracker.list_issues() == []
    finally:
        monitor.close()


def test_a_5xx_that_django_logs_is_one_issue(static: Path, tmp_path: Path) -> None:
    """Django logs each 5xx that a view answers; it counts once, under its route."""
    monitor = Monitor(apps.django_app(static), data_dir=tmp_path / "data")
    try:
        monitor.refresh()  # from now on it hears of log records
        serve(monitor, environ_of("/busy", HTTP_HOST="localhost"))
        issues = [(issue.type, issue.route, issue.count) for issue in monitor.tracker.list_issues()]
        logging.getLogger("django.request").error("elsewhere", extra={"status_code": 503})
        kinds = sorted(issue.type for issue in monitor.tracker.list_issues())
    finally:
        monitor.close()
    assert issues == [("HTTP 503", "/busy", 1)]
    assert kinds == ["HTTP 503", "django.request ERROR"]
