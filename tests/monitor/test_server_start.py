"""A development server shows the dashboard's address when it starts, before anybody asks."""

from __future__ import annotations

import sys
import threading
import wsgiref.simple_server
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

import pytest
import werkzeug.serving
from flask import Flask

from inapp_monitor import Monitor
from inapp_monitor.web.access import login_token


def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"x"]


def of_wsgiref(app: Any) -> Any:
    return make_server("127.0.0.1", 0, app)


def of_werkzeug(app: Any) -> Any:
    return werkzeug.serving.make_server("127.0.0.1", 0, app)


def shown(server: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """What is printed while a server starts and ends without a request."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    thread.join(0.05)
    if thread.is_alive():  # else it failed, and nobody would end the wait for it
        server.shutdown()
    thread.join()
    server.server_close()
    return capsys.readouterr().err


@pytest.mark.parametrize("make", [of_wsgiref, of_werkzeug])
def test_each_start_shows_the_login_link(
    make: Callable[[Any], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also inside a framework's object. Nothing else begins: the first request attaches."""
    flask = Flask(__name__)
    monitor = Monitor(flask.wsgi_app, data_dir=tmp_path / "data", enabled=True)
    flask.wsgi_app = monitor  # type: ignore[method-assign]
    server = make(flask)
    port = server.server_address[1]
    text = shown(server, capsys)
    token = (tmp_path / "data" / login_token.FILE_NAME).read_text().strip()
    assert f"http://127.0.0.1:{port}/_metrics/?token={token}" in text
    assert login_token.kept_address(tmp_path / "data") == f"http://127.0.0.1:{port}/_metrics/"
    assert monitor.life.ticker is None
    assert not monitor.guard.faults


@pytest.mark.parametrize("given", [{"token": "chosen-token-1"}, {"authorizer": lambda _: True}])
def test_a_chosen_token_is_not_shown(
    given: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address alone; so it is where the app itself decides who may see the dashboard."""
    server = of_wsgiref(Monitor(plain, data_dir=tmp_path / "data", enabled=True, **given))
    port = server.server_address[1]
    text = shown(server, capsys)
    assert f"http://127.0.0.1:{port}/_metrics/\n" in text
    assert "token=" not in text


def test_a_server_of_another_app_shows_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as one for Prometheus beside the monitored app."""
    kept = Monitor(plain, data_dir=tmp_path / "data", enabled=True)
    assert shown(of_wsgiref(plain), capsys) == ""
    assert not (tmp_path / "data").exists()
    kept.close()


@pytest.mark.parametrize("imports", ["wsgiref.simple_server as serving", "wsgiref.util as serving"])
def test_a_program_may_import_the_server_after_the_monitor(
    imports: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """Also within a function; where it imports no server, none is loaded for it."""
    monkeypatch.setattr(wsgiref, "simple_server", wsgiref.simple_server)  # the package has it, too
    monkeypatch.delitem(sys.modules, "wsgiref.simple_server")
    program = f"""
app = Monitor(plain, data_dir=data_dir, enabled=True)
def main():
    import {imports}
    return serving.make_server("127.0.0.1", 0, app)
"""
    found = {"__name__": "__main__", "Monitor": Monitor, "plain": plain, "data_dir": tmp_path}
    exec(program, found)
    if "util" in imports:
        assert "wsgiref.simple_server" not in sys.modules
    else:
        assert "/_metrics/?token=" in shown(found["main"](), capsys)


def test_a_server_class_is_wrapped_once(tmp_path: Path) -> None:
    """However many monitors there are."""
    wrapped = []
    for number in range(2):
        Monitor(plain, data_dir=tmp_path / str(number), enabled=True)
        wrapped.append(WSGIServer.serve_forever)
    assert wrapped[0] is wrapped[1]


class Proxy:
    """An application that answers no question about itself."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"working outside of the application: {name}")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        return plain(environ, start_response)


def test_no_code_of_an_application_runs_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its server starts, whatever its attributes do."""
    Monitor(plain, data_dir=tmp_path / "data", enabled=True)
    text = shown(of_wsgiref(Proxy()), capsys)
    assert "working outside" not in text and "inapp-monitor" not in text
