"""Rules made on the page: preview, saving, priority of files, copies, and who may."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.page_rules import InForce, PageRules
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.rule_tables import table_of, toml_of
from inapp_monitor.alerts.status import Status
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.testing import FakeClock
from tests.alerts.notices import HOSTILE
from tests.alerts.test_looks import Leader, leader

__all__ = ["leader"]

TOKEN = "rules-token-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Site:
    """A running monitor with a queue that was deep for an hour, two days ago."""

    def __init__(self, data_dir: Path, **more: Any) -> None:
        self.clock = FakeClock()
        quiet = {"collect_process": False, "collect_host": False}
        self.monitor = Monitor(
            self._app, data_dir=data_dir, clock=self.clock, token=TOKEN, **quiet, **more
        )
        self.client = Client(self.monitor)
        self.client.get("/").close()
        self.monitor.tick()
        now = int(self.clock.now) // 600 * 600
        deep = range(now - 50 * 3_600, now - 49 * 3_600)
        points = [
            Scalar("shop.depth", t, 500.0 if t in deep else 5.0, Method.LAST)
            for t in range(now - 3 * 86_400, now, 600)
        ]
        self.monitor.store.add(Batch(points, []))
        self.wait(5)

    def _app(self, _environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.monitor.tick()

    def get(self, path: str, **query: str) -> Any:
        return self.client.get(f"/_metrics{path}", query_string=query, headers=BEARER)

    def post(self, path: str, **form: str) -> int:
        return self.client.post(f"/_metrics{path}", data=form, headers=BEARER).status_code

    def rule(self, name: str) -> dict[str, Any] | None:
        rows = self.get("/alerts.json").json["rules"]
        return next((row for row in rows if row["name"] == name), None)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.monitor.close()


DEEP = {"name": "deep", "target": "shop.depth", "critical": "> 100", "severity": "page"}


def test_a_preview_says_what_it_would_have_found(site: Site) -> None:
    """One problem, with begin and end; the chart has the limit; nothing is saved by looking."""
    data = site.get("/edit-alert.json", **DEEP).json
    found = data["preview"]
    assert (found["count"], found["series"], data["problem"]) == (1, 1, "")
    (problem,) = found["problems"]
    assert problem["status"] == "CRITICAL"
    assert abs(problem["until"] - problem["since"] - 3_600) <= 2 * found["step_s"]
    assert "critical ~:100" in [line["name"] for line in data["chart"]["series"]]
    quiet = site.get("/edit-alert.json", **{**DEEP, "critical": "> 900"}).json["preview"]
    assert quiet["count"] == 0 and quiet["known"]
    site.wait(5)
    assert site.rule("deep") is None
    page = site.get("/edit-alert", **DEEP)
    assert page.status_code == 200 and "1 problem" in page.text and "Save the rule" in page.text


def test_a_saved_rule_is_judged_changed_and_deleted(site: Site) -> None:
    """Within seconds, with who made it; deleting forgets its states."""
    assert site.post("/edit-alert", **DEEP) == 303
    site.wait(30)
    made = site.rule("deep")
    assert made is not None and made["source"] == "page" and made["severity"] == "page"
    assert "this page, by" in site.get("/alerts/deep").text
    form = site.get("/edit-alert.json", change="deep").json
    assert form["given"]["critical"] == "~:100" and form["replaces"] == "page"
    assert site.post("/edit-alert", **{**DEEP, "critical": "> 1"}) == 303
    site.wait(90)
    made = site.rule("deep")
    assert made is not None and made["critical"] == "~:1"
    assert site.post("/edit-alert/delete", name="deep") == 303
    site.wait(5)
    assert site.rule("deep") is None
    assert site.post("/edit-alert/delete", name="deep") == 404


def test_a_rule_of_the_app_has_priority(site: Site) -> None:
    """It cannot be replaced on the page, but copied; a built-in one can, and comes back."""
    site.monitor.alert("queue", "shop.depth > 700")
    site.wait(15)
    assert site.post("/edit-alert", **{**DEEP, "name": "queue"}) == 400
    assert "priority" in site.get("/edit-alert", change="queue").text
    copy = site.get("/edit-alert.json", copy="queue").json
    assert copy["given"]["name"] == "queue-2" and copy["replaces"] == ""
    assert site.post("/edit-alert", **DEEP) == 303
    site.wait(5)
    site.monitor.alert("deep", "shop.depth > 800")
    site.wait(15)
    found = site.rule("deep")
    assert found is not None and (found["source"], found["critical"]) == ("monitor.alert", "~:800")
    assert "has no effect" in site.get("/alerts/deep").text
    space = {"name": "disk-space", "target": "host.disk.free_bytes", "critical": "5:"}
    assert site.post("/edit-alert", **space) == 303
    assert site.post("/edit-alert", name="slow-requests", notify="no") == 303
    site.wait(15)
    changed, silent = site.rule("disk-space"), site.rule("slow-requests")
    assert changed is not None and changed["source"] == "page"
    assert silent is not None and not silent["notify"]
    site.post("/edit-alert/delete", name="disk-space")
    site.wait(15)
    back = site.rule("disk-space")
    assert back is not None and back["source"] == "built-in"


WRONG: list[tuple[dict[str, str], str]] = [
    ({"name": "Deep!"}, "lower-case"),
    ({"critical": ""}, "neither"),
    ({"critical": "much"}, "condition 'much'"),
    ({"target": "noSuchFunction(a)"}, "noSuchFunction"),
    ({"more": "interval ="}, "more keys"),
    ({"more": "critical = '5'"}, "field of its own"),
    ({"more": "colour = 'red'"}, "unknown key"),
    ({"attempts": "many"}, "attempts"),
]


def test_what_is_no_rule_is_refused_by_name(site: Site) -> None:
    """In the preview beside the form, and with 400 when it is posted; nothing is kept."""
    for form, complaint in WRONG:
        given = {**DEEP, **form}
        assert complaint in site.get("/edit-alert.json", **given).json["problem"], form
        assert site.post("/edit-alert", **given) == 400, form
    assert site.get("/edit-alert", **DEEP, more="=").status_code == 200
    assert PageRules(site.monitor.database).all() == {}


def test_only_who_may_act_makes_rules(tmp_path: Path, site: Site) -> None:
    """Not without a token, not by another site's form, not on a dashboard that is read only."""
    anonymous = site.client.get("/_metrics/edit-alert")
    assert anonymous.status_code in (302, 303, 401)
    assert site.client.post("/_metrics/edit-alert", data=DEEP).status_code in (302, 303, 401, 403)
    browser = Client(site.monitor)
    browser.post("/_metrics/login", data={"token": TOKEN})
    assert browser.post("/_metrics/edit-alert", data=DEEP).status_code in (400, 403)
    page = browser.get("/_metrics/edit-alert", query_string=DEEP).text
    (token,) = set(re.findall(r'name="csrf" value="([^"]+)"', page))
    assert browser.post("/_metrics/edit-alert", data={**DEEP, "csrf": token}).status_code == 303
    quiet = Site(tmp_path / "other", read_only=True)
    try:
        assert quiet.get("/edit-alert").status_code == 404
        assert quiet.post("/edit-alert", **DEEP) in (403, 404)
        assert "New rule" not in quiet.get("/alerts").text
    finally:
        quiet.monitor.close()


