"""The Graphite endpoints below the mount, as their clients use them."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from werkzeug.test import Client, TestResponse

from inapp_monitor.database.file import Database
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import (
    Batch,
    Distribution,
    Method,
    Scalar,
)
from inapp_monitor.issues.not_found import NotFoundTable
from inapp_monitor.issues.triage import Triage
from inapp_monitor.query.sources import StoreSource
from inapp_monitor.store.series import Store
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.kept.process_state import process_state
from tests.each import each

TOKEN = "a-token-of-the-tests"
NOW = int(SYSTEM.wall())


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Ten minutes of some series, one of them tagged, and of one distribution."""
    data = tmp_path_factory.mktemp("data")
    loaded = config.load({"data_dir": data, "token": TOKEN, "max_targets": 5}, None)
    guard = Guard()
    store = Store(data, loaded.settings, SYSTEM, guard)
    scalars, distributions = [], []
    for moment in range(NOW - 600, NOW, 10):
        for path, value in (("app.a.hits", 1.0), ("app.b.hits", 2.0), ("disk.used;host=w1", 5.0)):
            scalars.append(Scalar(path, moment, value, Method.SUM))
        distributions.append(Distribution("app.time", moment, Histogram.of([10.0, 20.0, 400.0])))
    store.add(Batch(scalars, distributions))
    store.flush()
    database = Database(data, loaded.settings, SYSTEM, guard)
    made = Backend(
        loaded=loaded,
        clock=SYSTEM,
        guard=guard,
        source=StoreSource(store),
        store=store,
        triage=Triage(database, SYSTEM),
        not_found=NotFoundTable(loaded.settings, guard, database),
        database=database,
    )
    yield made
    store.close()
    database.close()


