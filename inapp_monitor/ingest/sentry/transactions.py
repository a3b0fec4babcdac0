"""What SDKs measured: `transaction` and `span` items as stretches of work with their spans. Pure.

An SDK sends a transaction with all its spans, or, as new ones of JavaScript do, spans alone, in any
order: those with one segment's id belong together, and the segment itself is one of them.

Source: develop.sentry.dev/sdk/telemetry/spans, /sdk/data-model/event-payloads/transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from inapp_monitor.ingest.sentry import values
from inapp_monitor.ingest.sentry.envelope import event_id_of

MAX_SPANS = 1_000
MAX_TEXT = 2_000
#: Longer than this took nothing that anybody waited for.
_LONGEST_S = 86_400.0
_SPAN_ID = re.compile(r"[0-9a-fA-F]{16}")
_HTTP_METHOD = re.compile(r"[A-Z]{3,10}")
#: Of an operation such as `db.sql.query`, by its beginning.
_KINDS = (
    ("db", "database"), ("sql", "database"), ("http.client", "http"), ("cache", "cache"),
    ("template", "template"), ("view", "template"), ("queue", "queue"), ("messag", "queue"),
)  # fmt: skip
_WELL = ("", "ok", "unset", "cancelled", "aborted", "not_found", "already_exists",
         "invalid_argument", "unauthenticated", "permission_denied", "out_of_range",
         "failed_precondition", "resource_exhausted")  # fmt: skip


class SdkSpan(NamedTuple):
    """One span: what it did, from when to when (seconds since 1970 UTC).

    Attributes:
        kind: As kept traces name it: database, http, cache, template, queue, code.
        system: Of a statement or a cache: its software and name.
        lane: The thread, "" where the SDK does not say.
        status: Of an HTTP call, None of others.
        error: What went wrong, "" when nothing did.
    """

    kind: str
    start: float
    end: float
    text: str
    system: str
    lane: str
    status: int | None
    error: str


@dataclass(slots=True)
class Segment:
    """A stretch of work of another program, as far as it is known.

    Attributes:
        id: Of the span that is the whole; 16 hexadecimal digits.
        trace_id: 32 hexadecimal digits.
        name: Such as `/cart/{id}` or `nightly`.
        method: Of a request, else what kind of work it was: `pageload`, `task`.
        path: Of a request, else "".
        status: HTTP status or a word, "" when it is not said.
        start, end: Seconds since 1970 UTC; None while the whole has not come.
    """

    id: str
    trace_id: str
    name: str = ""
    method: str = "work"
    path: str = ""
    status: str = ""
    failed: bool = False
    start: float | None = None
    end: float | None = None
    release: str = ""
    environment: str = ""
    sdk: str = ""
    spans: list[SdkSpan] = field(default_factory=list)


def segment_of_transaction(payload: Mapping[str, object]) -> Segment | None:
    """The whole of a `transaction` item; None without a trace or its times."""
    about = values.mapping(values.mapping(payload.get("contexts")).get("trace"))
    found = _segment(about.get("trace_id"), about.get("span_id"))
    times = _times(payload.get("start_timestamp"), payload.get("timestamp"))
    if found is None or times is None:
        return None
    data = values.mapping(about.get("data"))
    response = values.mapping(values.mapping(payload.get("contexts")).get("response"))
    request = values.mapping(payload.get("request"))
    found.name = values.text(payload.get("transaction"), 500)
    found.start, found.end = times
    found.release = values.text(payload.get("release"), 200)
    found.environment = values.text(payload.get("environment"), 100)
    sdk = values.mapping(payload.get("sdk"))
    found.sdk = f"{values.text(sdk.get('name'), 60)} {values.text(sdk.get('version'), 30)}".strip()
    facts = {
        **data,
        "http.request.method": request.get("method") or data.get("http.request.method"),
        "url.full": request.get("url") or data.get("url.full"),
    }
    answer = response.get("status_code") or values.mapping(payload.get("tags")).get(
        "http.status_code"
    )
    _describe(found, about.get("op"), facts, about.get("status"), answer)
    found.spans = [
        span
        for row in values.mappings(payload.get("spans"), MAX_SPANS)
        if (span := _span(row, row.get("op"), row.get("timestamp"), row.get("data"))) is not None
    ]
    return found


def segments_of_spans(payload: Mapping[str, object]) -> Iterator[Segment]:
    """What a `span` item tells of each segment: its spans, and itself when it has ended."""
    rows = values.mappings(payload.get("items"), MAX_SPANS)
    found: dict[tuple[str, str], Segment] = {}
    for row in rows or ([dict(payload)] if "span_id" in payload else []):
        facts = _attributes(row)
        name = facts.get("sentry.segment.id") or row.get("segment_id")
        is_whole = row.get("is_segment") is True or (name and name == row.get("span_id"))
        made = _segment(row.get("trace_id"), row.get("span_id") if is_whole else name)
        if made is None:
            continue
        segment = found.setdefault((made.trace_id, made.id), made)
        end = row.get("end_timestamp") or row.get("timestamp")
        if is_whole:
            _be_whole(segment, row, facts, end)
            continue
        segment.name = segment.name or values.text(facts.get("sentry.segment.name"), 500)
        span = _span(row, facts.get("sentry.op") or row.get("op"), end, facts)
        if span is not None:
            segment.spans.append(span)
    yield from found.values()


def _be_whole(
    segment: Segment, row: Mapping[str, object], facts: dict[str, object], end: object
) -> None:
    times = _times(row.get("start_timestamp"), end)
    if times is None:
        return
    segment.start, segment.end = times
    segment.name = values.first_text(facts, "sentry.segment.name", limit=500) or values.first_text(
        row, "name", "description", limit=500
    )
    segment.release = values.text(facts.get("sentry.release"), 200)
    segment.environment = values.text(facts.get("sentry.environment"), 100)
    name, version = facts.get("sentry.sdk.name"), facts.get("sentry.sdk.version")
    segment.sdk = f"{values.text(name, 60)} {values.text(version, 30)}".strip()
    answer = facts.get("http.response.status_code")
    _describe(segment, facts.get("sentry.op") or row.get("op"), facts, row.get("status"), answer)


def _describe(
    segment: Segment, operation: object, facts: Mapping[str, object], status: object, answer: object
) -> None:
    """What a person calls it, and how it ended."""
    operation = values.text(operation, 60)
    method = values.text(facts.get("http.request.method") or facts.get("http.method"), 20).upper()
    url = values.first_text(facts, "url.full", "http.url", "url", limit=MAX_TEXT)
    if operation.startswith("http.server") and _HTTP_METHOD.fullmatch(method):
        segment.method = method
        segment.path = _path(url)
    else:
        segment.method = operation or "work"
    number = values.whole(answer or facts.get("http.response.status_code"))
    word = values.text(status, 40).lower()
    segment.status = str(number) if number and 100 <= number <= 599 else word
    segment.failed = number >= 500 if number else word not in _WELL


def _segment(trace: object, span: object) -> Segment | None:
    trace_id = event_id_of(trace)
    if not trace_id or not isinstance(span, str) or not _SPAN_ID.fullmatch(span):
        return None
    return Segment(span.lower(), trace_id)


def _attributes(row: Mapping[str, object]) -> dict[str, object]:
    """Of new spans `{"name": {"value": ...}}`, of older ones plain values under `data`."""
    given = values.mapping(row.get("attributes"))
    found = {
        name: item.get("value") if isinstance(item, dict) else item for name, item in given.items()
    }
    return {**values.mapping(row.get("data")), **found}


def _span(
    row: Mapping[str, object], operation: object, end: object, data: object
) -> SdkSpan | None:
    times = _times(row.get("start_timestamp"), end)
    if times is None:
        return None
    facts = values.mapping(data)
    operation = values.text(operation, 60)
    kind = next((kind for start, kind in _KINDS if operation.startswith(start)), "code")
    text = values.first_text(row, "description", "name", limit=MAX_TEXT) or operation
    system, status = "", None
    if kind == "database":
        text = values.first_text(facts, "db.query.text", limit=MAX_TEXT) or text
        system = " ".join(
            values.text(facts.get(new) or facts.get(old), 60)
            for new, old in (("db.system.name", "db.system"), ("db.namespace", "db.name"))
        ).strip()
    elif kind == "http":
        text = text.partition("?")[0]
        status = values.whole(facts.get("http.response.status_code"))
    if kind == "code" and operation and not text.startswith(operation):
        text = f"{operation}: {text}"
    word = values.text(row.get("status"), 40).lower()
    lane = values.text(facts.get("thread.id"), 40)
    return SdkSpan(kind, *times, text, system, lane, status, "" if word in _WELL else word)


def _times(start: object, end: object) -> tuple[float, float] | None:
    begun, ended = values.moment(start), values.moment(end)
    if begun is None or ended is None or not 0 <= ended - begun <= _LONGEST_S:
        return None
    return begun, ended


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path