def test_hostile_texts_act_nowhere(site: Site) -> None:
    """Titles, notes and labels are shown as texts, and the kept text is TOML."""
    given = {
        **DEEP,
        "title": HOSTILE[:500].encode("utf-8", "replace").decode(),
        "runbook": "javascript:alert(1)",
    }
    page = site.get("/edit-alert", **given)
    assert page.status_code == 200
    assert "<script>alert" not in page.text and 'href="javascript' not in page.text
    assert site.post("/edit-alert", **given) == 303
    site.wait(5)
    text = site.get("/edit-alert.json", change="deep").json["toml"]
    assert tomllib.loads(text)["rules"]["deep"]["target"] == "shop.depth"
    shown = site.get("/alerts/deep").text
    assert "<script>alert" not in shown and 'href="javascript' not in shown


TABLES: list[dict[str, object]] = [
    {"critical": "p95 > 300ms for 3"},
    {"warning": "errors > 5% of requests", "critical": "errors > 9% of requests for 2min"},
    {"target": "shop.*.depth", "warning": "@5:9", "recovery": "~:3", "unit": "jobs"},
    {"critical": "p95 > 1.23456 * same hour last week"},
    {"critical": "requests < 0.2 * same hour yesterday", "renotify": "4h"},
    {"target": "shop.depth", "critical": "no data for 10min"},
    {"target": "a.b", "critical": "5", "labels": {"team": "x"}, "parents": ["disk-space"]},
    {"target": "a.b", "critical": ">= 5", "window": "5min", "interval": "30s", "notify": False},
]


@pytest.mark.parametrize("table", TABLES)
def test_the_text_of_a_rule_is_that_rule(table: dict[str, object]) -> None:
    """What the page offers for a file means what the rule means."""
    rule = Rule.parse("x.y", table, "test")
    text = toml_of("x.y", table_of(rule))
    assert Rule.parse("x.y", tomllib.loads(text)["rules"]["x.y"], "test") == rule


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_title_is_a_toml_text(title: str) -> None:
    """Quotes, controls and newlines included."""
    found = tomllib.loads(toml_of("x", {"title": title}))
    assert found["rules"]["x"]["title"] == title


def test_the_next_leader_keeps_states_of_rules_of_the_page(leader: Leader) -> None:
    """They are in force before states are restored: an open problem is no new one."""
    made = PageRules(leader.database)
    assert made.put("deep", {"critical": "shop.depth > 5", "attempts": 1}, "ann", 1.0)
    for _ in range(2):
        engine = leader.next_engine()
        in_force = InForce(made, engine, built_in.all_rules())
        for _ in range(40):
            point = Scalar("shop.depth", int(leader.clock.now), 9.0, Method.LAST)
            leader.store.add(Batch([point], []))
            in_force.tick(leader.clock.now)
            engine.tick(leader.clock.now)
            leader.database.write_pending()
            leader.clock.advance(1)
        assert engine.states["deep", "shop.depth"].state.status == Status.CRITICAL
    assert [kind for _, kind in leader.sent] == ["PROBLEM"]
