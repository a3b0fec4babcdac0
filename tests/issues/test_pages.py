"""The error pages over a real monitor: what is shown, chosen and done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from inapp_monitor import Monitor, set_tag

HTML = {"Accept": "text/html"}
ATTACK = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    path = environ["PATH_INFO"]
    if path == "/chain":
        try:
            environ["found"] = {}["voucher"]
        except KeyError as error:
            raise LookupError("no such voucher") from error
    if path.startswith("/chian"):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b""]
    if path == "/attack":
        attack = {ATTACK: ATTACK}
        raise ValueError(ATTACK, attack)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


class Visitor:
    """A browser that is let in, with the session's CSRF token."""

    def __init__(self, monitor: Monitor) -> None:
        self.client = Client(monitor)
        assert self.client.get("/_metrics/?token=letmein-letmein-letmein").status_code == 303

    def fail(self, path: str = "/chain", times: int = 1, **headers: Any) -> None:
        for _ in range(times):
            with pytest.raises((LookupError, ValueError)):
                self.client.get(path, headers={"User-Agent": "test", **headers})

    def page(self, path: str) -> str:
        answer = self.client.get(f"/_metrics{path}", headers=HTML)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    def json(self, path: str) -> Any:
        answer = self.client.get(f"/_metrics{path}")
        assert answer.status_code == 200, answer.text
        return answer.json

    def post(self, path: str, **form: Any) -> TestResponse:
        found = re.search(r'name="csrf" value="([^"]+)"', self.page("/errors"))
        assert found
        return self.client.post(f"/_metrics{path}", data={"csrf": found[1], **form})

    def issue(self, number: int = 0) -> dict[str, Any]:
        listed: dict[str, Any] = self.json("/errors.json")["issues"][number]
        return listed


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    monitor = Monitor(
        app,
        data_dir=tmp_path / "data",
        token="letmein-letmein-letmein",
        flush_interval_s=60,
        release="1.5",
        route=["/chain", "/attack"],
    )
    yield Visitor(monitor)
    assert monitor.guard.faults == {}
    monitor.close()


def test_one_page_shows_all(visitor: Visitor) -> None:
    """All exceptions, the failing expression marked, locals, request, curl, tags, the reason."""
    visitor.fail(times=3, **{"X-Note": "7"})
    page = visitor.page(f"/errors/{visitor.issue()['id']}")
    for part in (
        *("LookupError", "no such voucher", "caused by", "KeyError", "'voucher'"),
        *('<mark>{}["voucher"]</mark>', "environ", "X-Note", "repeat it with curl"),
        *("curl -H 'User-Agent: test'", "event 3 of 3 kept, 3 seen", "/chain 100 %"),
        *("Why these are together", "raising 'no such voucher'", "Occurrences", "1.5"),
    ):
        assert part in page, part


def test_events_are_walked_through(visitor: Visitor) -> None:
    """First, previous, next and last, by number in the address."""
    visitor.fail(times=3)
    issue = visitor.issue()["id"]
    assert "event=2" in visitor.page(f"/errors/{issue}")
    page = visitor.page(f"/errors/{issue}?event=2")
    assert "event 2 of 3" in page
    assert ("event=1" in page, "event=3" in page) == (True, True)
    for wrong in ("0", "4", "x", "-1", "9" * 50):
        assert visitor.client.get(f"/_metrics/errors/{issue}?event={wrong}").status_code == 400


def test_an_event_is_copied_as_text_markdown_or_json(visitor: Visitor) -> None:
    """With its own media type, never as HTML."""
    visitor.fail()
    base = f"/_metrics/errors/{visitor.issue()['id']}/event"
    for form, media_type, part in (
        ("txt", "text/plain", "LookupError: no such voucher"),
        ("md", "text/markdown", "```python"),
        ("json", "application/json", '"type":"LookupError"'),
    ):
        answer = visitor.client.get(f"{base}.{form}?event=1")
        assert answer.mimetype == media_type
        assert part in answer.text


def test_the_list_is_chosen_from(visitor: Visitor) -> None:
    """By status, release, route and words; the address holds the choice."""
    visitor.fail("/chain", 2)
    visitor.fail("/attack")
    for query, types in (
        ("sort=count", ["LookupError", "ValueError"]),
        ("route=/attack", ["ValueError"]),
        ("text=voucher", ["LookupError"]),
        ("status=resolved", []),
        ("status=unresolved&sort=count", ["LookupError", "ValueError"]),
        ("release=1.5&sort=count", ["LookupError", "ValueError"]),
        ("release=9", []),
    ):
        issues = visitor.json(f"/errors.json?{query}")["issues"]
        assert [issue["type"] for issue in issues] == types, query
    assert 'value="voucher"' in visitor.page("/errors?text=voucher")
    assert "No issue matches" in visitor.page("/errors?text=nothing")
    assert visitor.client.get("/_metrics/errors?status=odd").status_code == 400