class Api:
    """A program that talks to the endpoints."""

    def __init__(self, backend: Backend) -> None:
        self._client = Client(WebApp(backend))

    def get(self, path: str, **parameters: Any) -> TestResponse:
        return self.open("GET", path, query_string=parameters)

    def post(self, path: str, form: Any = None, **more: Any) -> TestResponse:
        return self.open("POST", path, data=form, **more)

    def open(self, method: str, path: str, **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return self._client.open(path, method=method, headers=headers, **more)


@pytest.fixture
def api(backend: Backend) -> Api:
    return Api(backend)


# -- a day with Grafana


def test_grafana_saves_and_tests_the_data_source(api: Api) -> None:
    """Its health check draws a constant line, and asks for a version that it understands."""
    form = {"target": "constantLine(100)", "from": str(NOW - 300), "until": str(NOW),
            "format": "json", "maxDataPoints": "100"}  # fmt: skip
    (series,) = api.post("/render", form).get_json()
    assert [value for value, _ in series["datapoints"]] == [100.0, 100.0, 100.0]
    major, minor, _ = api.get("/version").get_data(as_text=True).strip().split(".")
    assert (int(major), int(minor)) >= (1, 1)


def test_grafana_offers_functions(api: Api) -> None:
    """The editor reads name, group, description and parameters of every function."""
    functions = json.loads(api.get("/functions").get_data(as_text=True).replace("1e9999", "1"))
    assert len(functions) >= 154
    described = functions["movingAverage"]
    assert described["group"] == "Calculate" and described["description"]
    assert [p["name"] for p in described["params"]] == ["seriesList", "windowSize", "xFilesFactor"]
    assert described["params"][1]["required"] is True
    assert api.get("/functions/scale").get_json()["function"] == "scale(seriesList, factor)"
    assert api.get("/functions/nope").status_code == 404
    assert set(api.get("/functions", grouped="1", group="Sorting").get_json()) == {"Sorting"}


def test_grafana_completes_names(api: Api) -> None:
    """The editor asks for one level of the tree at a time, by POST with the window in the URL."""
    answer = api.post(f"/metrics/find?from={NOW - 600}&until={NOW}", {"query": "app.*"})
    rows = {row["text"]: row["expandable"] for row in answer.get_json()}
    assert rows == {"a": 1, "b": 1, "time": 1}
    leaves = api.post("/metrics/find", {"query": "app.time.p9*"}).get_json()
    assert [row["text"] for row in leaves] == ["p90", "p95", "p99", "p999"]
    expanded = api.get("/metrics/expand", query="app.*.hits").get_json()
    assert expanded == {"results": ["app.a.hits", "app.b.hits"]}


def test_grafana_draws_a_panel(api: Api) -> None:
    """Several targets with functions over own series, distributions and tags come in one answer."""
    targets = ["alias(sumSeries(app.*.hits),'sum')", "app.time.p95", "seriesByTag('host=w1')"]
    form = {"target": targets, "from": str(NOW - 600), "until": str(NOW), "format": "json",
            "maxDataPoints": "10"}  # fmt: skip
    summed, slow, tagged = api.post("/render", form).get_json()
    assert summed["target"] == "sum" and {v for v, _ in summed["datapoints"] if v} == {3.0}
    assert 390 < max(v for v, _ in slow["datapoints"] if v) < 410
    assert len(slow["datapoints"]) <= 10
    assert tagged["tags"] == {"name": "disk.used", "host": "w1"}


def test_grafana_completes_tags(api: Api) -> None:
    """Tags and values are completed from the series that fulfil the expressions so far."""
    assert api.get("/tags/autoComplete/tags", tagPrefix="h").get_json() == ["host"]
    values = api.get("/tags/autoComplete/values", tag="host", expr="name=disk.used").get_json()
    assert values == ["w1"]
    assert api.get("/tags/findSeries", expr="host=~w.").get_json() == ["disk.used;host=w1"]
    assert api.get("/tags/host").get_json()["values"] == [{"id": 1, "value": "w1", "count": 1}]
    assert {row["tag"] for row in api.get("/tags").get_json()} == {"host", "name"}


def test_grafana_shows_deploys_as_annotations(api: Api) -> None:
    """A posted event is found by its tags at once, and drawn by `events()`."""
    event = {"what": "deploy 7", "tags": ["deploy", "web"], "when": NOW - 60, "data": "by hand"}
    for _ in range(2):  # a script that got no answer posts again
        assert api.post("/events/", json=event).status_code == 200
    window = {"from": NOW - 600, "until": NOW, "tags": "deploy web"}
    (found,) = api.get("/events/get_data", **window).get_json()
    assert {**event, "id": found["id"]} == found
    assert api.get(f"/events/{found['id']}").get_json()["what"] == "deploy 7"
    (drawn,) = api.get("/render", target="events('deploy')", **{"from": NOW - 600}).get_json()
    assert sum(v for v, _ in drawn["datapoints"] if v) == 1


def test_events_are_checked(api: Api) -> None:
    """What is no event is refused in one line."""
    for body in ("[]", "{", '{"tags": 5}', '{"what": 5}', '{"when": "now"}', '{"when": 1e300}'):
        answer = api.post("/events/", body, content_type="application/json")
        assert answer.status_code == 400, body
    assert api.get("/events/999999").status_code == 404


# -- formats


def test_every_format(api: Api) -> None:
    """Each format has its content type and can be read back."""
    query = {"target": "app.a.hits", "from": NOW - 300, "until": NOW}

    def ask(name: str) -> TestResponse:
        answer = api.get("/render", format=name, **query)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer

    points = ask("json").get_json()[0]["datapoints"]
    assert [p["x"] for p in ask("rickshaw").get_json()[0]["datapoints"]] == [t for _, t in points]
    assert ask("dygraph").get_json()["labels"] == ["Time", "app.a.hits"]
    assert ask("csv").get_data(as_text=True).splitlines()[0].startswith("app.a.hits,20")
    assert ask("raw").get_data(as_text=True).startswith("app.a.hits,")
    assert pickle.loads(ask("pickle").get_data())[0]["step"] == 10  # our own bytes
    for name in ("svg", "xml"):
        ElementTree.fromstring(ask(name).get_data())
    page = ask("html").get_data(as_text=True)
    assert "<h2>app.a.hits</h2>" in page and "<script" not in page


def test_pretty_null_free_and_jsonp(api: Api) -> None:
    """`pretty` indents, `noNullPoints` leaves nulls out, `jsonp` takes plain names only."""
    query = {"target": "constantLine(inf)", "format": "json"}
    text = api.get("/render", pretty="1", **query).get_data(as_text=True)
    assert "\n        1e9999,\n" in text
    none = api.get("/render", target="removeAboveValue(app.a.hits,0)", noNullPoints="1").get_json()
    assert none == []
    answer = api.get("/render", jsonp="cb", **query)
    assert answer.get_data(as_text=True).startswith("cb([") and "javascript" in answer.content_type
    assert api.get("/render", jsonp="alert(1)//", **query).status_code == 400


def test_find_formats(api: Api) -> None:
    """Every format of find names the same nodes."""
    query = {"query": "app.*"}
    completed = api.get("/metrics/find", format="completer", query="ap").get_json()
    assert completed == {"metrics": [{"path": "app.", "name": "app", "is_leaf": "0"}]}
    assert api.get("/metrics/find", format="nodelist", **query).get_json()["nodes"] == [
        "a", "b", "time",
    ]  # fmt: skip
    rows = api.get("/metrics/find", format="json", query="app.a.*").get_json()
    assert rows[0]["path"] == "app.a.hits" and rows[0]["is_leaf"] and rows[0]["intervals"]
    plain = pickle.loads(api.get("/metrics/find", format="pickle", **query).get_data())
    assert [row["path"] for row in plain] == ["app.a", "app.b", "app.time"]
    wild = api.get("/metrics/find", wildcards="1", **query).get_json()
    assert wild[0]["id"] == "app.*"
    assert api.get("/metrics/find", format="bogus", **query).status_code == 400
    assert api.get("/metrics/find").status_code == 400
    assert "app.time.p95" in api.get("/metrics/index.json").get_json()


# -- errors and limits


@each(
    ("parameters", "named"),
    [
        ({"target": "nope(app.a.hits)"}, "nope"),
        ({"target": "scale(app.a.hits,2"}, "column 19"),
        ({"target": "scale(app.a.hits)"}, "factor"),
        ({"target": "scale(app.a.hits,2,3)"}, "at most 2"),
        ({"target": "scale(app.a.hits,'x')"}, "factor"),
        ({"target": "scale(app.a.hits,color=2)"}, "color"),
        ({"target": "summarize(app.a.hits,'0min')"}, "greater than zero"),
        ({"target": "smartSummarize(app.a.hits,'-5min')"}, "greater than zero"),
        ({"target": "time('t',0)"}, "greater than 0"),
        ({"target": "timeStack(app.a.hits,'1d',0,100000)"}, "at most 100"),
        ({"target": "app.a.hits", "format": "png"}, "unknown format 'png'"),
        ({"target": "app.a.hits", "from": "someday"}, "someday"),
        ({"target": "app.a.hits", "from": "now", "until": "now"}, "empty time range"),
        ({"target": "app.a.hits", "maxDataPoints": "0"}, "maxDataPoints"),
        ({"target": "app.a.hits", "format": "svg", "width": "100000"}, "width"),
        ({"target": "app.a.hits", "graphType": "bogus"}, "graphType"),
        ({"target": ["app.a.hits"] * 6}, "at most 5"),
        ({"target": "a" * 16_385}, "at most 16384"),
        ({"target": "absolute(" * 30 + "a" + ")" * 30}, "deeper than 20"),
        ({"target": "{a,b}" * 24}, "braces"),
        ({"target": "events('*')", "from": "-90d"}, "points"),
        ({"target": "grep(app.*.hits,'(')"}, "invalid pattern"),
        ({"target": "mapSeries(app.*.hits,1)"}, "reduceSeries"),
    ],
)
def test_errors_are_one_line_that_names_the_culprit(
    api: Api, parameters: dict[str, Any], named: str
) -> None:
    """A request that cannot be answered is a 400 whose body says what is wrong."""
    answer = api.get("/render", **parameters)
    assert answer.status_code == 400
    assert named in answer.get_data(as_text=True)


def test_unfinished_targets_are_empty(api: Api) -> None:
    """What an editor sends while somebody types is no error, as in Graphite."""
    for target in ("scale(app.a.hits", "app.", "sumSeries(app.a.hits,)", "alias(app.a.hits,'x"):
        answer = api.get("/render", target=target)
        assert (answer.status_code, answer.get_json()) == (200, [])


def test_a_third_render_is_asked_to_come_back(backend: Backend, api: Api) -> None:
    """Two renders at a time per process; the next one gets 503 and a time to wait."""
    places = process_state(backend).render_places
    assert places.acquire() and places.acquire()
    try:
        answer = api.get("/render", target="app.a.hits")
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) >= 1
    finally:
        places.release()
        places.release()
    assert api.get("/render", target="app.a.hits").status_code == 200


