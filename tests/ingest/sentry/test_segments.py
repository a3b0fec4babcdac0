"""Transactions and spans of SDKs become kept traces, linked to what else is in their trace."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from inapp_monitor.ingest.sentry.kept_segments import (
    JOINS_S,
    MAX_WAITING,
    WAITS_S,
    KeptSegments,
)
from inapp_monitor.ingest.sentry.transactions import (
    Segment,
    segment_of_transaction,
    segments_of_spans,
)
from inapp_monitor.traces import kept_trace
from inapp_monitor.traces.trace_table import MAX_OF_SDKS, TraceTable

from .captures import captures, named
from .conftest import NOW, TOKEN, Installation, event_body

TRACE = "84439a6b66d846428d80e3f4869d3ad0"


def envelope(kind: str, payload: dict[str, Any]) -> bytes:
    """An envelope with one item."""
    return b"{}\n" + json.dumps({"type": kind}).encode() + b"\n" + json.dumps(payload).encode()


def transaction(**more: Any) -> dict[str, Any]:
    """A request that a worker of another service answered in 250 ms."""
    about = {"trace_id": TRACE, "span_id": "a" * 16, "op": "http.server", "status": "ok"}
    return {
        "type": "transaction", "transaction": "/cart/{id}", "platform": "python",
        "start_timestamp": NOW - 1, "timestamp": NOW - 0.75, "contexts": {"trace": about},
        "request": {"method": "GET", "url": "https://shop.example/cart/7?token=geheim123"},
        "spans": [
            {"op": "db.sql.query", "description": "SELECT * FROM cart WHERE id = 4711",
             "start_timestamp": NOW - 0.9, "timestamp": NOW - 0.8,
             "data": {"db.system": "postgresql"}},
            {"op": "http.client", "description": "GET https://pay.example/?key=1",
             "status": "internal_error",
             "start_timestamp": NOW - 0.8, "timestamp": NOW - 0.76,
             "data": {"http.response.status_code": 503}},
        ], **more,
    }  # fmt: skip


def kept(installation: Installation) -> list[dict[str, Any]]:
    """The kept traces, once everything that waits has waited."""
    installation.clock.advance(WAITS_S + 1)
    installation.tick()
    installation.tick()
    rows: list[dict[str, Any]] = installation.page("/traces.json?from=-1d")["traces"]
    return [row for row in rows if row["project"]]


def test_recorded_transactions_are_kept_with_their_spans(installation: Installation) -> None:
    """Name, kind of work, duration and what it did: statements as shapes, calls by their status."""
    (payload,) = [payload for kind, payload in named("python/013").items if kind == "transaction"]
    installation.replay(named("python/013"))
    (row,) = kept(installation)
    assert (row["route"], row["method"], row["project"]) == ("demo transaction", "task", "web")
    assert row["trace"] == payload["contexts"]["trace"]["trace_id"]
    page = installation.page(f"/traces/{row['id']}.json")
    assert page["trace"]["ms"] == 18.311
    shown = [(each["kind"], each["text"]) for each in page["rows"] if each["kind"] != "rest"]
    assert shown == [
        ("database", "SELECT * FROM t WHERE id = ?"),
        ("http", "GET http://example.com/"),
    ]


def test_spans_that_come_in_several_envelopes_are_one_trace(installation: Installation) -> None:
    """As @sentry/browser sends a page's load, whose own span comes last or never."""
    sent = 0
    for capture in captures():
        spans = [payload for kind, payload in capture.items if kind == "span"]
        if capture.name.startswith("browser/") and TRACE in json.dumps(spans):
            installation.replay(capture)
            sent += sum(len(payload["items"]) for payload in spans)
    (row,) = [row for row in kept(installation) if row["trace"] == TRACE]
    whole = 1 if row["method"] == "pageload" else 0
    assert (row["route"], row["spans"] + whole) == ("Pageload", sent)
    installation.replay(named("node/013"))
    (row,) = [row for row in kept(installation) if row["trace"] != TRACE]
    assert (row["route"], row["method"], row["status"], row["spans"]) == (
        "demo tx", "task", "ok", 1,
    )  # fmt: skip


def test_the_whole_of_a_request_is_shown_as_one(installation: Installation) -> None:
    """Its method, path without secrets, status and failed call."""
    body = transaction()
    body["contexts"]["response"] = {"status_code": 502}
    installation.send(envelope("transaction", body))
    (row,) = kept(installation)
    assert (row["method"], row["status"], row["failed"]) == ("GET", "502", 1)
    assert row["path"].startswith("/cart/7?token=")
    page = installation.page(f"/traces/{row['id']}.json")
    assert "geheim123" not in json.dumps(page)
    assert "4711" not in json.dumps(page)
    call = page["rows"][-1] if page["rows"][-1]["kind"] == "http" else page["rows"][-2]
    assert (call["rows"], call["errors"]) == (503, ["internal_error"])
    (statement,) = [each for each in page["rows"] if each["kind"] == "database"]
    assert (statement["system"], statement["ms"]) == ("postgresql", 100.0)


