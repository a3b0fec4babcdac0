"""Answers about periods that are over are kept as bytes, and are never older than the data."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import (
    Batch,
    Distribution,
    Method,
    Scalar,
)
from inapp_monitor.query.registry import FUNCTIONS
from inapp_monitor.store import maintenance
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.kept import settled
from inapp_monitor.web.kept.process_state import process_state
from tests.web.stored_backend import TOKEN, stored_backend

NOW = 1_700_003_600
#: Half an hour that ended half an hour ago.
PERIOD = f"from={NOW - 3_600}&until={NOW - 1_800}"
LATE = NOW - 2_000


class Dashboard:
    """A dashboard over a directory, and how often it has answered from memory."""

    def __init__(self, folder: Path, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock(NOW)
        self.backend = stored_backend(folder, self.clock)
        self.store = self.backend.store
        self.backend.refresh = self.store.flush
        self.client = Client(WebApp(self.backend))

    def get(self, path: str, etag: str = "") -> TestResponse:
        asked = {"If-None-Match": etag} if etag else {}
        return self.client.get(path, headers={"Authorization": f"Bearer {TOKEN}", **asked})

    def render(self, query: str, etag: str = "") -> TestResponse:
        return self.get(f"/render?{query}", etag)

    @property
    def hits(self) -> int:
        return process_state(self.backend).settled_results.hits

    def add(self, timestamp: int, value: float = 5.0) -> None:
        """A point of each kind."""
        scalars = [Scalar("requests.errors", timestamp, value, Method.SUM)]
        times = [Distribution("requests.time", timestamp, Histogram.of([value]))]
        self.store.add(Batch(scalars, times))


@pytest.fixture
def dashboard(tmp_path: Path) -> Dashboard:
    """Two hours of data, a point a minute."""
    made = Dashboard(tmp_path)
    for timestamp in range(NOW - 7_200, NOW, 60):
        made.add(timestamp)
    made.store.flush()
    return made


TARGETS = ["requests.errors", "requests.time.p95", "movingAverage(requests.errors,3)", "no.such"]


@pytest.mark.parametrize("form", ["svg", "json", "csv"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_period_that_is_over_is_evaluated_once(
    dashboard: Dashboard, form: str, target: str
) -> None:
    """The second answer is the same, from memory; a client that has it gets 304 and no body."""
    query = f"format={form}&target={target}&{PERIOD}"
    first, second = dashboard.render(query), dashboard.render(query)
    assert dashboard.hits == 1
    assert (first.status_code, first.data) == (200, second.data)
    again = dashboard.render(query, first.headers["ETag"])
    assert (again.status_code, again.data, dashboard.hits) == (304, b"", 2)


@pytest.mark.parametrize("target", ["requests.errors", "requests.time.max"])
@pytest.mark.parametrize("form", ["svg", "json"])
def test_a_late_point_is_seen_at_once(dashboard: Dashboard, target: str, form: str) -> None:
    """Written by this worker."""
    query = f"format={form}&target={target}&{PERIOD}"
    before = [dashboard.render(query) for _ in range(2)][1]
    dashboard.add(LATE, 777)
    after = dashboard.render(query)
    assert after.data != before.data
    assert dashboard.render(query, before.headers["ETag"]).status_code == 200
    assert dashboard.hits == 2  # before, and the new one


def test_charts_of_pages_are_evaluated_once_too(dashboard: Dashboard) -> None:
    """Explore, and with it dashboards: the same numbers from memory, and late points at once."""
    page = f"/explore.json?target=requests.*.max&target=requests.errors&{PERIOD}"
    first, second = dashboard.get(page).get_json(), dashboard.get(page).get_json()
    assert first == second
    assert first["chart"]["series"][1]["values"]
    assert dashboard.hits == 1
    dashboard.add(LATE, 777)
    assert dashboard.get(page).get_json()["chart"] != first["chart"]
    assert dashboard.hits == 1


def test_a_late_point_of_another_worker_is_seen_at_once(
    dashboard: Dashboard, tmp_path: Path
) -> None:
    """As soon as it is on disk."""
    query = f"format=json&target=requests.time.max&{PERIOD}"
    before = dashboard.render(query).data
    other = Dashboard(tmp_path, dashboard.clock)
    other.add(LATE, 777)
    assert dashboard.render(query).data == before
    other.store.flush()
    assert dashboard.render(query).data != before
    other.store.close()


def test_a_late_point_that_the_disk_refuses_is_seen_too(dashboard: Dashboard) -> None:
    """Nothing is kept or answered from memory while it waits."""
    query = f"format=json&target=requests.errors&{PERIOD}"
    before = dashboard.render(query).data
    dashboard.backend.refresh = lambda: None
    dashboard.add(LATE, 777)
    assert dashboard.store.past is None
    assert dashboard.render(query).data != before
    dashboard.store.flush()
    assert dashboard.store.past is not None


def test_points_that_are_on_time_cost_no_kept_answer(dashboard: Dashboard) -> None:
    """An app that is used all the time keeps its past."""
    query = f"format=json&target=requests.time.p95&{PERIOD}"
    dashboard.render(query)
    for _ in range(20):
        dashboard.clock.advance(10)
        dashboard.add(int(dashboard.clock.now) - 3)
        dashboard.render(query)
    assert dashboard.hits == 20


def test_an_import_and_its_like_are_seen(dashboard: Dashboard, tmp_path: Path) -> None:
    """Whatever changes files under the store's lock, even when it fails in the middle."""
    query = f"format=json&target=requests.errors&{PERIOD}"
    dashboard.render(query)
    settings = dashboard.backend.loaded.settings
    with pytest.raises(KeyError), maintenance.exclusive(tmp_path, settings, NOW):
        raise KeyError
    dashboard.render(query)
    assert dashboard.hits == 0