def test_names_of_graphites_files_can_be_registered(api: Api, backend: Backend) -> None:
    """A registered tagged name is canonical, found, kept in the database, and can be forgotten."""
    assert api.post("/tags/tagSeries", {"path": "cpu;b=2;a=1"}).get_json() == "cpu;a=1;b=2"
    form = {"path": ["cpu;b=2;a=1", "mem;z=1"]}
    assert api.post("/tags/tagMultiSeries", form).get_json() == ["cpu;a=1;b=2", "mem;z=1"]
    assert api.get("/tags/findSeries", expr="z=1").get_json() == ["mem;z=1"]
    rows = backend.database.read("select path from tagged_series order by path")
    assert [row["path"] for row in rows] == ["cpu;a=1;b=2", "mem;z=1"]
    assert api.post("/tags/delSeries", form).get_json() is True
    assert api.get("/tags/findSeries", expr="z=1").get_json() == []
    assert api.post("/tags/tagSeries", {"path": "cpu;bad"}).status_code == 400
    assert api.open("GET", "/tags/tagSeries?path=x").status_code == 405


def test_a_registered_name_without_a_file_is_no_error(api: Api) -> None:
    """Carbon registers a series before it writes one, and hosts that left stay registered."""
    names = ["jobs;app=a", "jobs.p95;app=b", "app.time.p95;app=c"]
    assert api.post("/tags/tagMultiSeries", {"path": names}).status_code == 200
    try:
        for target in ("seriesByTag('app=~.+')", "seriesByTag('name=jobs')|sumSeries()"):
            answer = api.get("/render", target=target)
            assert (answer.status_code, answer.get_json()) == (200, [])
    finally:
        api.post("/tags/delSeries", {"path": names})


