"""The addresses that SDKs send to: who is let in, what is answered, what is counted."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ingest.sentry.check_ins import check_in_of
from inapp_monitor.ingest.sentry.clock_drift import correct_item
from inapp_monitor.ingest.sentry.keys import Keys
from inapp_monitor.ingest.sentry.logs import records_of
from inapp_monitor.ingest.sentry.sessions import of_aggregates
from inapp_monitor.ingest.sentry.transactions import segments_of_spans

from .captures import KEY, captures, named
from .conftest import NOW, TOKEN, Installation, event_body


def test_all_recorded_requests_are_accepted(installation: Installation) -> None:
    """200 with the event's id; only what a development sidecar gets needs a key here."""
    for capture in captures():
        response = installation.replay(capture)
        if capture.request["path"] == "/stream":
            assert response.status_code == 401
            continue
        assert response.status_code == 200, (capture.name, response.text)
        events = capture.events()
        assert response.json is not None
        if events:
            assert response.json["id"] == events[0]["event_id"]


def test_counts_sessions_and_losses_are_shown(installation: Installation) -> None:
    """What the recorded SDKs sent, by project; a session sent twice counts once."""
    for capture in captures():
        installation.replay(capture)
    page = installation.page("/sdks.json")
    counts = page["counts"]["web"]
    assert counts["event"] == {"python": 31, "javascript": 15, "node": 10}
    assert counts["item"]["transaction"] == 3
    assert counts["item"]["check_in"] == 6
    assert counts["lost"]["error: ratelimit_backoff"] == 3
    releases = {row["release"]: row for row in page["releases"]}
    browser = releases["web@1.0.0"]
    assert (browser["total"], browser["unhandled"], browser["crash_free"]) == (3, 3, 0.0)
    assert releases["node@1.0.0"]["crash_free"] == 1.0


def test_an_error_of_a_browser_is_an_issue(installation: Installation) -> None:
    """With its type, message and stack on the page, whose text is inert."""
    installation.replay(named("browser/004"))
    issues = installation.page("/errors.json")["issues"]
    (issue,) = [each for each in issues if each["type"] == "TypeError"]
    detail = installation.page(f"/errors/{issue['id']}.json")
    assert detail["event"]["platform"] == "javascript"
    assert detail["event"]["exceptions"][0]["frames"][-1]["line"] == 21
    html = installation.client.get(
        f"/_metrics/errors/{issue['id']}",
        headers={"Authorization": f"Bearer {TOKEN}"},
    ).text
    assert "<script>alert(1)" not in html
    assert "browser boom" in html


def test_facts_under_the_name_of_a_secret_are_hidden(installation: Installation) -> None:
    """Their names are shown on the page, as are the facts beside them."""
    contexts = {"session": {"plan": "grey-goose"}, "device": {"family": "phone"}}
    installation.send(event_body(contexts=contexts))
    (issue,) = installation.page("/errors.json")["issues"]
    page = installation.client.get(
        f"/_metrics/errors/{issue['id']}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    assert page.status_code == 200
    assert "plan" in page.text
    assert "phone" in page.text
    assert "grey-goose" not in page.text


def test_keys_are_made_and_revoked_on_the_page(installation: Installation) -> None:
    """The page shows the DSN and the code for it, and what has come in."""
    authorized = {"Authorization": f"Bearer {TOKEN}"}
    for capture in captures()[:60]:
        installation.replay(capture)
    made = installation.client.post(
        "/_metrics/sdks/keys",
        data={"project": "worker", "origins": "https://a.example, *.b.example"},
        headers=authorized,
    )
    assert made.status_code == 303
    key = made.headers["Location"].partition("key=")[2]
    html = installation.client.get(f"/_metrics/sdks?key={key}", headers=authorized).text
    assert html.count(f"http://{key}@localhost/_metrics/sentry/2") == 4
    assert "@sentry/browser" in html
    assert "not sent by the SDK" in html
    again = f"/_metrics/sdks/keys/{key}"
    limits = {"origins": "*", "per_minute": "5"}
    assert (
        installation.client.post(f"{again}/limits", data=limits, headers=authorized).status_code
        == 303
    )
    found = installation.keys.find(key)
    assert found is not None
    assert (found.origins, found.per_minute) == (("*",), 5)
    assert installation.client.post(f"{again}/revoke", headers=authorized).status_code == 303
    assert installation.send(event_body(), query_string={"sentry_key": key}).status_code == 401
    assert installation.client.post(f"{again}/delete", headers=authorized).status_code == 303
    assert installation.keys.find(key) is None
    bad = installation.client.post(
        "/_metrics/sdks/keys", data={"project": "a/b"}, headers=authorized
    )
    assert bad.status_code == 400
    assert installation.client.post("/_metrics/sdks/keys", data={"project": "x"}).status_code == 401


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ({"sentry_key": KEY}, {}, 200),
        ({}, {"X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={KEY}"}, 200),
        ({}, {"Authorization": f"Sentry sentry_key={KEY}"}, 200),
        ({"sentry_key": "f" * 32}, {}, 401),
        ({"sentry_key": "../../etc/passwd"}, {}, 401),
        ({}, {}, 401),
        ({}, {"X-Sentry-Auth": "Sentry sentry_key="}, 401),
    ],
)
def test_a_key_is_needed(
    shared: Installation, query: dict[str, str], headers: dict[str, str], status: int
) -> None:
    """In the query or a header; another one is refused."""
    response = shared.send(event_body(), query_string=query, headers=headers)
    assert response.status_code == status


