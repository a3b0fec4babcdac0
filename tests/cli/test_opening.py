"""`inapp-monitor open` leads to the running app's dashboard, logged in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from inapp_monitor import Monitor
from inapp_monitor.cli.command_line import main


def served(data_dir: Path, **settings: Any) -> None:
    """One request to an app at port 8123, and its end."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x"]

    monitor = Monitor(app, data_dir=data_dir, **settings)
    environ = {
        "PATH_INFO": "/",
        "REQUEST_METHOD": "GET",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8123",
        "wsgi.url_scheme": "http",
    }
    b"".join(monitor(environ, lambda *given: lambda data: None))
    monitor.tick()
    monitor.close()


def test_the_link_of_the_app_that_was_served_last(tmp_path: Path) -> None:
    """With the token that the app made."""
    served(tmp_path / "data")
    token = (tmp_path / "data" / "token").read_text("ascii").strip()
    answer = CliRunner().invoke(main, ["open", str(tmp_path / "data")])
    assert answer.output == f"http://127.0.0.1:8123/_metrics/?token={token}\n"
    assert (tmp_path / "data" / "address").stat().st_mode & 0o777 == 0o600


def test_another_address_may_be_given(tmp_path: Path) -> None:
    """Such as that of the proxy in front."""
    served(tmp_path / "data")
    answer = CliRunner().invoke(
        main, ["open", str(tmp_path / "data"), "--url", "https://shop.example/", "--print"]
    )
    assert answer.output.startswith("https://shop.example/_metrics/?token=")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """A directory that is none, and one that no app has been served from."""
    answer = CliRunner().invoke(main, ["open", str(tmp_path / "nowhere")])
    assert answer.exit_code == 2
    assert "give the data directory of the app" in answer.output
    answer = CliRunner().invoke(main, ["open", str(tmp_path)])
    assert answer.exit_code == 2
    assert "--url http://127.0.0.1:8000" in answer.output
