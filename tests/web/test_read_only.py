"""A read-only dashboard shows everything and changes nothing, whoever asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from werkzeug.test import Client

from inapp_monitor import Monitor

TOKEN = "read-only-token-1"


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise ValueError("boom")


def test_actions_are_refused_and_not_offered(tmp_path: Path) -> None:
    """403 also with the token; the buttons are gone; the issue stays open."""
    answers = {}
    for read_only in (False, True):
        monitor = Monitor(app, data_dir=tmp_path / "data", token=TOKEN, read_only=read_only)
        client = Client(monitor)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            client.get("/broken", headers=headers)
        except ValueError:
            pass
        issue = client.get("/_metrics/errors.json", headers=headers).json["issues"][0]["id"]
        page = client.get(f"/_metrics/errors/{issue}", headers=headers).text
        mark = client.post("/_metrics/events/", json={"what": "deploy"}, headers=headers)
        answers[read_only] = ("Resolve" in page, mark.status_code)
        monitor.close()
    assert answers == {False: (True, 200), True: (False, 403)}
