"""Every page and endpoint of a real monitor under a table of hostile requests, and over a socket.

Whatever is sent: an answer within a second, below 500, with every security header, in which nothing
of the request is alive; and the next visitor finds the dashboard as it was.
"""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import pytest
from werkzeug.serving import make_server

from inapp_monitor import Monitor
from inapp_monitor.cli.serving import quiet_handler
from tests.each import each
from tests.environ import environ_of
from tests.web.hostile_rows import ROWS, Row

TOKEN = "hostile-token-0123456789"
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
#: Types that no browser runs or shows as a page.
INERT = ("", "text/plain", "text/csv", "application/json", "application/pickle")
INERT += ("image/svg+xml", "text/css", "text/javascript")
#: What must be in no answer: a stack, a file, a secret, what a template would have made.
NEVER = (b"Traceback (most", b"root:x:0", TOKEN.encode(), b"1787569", b"uid=")


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cpu_s: float

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


class Target:
    """A monitored app with some data, and how one gets in."""

    def __init__(self, data_dir: Path) -> None:
        self.monitor = Monitor(self.app, data_dir=data_dir, token=TOKEN, app_name="shop")
        for path in ("/a", "/b", "/missing", "/boom"):
            try:
                self.send("GET", path, {}, b"", mount="")
            except ValueError:
                continue
        self.monitor.refresh()
        # What else an attacker can leave behind: names and messages that are stored and shown.
        self.monitor.incr("evil.name")
        answer = self.send("GET", f"/?token={TOKEN}", {}, b"")
        cookie = answer.header("set-cookie").partition(";")[0]
        page = self.send("GET", "/status", {"Cookie": cookie}, b"")
        csrf = re.search(rb'name="csrf" value="([^"]+)"', page.body)
        assert csrf is not None
        self.cookie = cookie
        self.words = {
            "{token}": TOKEN,
            "{issue}": self.monitor.tracker.list_issues()[0].id,
            "{csrf}": csrf[1].decode(),
            "{cookie_name}": cookie.partition("=")[0],
        }

    @staticmethod
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Fails, misses or answers, with a hostile message."""
        if environ["PATH_INFO"] == "/boom":
            raise ValueError('"><script>alert(1)</script>{{1337*1337}}')
        status = "404 Not Found" if environ["PATH_INFO"] == "/missing" else "200 OK"
        start_response(status, [("Content-Type", "text/plain")])
        return [b""]

    def row(self, row: Row) -> Answer:
        """Send a row."""
        headers = {name: self.fill(value) for name, value in row.headers.items()}
        if row.by == "bearer":
            headers.setdefault("Authorization", f"Bearer {TOKEN}")
        elif row.by == "cookie":
            headers["Cookie"] = self.cookie
        body = row.body
        for word, value in self.words.items():
            body = body.replace(word.encode(), value.encode())
        return self.send(row.method, self.fill(row.target), headers, body)

    def fill(self, text: str) -> str:
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def send(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes,
        mount: str = "/_metrics",
        peer: str = "203.0.113.9",
    ) -> Answer:
        """One call as a server makes it."""
        path, _, query = target.partition("?")
        sent = {
            "QUERY_STRING": query,
            "SERVER_NAME": "shop.example",
            "REMOTE_ADDR": peer,
            "HTTP_HOST": "shop.example",
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
        }
        environ = environ_of(mount + unquote_to_bytes(path).decode("latin-1"), method, **sent)
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        if not body and "Content-Length" not in headers:
            del environ["CONTENT_LENGTH"]
        started: list[Any] = []
        begin = time.thread_time()  # not the wall: the machine may be busy
        parts = self.monitor(environ, lambda status, given, *_: started.append((status, given)))
        content = b"".join(parts)
        close = getattr(parts, "close", None)
        if close is not None:
            close()
        status, given = started[-1]
        return Answer(int(status[:3]), given, content, time.thread_time() - begin)


class Living(HTMLParser):
    """Notes what a browser would run, load or send elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: (value or "").strip().lower() for name, value in attributes}
        if tag in ("iframe", "object", "embed", "base", "img", "style", "link", "script"):
            source = values.get("src") or values.get("href") or ""
            if tag not in ("script", "link", "img") or not source.startswith("/_metrics/static/"):
                self.found.append(f"{tag} {values}")
        for name, value in values.items():
            if name.startswith("on") or name == "style":
                self.found.append(f"{tag} {name}")
            if name in ("href", "src", "action", "formaction", "xlink:href") and not (
                value.startswith(("/_metrics", "#")) and not value.startswith("//")
            ):
                self.found.append(f"{tag} {name}={value}")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One monitor for all rows: none may spoil it for the next."""
    made = Target(tmp_path_factory.mktemp("hostile") / "data")
    yield made
    made.monitor.close()


def check_body(answer: Answer) -> None:
    """Nothing in it is alive, of whatever type it says it is."""
    kind = answer.header("content-type").partition(";")[0]
    assert not any(part in answer.body for part in NEVER)
    if kind == "text/html":
        living = Living()
        living.feed(answer.body.decode())
        assert not living.found
    elif kind == "image/svg+xml" and answer.body:
        root = ElementTree.fromstring(answer.body)
        for element in root.iter():
            assert element.tag.rpartition("}")[2] not in ("script", "foreignObject", "a", "image")
            assert not any(key.lower().startswith("on") or "href" in key for key in element.attrib)
        assert "sandbox" in answer.header("content-security-policy")
    elif kind == "application/json" and answer.body:
        json.loads(answer.body)
    else:
        assert kind in INERT


def check_headers(answer: Answer) -> None:
    """All that protect are there, once; none is the client's."""
    names = [name.lower() for name, _ in answer.headers]
    for name, value in HEADERS.items():
        assert answer.header(name) == value
        assert names.count(name) == 1
    policy = answer.header("content-security-policy")
    assert "default-src 'none'" in policy
    assert "script-src 'unsafe" not in policy
    assert "access-control-allow-origin" not in names
    for name, value in answer.headers:
        assert "\r" not in name + value
        assert "\n" not in name + value
        assert "hacked" not in value
    if answer.header("location"):
        assert answer.header("location").startswith("/_metrics")


