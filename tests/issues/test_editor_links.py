"""With the setting `editor` frames of errors link to their lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.issues.grouping.v2 import Function, Shape, group

HEADERS = {"Authorization": "Bearer editor-token-1"}


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise ValueError("boom")


@pytest.mark.parametrize("editor", ["vscode", ""])
def test_the_page_of_an_error_links_to_the_line(tmp_path: Path, editor: str) -> None:
    """The link is of the line that failed; only absolute paths of files that are there have one."""
    monitor = Monitor(app, data_dir=tmp_path / "data", token="editor-token-1", editor=editor)
    client = Client(monitor)
    with pytest.raises(ValueError, match="boom"):
        client.get("/broken")
    frames = [{"file": "/no/such/file.py", "line": 3, "function": "f", "in_app": True}]
    error = {"type": "FarAway", "message": "x", "frames": frames}
    grouping = group([Shape("FarAway", "raised", [Function("far", "f", True)], ())])
    monitor.tracker.record_event({"type": "FarAway", "exceptions": [error]}, grouping)
    issues = client.get("/_metrics/errors.json", headers=HEADERS).json["issues"]
    pages = "".join(client.get(f"/_metrics/errors/{i['id']}", headers=HEADERS).text for i in issues)
    monitor.close()
    line = app.__code__.co_firstlineno + 1
    assert "/no/such/file.py" in pages
    assert (f'href="vscode://file{__file__}:{line}"' in pages) is bool(editor)
    assert "vscode://file/no/such" not in pages