def test_files_that_others_write_are_read_each_time(dashboard: Dashboard, tmp_path: Path) -> None:
    """A Whisper tree is Carbon's: nobody tells when a point comes late."""
    data = Path(__file__).parents[1] / "data" / "graphite" / "whisper" / "sensors" / "temp.wsp"
    (tmp_path / "whisper").mkdir()
    (tmp_path / "whisper" / "temp.wsp").write_bytes(data.read_bytes())
    dashboard.clock.advance(20)
    query = f"format=json&target=requests.errors&{PERIOD}"
    dashboard.render(query)
    dashboard.render(query)
    assert dashboard.hits == 0


@pytest.mark.parametrize(
    "query",
    [
        "target=requests.errors",
        f"target=requests.errors&from={NOW - 600}&until={NOW - 60}",
        f"target=timeShift(requests.errors,'%2B1h')&{PERIOD}",
        f"target=randomWalk('x')&{PERIOD}",
        f"target=timeSlice(requests.errors,'-50min','-40min')&{PERIOD}",
        f"target=events('deploy')&{PERIOD}",
        f"target=requests.errors&{PERIOD}&noCache=1",
    ],
)
def test_what_may_change_is_evaluated_each_time(dashboard: Dashboard, query: str) -> None:
    """Open periods, also reached by shifting; what follows from chance, time or the database."""
    for _ in range(2):
        assert dashboard.render(f"format=json&{query}").status_code == 200
    assert dashboard.hits == 0


def test_functions_of_more_than_points_are_known() -> None:
    """Whatever reads the present, chance, events or tags is on the list of what is not kept."""
    marks = ("request.now", "random.", ".events", "fetch_tagged")
    found = {
        name
        for name, entry in FUNCTIONS.items()
        if any(mark in inspect.getsource(entry.call) for mark in marks)
    }
    assert found <= set(settled.UNSETTLED_FUNCTIONS)
    assert "timeSlice" in found


def test_a_clock_that_is_set_forgets(dashboard: Dashboard) -> None:
    """Points may come again into what was over."""
    query = f"format=json&target=requests.errors&{PERIOD}"
    dashboard.render(query)
    dashboard.clock.step_wall(-3_000)
    dashboard.clock.step_wall(2_990)
    dashboard.render(query)
    assert dashboard.hits == 0


@pytest.mark.parametrize(
    "further", ["&tz=Europe/Berlin", "&width=400", "&bgcolor=black", "&from=-1h"]
)
def test_every_parameter_counts(dashboard: Dashboard, further: str) -> None:
    """Zone, size and colours are part of what was asked."""
    query = f"format=svg&target=requests.errors&{PERIOD}"
    assert dashboard.render(query).status_code == 200
    dashboard.render(query + further)
    assert dashboard.hits == 0


def test_nobody_is_answered_from_memory_without_access(dashboard: Dashboard) -> None:
    """A tag opens nothing, and shared caches are told to keep out."""
    answer = dashboard.render(f"format=json&target=requests.errors&{PERIOD}")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert {"authorization", "cookie"} <= set(answer.vary.as_set())
    refused = dashboard.client.get(
        f"/render?format=json&target=requests.errors&{PERIOD}",
        headers={"If-None-Match": answer.headers["ETag"], "Via": "1.1 proxy"},
    )
    assert refused.status_code == 401


def test_memory_is_bounded(tmp_path: Path) -> None:
    """In bytes; what was used longest ago goes, and nothing large comes in."""
    clock = FakeClock(NOW)
    kept = settled.SettledResults(clock, 10_000)
    for number in range(100):
        kept.put(number, "past", NOW - 999, settled.QueryResult(b"x" * 1_000, "text/plain"))
        assert kept.get(0, "past") is not None
    assert kept.facts()["bytes"] <= 10_000
    assert kept.facts()["entries"] < 10
    kept.put("large", "past", NOW - 999, settled.QueryResult(b"x" * 9_000, "text/plain"))
    assert kept.get("large", "past") is None
    assert settled.SettledResults(clock, 0).put("x", "p", 0, settled.QueryResult(b"", "")) is None


def test_json_twins_carry_a_tag(dashboard: Dashboard) -> None:
    """A program that asks again for what has not changed gets 304."""
    first: Any = dashboard.get("/routes.json")
    assert dashboard.get("/routes.json", first.headers["ETag"]).status_code == 304


def test_a_reader_of_stored_data_sees_late_points(dashboard: Dashboard, tmp_path: Path) -> None:
    """`serve` opens no lock and is told all the same."""
    settings = dashboard.backend.loaded.settings
    reader = Store(tmp_path, settings, dashboard.clock, dashboard.backend.guard, read_only=True)
    before = reader.past
    assert before == reader.past
    dashboard.add(LATE)
    dashboard.store.flush()
    assert reader.past != before
