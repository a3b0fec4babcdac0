"""The pages of alerts: what they show, what people do there, and who may."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import Client, TestResponse

from inapp_monitor.alerts import ack_link
from inapp_monitor.alerts.ack_link import Problem
from inapp_monitor.alerts.sender import NotifierFacts
from inapp_monitor.ground.facts import Facts
from tests.alerts.judged_site import TOKEN, JudgedSite

BEARER = {"Authorization": f"Bearer {TOKEN}"}


def get(site: JudgedSite, path: str, **settings: Any) -> TestResponse:
    return Client(site.app(**settings)).get(path, headers=BEARER)


def test_list_has_the_worst_first(judged: JudgedSite) -> None:
    """Every rule with its status; those that nobody judged yet last among equals, and marked."""
    data = get(judged, "/alerts.json").json
    assert data is not None
    found = [(row["name"], row["status"], row["problems"], row["judged"]) for row in data["rules"]]
    assert found == [
        ("pay-fails", "CRITICAL", 1, True),
        ("deep.queue", "WARNING", 2, True),
        ("fine", "OK", 0, True),
        ("new", "OK", 0, False),
    ]
    assert data["problems"] == 3 and not data["stale"]
    assert [one["notifier"] for one in data["sent"]] == ["ops"]


def test_pages_open(judged: JudgedSite) -> None:
    """The list, and a rule whose name has a dot, as HTML; hostile texts act nowhere."""
    for path, expected in (("/alerts", "/pay fails"), ("/alerts/deep.queue", "shop.b.depth")):
        page = get(judged, path)
        text = page.get_data(as_text=True)
        assert page.status_code == 200
        assert expected in text
        assert "<script>alert" not in text and "\x1b" not in text
    data = get(judged, "/alerts/deep.queue.json").json
    assert data is not None and data["rule"]["name"] == "deep.queue"
    assert [turn["status"] for turn in data["transitions"]].count("WARNING") == 2
    assert get(judged, "/alerts/nothing").status_code == 404


def test_nobody_judges_any_more(judged: JudgedSite) -> None:
    """Old states are not shown as if they were of now."""
    judged.judge(ago_s=600)
    data = get(judged, "/alerts.json").json
    assert data is not None and data["stale"]
    assert "Nobody has judged" in get(judged, "/alerts").get_data(as_text=True)
    assert get(judged, "/health").status_code == 503


def test_closed_by_default(judged: JudgedSite) -> None:
    """Without the token there is no page, no state and no action."""
    client = Client(judged.app())
    for path in ("/alerts", "/alerts.json", "/alerts/pay-fails", "/health"):
        assert client.get(path).status_code == 401
    assert client.post("/alerts/pay-fails/acknowledge").status_code == 401
    assert judged.asked() == []


@pytest.mark.parametrize(
    ("action", "form", "kind"),
    [
        ("acknowledge", {"note": "on it", "series": ""}, "acknowledge"),
        ("acknowledge", {"sticky": "yes", "for": "2h"}, "acknowledge"),
        ("unacknowledge", {}, "unacknowledge"),
        ("downtime", {"for": "1h", "in": "10min", "note": "move"}, "downtime"),
        ("downtime", {"weekly": "sun 03:00-04:00"}, "downtime"),
        ("cancel-downtime", {"id": "1"}, "cancel_downtime"),
    ],
)
def test_actions(judged: JudgedSite, action: str, form: dict[str, str], kind: str) -> None:
    """Each leaves a request for the process that leads, and shows the page again."""
    client = Client(judged.app())
    done = client.post(f"/alerts/pay-fails/{action}", data=form, headers=BEARER)
    assert (done.status_code, done.headers["Location"]) == (303, "/alerts/pay-fails")
    assert judged.asked() == [("pay-fails", form.get("series", "*"), kind)]
    assert "Asked for" in client.get("/alerts/pay-fails", headers=BEARER).get_data(as_text=True)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"for": "soon"}, "for must be a duration"),
        ({}, "for must be a duration"),
        ({"weekly": "sun 3-4"}, "weekly must be such as"),
        ({"for": "1h", "in": "-5min"}, "in must be a duration"),
        ({"for": "1h", "flexible": "9999d"}, "flexible must be a duration"),
    ],
)
def test_what_cannot_be_understood(judged: JudgedSite, form: dict[str, str], text: str) -> None:
    """400 with what was expected; nothing is asked for."""
    done = Client(judged.app()).post("/alerts/pay-fails/downtime", data=form, headers=BEARER)
    assert done.status_code == 400
    assert text in done.get_data(as_text=True)
    assert judged.asked() == []


def test_forms_need_their_token_and_read_only_is_kept(judged: JudgedSite) -> None:
    """A session without the CSRF token does nothing, nor does anybody where it is read-only."""
    client = Client(judged.app())
    client.get(f"/?token={TOKEN}")
    assert client.post("/alerts/pay-fails/acknowledge", data={}).status_code == 403
    page = client.get("/alerts/pay-fails").get_data(as_text=True)
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf is not None
    headers = {"Sec-Fetch-Site": "same-origin"}
    sent = {"csrf": csrf[1], "series": ""}
    done = client.post("/alerts/pay-fails/acknowledge", data=sent, headers=headers)
    assert done.status_code == 303 and len(judged.asked()) == 1
    closed = Client(judged.app(read_only=True))
    assert closed.post("/alerts/pay-fails/acknowledge", headers=BEARER).status_code == 403
    assert '<form method="post" action="/alerts' not in closed.get(
        "/alerts/pay-fails", headers=BEARER
    ).get_data(as_text=True)


def test_notifiers_are_tested_from_the_page(judged: JudgedSite) -> None:
    """A notice about nothing goes to each that is sent notices; without any there is no button."""
    app = judged.app()
    client = Client(app)
    assert client.post("/alerts", headers=BEARER).status_code == 409
    facts = Facts([NotifierFacts((("ops", "smtp", True), ("am", "alertmanager", False)))])
    judged.backend.facts = lambda: facts
    page = client.get("/alerts", headers=BEARER).get_data(as_text=True)
    assert "Send a test" in page and "alertmanager" in page
    assert client.post("/alerts", headers=BEARER).status_code == 303
    rows = [row for row in judged.outbox.rows() if row.notice.rule == "test"]
    assert [(row.channel, row.state) for row in rows] == [("ops", "waiting")]


def link_of(site: JudgedSite, **changes: Any) -> str:
    state = site.kept.all()["pay-fails", ""].state
    expires = int(site.now + 3600)
    problem = Problem("pay-fails", "", int(state.problem_since or 0), expires)._replace(**changes)
    return f"/acknowledge/{ack_link.sign(ack_link.key_of(site.data_dir), problem)}"


def test_link_of_a_message_acknowledges_once(judged: JudgedSite) -> None:
    """Looking changes nothing; the button acknowledges, without any login."""
    client, link = Client(judged.app()), link_of(judged)
    page = client.get(link)
    assert page.status_code == 200 and "34 of 34" in page.get_data(as_text=True)
    assert judged.asked() == []
    for _ in range(3):
        assert "It is acknowledged" in client.post(link).get_data(as_text=True)
    assert judged.asked() == [("pay-fails", "", "acknowledge")]


def test_links_that_are_not_good(judged: JudgedSite) -> None:
    """Changed, expired, of another key, read-only: 404. Of an earlier problem: it is over."""
    client, link = Client(judged.app()), link_of(judged)
    for bad in (
        link[:-1] + ("A" if link[-1] != "A" else "B"),
        "/acknowledge/x",
        "/acknowledge/" + urlencode({"é": "ü"}),
        link_of(judged, expires=int(judged.now - 1)),
    ):
        assert client.get(bad).status_code == 404, bad
        assert client.post(bad).status_code == 404
    assert Client(judged.app(read_only=True)).post(link).status_code == 404
    earlier = link_of(judged, since=1_000_000)
    assert "is over" in client.post(earlier).get_data(as_text=True)
    assert judged.asked() == []


def test_health(judged: JudgedSite) -> None:
    """503 while a rule that pages is CRITICAL; public only when it is allowed, and then terse."""
    with_token = get(judged, "/health")
    assert (with_token.status_code, (with_token.json or {})["critical"]) == (503, ["pay-fails"])
    public = Client(judged.app(public_health=True)).get("/health")
    assert (public.status_code, public.json) == (503, {"status": "failing"})
    del judged.rules["pay-fails"]
    judged.judge()
    assert Client(judged.app(public_health=True)).get("/health").get_data() == b'{"status":"ok"}\n'


def test_damaged_rules_are_said(judged: JudgedSite) -> None:
    """A file that is no JSON is named on the page; nothing looks fine."""
    (judged.data_dir / "alert-rules.json").write_text("{broken")
    data = get(judged, "/alerts.json").json
    assert data is not None and "alert-rules.json" in data["fault"]
    assert get(judged, "/health").status_code == 503