def test_json_has_the_promised_fields(visitor: Visitor) -> None:
    """`errors.json` and the issue's own document."""
    visitor.fail()
    fields = "id type title culprit status count users first_seen last_seen release fingerprint"
    issue = visitor.issue()
    assert set(fields.split()) <= set(issue)
    detail = visitor.json(f"/errors/{issue['id']}.json")["issue"]
    assert detail["events"][0]["exceptions"][1]["relation"] == "cause"


@pytest.mark.parametrize(
    ("action", "form", "expected"),
    [
        ("resolve", {}, ("resolved", "")),
        ("resolve", {"release": "1.6"}, ("resolved", "1.6")),
        ("mute", {}, ("muted", "")),
        ("mute-day", {}, ("muted", "")),
        ("mute-until", {"more": "5"}, ("muted", "")),
        ("mute-until", {"more": "5", "within": "hour"}, ("muted", "")),
    ],
)
def test_actions(visitor: Visitor, action: str, form: Any, expected: tuple[str, str]) -> None:
    """Each button changes the state and shows the issue again; Reopen takes it back."""
    visitor.fail()
    issue = visitor.issue()["id"]
    done = visitor.post(f"/errors/{issue}/{action}", **form)
    assert (done.status_code, done.headers["Location"]) == (303, f"/_metrics/errors/{issue}")
    found = visitor.json(f"/errors/{issue}.json")["issue"]
    assert (found["status"], found["resolved_release"]) == expected
    visitor.post(f"/errors/{issue}/reopen")
    assert visitor.issue()["status"] == "open"


def test_comments_and_deletion(visitor: Visitor) -> None:
    """A comment stands in the history; a deleted issue is gone."""
    visitor.fail()
    issue = visitor.issue()["id"]
    visitor.post(f"/errors/{issue}/comment", comment="looks like the cache")
    assert "looks like the cache" in visitor.page(f"/errors/{issue}")
    assert visitor.post(f"/errors/{issue}/delete").headers["Location"] == "/_metrics/errors"
    assert visitor.json("/errors.json")["issues"] == []


def test_several_are_merged_and_split_again(visitor: Visitor) -> None:
    """Merged into the one seen first; each fingerprint can be taken out again."""
    visitor.fail("/chain", 2)
    visitor.fail("/attack")
    ids = [visitor.issue(0)["id"], visitor.issue(1)["id"]]
    visitor.post("/errors", action="merge", issue=ids)
    merged = visitor.issue()
    assert merged["count"] == 3
    page = visitor.page(f"/errors/{merged['id']}")
    assert page.count("Split off") == 2
    prints = visitor.json(f"/errors/{merged['id']}.json")["issue"]["fingerprints"]
    visitor.post(f"/errors/{merged['id']}/split", fingerprint=prints[1]["fingerprint"])
    assert len(visitor.json("/errors.json")["issues"]) == 2
    visitor.post(f"/errors/{ids[0]}/merge", into=ids[1])
    assert len(visitor.json("/errors.json")["issues"]) == 1


def test_wrong_input_is_refused(visitor: Visitor) -> None:
    """Without a CSRF token, with odd values, unknown actions and ids."""
    visitor.fail()
    issue = visitor.issue()["id"]
    assert visitor.client.post(f"/_metrics/errors/{issue}/delete").status_code == 403
    assert visitor.client.post("/_metrics/errors", data={"action": "mute"}).status_code == 403
    assert visitor.post(f"/errors/{issue}/mute-until", more="x").status_code == 400
    assert visitor.post(f"/errors/{issue}/merge", into="nosuch").status_code == 400
    assert visitor.post("/errors", action="explode", issue=issue).status_code == 404
    assert visitor.post("/errors", action="resolve", issue="nosuch").status_code == 303
    assert visitor.issue()["status"] == "open"


def test_a_404_names_the_route_that_was_meant(visitor: Visitor) -> None:
    """The existing route that is spelled most alike."""
    visitor.client.get("/chain/", headers=HTML)
    visitor.fail()
    visitor.client.get("/chian")
    rows = visitor.json("/not-found.json")["not_found"]
    assert {row["path"]: row["nearest"] for row in rows}["/chian"] == "/chain"
    assert "meant <code>/chain</code>?" in visitor.page("/not-found")


def test_hostile_texts_are_inert(visitor: Visitor) -> None:
    """In titles, locals, tags, headers, paths and search words."""
    set_tag("odd", ATTACK)
    visitor.fail("/attack", **{"X-Odd": ATTACK, "Referer": f"javascript:{ATTACK}"})
    issue = visitor.issue()["id"]
    for path in ("/errors", f"/errors/{issue}", "/errors?text=%22%3E%3Cscript%3E"):
        answer = visitor.client.get(f"/_metrics{path}", headers=HTML)
        for live in ("<script>alert", "<img src", 'href="javascript:'):
            assert live not in answer.text, path
    text = visitor.client.get(f"/_metrics/errors/{issue}/event.txt")
    assert text.headers["X-Content-Type-Options"] == "nosniff"
