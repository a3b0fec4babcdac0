"""`serve` and `fetch` show a directory: they leave no file in it, and no secret for others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.web.app import WebApp
from tests.web.stored_backend import stored_backend

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "inapp_monitor"]


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def files(directory: Path) -> dict[str, bytes]:
    """Every file below a directory with its contents."""
    found = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


@contextmanager
def serving(data: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a server over a directory, and its process."""
    command = [*COMMAND, "serve", str(data), "--port", "0", *options]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **streams) as process:  # type: ignore[call-overload]
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None
            yield found[0].rstrip("/"), process
        finally:
            process.terminate()


def ask(address: str, path: str, token: str = "", body: bytes | None = None) -> tuple[int, str]:
    """Status and body; through a proxy in name, so that the token matters."""
    headers = {"Authorization": f"Bearer {token}", "Via": "1.1 proxy"}
    request = urllib.request.Request(f"{address}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_fetch_leaves_a_directory_as_it_is(tmp_path: Path) -> None:
    """Not even a token or a database."""
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    command = [*COMMAND, "fetch", str(tmp_path), "seriesByTag('a=b')", "constantLine(1)"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert files(tmp_path) == {"photo.jpg": b"mine"}


@pytest.mark.parametrize("directory", ["", "store"])
def test_what_is_posted_to_serve_is_there_after_a_restart(tmp_path: Path, directory: str) -> None:
    """Without an app too: a data directory gets its database with the first event."""
    data = tmp_path / "data"
    (data / directory).mkdir(parents=True)
    event = json.dumps({"what": "deploy", "tags": "web,stage"}).encode()
    with serving(data, "--token", "a-token-of-the-tests") as (address, _):
        assert ask(address, "/events/get_data", "a-token-of-the-tests") == (200, "[]")
        assert files(data) == {}
        assert ask(address, "/events/", "a-token-of-the-tests", event)[0] == 200
        path = b"path=cpu%3Ba%3D1"
        assert ask(address, "/tags/tagSeries", "a-token-of-the-tests", path)[0] == 200
    with serving(data, "--token", "a-token-of-the-tests") as (address, _):
        found = json.loads(ask(address, "/events/get_data?tags=web", "a-token-of-the-tests")[1])
        assert [shown["what"] for shown in found] == ["deploy"]
        status, text = ask(address, f"/events/{found[0]['id']}", "a-token-of-the-tests")
        assert status == 200 and "deploy" in text
        assert "cpu;a=1" in ask(address, "/tags/findSeries?expr=a%3D1", "a-token-of-the-tests")[1]


def test_serve_keeps_what_is_posted_in_memory(tmp_path: Path) -> None:
    """Among files of other programs: with a warning, and a token that is not stored."""
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with serving(tmp_path) as (address, process):
        token = process.stderr.readline().partition("?token=")[2].strip()  # type: ignore[union-attr]
        assert "kept in memory only" in process.stderr.readline()  # type: ignore[union-attr]
        assert ask(address, "/events/get_data", "wrong")[0] == 401
        event = json.dumps({"what": "deploy"}).encode()
        assert ask(address, "/events/", token, event)[0] == 200
        assert "deploy" in ask(address, "/events/get_data", token)[1]
        assert ask(address, "/tags/tagSeries", token, b"path=cpu%3Ba%3D1")[0] == 200
        assert "cpu;a=1" in ask(address, "/tags/findSeries?expr=a%3D1", token)[1]
        assert ask(address, "/", token)[0] == 200
    assert files(tmp_path) == {"photo.jpg": b"mine"}


def test_serve_opens_to_the_stored_token_and_writes_a_database_that_is_there(
    tmp_path: Path,
) -> None:
    """And makes no further file."""
    data = tmp_path / "data"
    monitor = Monitor(app, data_dir=data)
    client = Client(monitor)
    client.get("/_metrics/")
    token = (data / "token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert (
        client.post("/_metrics/events/", json={"what": "one"}, headers=headers).status_code == 200
    )
    monitor.close()
    open_files = {"monitor.db-wal", "monitor.db-shm"}  # while a thread that read is not over
    before = set(files(data)) - open_files
    assert "monitor.db" in before
    event = json.dumps({"what": "two"}).encode()
    with serving(data) as (address, _):
        assert ask(address, "/events/", token, event)[0] == 200
    with serving(data, "--token", "another-one") as (address, _):
        assert ask(address, "/events/get_data", token)[0] == 401
        assert "two" in ask(address, "/events/get_data", "another-one")[1]
    assert set(files(data)) - open_files == before


def test_no_token_is_made_where_an_authorizer_decides(tmp_path: Path) -> None:
    """Forms are signed all the same, alike in all workers."""
    apps = []
    for _ in range(2):
        backend = stored_backend(tmp_path / "data", token=None)
        apps.append(WebApp(backend, authorizer=lambda environ: "ann"))
    assert not (tmp_path / "data" / "token").exists()
    access = apps[0].gate.check({})
    assert apps[0].gate.csrf_token(access) == apps[1].gate.csrf_token(access)
