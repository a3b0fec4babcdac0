"""On a development server an exception carries a note that leads to its issue; nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.debug import DebuggedApplication
from werkzeug.test import Client

from inapp_monitor import Monitor

SERVER = {"SERVER_SOFTWARE": "Werkzeug/3.1"}
URL = "http://127.0.0.1:5000"
HEADERS = {"Authorization": "Bearer error-link-token-1"}


def broken(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise ValueError("boom")


@pytest.mark.parametrize("software", ["Werkzeug/3.1", "WSGIServer/0.2", "gunicorn/23", "waitress"])
def test_the_note_is_made_for_developers_alone(tmp_path: Path, software: str) -> None:
    """The first error has it already; a server for production gets the exception as it was."""
    monitor = Monitor(broken, data_dir=tmp_path / "data", token="error-link-token-1")
    environ = {**SERVER, "SERVER_SOFTWARE": software}
    with pytest.raises(ValueError, match="boom") as caught:
        Client(monitor).get("/x", base_url=URL, environ_base=environ)
    issues = Client(monitor).get("/_metrics/errors.json", headers=HEADERS).get_json()["issues"]
    monitor.close()
    wanted = [f"inapp-monitor: http://127.0.0.1:5000/_metrics/errors/{issues[0]['id']}"]
    is_developer = software.startswith(("Werkzeug", "WSGIServer"))
    assert getattr(caught.value, "__notes__", []) == (wanted if is_developer else [])


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost:5000", "localhost:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("evil.example", "m:5000"),
    ],
)
def test_the_note_uses_the_name_that_the_browser_used(
    tmp_path: Path, host: str, address: str
) -> None:
    """A session at 127.0.0.1 is none at localhost; names of other machines are not believed."""
    monitor = Monitor(broken, data_dir=tmp_path / "data", token="error-link-token-1")
    with pytest.raises(ValueError, match="boom") as caught:
        Client(monitor).get(
            "/x", base_url="http://m:5000", headers={"Host": host}, environ_base=SERVER
        )
    monitor.close()
    assert caught.value.__notes__[0].startswith(f"inapp-monitor: http://{address}/_metrics/errors/")


def test_the_debug_page_of_flask_shows_the_address(tmp_path: Path) -> None:
    """As `flask run --debug` does."""
    flask = Flask(__name__)
    flask.debug = True
    flask.add_url_rule("/x", view_func=lambda: str(1 // 0))
    monitor = Monitor(flask.wsgi_app, data_dir=tmp_path / "data", token="error-link-token-1")
    flask.wsgi_app = monitor  # type: ignore[method-assign]
    page = Client(DebuggedApplication(flask)).get("/x", base_url=URL, environ_base=SERVER).text
    monitor.close()
    assert "http://127.0.0.1:5000/_metrics/errors/" in page
