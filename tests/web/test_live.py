"""The dashboard over a real monitor: what is done to the app is seen, what is clicked is done."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from inapp_monitor import Monitor

TOKEN = "live-token-0123456789"
HTML = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Fails at /boom, knows nothing below /missing."""
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise ValueError("kettle is empty")
    found = not path.startswith("/missing")
    start_response("200 OK" if found else "404 Not Found", [("Content-Type", "text/plain")])
    return [b"x"]


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    """A monitored app that has been used."""
    made = Monitor(app, data_dir=tmp_path / "data", token=TOKEN, app_name="tea")
    client = Client(made)
    for _ in range(20):
        client.get("/page")
    client.get("/missing", headers={"Referer": "http://localhost/page"})
    for _ in range(3):
        with pytest.raises(ValueError, match="kettle"):
            client.get("/boom")
    yield made
    made.close()


def test_the_overview_shows_what_happened(monitor: Monitor) -> None:
    """Requests, the failing route, the issue and the broken link, on a young installation."""
    client = Client(monitor)
    data = client.get("/_metrics/overview.json", headers=HTML).json
    assert data["totals"]["requests"] == 24
    assert data["totals"]["errors"] == 3
    assert data["issues"][0]["message"] == "kettle is empty"
    assert data["not_found"][0]["path"] == "/missing"
    assert data["not_found"][0]["guess"] == "broken link of your own"
    assert data["window"]["until"] - data["window"]["from"] == 900
    page = client.get("/_metrics/", headers=HTML)
    assert page.status_code == 200
    assert "kettle is empty" in page.text


def test_the_count_of_each_second_is_that_of_the_application(monitor: Monitor) -> None:
    """For everybody with the token; who looks at the dashboard is not counted."""
    client = Client(monitor)
    assert client.get("/_metrics/now.json").status_code == 401

    def counts() -> list[tuple[int, int, int]]:
        rows = client.get("/_metrics/now.json", headers=HTML).get_json()["workers"]
        return [(row["pid"], row["requests"], row["live"]) for row in rows]

    give_up = time.monotonic() + 60  # a worker shows its count in its next tick
    while counts() != [(os.getpid(), 24, 0)]:
        assert time.monotonic() < give_up, counts()
        time.sleep(0.05)


def test_an_issue_is_resolved_and_reopened_by_its_buttons(monitor: Monitor) -> None:
    """By the forms of the page, with the CSRF token in them and the session's cookie."""
    client = Client(monitor)
    assert client.get(f"/_metrics/?token={TOKEN}").status_code == 303
    issue = client.get("/_metrics/errors.json").json["issues"][0]
    for button, status in (("Resolve", "resolved"), ("Reopen", "open"), ("Mute", "muted")):
        page = client.get(f"/_metrics/errors/{issue['id']}", headers={"Accept": "text/html"})
        form = re.search(
            rf'action="([^"]+)"><input type="hidden" name="csrf" value="([^"]+)">'
            rf"<button>{button}</button>",
            page.text,
        )
        assert form
        refused = client.post(form[1], data={"csrf": "wrong"})
        assert refused.status_code == 403
        done = client.post(form[1], data={"csrf": form[2]})
        assert done.status_code == 303
        assert done.headers["Location"].startswith(f"/_metrics/errors/{issue['id']}")
        after = client.get(f"/_metrics/errors/{issue['id']}.json").json["issue"]
        assert after["status"] == status


def test_an_unknown_action_is_not_found(monitor: Monitor) -> None:
    """And a GET does nothing."""
    client = Client(monitor)
    issue = client.get("/_metrics/errors.json", headers=HTML).json["issues"][0]["id"]
    assert client.post(f"/_metrics/errors/{issue}/explode", headers=HTML).status_code == 404
    assert client.post("/_metrics/errors/nope/resolve", headers=HTML).status_code == 404
    assert client.get(f"/_metrics/errors/{issue}/resolve", headers=HTML).status_code == 405


def test_every_page_loads_over_a_real_store(monitor: Monitor) -> None:
    """With the stack of the exception and the settings."""
    client = Client(monitor)
    issue = client.get("/_metrics/errors.json", headers=HTML).json["issues"][0]["id"]
    slugs = client.get("/_metrics/routes.json", headers=HTML).json["rows"]
    pages = ["/", "/routes", "/errors", "/not-found", "/status", "/runtime", "/search?q=boom"]
    pages += [f"/errors/{issue}", f"/routes/{slugs[0]['slug']}"]
    for page in pages:
        for query in ("", "from=-7d", "compare=day", "compare=deploy"):
            mark = "&" if "?" in page else "?"
            answer = client.get(f"/_metrics{page}{mark}{query}", headers=HTML)
            assert answer.status_code == 200, (page, query)
    text = client.get(f"/_metrics/errors/{issue}", headers=HTML).text
    assert "kettle is empty" in text
    assert "test_live.py" in text
    assert not monitor.guard.faults