def test_events_are_posted_and_read_at_every_address_of_graphite(api: Api) -> None:
    """With and without a slash at the end, and read by form as well."""
    for address in ("/events", "/events/"):
        event = {"what": f"to {address}", "tags": "address", "when": NOW - 7_000}
        assert api.post(address, json=event).status_code == 200
    by_form = api.post("/events/get_data", {"tags": "address"}).get_json()
    assert by_form == api.get("/events/get_data", tags="address").get_json()
    assert {event["what"] for event in by_form} == {"to /events", "to /events/"}
    for end in ("", "/"):
        assert api.get(f"/events/{by_form[0]['id']}{end}").status_code == 200


@pytest.mark.parametrize(
    ("tags", "asked", "found"),
    [
        ("deploy,stage,started", "stage", True),
        ("deploy, stage,started", "deploy started", True),
        ("deploy stage", "deploy,stage", True),
        (["deploy", "stage,started"], "started", True),
        (["deploy stage", ""], "stage", True),
        (" ,deploy,, ", "deploy", True),
        ("deploy,stage", "dep", False),
        (",", "deploy", False),
    ],
)
def test_tags_of_an_event_are_words(api: Api, tags: Any, asked: str, found: bool) -> None:
    """Given as a list or as a text, between commas or blanks, they are found one by one."""
    event = {"what": f"{tags}", "tags": tags, "when": NOW - 5_000}
    assert api.post("/events/", json=event).status_code == 200
    answer = api.get("/events/get_data", tags=asked)
    assert (f"{tags}" in [shown["what"] for shown in answer.get_json()]) is found