def test_issue_request_and_trace_lead_to_each_other(installation: Installation) -> None:
    """All that belongs to a trace: the application's request, the SDK's work, the SDK's error."""
    installation.client.get("/page", headers={"sentry-trace": f"{TRACE}-{'a' * 16}-1"})
    installation.send(envelope("transaction", transaction()))
    about = {"trace": {"trace_id": TRACE, "span_id": "a" * 16}}
    error = {"values": [{"type": "TypeError", "value": "no price"}]}
    installation.send(event_body(exception=error, contexts=about, event_id="e" * 32))
    (row,) = kept(installation)
    installation.tick()
    (issue,) = installation.page("/errors.json?from=-1d")["issues"]
    found = installation.page(f"/errors/{issue['id']}.json")["trace"]
    assert (found["request"]["path"], found["request"]["project"]) == ("/page", "")
    assert [(each["id"], each["project"]) for each in found["traces"]] == [(row["id"], "web")]
    theirs = installation.page(f"/traces/{row['id']}.json")["same_trace"]
    assert [each["path"] for each in theirs["traces"]] == ["/page"]
    assert [each["id"] for each in theirs["issues"]] == [issue["id"]]
    request = installation.page(f"/traces/{found['request']['id']}.json")
    assert request["same_trace"]["traces"][0]["id"] == row["id"]
    assert installation.page(f"/traces/{TRACE}.json")["trace"]["path"] == "/page"
    for path in (f"/traces/{row['id']}", f"/traces/{row['id']}.md", f"/errors/{issue['id']}"):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert installation.client.get(f"/_metrics{path}", headers=headers).status_code == 200


def test_hostile_names_are_inert(installation: Installation) -> None:
    """Markup in every text of a transaction stays text."""
    payload = json.loads(json.dumps(transaction()).replace("SELECT", "<script>alert(1)</script>"))
    payload["transaction"] = payload["request"]["url"] = "<img src=x onerror=alert(1)>:a:b"
    payload["contexts"]["trace"]["op"] = "<svg onload=alert(1)>"
    payload["contexts"]["trace"]["status"] = "<b>"
    payload["sdk"] = {"name": "<i>", "version": "<u>"}
    installation.send(envelope("transaction", payload))
    (row,) = kept(installation)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for path in ("/traces?from=-1d", f"/traces/{row['id']}", f"/traces/{row['id']}.html"):
        html = installation.client.get(f"/_metrics{path}", headers=headers).text
        assert "alert(1)" in html
        assert "<svg onload" not in html
        assert "<img src=x" not in html
        assert "<script>alert" not in html


def test_what_is_too_large_is_counted_and_the_rest_is_recorded(installation: Installation) -> None:
    """A transaction beyond its limit costs its envelope nothing."""
    large = json.dumps(transaction(extra={"x": "y" * 1_100_000})).encode()
    many = json.dumps({"items": [0] * 250_000}).encode()
    for header in (b'{"type":"transaction"}', b'{"type":"transaction","length":%d}' % len(large)):
        body = b"{}\n" + header + b"\n" + large + b'\n{"type":"span"}\n' + many
        body += b'\n{"type":"event"}\n{"message":"behind it"}'
        assert installation.send(body).status_code == 200
    (issue,) = installation.page("/errors.json")["issues"]
    assert issue["count"] == 2
    counts = installation.page("/sdks.json")["counts"]["web"]["item"]
    assert counts == {"transaction": 2, "span": 2}
    assert kept(installation) == []


def test_shapes_that_are_none_leave_nothing() -> None:
    """Whatever stands in the place of times, ids and spans."""
    assert segment_of_transaction({}) is None
    for start, end in ((None, 1), (2, 1), ("x", "y"), (0, 10**6), (float("nan"), 1)):
        body = transaction(start_timestamp=start, timestamp=end)
        assert segment_of_transaction(body) is None
    odd = segment_of_transaction(transaction(spans=[None, 1, {}, {"start_timestamp": 1}]))
    assert odd is not None
    assert odd.spans == []
    for payload in ({}, {"items": None}, {"items": [None, {}, {"span_id": 7, "trace_id": TRACE}]}):
        assert list(segments_of_spans(payload)) == []


def segments_of(installation: Installation) -> tuple[KeptSegments, TraceTable]:
    """What keeps segments, and the installation's table that it writes to."""
    table = installation.monitor.life.services.trace_table
    return KeptSegments(installation.clock, table, str), table


def test_memory_is_bounded_and_what_is_dropped_is_counted(installation: Installation) -> None:
    """However many segments begin and never end, and however many spans one has."""
    segments, table = segments_of(installation)
    for number in range(MAX_WAITING + 50):
        segments.add(Segment(f"{number:016x}", TRACE), "web")
    assert segments.dropped == 50
    installation.clock.advance(WAITS_S + 1)
    segments.write()
    made = segment_of_transaction(transaction())
    assert made is not None
    made.spans = made.spans * 2_000
    segments.add(made, "web")
    installation.clock.advance(JOINS_S + 1)
    segments.write()
    installation.tick()
    found_rows = [row for row in table.rows(0, NOW + 1_000) if row["slug"].startswith("sdk:")]
    (row,) = found_rows  # nothing of those that never had a span
    found = table.get(row["id"])
    assert found is not None
    trace = kept_trace.unpack(found["data"])
    assert trace is not None
    assert len(trace["spans"]) == 500
    assert sum(count for _, _, count, _ in trace["counted"]) == row["spans"] - 500


def test_traces_of_sdks_drive_out_none_of_the_application(installation: Installation) -> None:
    """They have a bound of their own, beyond which their oldest go."""
    installation.client.get("/page")
    installation.tick()
    segments, table = segments_of(installation)
    made = segment_of_transaction(transaction())
    assert made is not None
    for number in range(MAX_OF_SDKS + 50):
        segments.add(replace(made, id=f"{number:016x}", name=f"name {number}"), "web")
        if number % 110 == 109:
            segments.write(at_once=True)
    installation.tick()
    found = table.rows(0, NOW + 1_000, limit=5_000)
    theirs = [row for row in found if row["slug"].startswith("sdk:")]
    assert len(theirs) == MAX_OF_SDKS
    assert "/page" in [row["path"] for row in found if row not in theirs]