def test_a_posted_deploy_is_a_line_in_the_charts(monitor: Monitor) -> None:
    """Marked with its words, and what the page compares with."""
    client = Client(monitor)
    event = {"what": "release 7", "tags": ["deploy"]}
    assert client.post("/_metrics/events/", json=event, headers=HTML).status_code == 200
    data = client.get("/_metrics/overview.json", headers=HTML).json
    assert data["charts"]["latency"]["markers"][0]["label"] == "release 7"
    assert "release 7" in client.get("/_metrics/", headers=HTML).text
    compared = client.get("/_metrics/?compare=deploy", headers=HTML)
    assert compared.status_code == 200


def test_the_endpoints_of_graphite_are_there(monitor: Monitor) -> None:
    """Under the same roof, with the same headers."""
    client = Client(monitor)
    for path in ("/functions", "/version", "/metrics/index.json", "/tags", "/events/get_data"):
        answer = client.get(f"/_metrics{path}", headers=HTML)
        assert answer.status_code == 200, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", "to begin with"),
        ("?path=requests", "status"),
        ("?path=nothing", "Nothing below"),
        ("?target=requests.status.*", "requests.status.4xx"),
        ("?target=requests.time.count&target=requests.errors&shape=stacked", "2 series"),
        ("?target=requests.time.p95&function=movingAverage", "movingAverage("),
        ("?target=no.such.series", "No series of this name"),
        ("?target=scale(requests.errors)", "alert"),
        ("?target=noSuch(requests.errors)", "noSuch"),
    ],
)
def test_any_series_can_be_explored(query: str, shown: str, monitor: Monitor) -> None:
    """Found in the tree, drawn with functions, with a word on what is wrong."""
    answer = Client(monitor).get(f"/_metrics/explore{query}", headers=HTML)
    assert answer.status_code == 200
    assert shown in answer.text
    assert not monitor.guard.faults


@pytest.mark.parametrize("query", ["function=nope", "shape=pie", "target=a&" * 11])
def test_an_odd_question_to_explore_is_400(query: str, monitor: Monitor) -> None:
    """Named, as everywhere."""
    assert Client(monitor).get(f"/_metrics/explore?{query}", headers=HTML).status_code == 400


def test_every_function_can_be_put_around_a_target(monitor: Monitor) -> None:
    """Its likely arguments are legal, or the page says what is missing; nothing fails."""
    from inapp_monitor.query.registry import FUNCTIONS

    client = Client(monitor)
    for name in FUNCTIONS:
        answer = client.get(
            f"/_metrics/explore.json?target=requests.time.count&function={name}", headers=HTML
        )
        assert answer.status_code == 200, name
    assert not monitor.guard.faults


def test_a_chart_is_saved_shown_exported_and_imported(monitor: Monitor) -> None:
    """By the form of the explore page; the document makes the same dashboard again."""
    client = Client(monitor)
    panel = {"name": "shop", "title": "how slow", "target": "requests.time.p95", "shape": "area"}
    saved = client.post("/_metrics/dashboards", data=panel, headers=HTML)
    assert saved.status_code == 303
    assert saved.headers["Location"] == "/_metrics/dashboards/shop"
    panel["target"] = "noSuch(function)"
    assert client.post("/_metrics/dashboards", data=panel, headers=HTML).status_code == 303
    page = client.get("/_metrics/dashboards/shop", headers=HTML)
    assert "how slow" in page.text
    assert "noSuch" in page.text
    assert "shop" in client.get("/_metrics/dashboards", headers=HTML).text
    document = client.get("/_metrics/dashboards/shop.json", headers=HTML).json
    copied = client.post("/_metrics/dashboards/copy", json=document, headers=HTML)
    assert copied.status_code == 303
    again = client.get("/_metrics/dashboards/copy.json", headers=HTML).json
    assert [p["targets"] for p in again["panels"]] == [p["targets"] for p in document["panels"]]
    gone = client.post("/_metrics/dashboards/copy/delete", data={"panel": "0"}, headers=HTML)
    assert gone.status_code == 303
    assert len(client.get("/_metrics/dashboards/copy.json", headers=HTML).json["panels"]) == 1
    assert client.post("/_metrics/dashboards/copy/delete", headers=HTML).status_code == 303
    assert client.get("/_metrics/dashboards/copy", headers=HTML).status_code == 404
    assert not monitor.guard.faults


def test_graphites_own_dashboards_can_be_imported(monitor: Monitor) -> None:
    """As its editor saves them: a triple a graph."""
    client = Client(monitor)
    graph = {"target": ["requests.status.*"], "areaMode": "stacked", "title": "codes"}
    state = {"name": "ops", "graphs": [["x", graph, "/render?x"], {"target": "requests.errors"}]}
    posted = client.post("/_metrics/dashboards/ops", json={"state": state}, headers=HTML)
    assert posted.status_code == 303
    panels = client.get("/_metrics/dashboards/ops.json", headers=HTML).json["panels"]
    assert [(p["title"], p["shape"]) for p in panels] == [("codes", "stacked"), ("", "line")]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"x", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"[]", "JSON"),
        (b"{}", "panels"),
        (b'{"panels": [{}]}', "targets"),
        (b'{"panels": [{"targets": []}]}', "target"),
        (b'{"panels": [{"targets": ["a"], "shape": "pie"}]}', "shape"),
        (b'{"panels": [{"targets": [1]}]}', "target"),
        (b'{"graphs": [1]}', "graph"),
    ],
)
def test_a_document_that_is_no_dashboard_is_400(body: bytes, named: str, monitor: Monitor) -> None:
    """The part is named, nothing is kept."""
    client = Client(monitor)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = client.post("/_metrics/dashboards/x", data=body, headers=headers)
    assert answer.status_code == 400
    assert named in answer.text
    assert client.get("/_metrics/dashboards/x", headers=headers).status_code == 404