def test_a_picture_is_not_handed_to_a_function(api: Api) -> None:
    """`jsonp` is for JSON: with a picture it is refused, with texts ignored as in Graphite."""
    answer = api.get("/render", target="app.a.hits", format="svg", jsonp="cb")
    assert (answer.status_code, "jsonp" in answer.get_data(as_text=True)) == (400, True)
    assert api.get("/render", target="app.a.hits", format="raw", jsonp="cb").status_code == 200


def test_a_variable_of_thousands_of_hosts(api: Api) -> None:
    """Find and expand take what Grafana makes of a variable with all values."""
    hosts = ",".join(f"web-{number:04}.example" for number in range(3_000))
    query = f"app.{{a,{hosts}}}.*"
    for path in ("/metrics/find", "/metrics/expand"):
        answer = api.post(path, {"query": query})
        assert answer.status_code == 200 and "hits" in answer.get_data(as_text=True)
    hosts = ",".join(f"web-{number:03}.example" for number in range(800))
    target = f'aliasSub(sumSeries(app.{{a,{hosts}}}.hits),"(^.*$)","\\1 A")'
    (shown,) = api.post("/render", {"target": target}).get_json()
    assert shown["target"].endswith(",web-799.example}.hits) A")
    answer = api.post("/metrics/find", {"query": "a" * 65_537})
    assert answer.status_code == 400 and "at most 65536" in answer.get_data(as_text=True)


def test_caching_is_as_asked(api: Api) -> None:
    """Answers are asked for again each time unless the client says how long they may be kept."""
    kept = api.get("/render", target="app.a.hits").headers["Cache-Control"]
    assert kept == "private, no-cache"
    answer = api.get("/render", target="app.a.hits", cacheTimeout="60")
    assert "max-age=60" in answer.headers["Cache-Control"]
    assert api.get("/render", target="app.a.hits", cacheTimeout="x").status_code == 400


def test_parallel_renders_do_not_mix(api: Api) -> None:
    """Requests in several threads get their own answers."""
    wrong: list[str] = []

    def ask(name: str) -> None:
        for _ in range(5):
            answer = api.get("/render", target=f"alias(app.a.hits,'{name}')")
            if answer.status_code == 200 and answer.get_json()[0]["target"] != name:
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(f"n{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_consolidation_by_the_series_own_method(api: Api) -> None:
    """With `consolidation=series` counts are added up instead of averaged."""
    query = {"target": "app.b.hits", "from": NOW - 600, "until": NOW, "maxDataPoints": "5"}
    averaged = api.get("/render", **query).get_json()[0]["datapoints"]
    summed = api.get("/render", consolidation="series", **query).get_json()[0]["datapoints"]
    assert max(v for v, _ in averaged if v) == 2.0
    assert max(v for v, _ in summed if v) > 10.0
    assert api.get("/render", consolidation="bogus", **query).status_code == 400


def test_heatmap(api: Api) -> None:
    """A distribution's shape over time: one series a range, counts as values."""
    rows = api.get("/render", target="heatmap(app.time)", **{"from": NOW - 600}).get_json()
    total = sum(v for row in rows for v, _ in row["datapoints"] if v)
    assert 2 < len(rows) <= 24 and total == pytest.approx(3 * 60, abs=6)


def test_nothing_lies_outside_the_data_directory(api: Api, tmp_path: Path) -> None:
    """Patterns are looked up in an index of names, never in the file system."""
    for query in ("../../etc/*", "/etc/passwd", "..", "app/../*"):
        assert api.get("/metrics/find", query=query).get_json() == []
