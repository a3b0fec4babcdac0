"""Every recorded request of an SDK, whole and in pieces, yields what its items state."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from inapp_monitor.ingest.sentry.authentication import key_of_dsn, key_of_headers
from inapp_monitor.ingest.sentry.encoding import pieces
from inapp_monitor.ingest.sentry.envelope import (
    Envelope,
    Source,
    parse_header,
    parse_items,
    parse_store,
)
from inapp_monitor.ingest.sentry.event import event_of
from inapp_monitor.ingest.sentry.grouping import grouping_of_event
from inapp_monitor.issues.foreign_event import bounded_event
from tests.each import each

from .captures import KEY, Capture, captures, named

NOW = 1_795_389_900.0
ALL = captures()
WITH_EVENTS = [capture for capture in ALL if capture.events()]


def read(capture: Capture, data: Iterator[bytes]) -> Envelope:
    """The envelope in some pieces."""
    source = Source(data)
    if not capture.is_envelope:
        return parse_store(source)
    return Envelope(parse_header(source), parse_items(source))


def stated(payload: Any) -> Any:
    """A payload as it was recorded: JSON, or bytes of an attachment."""
    return payload if isinstance(payload, bytes) else json.loads(json.dumps(payload))


@each("capture", ALL, ids=lambda capture: capture.name)
@each("size", [1, 7, 65_536])
def test_items_are_those_recorded(capture: Capture, size: int) -> None:
    """Type and payload of each item, however the body is cut into pieces."""
    body = capture.body
    envelope = read(capture, (body[at : at + size] for at in range(0, len(body), size)))
    assert len(envelope.items) == len(capture.items)
    for item, (kind, payload) in zip(envelope.items, capture.items, strict=True):
        assert item.type == kind
        if item.payload is None:
            assert kind == "attachment"
        elif isinstance(payload, bytes):
            assert item.payload == payload
        else:
            assert json.loads(item.payload) == stated(payload)


@each("capture", ALL, ids=lambda capture: capture.name)
def test_the_wire_decodes_to_the_body(capture: Capture) -> None:
    """gzip, deflate, br and none, read in pieces."""
    if capture.encoding == "br":
        pytest.importorskip("brotli")
    read_wire = io.BytesIO(capture.wire).read
    assert b"".join(pieces(lambda n: read_wire(min(n, 100)), capture.encoding)) == capture.body


@each("capture", ALL, ids=lambda capture: capture.name)
def test_the_key_is_found(capture: Capture) -> None:
    """In the header, the query, or the envelope's DSN; a development sidecar gets none."""
    request = capture.request
    query = dict(pair.split("=", 1) for pair in request["query"].split("&") if pair)
    found = key_of_headers(request["headers"].get("X-Sentry-Auth", ""), "", query)
    if not found and capture.is_envelope:
        found = key_of_dsn(parse_header(Source([capture.body])).get("dsn"))[0]
    assert found == ("" if request["path"] == "/stream" else KEY)