def test_a_tunnel_sends_the_dsn_in_the_envelope(installation: Installation) -> None:
    """At its own address too, where the DSN says the project."""
    dsn = f"http://{KEY}@localhost/_metrics/sentry/1"
    body = event_body().replace(b"{}", json.dumps({"dsn": dsn}).encode(), 1)
    assert installation.send(body, "/tunnel", query_string={}).status_code == 200
    other = body.replace(b"sentry/1", b"sentry/2")
    assert installation.send(other, "/tunnel", query_string={}).status_code == 403


def test_a_revoked_key_is_refused_at_once(installation: Installation) -> None:
    """As is one of another project."""
    assert installation.send(event_body()).status_code == 200
    assert installation.send(event_body(), "/api/7/envelope/").status_code == 403
    installation.keys.revoke(KEY, NOW)
    assert installation.send(event_body()).status_code == 401


def test_more_than_the_rate_is_answered_so_that_sdks_wait(installation: Installation) -> None:
    """429 with the headers that they obey, and after that time they may send again."""
    installation.keys.set_limits(KEY, (), 60)
    answers = [installation.send(event_body()).status_code for _ in range(40)]
    assert answers.count(200) == 30
    refused = installation.send(event_body())
    assert refused.status_code == 429
    wait_s = int(refused.headers["Retry-After"])
    assert refused.headers["X-Sentry-Rate-Limits"] == f"{wait_s}::key"
    installation.clock.advance(wait_s)
    assert installation.send(event_body()).status_code == 200
    assert installation.page("/sdks.json")["counts"]["web"]["refused"] == {"too many": 11}


def test_pages_of_other_origins_need_leave(installation: Installation) -> None:
    """Those of this site do not; a foreign one is refused and cannot read the answer."""

    def send(origin: str) -> tuple[int, str | None]:
        response = installation.send(event_body(), headers={"Origin": origin})
        return response.status_code, response.headers.get("Access-Control-Allow-Origin")

    assert send("http://localhost") == (200, "http://localhost")
    assert send("https://shop.example") == (403, None)
    assert send("null") == (403, None)
    installation.keys.set_limits(KEY, ["https://shop.example", "*.shop.test"], 600)
    assert send("https://shop.example") == (200, "https://shop.example")
    assert send("http://shop.example") == (403, None)
    assert send("https://a.shop.test") == (200, "https://a.shop.test")
    assert send("https://ashop.test") == (403, None)
    preflight = installation.client.options(
        f"/_metrics/sentry/api/1/envelope/?sentry_key={KEY}",
        headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "X-Sentry-Auth" in preflight.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"", "", 400),
        (b"[]", "", 400),
        (b"{}\n{}", "", 400),
        (b'{}\n{"type":"event","length":-1}\n{}', "", 400),
        (b'{}\n{"type":"event","length":1e9}\n{}', "", 400),
        (b'{}\n{"type":"event","length":50}\n{}', "", 400),
        (b'{}\n{"type":"event","length":1}\n{}', "", 400),
        (b'{}\n{"type":"event"}\nno json', "", 400),
        (b'{"a":"' + b"x" * 9_000 + b'"}', "", 413),
        (b'{}\n{"type":"event","length":9000000}\n', "", 413),
        (b'{}\n{"type":"event"}\n' + b"[" * 100_000, "", 413),
        (b'{}\n{"type":"event"}\n{"a":[' + b"0," * 300_000 + b"0]}", "", 413),
        (b"{}\n" + b'{"type":"nobody"}\nx\n' * 300, "", 413),
        (b"{}" + b"\n" * 1_000_000, "", 413),
        (b"\xef\xbb\xbf{}\n" + b'{"type":"event"}\n{"message":"x"}\n', "", 200),
        (b'{"event_id":"x"}\r\n{"type":"event","length":15}\r\n{"message":"a"}\r\n', "", 200),
        (b'{}\n{"type":"event"}\n{"timestamp":' + b"9" * 100_000 + b"}", "", 400),
        (gzip.compress(event_body(), mtime=0)[:-4], "gzip", 400),
        (gzip.compress(b" " * 30_000_000, mtime=0), "gzip", 413),
        (b"no gzip", "gzip", 400),
        (zlib.compress(event_body()), "deflate", 200),
        (zlib.compress(event_body())[2:-4], "deflate", 200),
        (
            gzip.compress(event_body()[:9], mtime=0) + gzip.compress(event_body()[9:], mtime=0),
            "GZIP",
            200,
        ),
        (event_body(), "zstd", 415),
        (event_body(), "gzip, br", 415),
        (b'{}\n{"type":"nobody","length":3}\nabc\n\n{"type":"event"}\n{"message":"x"}', "", 200),
        (b'{"event_id":"../../../x"}\n{"type":"event"}\n{"message":"x"}', "", 200),
    ],
)
def test_what_is_malformed_or_too_large_is_named(
    shared: Installation, body: bytes, encoding: str, status: int
) -> None:
    """Each with the status that SDKs know, and nothing fails."""
    headers = {"Content-Encoding": encoding} if encoding else {}
    response = shared.send(body, headers=headers)
    assert response.status_code == status, response.text
    assert status == 200 or response.headers["X-Sentry-Error"]
    assert not shared.monitor.guard.faults


