"""A kept trace as OpenTelemetry's protocol has it. Pure.

Format: opentelemetry.io/docs/specs/otlp and opentelemetry-proto 1.x; attributes by the semantic
conventions. Ids of spans are made of the trace's, so that what is sent twice is the same span.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from inapp_monitor.export.otlp_metrics import ATTRIBUTE, attributes, request_schema
from inapp_monitor.export.protobuf import Field, Schema

_Json = dict[str, Any]
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_INTERNAL, _SERVER, _CLIENT = 1, 2, 3
_ERROR: Final = 2
_SCOPE: Final = "inapp_monitor"
#: Kinds of spans that are calls of other services.
_CALLS: Final = ("database", "http", "cache", "queue")


def request_of(
    traces: Sequence[Mapping[str, Any]], resource: Mapping[str, str], version: str
) -> _Json:
    """The document of `ExportTraceServiceRequest`.

    Args:
        traces: As `traces.kept_trace` has them.
        resource: Attributes of the app.
        version: Of this package.
    """
    spans = [span for trace in traces for span in spans_of(trace)]
    scope = {"scope": {"name": _SCOPE, "version": version}, "spans": spans}
    found = {"resource": {"attributes": attributes(resource.items())}, "scopeSpans": [scope]}
    return {"resourceSpans": [found]}


def spans_of(trace: Mapping[str, Any]) -> list[_Json]:
    """The request's span, and those of what it did."""
    name = str(trace["id"])
    given = str(trace.get("trace") or "")
    trace_id = given if _TRACE_ID.fullmatch(given) else _digest(name, 16)
    begin_ns = int(float(trace["started"]) * 1e9)
    root = _digest(f"{name} request", 8)
    spans = [_request(trace, trace_id, root, begin_ns)]
    open_spans: dict[object, list[tuple[int, str]]] = {}
    texts, systems = trace["texts"], trace.get("systems") or []
    for number, row in enumerate(trace["spans"]):
        kind, start_us, took_us, text, lane, system, _rows, error, _same = row
        inside = open_spans.setdefault(lane, [])
        while inside and inside[-1][0] < start_us + took_us:
            inside.pop()  # it ended before this one does: no parent
        span_id = _digest(f"{name} {number}", 8)
        parent = inside[-1][1] if inside else root
        inside.append((start_us + took_us, span_id))
        shown = str(texts[text]) if 0 <= text < len(texts) else ""
        facts = _attributes(kind, shown, str(systems[system]) if 0 <= system < len(systems) else "")
        spans.append(
            _span(
                *(trace_id, span_id, parent, shown[:120] or kind),
                kind=_CLIENT if kind in _CALLS else _INTERNAL,
                start=begin_ns + start_us * 1_000,
                end=begin_ns + (start_us + took_us) * 1_000,
                facts=facts,
                failed=bool(error),
            )
        )
    return spans


def _request(trace: Mapping[str, Any], trace_id: str, span_id: str, begin_ns: int) -> _Json:
    status = str(trace.get("status") or "")
    route, method = str(trace.get("route") or ""), str(trace.get("method") or "")
    facts = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status[:3],
        "url.path": str(trace.get("path") or ""),
        "inapp_monitor.issue": str(trace.get("issue") or ""),
    }
    end_ns = begin_ns + int(float(trace["ms"]) * 1e6)
    failed = bool(trace.get("failed")) or status.startswith("5")
    name = f"{method} {route}".strip() or "request"
    return _span(
        *(trace_id, span_id, "", name),
        kind=_SERVER, start=begin_ns, end=end_ns, facts=facts, failed=failed,
    )  # fmt: skip


def _attributes(kind: str, text: str, system: str) -> dict[str, str]:
    if kind in ("database", "transaction"):
        return {"db.query.text": text, "db.system.name": system}
    if kind == "http":
        return {"url.full": text}
    return {"inapp_monitor.kind": kind, "inapp_monitor.text": text}


def _span(
    trace_id: str,
    span_id: str,
    parent: str,
    name: str,
    *,
    kind: int,
    start: int,
    end: int,
    facts: Mapping[str, str],
    failed: bool,
) -> _Json:
    span: _Json = {
        "traceId": trace_id,
        "spanId": span_id,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": attributes((key, text) for key, text in facts.items() if text),
    }
    if failed:
        span["status"] = {"code": _ERROR}
    return span


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=size).hexdigest()


_SPAN: Final[Schema] = {
    "traceId": Field(1, "hex"),
    "spanId": Field(2, "hex"),
    "parentSpanId": Field(4, "hex"),
    "name": Field(5, "string"),
    "kind": Field(6, "enum"),
    "startTimeUnixNano": Field(7, "fixed64"),
    "endTimeUnixNano": Field(8, "fixed64"),
    "attributes": Field(9, ATTRIBUTE, repeated=True),
    "status": Field(15, {"code": Field(3, "enum")}),
}
#: `ExportTraceServiceRequest`.
REQUEST: Final[Schema] = request_schema("Spans", "spans", _SPAN)
