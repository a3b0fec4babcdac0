"""Raw requests with what Graphite answered, replayed against the dashboard over the same files.

Deliberate differences: pictures are compared nowhere, what fails in Graphite is a 4xx, ids are our
own, and what find says about intervals is not recorded in the files.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from inapp_monitor.database.file import Database
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.guard import Guard
from inapp_monitor.query.sources import StoreSource
from inapp_monitor.store.series import Store
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend
from tests.each import each

RECORDED = Path(__file__).parents[1] / "data" / "graphite"
HEADERS = {"Authorization": "Bearer recorded-requests"}
#: Answers that need an event which only the recording posted in between.
AFTER_POST = "/events/get_data?from=1699998999"


def cases() -> list[dict[str, Any]]:
    lines = (RECORDED / "golden_http.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    other = ("png", "pdf", "svg", "msgpack")
    return [
        case
        for case in found
        if case["method"] == "GET"
        and not case["url"].startswith(AFTER_POST)
        and not any(word in (case.get("content_type") or "") for word in other)
    ]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The dashboard over the recorded files, with the events and tags of the recording."""
    data = tmp_path_factory.mktemp("recorded")
    shutil.copytree(RECORDED / "whisper", data / "whisper")
    loaded = config.load({"data_dir": data, "token": "recorded-requests"}, None)
    guard = Guard()
    store = Store(data, loaded.settings, SYSTEM, guard)
    database = Database(data, loaded.settings, SYSTEM, guard)
    nothing: Any = None
    backend = Backend(
        loaded=loaded,
        clock=SYSTEM,
        guard=guard,
        source=StoreSource(store),
        store=store,
        triage=nothing,
        not_found=nothing,
        database=database,
    )
    made = Client(WebApp(backend))
    setup = json.loads((RECORDED / "setup.json").read_text("utf-8"))["setup"]
    made.post("/tags/tagMultiSeries", data={"path": setup["tags"]}, headers=HEADERS)
    for event in setup["events"]:
        assert made.post("/events/", json=event, headers=HEADERS).status_code == 200
    yield made
    store.close()
    database.close()


def plain(value: Any, dropped: tuple[str, ...]) -> Any:
    """Without what cannot be the same; numbers as floats."""
    if isinstance(value, list):
        return [plain(part, dropped) for part in value]
    if isinstance(value, dict):
        return {k: plain(v, dropped) for k, v in value.items() if k not in dropped}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return pytest.approx(float(value), rel=1e-12, nan_ok=True)
    return value


@each("case", cases(), ids=lambda case: case["url"][:80])
def test_request(case: dict[str, Any], client: Client) -> None:
    """A request has the status and the content that it had in Graphite."""
    url = case["url"]
    answer = client.get(url, headers=HEADERS)
    if case["status"] >= 400:
        assert 400 <= answer.status_code < 500
        return
    assert answer.status_code == case["status"]
    dropped = ("intervals", "id") if url.startswith(("/tags", "/events")) else ("intervals",)
    if url.startswith(("/functions", "/version")):
        assert answer.get_data()
    elif "unpickled" in case:
        read = json.loads(json.dumps(pickle.loads(answer.get_data())))
        assert plain(case["unpickled"], dropped) == json_like(read, dropped)
    elif "json" in case["content_type"]:
        assert plain(json.loads(case["body"]), dropped) == json_like(answer.get_json(), dropped)
    else:
        assert answer.get_data(as_text=True).replace("\r\n", "\n") == case["body"].replace(
            "\r\n", "\n"
        )


def json_like(value: Any, dropped: tuple[str, ...]) -> Any:
    """The same shape with plain numbers."""
    if isinstance(value, list):
        return [json_like(part, dropped) for part in value]
    if isinstance(value, dict):
        return {k: json_like(v, dropped) for k, v in value.items() if k not in dropped}
    return value