def exceptions_stated(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The exceptions of a payload, the raised one last."""
    found = event.get("exception") or {}
    found = found.get("values", []) if isinstance(found, dict) else found
    return [facts for facts in found if facts.get("type")]


def crumbs_stated(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The last breadcrumbs of a payload, as many as are kept."""
    found = event.get("breadcrumbs") or []
    return (found.get("values", []) if isinstance(found, dict) else found)[-50:]


def message_stated(event: dict[str, Any]) -> str:
    """What the message of a payload says."""
    entry = event.get("logentry") or {}
    return str(entry.get("formatted") or event.get("message"))


@each("capture", WITH_EVENTS, ids=lambda capture: capture.name)
def test_the_event_is_the_one_stated(capture: Capture) -> None:
    """Platform, type, value, frames, in_app, breadcrumbs, user, tags, release, level."""
    (given,) = capture.events()
    event = bounded_event(event_of(given, project="web"), NOW, lambda *_: False)
    level = given["level"]
    assert event["platform"] == given["platform"]
    assert event["id"] == given["event_id"]
    assert event["level"] == ("error" if level == 40 else level)
    assert event["release"] == (given.get("release") or "")
    assert event["environment"] == given["environment"]
    assert event["server"] == given.get("server_name", "")
    assert event["tags"] == {name: str(value) for name, value in given.get("tags", {}).items()}
    user = {name: str(value) for name, value in given.get("user", {}).items()}
    assert event["user"] == {name: value for name, value in user.items() if value != "{{auto}}"}
    crumbs = crumbs_stated(given)
    assert [crumb["message"] for crumb in event["breadcrumbs"]] == [
        crumb.get("message") or "" for crumb in crumbs
    ]
    assert [crumb["category"] for crumb in event["breadcrumbs"]] == [
        crumb.get("category") or crumb.get("type") for crumb in crumbs
    ]
    when = given["timestamp"]
    if isinstance(when, str):
        when = datetime.fromisoformat(when).timestamp()
    assert event["time"] == pytest.approx(when, abs=0.001)
    said = exceptions_stated(given)
    if not said:
        assert (event["type"], event["message"]) == ("Message", message_stated(given))
        return
    assert (event["type"], event["message"]) == (said[-1]["type"], str(said[-1]["value"])[:8_192])
    assert sorted((e["type"], e["message"]) for e in event["exceptions"]) == sorted(
        (e["type"], str(e["value"])[:8_192]) for e in said
    )


@each("capture", WITH_EVENTS, ids=lambda capture: capture.name)
def test_frames_are_those_stated(capture: Capture) -> None:
    """Function, file, line and whose code it is; repetitions are counted, the innermost kept."""
    (given,) = capture.events()
    event = bounded_event(event_of(given, project="web"), NOW, lambda *_: False)
    for facts in exceptions_stated(given):
        frames = (facts.get("stacktrace") or {}).get("frames", [])
        (made,) = [
            e
            for e in event["exceptions"]
            if (e["type"], e["message"]) == (facts["type"], facts["value"])
        ]
        sent = sum(1 + frame["repeated"] for frame in made["frames"]) + made["left_out"]
        assert sent == len(frames)
        for frame, one in zip(reversed(made["frames"][-5:]), reversed(frames), strict=False):
            assert frame["function"] == one["function"]
            assert frame["file"] == one["filename"][:200]
            assert frame["line"] == one["lineno"]
            assert frame["column"] == one.get("colno")
            if "in_app" in one:
                assert frame["in_app"] == one["in_app"]
            if "context_line" in one:
                at = frame["line"] - frame["source"]["first"]
                assert frame["source"]["lines"][at] == one["context_line"][:300]
            if frame["repeated"]:
                break


def test_a_group_has_its_members_and_nested_groups() -> None:
    """The group first, then its members, each with its place."""
    (given,) = named("python/008").events()
    event = bounded_event(event_of(given), NOW, lambda *_: False)
    shown = [(e["type"], e["relation"], e["parent"], e["group"]) for e in event["exceptions"]]
    assert shown == [
        ("ExceptionGroup", "raised", None, True),
        ("IndexError", "member", 0, False),
        ("ValueError", "member", 0, False),
        ("ExceptionGroup", "member", 0, True),
        ("TypeError", "member", 3, False),
        ("IndexError", "member", 3, False),
    ]


def test_causes_follow_what_they_caused() -> None:
    """As Node numbers them, and as Python sends them in order."""
    for name in ("node/005", "python/005"):
        (given,) = named(name).events()
        said = exceptions_stated(given)
        event = bounded_event(event_of(given), NOW, lambda *_: False)
        assert [e["type"] for e in event["exceptions"]] == [e["type"] for e in reversed(said)]
        assert [e["relation"] for e in event["exceptions"]] == ["raised", "cause"]


def test_what_else_an_event_shows() -> None:
    """The browser, the request, the trace, further data, and what noticed the error."""
    (given,) = named("browser/006").events()
    event = bounded_event(event_of(given, project="web"), NOW, lambda *_: False)
    assert (event["browser"], event["project"]) == ("Chrome 156", "web")
    assert event["sdk"] == "sentry.javascript.browser 11.12.0"
    assert event["channel"] == (
        "sentry.javascript.browser: auto.browser.browserapierrors.setTimeout"
    )
    assert event["trace_id"] == "84439a6b66d846428d80e3f4869d3ad0"
    assert event["request"]["host"] == "127.0.0.1:15125"
    assert event["contexts"]["mechanism"]["handled"] == "false"
    assert event["contexts"]["culture"]["locale"] == "en-US"
    (given,) = named("python/048").events()
    event = bounded_event(event_of(given), NOW, lambda *_: False)
    assert event["request"]["method"] == given["request"]["method"]
    assert event["route"] == given["transaction"]


def test_a_fingerprint_of_the_sdk_comes_first() -> None:
    """Together with what would be compared otherwise, where it says so."""
    (given,) = named("python/012").events()
    event = event_of(given, project="worker")
    reason = grouping_of_event(event, given["fingerprint"]).reason
    assert reason[0] == "project: worker"
    parts = [part for part in given["fingerprint"] if part != "{{ default }}"]
    assert parts
    assert all(f"given: {part}" in reason for part in parts)
    extended = grouping_of_event(event, ["{{ default }}", "tenant"]).reason
    assert extended[1:] == (*grouping_of_event(event).reason[1:], "given: tenant")


def test_the_same_error_of_two_pages_is_one_issue() -> None:
    """The same bundle from another origin, and whatever the trace, is the same."""
    found = set()
    for name in ("browser/004", "browser/015", "browser/029"):
        (given,) = named(name).events()
        found.add(grouping_of_event(event_of(given, project="web")).fingerprint)
    assert len(found) == 1