def test_each_refusal_is_counted_once_under_its_reason(installation: Installation) -> None:
    """Of the project whose key was shown; what shows none is nobody's."""
    for body in (b"", b"{}\n{}", b'{}\n{"type":"event"}\nno json'):
        assert installation.send(body).status_code == 400
    assert installation.send(b"{}" + b"\n" * 1_000).status_code == 413
    assert installation.send(event_body(), headers={"Content-Encoding": "zstd"}).status_code == 415
    assert installation.send(event_body(), "/api/7/envelope/").status_code == 403
    assert installation.send(event_body(), headers={"Origin": "https://a.test"}).status_code == 403
    for query in ({"sentry_key": "f" * 32}, {}):
        assert installation.send(event_body(), query_string=query).status_code == 401
    assert installation.send(event_body(), "/api/1/store/", query_string={}).status_code == 401
    counts = installation.page("/sdks.json")["counts"]
    assert counts["web"]["refused"] == {
        "another project": 1,
        "encoding": 1,
        "malformed": 3,
        "origin": 1,
        "too large": 1,
    }
    assert counts[""]["refused"] == {"no key": 2, "unknown key": 1}


def test_a_text_cut_within_a_character_harms_nothing_beside_it(installation: Installation) -> None:
    """Half of a pair of UTF-16, as JavaScript cuts them, is shown as a replacement character."""
    whole = r"\\ud83d \ud83d\ude00 "
    sent = r'{"sid":"%s","init":true,"attrs":{"release":"a%s"},"status":"exited"}'
    cut = sent % ("1" * 32, whole + r"\ud83d"), sent % ("2" * 32, "")
    report = r'{"discarded_events":[{"reason":"\uDE00","category":"error","quantity":2}]}'
    body = "{}\n" + "".join(f'{{"type":"session"}}\n{each}\n' for each in cut)
    assert (
        installation.send(f'{body}{{"type":"client_report"}}\n{report}'.encode()).status_code == 200
    )
    installation.send(event_body(message="half \ud83d"))
    page = installation.page("/sdks.json")
    assert {row["release"] for row in page["releases"]} == {"a", "a\\ud83d \U0001f600 \ufffd"}
    assert page["counts"]["web"]["lost"] == {"error: \ufffd": 2}
    assert not installation.monitor.guard.faults


def test_what_is_sent_again_counts_once(installation: Installation) -> None:
    """The id says that it is the same event."""
    body = event_body(event_id="0123456789abcdef0123456789abcdef")
    for _ in range(3):
        assert installation.send(body).status_code == 200
    (issue,) = installation.page("/errors.json")["issues"]
    assert issue["count"] == 1


