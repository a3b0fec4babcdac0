"""The pages of traces: closed, escaped, complete, and the same as JSON, Markdown and a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from inapp_monitor.ground import disk_shares
from inapp_monitor.logs.ring_file import LogFile
from inapp_monitor.testing import FakeClock
from inapp_monitor.traces import asking, kept_trace
from inapp_monitor.traces.trace_table import KeptRow, TraceTable
from inapp_monitor.web.app import WebApp
from tests.web.stored_backend import NOW, TOKEN, close, stored_backend

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
EVIL = "<script>alert(1)</script>"


def kept(name: str, ms: float, why: str, **more: Any) -> KeptRow:
    trace = {
        "id": name,
        "started": NOW - 60.0,
        "ms": ms,
        "method": "GET",
        "route": "/orders/<id>",
        "slug": "orders-id",
        "status": "200 OK",
        "path": f"/orders/{EVIL}",
        "failed": False,
        "why": why.split(),
        "texts": ["SELECT * FROM orders WHERE id = ?", EVIL],
        "systems": ["sqlite shop.db"],
        "sites": {"0": [["shop/orders.py:31 in show", "row = connection.execute(QUERY)"]]},
        "spans": [["database", n * 1_000, int(ms * 40), 0, 0, 0, 1, None, n] for n in range(20)]
        + [["http", 25_000, 10, 1, 0, -1, 200, EVIL, -1]],
        "counted": [],
        "release": "2.4.1",
        "pid": 1,
        **more,
    }
    values = {name: trace[name] for name in ("id", "slug", "method", "status", "path", "started")}
    marks = {"failed": False, "asked": False, "draw": 0.5, "spans": 21}
    ids = {"request_id": trace.get("request_id", ""), "trace": ""}
    return KeptRow(**values, ms=ms, **marks, **ids, why=why, data=kept_trace.pack(trace))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A dashboard over a slow request, which logged something, and a usual one."""
    backend = stored_backend(tmp_path, FakeClock(NOW))
    backend.traces = TraceTable(backend.database)  # type: ignore[arg-type]
    backend.trace_cookie = lambda: "c" * 32
    slow = kept("aaa111", 30.0, "slow", issue="deadbeef", request_id="req-9")
    backend.traces.add([slow, kept("bbb222", 2.0, "random")], NOW, thin_out=False)
    backend.logs = LogFile(tmp_path, disk_shares.of_logs(256 * 2**20))
    record = {"time": NOW - 59.99, "level": "WARNING", "logger": "shop", "text": EVIL}
    backend.logs.append([json.dumps({**record, "request": "aaa111"}).encode()])
    yield Client(WebApp(backend))
    close(backend)


Get = Callable[..., Any]


def get(client: Client, path: str, **more: Any) -> Any:
    answer = client.get(path, headers={**HEADERS, **more})
    assert answer.status_code == 200, answer.text
    return answer


def test_the_list_has_each_kept_request_and_filters(client: Client) -> None:
    """The slowest first; by route, reason and duration."""
    page = get(client, "/traces").text
    assert page.index("/traces/aaa111") < page.index("/traces/bbb222")
    assert EVIL not in page

    def ids(query: str) -> list[str]:
        found = get(client, f"/traces.json?{query}").json["traces"]
        return [row["id"] for row in found]

    assert ids("") == ["aaa111", "bbb222"]
    assert ids("only=random") == ["bbb222"]
    assert ids("at_least=10") == ["aaa111"]
    assert ids("route=orders-id&method=GET") == ["aaa111", "bbb222"]
    assert ids("route=other") == []
    assert ids("method=POST") == []
    assert ids("from=-3h&until=-2h") == []


def test_one_is_a_waterfall_beside_a_usual_one(client: Client) -> None:
    """Repeats folded and named, with line and source; links to route, issue and logs."""
    page = get(client, "/traces/aaa111").text
    assert "<b>20 ×</b>" in page
    assert "N+1" in page
    assert "shop/orders.py:31 in show" in page
    assert "row = connection.execute(QUERY)" in page
    for address in ("/errors/deadbeef", "/logs?request=aaa111", "/traces/bbb222"):
        assert f'href="{address}"' in page
    assert EVIL not in page
    assert " style=" not in page
    data = get(client, "/traces/aaa111.json").json
    assert data["usual"]["id"] == "bbb222"
    assert data["difference"][0]["text"] == "SELECT * FROM orders WHERE id = ?"
    assert data["records"][0]["at_ms"] == pytest.approx(10, abs=1)


def test_the_id_of_the_caller_leads_there_too(client: Client) -> None:
    """What the browser's network tab shows as X-Request-Id."""
    assert get(client, "/traces/req-9.json").json["trace"]["id"] == "aaa111"


def test_it_leaves_as_one_file_and_as_text(client: Client) -> None:
    """The file needs nothing else, and asks nobody for anything."""
    answer = get(client, "/traces/aaa111.html")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="trace-aaa111.html"'
    assert "<style>" in answer.text
    assert "20 ×" in answer.text
    assert EVIL not in answer.text
    assert "href=" not in answer.text
    assert "src=" not in answer.text
    text = get(client, "/traces/aaa111.md").text
    assert text.startswith("# GET /orders/")
    assert "20 × `SELECT * FROM orders WHERE id = ?` **N+1**" in text


def test_bad_input_is_named(client: Client) -> None:
    """An unknown trace is 404, a wrong parameter 400."""
    assert client.get("/traces/nobody", headers=HEADERS).status_code == 404
    for query in ("only=all", "at_least=-1", "at_least=x"):
        answer = client.get(f"/traces?{query}", headers=HEADERS)
        assert answer.status_code == 400
        assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize("path", ["", ".json", "/aaa111", "/aaa111.json", "/aaa111.md"])
def test_nobody_sees_it_without_a_token(client: Client, path: str) -> None:
    """Closed by default."""
    assert client.get(f"/traces{path}").status_code == 401


def test_a_browser_asks_by_a_cookie(client: Client) -> None:
    """Set and removed by the page's button, not readable by scripts."""
    answer = client.post("/traces", data={"action": "start"}, headers=HEADERS)
    assert answer.status_code == 303
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{asking.COOKIE}={'c' * 32};")
    assert "HttpOnly" in cookie
    assert "Path=/" in cookie
    gone = client.post("/traces", data={"action": "stop"}, headers=HEADERS)
    assert "Max-Age=0" in gone.headers["Set-Cookie"]
    assert client.post("/traces", data={"action": "start"}).status_code == 401
