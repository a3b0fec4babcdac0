"""Objects of frameworks are short in variables; runs of library frames are one row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask
import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from werkzeug.test import EnvironBuilder

from inapp_monitor.issues.render_values import Renderer
from inapp_monitor.web.findings.frame_runs import runs_of


@pytest.fixture
def renderer() -> Renderer:
    return Renderer()


class Page(flask.Response):
    pass


def environ(path: str) -> dict[str, Any]:
    return EnvironBuilder(path=path, query_string="token=secret").get_environ()


def test_a_request_is_its_method_and_path(renderer: Renderer) -> None:
    """Without the query, whatever else it holds."""
    assert renderer.render(flask.Request(environ("/fail"))) == "<Request GET /fail>"
    django_request = WSGIRequest.__new__(WSGIRequest)
    vars(django_request).update(method="GET", path="/fail/", environ=environ("/fail/"))
    assert renderer.render(django_request) == "<WSGIRequest GET /fail/>"


def test_answers_and_applications(renderer: Renderer) -> None:
    """A class of the application's keeps its own name."""
    assert renderer.render(Page("x", 404)) == "<Page 404 NOT FOUND>"
    assert renderer.render(flask.Flask("shop")) == "<Flask shop>"
    answer = HttpResponse.__new__(HttpResponse)
    vars(answer).update(status_code=503)
    assert renderer.render(answer) == "<HttpResponse 503>"
    assert not renderer.cuts


def frame(file: str, in_app: bool = False) -> dict[str, Any]:
    return {"file": file, "in_app": in_app, "module": ""}


def test_runs_of_library_frames_are_folded() -> None:
    """Two in a row are shown; three and more are one row with the packages' names."""
    packages = "/venv/lib/python3.11/site-packages"
    outer = [frame(f"{packages}/flask/app.py")] * 3 + [frame("/usr/lib/python3.11/socketserver.py")]
    stack = [*outer, frame("/srv/shop/views.py", True), frame(f"{packages}/sqlalchemy/x.py")]
    shown = [(run["title"], len(run["frames"])) for run in runs_of(stack)]
    assert shown == [("", 1), ("", 1), ("4 frames of socketserver, flask", 4)]
    assert Path(runs_of(stack)[1]["frames"][0]["file"]).name == "views.py"