@pytest.mark.parametrize(
    ("clock_s", "came_s"),
    [
        (0.0, 100.0),
        (50.0, 50.0),  # a slow network explains that
        (-3_600.0, 100.0),  # behind
        (7_200.0, 100.0),  # ahead
        (-3 * 86_400.0, 3 * 86_400.0 + 100.0),  # kept on its way
        (40 * 86_400.0, 0.0),  # nothing is of the future
    ],
)
def test_a_senders_wrong_clock_is_put_right(
    shared: Installation, clock_s: float, came_s: float
) -> None:
    """By the time at which the envelope says that it was sent, breadcrumbs too."""
    now = shared.clock.wall()
    theirs, marker = now + clock_s, f"clock {clock_s}"
    sent = datetime.fromtimestamp(theirs, UTC).isoformat().replace("+00:00", "Z")
    crumb = {"message": "c", "timestamp": theirs - 101}
    more = {"timestamp": theirs - 100, "breadcrumbs": [crumb], "fingerprint": [marker]}
    body = event_body(message=marker, **more)
    head = json.dumps({"sent_at": sent}).encode()
    assert shared.send(body.replace(b"{}", head, 1)).status_code == 200
    issues = shared.page("/errors.json?q=clock")["issues"]
    (issue,) = [each for each in issues if each["message"] == marker]
    event = shared.page(f"/errors/{issue['id']}.json")["event"]
    assert now - event["time"] == pytest.approx(came_s, abs=0.01)
    if came_s:
        assert event["time"] - event["breadcrumbs"][0]["time"] == pytest.approx(1.0, abs=0.01)


def test_a_wrong_clock_is_put_right_in_every_item_that_states_times() -> None:
    """Log records, check-ins, sessions (one, or many of a minute), transactions and spans."""
    ahead, day = NOW + 7_200, NOW // 86_400 * 86_400
    trace = {"trace_id": "a" * 32, "span_id": "b" * 16, "end_timestamp": ahead}

    def put_right(payload: dict[str, object]) -> dict[str, object]:
        correct_item(payload, -7_200.0)
        return payload

    log = put_right({"items": [{"timestamp": ahead, "body": "x", "level": "info"}]})
    assert [record.time for record in records_of(log, "web", NOW)] == [NOW]
    when = datetime.fromtimestamp(ahead, UTC).isoformat()
    said = check_in_of(
        put_right({"monitor_slug": "m", "status": "ok", "timestamp": when}), "w", NOW
    )
    assert said is not None
    assert said.moment == NOW
    begun = {"started": day + 3_600, "exited": 3}
    many = put_right({"attrs": {"release": "1"}, "aggregates": [begun]})
    assert [update.day for update in of_aggregates(many, "web", NOW)] == [day - 86_400]
    row = {**trace, "start_timestamp": ahead - 1, "is_segment": True, "name": "load"}
    (segment,) = segments_of_spans(put_right({"items": [row]}))
    assert (segment.start, segment.end) == (NOW - 1, NOW)


def test_a_busy_programs_batch_of_log_records_is_kept_whole() -> None:
    """SDKs send a hundred at once, and with them what came meanwhile."""
    rows = [{"body": f"line {number}", "level": "info"} for number in range(1_000)]
    records = list(records_of({"items": rows}, "web", NOW))
    assert (len(records), records[0].text, records[-1].text) == (1_000, "line 0", "line 999")


def test_feedback_becomes_a_note_at_its_issue(installation: Installation) -> None:
    """By the event it names or the trace; without either it is an issue of its own."""
    installation.replay(named("browser/004"))
    installation.tick()
    installation.tick()
    installation.replay(named("browser/011"))
    installation.tick()
    installation.tick()
    (issue,) = installation.page("/errors.json")["issues"]
    history = installation.page(f"/errors/{issue['id']}.json")["issue"]["history"]
    (note,) = [turn for turn in history if turn["kind"] == "comment"]
    assert note["text"] == "it broke (Jo jo@example.com)"
    installation.replay(named("node/019"))
    for _ in range(12):
        installation.tick()
    types = {issue["type"] for issue in installation.page("/errors.json")["issues"]}
    assert types == {"TypeError", "Feedback"}


def test_numbers_become_series_of_the_project(installation: Installation) -> None:
    """A counter and a gauge of `sentry_sdk.metrics`."""
    installation.replay(named("python/022"))
    installation.tick()
    installation.tick()
    found = {leaf.path for leaf in installation.monitor.store.leaves()}
    assert {"sentry.web.jobs", "sentry.web.q"} <= found


def test_keys_are_made_once_and_never_twice(tmp_path: Path) -> None:
    """A project keeps its number; impossible arguments are named; the file is private."""
    keys = Keys(tmp_path)
    first, second = keys.make("web", NOW), keys.make("worker", NOW)
    assert (first.number, second.number, keys.make("web", NOW).number) == (1, 2, 1)
    assert keys.path.stat().st_mode & 0o777 == 0o600
    assert Keys(tmp_path).find(first.key) == first
    with pytest.raises(MonitorError, match="project"):
        keys.make("../web", NOW)
    with pytest.raises(MonitorError, match="there already"):
        keys.make("web", NOW, key=first.key)
    with pytest.raises(MonitorError, match="origin"):
        keys.make("web", NOW, origins=["javascript:alert(1)"])
    keys.path.write_text("{")
    with pytest.raises(MonitorError, match="cannot be understood"):
        keys.find(first.key)