def test_a_dashboard_is_not_saved_by_another_site(monitor: Monitor) -> None:
    """The session's cookie alone is not enough."""
    client = Client(monitor)
    client.get(f"/_metrics/?token={TOKEN}")
    panel = {"name": "evil", "target": "a"}
    assert client.post("/_metrics/dashboards", data=panel).status_code == 403
    assert client.get("/_metrics/dashboards.json").json["dashboards"] == []


def test_what_is_being_answered_and_what_was_slow_is_shown(tmp_path: Path) -> None:
    """From within a request: itself under way; afterwards, its route's slowest."""
    seen: dict[str, Any] = {}

    def curious(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen["page"] = Client(made).get("/_metrics/runtime", headers=HTML).text
        seen["data"] = Client(made).get("/_metrics/runtime.json", headers=HTML).json
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x"]

    made = Monitor(curious, data_dir=tmp_path / "data", token=TOKEN)
    try:
        Client(made).get("/report/7")
        assert [row["path"] for row in seen["data"]["live_requests"]] == ["/report/7"]
        assert "/report/7" in seen["page"]
        after = Client(made).get("/_metrics/runtime.json", headers=HTML).json
        assert not after["live_requests"]
        assert after["slowest"][0]["path"] == "/report/7"
        slug = after["slowest"][0]["slug"]
        page = Client(made).get(f"/_metrics/routes/{slug}", headers=HTML).text
        assert "/report/7" in page
    finally:
        made.close()


def test_a_read_only_dashboard_offers_no_saving(tmp_path: Path) -> None:
    """And refuses it."""
    made = Monitor(app, data_dir=tmp_path / "data", token=TOKEN, read_only=True)
    try:
        client = Client(made)
        client.get("/page")
        page = client.get("/_metrics/explore?target=requests.time.count", headers=HTML)
        assert page.status_code == 200
        assert "Save to dashboard" not in page.text
        panel = {"name": "shop", "target": "requests.time.p95"}
        assert client.post("/_metrics/dashboards", data=panel, headers=HTML).status_code == 403
    finally:
        made.close()


def test_a_slow_request_that_failed_leads_to_its_issue(monitor: Monitor) -> None:
    """On the runtime page and on the route's own."""
    client = Client(monitor)
    rows = client.get("/_metrics/runtime.json", headers=HTML).json["slowest"]
    (failed, *_) = [row for row in rows if row["path"] == "/boom"]
    page = client.get("/_metrics/runtime", headers=HTML).text
    assert f"/_metrics/errors/{failed['issue']}" in page
    assert client.get(f"/_metrics/errors/{failed['issue']}", headers=HTML).status_code == 200
    assert not any(row["issue"] for row in rows if row["path"] == "/page")
    route = client.get(f"/_metrics/routes/{failed['slug']}", headers=HTML).text
    assert f"/_metrics/errors/{failed['issue']}" in route


def test_a_request_under_way_shows_its_stack(tmp_path: Path) -> None:
    """From the table of live requests by its link; afterwards the page says that it is over."""
    reached, gate = threading.Event(), threading.Event()

    def waits(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        reached.set()
        gate.wait(60)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    with contextlib.closing(Monitor(waits, data_dir=tmp_path / "data", token=TOKEN)) as made:
        client = Client(made)
        thread = threading.Thread(target=lambda: Client(made).get("/report"))
        thread.start()
        assert reached.wait(60)
        page = client.get("/_metrics/runtime", headers=HTML).text
        found = re.search(r'href="/_metrics(/runtime/requests/[^"]+)"', page)
        assert found is not None
        stack = client.get(f"/_metrics{found[1]}", headers=HTML)
        data = client.get(f"/_metrics{found[1]}.json", headers=HTML).json
        gate.set()
        thread.join()
        assert "gate.wait(60)" in stack.text
        assert (data["state"], data["path"], data["pid"]) == ("running", "/report", os.getpid())
        assert client.get(f"/_metrics{found[1]}").status_code == 401
        over = client.get(f"/_metrics{found[1]}", headers=HTML)
        assert over.status_code == 200
        assert "it has ended meanwhile" in over.text
        for name in ("1", "1-2", "x-1-0000", "99999999999999-1-0000"):
            path = f"/_metrics/runtime/requests/{name}"
            assert client.get(path, headers=HTML).status_code == 404
