"""Log records as OpenTelemetry's protocol has them: rows of the log file in, JSON out. Pure.

Format: opentelemetry.io/docs/specs/otel/logs/data-model and opentelemetry-proto 1.x; attributes by
the semantic conventions. A logger is a scope, as in OpenTelemetry's own SDK.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from inapp_monitor.export.otlp_metrics import ATTRIBUTE, attributes, request_schema
from inapp_monitor.export.protobuf import Field, Schema

_Json = dict[str, Any]
_NANO: Final = 1_000_000_000
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
#: Number and text of each level, by the data model.
_SEVERITY: Final = {
    "DEBUG": (5, "DEBUG"),
    "INFO": (9, "INFO"),
    "WARNING": (13, "WARN"),
    "ERROR": (17, "ERROR"),
    "CRITICAL": (21, "FATAL"),
}
#: Fields of a record, and what the conventions call them.
_NAMES: Final = {
    "place": "inapp_monitor.place",
    "thread": "thread.name",
    "error": "exception.type",
    "route": "http.route",
    "method": "http.request.method",
    "path": "url.path",
    "request_id": "http.request.header.x-request-id",
    "user": "user.id",
    "issue": "inapp_monitor.issue",
    "release": "service.version",
    "pid": "process.pid",
}


def request_of(
    rows: Sequence[Mapping[str, Any]], resource: Mapping[str, str], version: str
) -> _Json:
    """The document of `ExportLogsServiceRequest`.

    Args:
        rows: As `logs.rows` has them.
        resource: Attributes of the app.
        version: Of this package.
    """
    by_logger: dict[str, list[_Json]] = {}
    for row in rows:
        by_logger.setdefault(str(row.get("logger") or "inapp_monitor"), []).append(_record(row))
    scopes = [
        {"scope": {"name": logger, "version": version}, "logRecords": records}
        for logger, records in by_logger.items()
    ]
    found = {"resource": {"attributes": attributes(resource.items())}, "scopeLogs": scopes}
    return {"resourceLogs": [found]}


def _record(row: Mapping[str, Any]) -> _Json:
    moment = str(round(float(row["time"]) * 1_000) * (_NANO // 1_000))
    number, text = _SEVERITY.get(str(row.get("level")), _SEVERITY["INFO"])
    facts = [(name, str(row[field])) for field, name in _NAMES.items() if row.get(field)]
    fields = row.get("fields")
    if isinstance(fields, Mapping):
        facts += [(str(name), str(value)) for name, value in fields.items()]
    record: _Json = {
        "timeUnixNano": moment,
        "observedTimeUnixNano": moment,
        "severityNumber": number,
        "severityText": text,
        "body": {"stringValue": str(row.get("text", ""))},
        "attributes": attributes(dict(facts).items()),
    }
    trace = str(row.get("trace") or "")
    if _TRACE_ID.fullmatch(trace):
        record["traceId"] = trace
    return record


_RECORD: Final[Schema] = {
    "timeUnixNano": Field(1, "fixed64"),
    "severityNumber": Field(2, "enum"),
    "severityText": Field(3, "string"),
    "body": Field(5, {"stringValue": Field(1, "string")}),
    "attributes": Field(6, ATTRIBUTE, repeated=True),
    "traceId": Field(9, "hex"),
    "observedTimeUnixNano": Field(11, "fixed64"),
}
#: `ExportLogsServiceRequest`.
REQUEST: Final[Schema] = request_schema("Logs", "logRecords", _RECORD)
