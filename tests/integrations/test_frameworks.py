"""Eight frameworks: the route of every kind of answer, and each failure captured once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.integrations.werkzeug import rules
from tests.request.battery import serve

from . import apps
from .conftest import Watched, environ_for

NOT_FOUND, NOT_ALLOWED = "(not found)", "(method not allowed)"

#: Page to request.
PAGES = {
    "200": ("/users/7", "GET"),
    "404": ("/missing", "GET"),
    "405": ("/users/7", "POST"),
    "redirect": ("/old", "GET"),
    "error": ("/boom", "GET"),
    "streaming": ("/stream", "GET"),
    "static": ("/static/hello.txt", "GET"),
    "head": ("/users/7", "HEAD"),
}
#: Framework to the route of each page; None where a page has no such answer.
EXPECTED: dict[str, dict[str, str]] = {
    "flask": {
        "200": "/users/<int:id>",
        "405": NOT_ALLOWED,
        "static": "/static/<path:filename>",
        "head": "/users/<int:id>",
    },
    "django": {
        "200": "/users/<int:id>",
        "405": "/users/<int:id>",
        "static": "/static/<path:path>",
        "head": "/users/<int:id>",
    },
    "pyramid": {
        "200": "/users/{id}",
        "405": NOT_FOUND,
        "static": "/static/*subpath",
        "head": "/users/{id}",
    },
    "bottle": {
        "200": "/users/<id:int>",
        "405": NOT_ALLOWED,
        "static": "/static/<name:path>",
        "head": "/users/<id:int>",
    },
    "falcon": {
        "200": "/users/{id:int}",
        "405": "/users/{id:int}",
        "static": "/static/*",
        "head": "/users/{id:int}",
    },
    "cherrypy": {
        "200": "/users/*",
        "405": "/users/*",
        "static": "/static/*",
        "head": "/users/*",
    },
    "werkzeug": {
        "200": "/users/<int:id>",
        "405": NOT_ALLOWED,
        "static": "/static/<path:name>",
        "head": "/users/<int:id>",
    },
    "plain": {
        "200": "/users/<id>",
        "405": "/users/<id>",
        "static": "/static/<path:name>",
        "head": "/users/<id>",
    },
}
#: The same everywhere.
COMMON = {"404": NOT_FOUND, "redirect": "/old", "error": "/boom", "streaming": "/stream"}


def application(framework: str, static: Path) -> Any:
    return getattr(apps, f"{framework}_app")(static)


def watched(framework: str, static: Path) -> Watched:
    route: Any = {"werkzeug": rules(apps.werkzeug_map()), "plain": apps.PLAIN_TEMPLATES}
    return Watched(application(framework, static), route.get(framework))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("framework", EXPECTED)
def test_route_and_answer(framework: str, page: str, static: Path) -> None:
    """The route is the framework's template, and the answer is the bare application's."""
    path, method = PAGES[page]
    bare = serve(application(framework, static), environ_for(path, method))
    noted = watched(framework, static).get(path, method)
    assert noted.route == {**COMMON, **EXPECTED[framework]}[page]
    assert noted.answer.content == bare.content
    assert type(noted.answer.error) is type(bare.error)
    assert [start[0] for start in noted.answer.starts] == [start[0] for start in bare.starts]
    assert headers_of(noted.answer) == headers_of(bare)


def headers_of(answer: Any) -> set[str]:
    """Names of the headers: some values are times."""
    return {name for start in answer.starts for name, _ in start[1]}


@pytest.mark.parametrize("framework", EXPECTED)
def test_failure_is_captured_once(framework: str, static: Path) -> None:
    """The exception itself, also where the framework answers it."""
    noted = watched(framework, static).get("/boom")
    assert [type(error) for error in noted.errors] == [apps.Boom]
    assert noted.status is not None
    assert noted.status.startswith("500")


@pytest.mark.parametrize("framework", EXPECTED)
@pytest.mark.parametrize("page", sorted(set(PAGES) - {"error"}))
def test_other_answers_are_no_failures(framework: str, page: str, static: Path) -> None:
    """404, 405 and redirects are answers, though frameworks raise them."""
    assert watched(framework, static).get(*PAGES[page]).errors == []


@pytest.mark.parametrize("framework", EXPECTED)
def test_two_monitors_on_one_application(framework: str, static: Path) -> None:
    """A second monitor on the same application object installs nothing twice."""
    app = application(framework, static)
    first, second = Watched(app), Watched(app)
    for one in (first, second):
        noted = one.get("/boom")
        assert len(noted.errors) == 1
        assert noted.answer.content == serve(app, environ_for("/boom")).content
