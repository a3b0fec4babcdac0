"""An incident's page: its whole story, also long after it is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alerts.test_in_the_monitor import HEADERS, TOKEN, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.monitor.close()


def test_an_incident_has_its_story(site: Site) -> None:
    """What began and ended, a rule that joined, who acknowledged; and it is a mark on the chart."""
    site.monitor.alert("many", "requests > 1 for 1", window="10s", interval="10s")
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


def test_what_is_no_incident_is_not_found(site: Site) -> None:
    """And nobody sees one without a token."""
    site.busy(2, "/")
    assert site.client.get("/_metrics/incidents/77", headers=HEADERS).status_code == 404
    assert site.client.get("/_metrics/incidents/x", headers=HEADERS).status_code == 404
    assert TOKEN and site.client.get("/_metrics/incidents/1").status_code != 200
