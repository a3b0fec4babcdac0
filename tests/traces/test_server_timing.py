"""`Server-Timing`: a browser's network tab says where the time went, and leads to the trace."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from inapp_monitor import Monitor
from inapp_monitor.request.server_timing import sums
from tests.environ import environ_of

DEVELOPMENT = {"SERVER_SOFTWARE": "Werkzeug/3.1.3", "REMOTE_ADDR": "127.0.0.1"}
Headers = list[tuple[str, str]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Monitor]]:
    """Makes a monitor of an app that asks a database unless it is asked for nothing."""
    made: list[Monitor] = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/nothing":
            connection = sqlite3.connect(":memory:")
            connection.execute("select 1").fetchall()
            connection.execute("select 2").fetchall()
            connection.close()
        headers = [("Content-Type", "text/plain")]
        start_response("200 OK", headers)
        assert len(headers) == 1, "the application's own list is left alone"
        return iter([b"x"]) if environ["PATH_INFO"] == "/stream" else [b"x"]

    def make_one(**settings: Any) -> Monitor:
        given = {"data_dir": tmp_path / "data", "flush_interval_s": 60, **settings}
        made.append(Monitor(app, **given))
        return made[-1]

    yield make_one
    for monitor in made:
        monitor.close()


def visit(monitor: Any, path: str = "/", **more: Any) -> Headers:
    """The headers of an answer; the first one is asked for twice, since that decides."""
    seen: list[Headers] = []
    for _ in range(2):
        environ = environ_of(path, **{**DEVELOPMENT, **more})
        body = monitor(environ, lambda _, headers, *__: seen.append(headers) or (lambda _: None))
        b"".join(body)
        getattr(body, "close", lambda: None)()
    return seen[-1]


def timing(headers: Headers) -> str | None:
    found = [value for name, value in headers if name == "Server-Timing"]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("path", ["/", "/stream", "/nothing"])
def test_it_says_what_the_trace_s_page_shows(make: Callable[..., Monitor], path: str) -> None:
    """Number and time of statements, the whole, and the address of a trace that is kept."""
    monitor = make()
    value = timing(visit(monitor, path))
    assert value is not None
    if path != "/nothing":
        assert re.match(r'database;desc="\d database";dur=\d+\.\d\d, ', value)
    assert re.search(r"total;dur=\d+\.\d\d", value)
    match = re.search(r'trace;desc="/_metrics/traces/([0-9a-f]+)"', value)
    assert match is not None
    monitor.refresh()
    assert monitor.life.services.trace_table.get(match[1]) is not None


@pytest.mark.parametrize(
    ("settings", "environ", "is_written"),
    [
        ({}, {}, True),
        ({}, {"SERVER_SOFTWARE": "gunicorn/22"}, False),
        ({}, {"REMOTE_ADDR": "192.0.2.7"}, False),
        ({"server_timing": "on"}, {"SERVER_SOFTWARE": "gunicorn/22"}, True),
        ({"server_timing": "on"}, {"REMOTE_ADDR": "192.0.2.7"}, True),
        ({"server_timing": "off"}, {}, False),
        ({"traces": False}, {}, False),
    ],
)
def test_where_it_is_written(
    make: Callable[..., Monitor],
    settings: dict[str, Any],
    environ: dict[str, str],
    is_written: bool,
) -> None:
    """To the developer at a development server, or as the setting says; to nobody else."""
    assert (timing(visit(make(**settings), **environ)) is not None) == is_written


def test_below_a_prefix_the_address_has_it(make: Callable[..., Monitor]) -> None:
    """As the browser needs it; a prefix that cannot stand in a header costs the address only."""
    monitor = make()
    value = timing(visit(monitor, SCRIPT_NAME="/shop"))
    assert value is not None
    assert 'trace;desc="/shop/_metrics/traces/' in value
    odd = timing(visit(monitor, SCRIPT_NAME='/a"b\r\nX: y'))
    assert odd is not None
    assert "trace" not in odd
    assert "\n" not in odd


def test_wsgi_stays_correct(make: Callable[..., Monitor]) -> None:
    """The answer with the header is one that `wsgiref.validate` accepts."""
    visit(validator(make()), "/stream")


def test_what_lies_in_another_is_counted_once() -> None:
    """A statement within a template is the template's time."""
    template = (4, 0.0, 1.0, "page", 1, None, None, None, None)
    inner = (1, 0.2, 0.7, "select", 1, None, None, None, None)
    after = (1, 2.0, 2.5, "select", 1, None, None, None, None)
    other = (1, 0.0, 0.25, "select", 2, None, None, None, None)
    assert sums([inner, template, after, other]) == {
        "templates": (1, 1.0),
        "database": (3, 0.75),
    }
