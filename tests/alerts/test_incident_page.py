"""An incident's page: its whole story, also long after it is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from inapp_monitor.alerts.incidents import Incidents, Part
from tests.alerts.test_in_the_monitor import HEADERS, TOKEN, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.monitor.close()


def test_an_incident_has_its_story(site: Site) -> None:
    """What began and ended, a rule that joined, who acknowledged; and it is a mark on the chart."""
    site.monitor.alert("many", "requests > 1 for 1", window="10s", interval="10s", severity="info")
    site.busy(60, "/list", "/")
    site.slow["/list"] = 0.8
    site.busy(25, "/list", "/")
    (row,) = site.overview()["incidents"]
    path = "/_metrics/alerts/slow-requests/acknowledge"
    form = {"series": "*", "note": "on <b>it</b>"}
    assert site.client.post(path, data=form, headers=HEADERS).status_code == 303
    site.busy(5, "/list", "/")
    site.slow.clear()
    site.busy(60, "/list", "/")
    answer = site.client.get(f"/_metrics/incidents/{row['id']}.json", headers=HEADERS)
    assert answer.status_code == 200
    story = answer.json
    found = [event["what"] for event in story["events"]]
    assert found.count("began") == found.count("over") == len(row["parts"]) > 0
    assert found.count("acknowledged") == 1
    assert [event["at"] for event in story["events"]] == sorted(
        event["at"] for event in story["events"]
    )
    assert any(event["text"].startswith("many:") for event in story["events"])
    assert story["incident"]["until"] is not None and "was slow" in story["incident"]["title"]
    assert story["acknowledged_by"].endswith("on <b>it</b>")
    assert story["chart"]["title"] == "routes.unrouted.GET.time.p95"
    page = site.client.get(f"/_metrics/incidents/{row['id']}", headers=HEADERS)
    assert page.status_code == 200 and "What happened" in page.text
    assert "<b>it</b>" not in page.text
    overview = site.client.get("/_metrics/", headers={**HEADERS, "Accept": "text/html"})
    assert f"/incidents/{row['id']}" in overview.text
    route = site.client.get("/_metrics/routes/unrouted.json", headers=HEADERS).json
    marks = [mark["label"] for mark in route["charts"]["latency"]["markers"]]
    assert f"incident {row['id']}" in marks


def test_a_rule_of_the_users_own_is_an_incident_and_a_verdict(site: Site) -> None:
    """From its onset to its end, with who acknowledged; looking back names it, too."""
    fast = {"window": "10s", "interval": "10s", "title": "Too many jobs"}
    site.monitor.alert("queue", "shop.queue.depth > 100 for 2", **fast)
    site.monitor.alert("idle", "shop.none > 1 for 1", **fast)  # UNKNOWN is no incident
    begin = int(site.clock.now)
    for depth in (5, 500):
        for _ in range(7):
            site.monitor.gauge("shop.queue.depth", depth)
            site.wait(10)
    (row,) = site.overview()["incidents"]
    assert (row["title"], row["state"], row["until"]) == ("Too many jobs", "crit", None)
    assert row["path"] == "/alerts/queue" and 55 <= row["since"] - begin <= 110
    assert "Too many jobs | 500 in 10 s, critical range ~:100" in site.wrong()
    form = {"series": "*", "note": "known"}
    acknowledge = "/_metrics/alerts/queue/acknowledge"
    assert site.client.post(acknowledge, data=form, headers=HEADERS).status_code == 303
    for _ in range(4):
        site.monitor.gauge("shop.queue.depth", 5)
        site.wait(10)
    assert site.wrong() == []
    until = int(site.clock.now)
    (back,) = site.wrong(f"?from={begin}&until={until}")
    assert back.startswith("Too many jobs | ") and "known" in back
    story = site.client.get(f"/_metrics/incidents/{row['id']}.json", headers=HEADERS).json
    told = [event["what"] for event in story["events"] if event["what"] != "rule"]
    assert told == ["began", "acknowledged", "over"]
    assert story["acknowledged_by"].endswith("known") and story["chart"] is not None
    assert site.client.get(f"/_metrics/incidents/{row['id']}", headers=HEADERS).status_code == 200


def test_what_lasts_does_not_draw_everything_into_its_incident() -> None:
    """A disk that is full for a day: what happens hours later is an incident of its own, and both
    go on and end by themselves."""
    incidents = Incidents(None)

    def part(rule: str, begun: float, of_rule: bool) -> Part:
        return Part(rule, "", rule, "", "warn", "/", begun, begun, of_rule=of_rule)

    disk, slow, soon = part("disk", 0, True), part("slow", 9_000, False), part("late", 9_100, True)
    first = incidents.add(disk, lambda start, end: [])
    second = incidents.add(slow, lambda start, end: [{"timestamp": 8_990, "label": "2.0"}])
    assert incidents.add(soon, lambda start, end: []) is second is not first
    assert second.cause == "2.0" and incidents.open == [second, first]
    incidents.deployed({"timestamp": 9_060, "label": "2.1"})
    assert second.cause == "2.0" and len(second.deploys) == 2
    assert second.deploy_words() == "since deploy 2.0"
    assert second.deploy_words(soon) == "found 40 s after deploy 2.1"
    incidents.update(slow, ended=9_300.0)
    incidents.update(soon, ended=9_300.0)
    assert incidents.open == [first] and incidents.part_of("disk", "") is disk
    incidents.end_others([], 9_400.0)
    assert disk.ended is None


def test_what_is_no_incident_is_not_found(site: Site) -> None:
    """And nobody sees one without a token."""
    site.busy(2, "/")
    assert site.client.get("/_metrics/incidents/77", headers=HEADERS).status_code == 404
    assert site.client.get("/_metrics/incidents/x", headers=HEADERS).status_code == 404
    assert TOKEN and site.client.get("/_metrics/incidents/1").status_code != 200
