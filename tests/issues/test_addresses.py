"""The client's address: nowhere in what an error leaves behind, unless the setting asks for it."""

from __future__ import annotations

import time
import zlib
from pathlib import Path
from typing import Any

import flask
import pytest

from inapp_monitor import Monitor
from inapp_monitor.issues.safe_text import HIDDEN
from inapp_monitor.issues.scrub import Scrubber
from tests.each import each
from tests.environ import environ_of
from tests.integrations import apps
from tests.request.battery import serve

from .test_frameworks import FRAMEWORKS

ADDRESS = "203.0.113.77"
PORT = "54321"
#: What servers and proxies say about where a request came from.
FROM = {
    "REMOTE_ADDR": ADDRESS,
    "REMOTE_PORT": PORT,
    "REMOTE_HOST": ADDRESS,
    "HTTP_X_FORWARDED_FOR": f"{ADDRESS}, 10.0.0.1",
    "HTTP_X_REAL_IP": ADDRESS,
    "HTTP_FORWARDED": f'for="{ADDRESS}:{PORT}";proto=http, for={ADDRESS}',
    "HTTP_TRUE_CLIENT_IP": ADDRESS,
    "HTTP_CF_CONNECTING_IP": ADDRESS,
    "HTTP_X_CLUSTER_CLIENT_IP": ADDRESS,
    "HTTP_X_AZURE_CLIENTIP": ADDRESS,
    "HTTP_FASTLY_CLIENT_IP": ADDRESS,
    "HTTP_X_APPENGINE_USER_IP": ADDRESS,
    "HTTP_X_ENVOY_EXTERNAL_ADDRESS": ADDRESS,
    "HTTP_X_VERCEL_FORWARDED_FOR": ADDRESS,
}

hiding = Scrubber(hide_addresses=True)


def application() -> flask.Flask:
    app = flask.Flask(__name__)

    @app.route("/boom")
    def boom() -> str:
        request = flask.request
        kept = {"all": dict(request.environ), "headers": list(request.headers)}  # noqa: F841
        access_route = request.access_route  # noqa: F841
        current = request._get_current_object()  # type: ignore[attr-defined]  # noqa: F841
        printed = repr({name: request.environ[name] for name in FROM})
        raise ValueError(f"cannot serve {printed} or {list(request.headers)}")

    return app


def left_behind(app: Any, directory: Path, **settings: Any) -> tuple[str, dict[str, Any]]:
    """Everything a failing request leaves in the data directory and on the pages, as one text."""
    monitor = Monitor(getattr(app, "wsgi_app", app), data_dir=directory, **settings)
    try:
        serve(monitor, environ_of("/boom", HTTP_HOST="localhost", **FROM))
        monitor.refresh()
        issue = monitor.tracker.get_issue(monitor.tracker.list_issues()[0].id)
        assert issue is not None
        found = [repr(issue)]
        for row in monitor.database.read("select body from issue_events"):
            found.append(zlib.decompress(row["body"]).decode())
    finally:
        monitor.close()
    assert len(found) == 2
    for path in directory.rglob("*"):
        if path.is_file():
            found.append(path.read_bytes().decode("latin-1"))
    return "\n".join(found), issue.events[0]


def test_it_is_nowhere_by_default(tmp_path: Path) -> None:
    """Not in frames of the framework, variables, headers, messages nor printed environs."""
    text, event = left_behind(application(), tmp_path / "data")
    for secret in (ADDRESS, PORT):
        at = text.find(secret)
        assert at < 0, text[max(at - 200, 0) : at + 40]
    frames = event["exceptions"][0]["frames"]
    assert any(not frame["in_app"] and frame["locals"] for frame in frames)
    assert not any("environ" in frame["locals"] for frame in frames if not frame["in_app"])
    assert ["X-Forwarded-For", HIDDEN] in event["request"]["headers"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_is_nowhere_in_any_framework(framework: str, tmp_path: Path) -> None:
    """Each keeps the request in objects and variables of its own."""
    static = tmp_path / "static"
    static.mkdir()
    text, _ = left_behind(getattr(apps, f"{framework}_app")(static), tmp_path / "data")
    for secret in (ADDRESS, PORT):
        at = text.find(secret)
        assert at < 0, text[max(at - 200, 0) : at + 40]


def test_it_is_kept_when_asked_for(tmp_path: Path) -> None:
    """With `error_remote_address`, request, headers and variables have it."""
    text, event = left_behind(application(), tmp_path / "data", error_remote_address=True)
    assert event["request"]["remote_address"] == ADDRESS
    assert ["X-Real-Ip", ADDRESS] in event["request"]["headers"]
    assert f"'REMOTE_ADDR': '{ADDRESS}'" in event["message"]
    assert text.count(ADDRESS) > 10


@each("name", [*FROM, "client_address", "remoteAddr", "access_route", "remote", "addr"])
def test_names_of_addresses(name: str) -> None:
    """They hide as environ keys, headers and attributes, only when asked to."""
    assert hiding.hides(name, ADDRESS)
    assert hiding.hides(name.removeprefix("HTTP_").replace("_", "-").title(), ADDRESS)
    assert not Scrubber().hides(name, ADDRESS)


@each(
    "name",
    [
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "REMOTE_USER",
        "SERVER_PORT",
        "zip",
        "host",
        "client",
    ],
)
def test_names_beside_them(name: str) -> None:
    """What only resembles them stays readable."""
    assert not hiding.hides(name, "x")


@each(
    ("text", "clean"),
    [
        (f"X-Forwarded-For: {ADDRESS}, 10.0.0.1\nHost: h", f"X-Forwarded-For: {HIDDEN}\nHost: h"),
        (f"REMOTE_ADDR={ADDRESS}, user=ada", f"REMOTE_ADDR={HIDDEN}, user=ada"),
        (f"'{{\\'REMOTE_ADDR\\': \\'{ADDRESS}\\'}}'", f"'{{\\'REMOTE_ADDR\\': \\'{HIDDEN}\\'}}'"),
        (f"[('X-Real-IP', '{ADDRESS}')]", f"[('X-Real-IP', '{HIDDEN}')]"),
        (f"Forwarded: for={ADDRESS};by=10.0.0.1", f"Forwarded: {HIDDEN}"),
        (f"GET /a?client_ip={ADDRESS}&b=1", f"GET /a?client_ip={HIDDEN}&b=1"),
        ("was forwarded: 5 messages", "was forwarded: 5 messages"),
        ("zip: 12345, tooltip=5", "zip: 12345, tooltip=5"),
    ],
)
def test_texts_with_addresses(text: str, clean: str) -> None:
    """Printed environs and headers lose the address, other texts are left."""
    assert hiding.text(text) == clean
    assert hiding.text(clean) == clean


@each("piece", ["remote-", "forwarded ", "remote_addr=", "client_ip'", "-", "a-"])
def test_long_texts_take_linear_time(piece: str) -> None:
    """No word repeated 20 000 times makes a pattern search for seconds.

    Judged by the processor time of this thread, the best of three, so that others do not matter.
    """
    long = piece * 20_000
    best = []
    for _ in range(3):
        start = time.thread_time()
        hiding.text(long)
        best.append(time.thread_time() - start)
    assert min(best) < 2
