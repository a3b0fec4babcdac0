"""A table of hostile requests: each is answered soon, refused or harmless, and nothing breaks."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import pytest
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.request import MonitorRequest
from tests.each import each
from tests.environ import environ_of
from tests.web import sample_past
from tests.web.stored_backend import TOKEN, close, stored_backend

TABLE = Path(__file__).parent.parent / "data" / "hostile" / "requests.jsonl"
#: Groups that are about the recording side, not about the dashboard.
ELSEWHERE = {"stored", "card", "log"}
REQUIRED = ("X-Content-Type-Options", "X-Frame-Options", "Content-Security-Policy")
LIVE = (b"<script>alert", b"<svg/onload", b"<iframe", b'href="javascript:')


class Row(NamedTuple):
    """One request of the table."""

    id: str
    group: str
    method: str
    path: Any
    headers: dict[str, Any]
    body: Any
    allowed: list[int]
    note: str


def rows() -> list[Row]:
    """The rows that a dashboard can be asked."""
    table = [Row(**json.loads(line)) for line in TABLE.read_text("utf-8").splitlines() if line]
    return [row for row in table if row.group not in ELSEWHERE]


def text_of(value: Any) -> str:
    """Text, or a prefix repeated to a length."""
    if isinstance(value, dict):
        prefix, length = value["text_prefix"], value["length"]
        return str(prefix) + (str(prefix[-40:]) * (length // 40 + 1))[: length - len(prefix)]
    return str(value)


def bytes_of(value: Any) -> bytes:
    """A body: nothing, text, hexadecimal, or a prefix repeated to a length."""
    if value is None:
        return b""
    if isinstance(value, dict) and "hex" in value:
        return bytes.fromhex(value["hex"])
    if isinstance(value, dict):
        prefix = bytes.fromhex(value["hex_prefix"])
        return (prefix * (value["length"] // max(len(prefix), 1) + 1))[: value["length"]]
    return str(value).encode()


class Caller:
    """Sends rows as a server would, to one dashboard."""

    def __init__(self, backend: Backend) -> None:
        self.app = WebApp(backend)
        answer = self.send("GET", f"/?token={TOKEN}", {})
        cookie = answer[1]["Set-Cookie"].split(";")[0]
        access = self.app.gate.check({"HTTP_COOKIE": cookie})
        self.values = {
            "{TOKEN}": TOKEN,
            "{T}": f"Bearer {TOKEN}",
            "{C}": cookie,
            "{X}": self.app.gate.csrf_token(access),
        }

    def fill(self, text: str) -> str:
        """Put the real token, cookie and so on in place."""
        for name, value in self.values.items():
            text = text.replace(name, value)
        return text

    def row(self, row: Row) -> tuple[int, dict[str, str], bytes]:
        headers = {name: self.fill(text_of(value)) for name, value in row.headers.items()}
        body = bytes_of(row.body)
        if b"{" in body:
            body = self.fill(body.decode("latin-1")).encode("latin-1")
        if row.group != "auth":
            headers.setdefault("Authorization", self.values["{T}"])
        return self.send(row.method, self.fill(text_of(row.path)), headers, body)

    def send(
        self, method: str, target: str, headers: dict[str, str], body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """One WSGI call."""
        path, _, query = target.partition("?")
        sent = {
            "QUERY_STRING": query,
            "REMOTE_ADDR": "203.0.113.9",
            "HTTP_HOST": "shop.example",
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
        }
        environ = environ_of(unquote_to_bytes(path).decode("latin-1"), method, **sent)
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            plain = name.isupper() or key in ("CONTENT_TYPE", "CONTENT_LENGTH")
            environ[key if plain else f"HTTP_{key}"] = value
        started: list[Any] = []
        parts = self.app(environ, lambda status, given, *_: started.append((status, given)))
        content = b"".join(parts)
        status, given = started[0]
        return int(status[:3]), dict(given), content


@pytest.fixture(scope="module")
def caller(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """One dashboard for all rows: none may spoil it for the next."""
    data_dir = sample_past.copy(past, tmp_path_factory.mktemp("hostile") / "data")
    backend = stored_backend(data_dir, shared=True)
    yield Caller(backend)
    close(backend)


@each("row", rows(), ids=lambda row: f"{row.id}-{row.note[:30]}")
def test_a_hostile_request_is_harmless(row: Row, caller: Caller) -> None:
    """An allowed status within a second, headers in place, nothing echoed live."""
    begin = time.thread_time()  # not the wall: the machine may be busy
    status, headers, body = caller.row(row)
    assert time.thread_time() - begin < 1.0
    # What has no endpoint (yet) is not found.
    assert status in {*row.allowed, 404}, body[:300]
    for name in REQUIRED:
        assert name in headers
    assert len(body) < 2 * 2**20
    if headers.get("Content-Type", "").startswith("text/html"):
        assert not any(part in body for part in LIVE)
    assert "evil" not in headers.get("Location", "")
    assert b"Traceback" not in body
    assert b"root:x:0" not in body
    authorized = {"Authorization": f"Bearer {TOKEN}"}
    assert caller.send("GET", "/status.json", authorized)[0] == 200


@each("text", ["\xff\xfe", "caf\xe9", "\xc3\xa9", "\udcff", "\ud800x", "\u20ac"], ids=ascii)
@each("where", ["/?from={}", "/render?target={}", "/?token={}", "/{}", "/login?next=/{}"])
def test_bytes_that_are_no_text_are_the_clients_fault(
    where: str, text: str, backend: Backend
) -> None:
    """PEP 3333 hands them over as they came: no 500, nothing noted as a fault of ours."""
    app = WebApp(backend)
    answers: list[int] = []
    path, _, query = where.format(text).partition("?")
    for headers in ({"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}, {"HTTP_ACCEPT": "text/html"}):
        environ = environ_of(path, QUERY_STRING=query, **headers)
        body = app(environ, lambda status, *_: answers.append(int(status[:3])))
        b"".join(body)
    assert all(status < 500 for status in answers), answers
    assert backend.guard.faults == {}


def test_a_raw_byte_is_read_as_its_percent_code(tmp_path: Path) -> None:
    """`curl` sends what is typed: UTF-8 without quoting."""
    request = MonitorRequest({"QUERY_STRING": "q=caf\xc3\xa9&r=\xff"})
    assert (request.args["q"], request.args["r"]) == ("caf\xe9", "%FF")


def test_there_are_at_least_a_hundred_rows_in_all() -> None:
    """With those of the other tests of pages and access."""
    assert len(rows()) >= 70


def test_half_a_character_in_an_event_costs_no_write(tmp_path: Path) -> None:
    """JSON can name a lone surrogate, a file cannot hold it: it is replaced."""
    monitor = Monitor(lambda environ, start: [], data_dir=tmp_path / "data", token=TOKEN)
    client = Client(monitor)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = rb'{"what": "a\ud800", "tags": ["b\udfff"], "data": "\udc00"}'
    assert client.post("/_metrics/events/", data=body, headers=headers).status_code == 200
    events = client.get("/_metrics/events/get_data", headers=headers).json
    monitor.close()
    assert [(e["what"], e["tags"], e["data"]) for e in events] == [("a?", ["b?"], "?")]
    assert monitor.guard.faults == {}
