"""The page of logs, its twins, and the command: the same records, chosen the same way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from werkzeug.test import Client

from inapp_monitor.ground import disk_shares
from inapp_monitor.logs.ring_file import LogFile
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.app import WebApp
from tests.web.stored_backend import NOW, TOKEN, close, stored_backend

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
ROWS = [
    {"time": NOW - 7_300.0, "level": "ERROR", "logger": "shop", "text": "long ago"},
    {"time": NOW - 30.0, "level": "INFO", "logger": "shop.cart", "text": "added"},
    {
        "time": NOW - 20.0,
        "level": "ERROR",
        "logger": "shop.pay",
        "text": "<script>alert(1)</script>\nsecond line",
        "request": "abc123",
        "issue": "deadbeef",
        "route": "/pay",
    },
    {"time": NOW - 10.0, "level": "WARNING", "logger": "shop.cart", "text": "nearly empty"},
]


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A dashboard over four rows."""
    backend = stored_backend(tmp_path, FakeClock(NOW))
    backend.logs = LogFile(tmp_path, disk_shares.of_logs(256 * 2**20))
    backend.logs.append([json.dumps(row).encode() for row in ROWS])
    client = Client(WebApp(backend))
    close(backend)
    return client


def texts(client: Client, query: str) -> list[str]:
    answer = client.get(f"/logs.json?{query}", headers=HEADERS)
    assert answer.status_code == 200, answer.text
    return [row["text"].split("\n")[0] for row in answer.json["records"]]  # type: ignore[index]


def test_the_newest_are_shown_first_and_escaped(client: Client) -> None:
    """With links to issue and request; nothing of a message is markup."""
    page = client.get("/logs", headers=HEADERS).text
    assert page.index("nearly empty") < page.index("&lt;script&gt;") < page.index("added")
    assert "long ago" not in page
    assert "<script>alert" not in page
    assert 'href="/errors/deadbeef"' in page
    assert 'href="/logs?request=abc123"' in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("level=warning", ["nearly empty", "<script>alert(1)</script>"]),
        ("logger=shop.cart", ["nearly empty", "added"]),
        ("text=script", ["<script>alert(1)</script>"]),
        ("request=abc123", ["<script>alert(1)</script>"]),
        ("issue=deadbeef", ["<script>alert(1)</script>"]),
        ("route=pay", ["<script>alert(1)</script>"]),
        ("from=-1d&level=ERROR", ["<script>alert(1)</script>", "long ago"]),
        ("limit=1", ["nearly empty"]),
    ],
)
def test_what_is_asked_for(client: Client, query: str, found: list[str]) -> None:
    """By level, logger, words, request, issue, route and time."""
    assert texts(client, query) == found


def test_whoever_follows_gets_what_is_new(client: Client) -> None:
    """`after` with the cursor of the answer before."""
    cursor = client.get("/logs.json", headers=HEADERS).json["cursor"]  # type: ignore[index]
    assert texts(client, f"after={cursor}") == []
    assert len(texts(client, "after=0")) == 3


def test_the_download_is_a_json_object_a_line_oldest_first(client: Client) -> None:
    """All that matches, as a file."""
    answer = client.get("/logs.ndjson?from=-1d", headers=HEADERS)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="logs.ndjson"'
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["time"] for row in rows] == [row["time"] for row in ROWS]


@pytest.mark.parametrize("query", ["level=LOUD", "limit=many", "limit=99999", "after=-1"])
def test_bad_input_is_named(client: Client, query: str) -> None:
    """400 with the parameter's name."""
    for address in ("/logs", "/logs.json"):
        answer = client.get(f"{address}?{query}", headers=HEADERS)
        assert answer.status_code == 400
        assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize("address", ["/logs", "/logs.json", "/logs.ndjson"])
def test_nobody_sees_it_without_a_token(client: Client, address: str) -> None:
    """Closed by default."""
    assert client.get(address).status_code == 401


def test_the_shell_prints_the_newest(client: Client, tmp_path: Path) -> None:
    """A line each, the newest last; as JSON too; a missing directory is one line."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "inapp_monitor", "logs", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    lines = run(str(tmp_path), "-n", "2", "--level", "warning").stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["ERROR", "WARNING"]
    assert lines[0].endswith("<script>alert(1)</script>\\nsecond line  [/pay]")
    (last,) = run(str(tmp_path), "-n", "1", "--json").stdout.splitlines()
    assert json.loads(last)["text"] == "nearly empty"
    gone = run(str(tmp_path / "gone"))
    assert (gone.returncode, gone.stderr.count("\n")) == (2, 1)