@each("row", ROWS, ids=lambda row: row.name[:60])
def test_a_hostile_request_is_harmless(row: Row, target: Target) -> None:
    """The status is one that the table allows; the invariants hold."""
    answer = target.row(row)
    assert answer.status in row.fine, answer.body[:300]
    assert answer.cpu_s < 1.0
    assert len(answer.body) < 2 * 2**20
    check_headers(answer)
    check_body(answer)
    if row.method == "HEAD":
        assert answer.body == b""
    assert target.monitor.guard.faults == {}
    kept = target.monitor.tracker.get_issue(target.words["{issue}"])
    assert kept is not None


def test_the_table_is_long_and_without_repetition() -> None:
    """At least a hundred requests, all different."""
    assert len(ROWS) >= 100
    assert len({(row.method, row.target, str(row.headers), row.body, row.by) for row in ROWS}) == (
        len(ROWS)
    )


def test_guessing_tokens_is_slowed_down_for_the_guesser_alone(tmp_path: Path) -> None:
    """Too many wrong ones are answered 429 with when to come back; the right one is let in."""
    target = Target(tmp_path / "data")
    statuses = [
        target.send("GET", "/", {"Authorization": f"Bearer guess-{number}"}, b"").status
        for number in range(40)
    ]
    assert statuses[0] == 401
    last = target.send("GET", "/", {"Authorization": "Bearer guess"}, b"")
    assert last.status == 429
    assert int(last.header("retry-after")) > 0
    check_headers(last)
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert target.send("GET", "/", right, b"").status == 200
    assert target.send("GET", "/", right, b"", peer="203.0.113.10").status == 200
    target.monitor.close()


def test_what_was_left_behind_is_shown_inert(target: Target) -> None:
    """After all rows: every page shows what they stored, and none of it is alive."""
    issue = target.words["{issue}"]
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
    pages = ("/", "/errors", f"/errors/{issue}", "/not-found", "/dashboards", "/dashboards/evil")
    for page in (*pages, "/dashboards/ssti", "/explore?path=evil", "/search?q=script", "/status"):
        answer = target.send("GET", page, headers, b"")
        assert answer.status in (200, 404), page
        check_headers(answer)
        living = Living()
        living.feed(answer.body.decode())
        assert not living.found, page
        assert b"1787569" not in answer.body, page


RAW: dict[str, bytes] = {
    "a path of raw bytes": b"GET /_metrics/\xff\xfe\xc3 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a whole address": b"GET http://evil.example/_metrics/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "no version": b"GET /_metrics/\r\n\r\n",
    "no host": b"GET /_metrics/ HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /_metrics/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two lengths": (
        b"POST /_metrics/render HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: 3\r\nContent-Length: 9\r\n\r\na=1"
    ),
    "a body that never comes": (
        b"POST /_metrics/login HTTP/1.1\r\nHost: a\r\nContent-Type: "
        b"application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\ntoken=x"
    ),
    "chunks that are none": (
        b"POST /_metrics/events/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + TOKEN.encode()
        + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    ),
    "a length and chunks": (
        b"POST /_metrics/render HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"
    ),
    "a header of sixty thousand characters": (
        b"GET /_metrics/ HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 60_000 + b"\r\n\r\n"
    ),
    "a header that goes on": b"GET /_metrics/ HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "a header without a name": b"GET /_metrics/ HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "line breaks without returns": b"GET /_metrics/ HTTP/1.1\nHost: a\n\n",
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def port(target: Target) -> Iterator[int]:
    """The monitor behind a real server."""
    server = make_server(
        "127.0.0.1", 0, target.monitor, threaded=True, request_handler=quiet_handler()
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.port
    server.shutdown()
    server.server_close()


def exchange(port: int, data: bytes) -> bytes:
    """Send bytes, close our side, read what comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        parts: list[bytes] = []
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("name", RAW)
def test_bytes_on_the_wire_are_harmless(
    name: str, port: int, target: Target, capfd: pytest.CaptureFixture[str]
) -> None:
    """An answer below 500 or none; the next visitor is served; nothing is noted as our fault."""
    answer = exchange(port, RAW[name])
    status = answer.split(b" ", 2)[1][:3] if answer.startswith(b"HTTP/") else b""
    assert status < b"500"
    assert b"Set-Cookie" not in answer
    assert TOKEN.encode() not in answer
    next_one = exchange(
        port,
        b"GET /_metrics/status.json HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
        + TOKEN.encode() + b"\r\nConnection: close\r\n\r\n",
    )  # fmt: skip
    assert b" 200 OK" in next_one[:40]
    assert target.monitor.guard.faults == {}
