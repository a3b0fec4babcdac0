"""Structured logs of SDKs (`sentry_sdk.logger`, `Sentry.logger`) as records of the page Logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inapp_monitor.ingest.sentry import values
from inapp_monitor.ingest.sentry.envelope import event_id_of
from inapp_monitor.logs.buffer import HeardRecord

#: Of one item: SDKs send a hundred at once, and what came meanwhile, up to a thousand.
MAX_RECORDS, MAX_FIELDS = 1_000, 30
#: Keeps a record, see `LogBuffer.add`.
Keep = Callable[[HeardRecord], None]
_LEVELS = {"fatal": 50, "error": 40, "warn": 30, "warning": 30, "info": 20, "debug": 10, "trace": 5}
_LEAST = 20
#: What SDKs add to each record about themselves.
_ABOUT_ITSELF = ("sentry.sdk.", "sentry.timestamp.", "sentry.severity_", "process.runtime.")


def records_of(payload: dict[str, object], project: str, now: float) -> Iterator[HeardRecord]:
    """The records of a `log` item that are of level INFO and above."""
    for row in values.mappings(payload.get("items"), MAX_RECORDS):
        level = _LEVELS.get(values.text(row.get("level"), 10).lower(), 20)
        text = values.text(row.get("body"), 4_000)
        if level < _LEAST or not text:
            continue
        moment = values.moment(row.get("timestamp"))
        trace = event_id_of(row.get("trace_id"))
        span = values.text(row.get("span_id"), 16)
        span = span if len(span) == 16 else "0" * 15 + "1"
        fields = _fields(values.mapping(row.get("attributes")))
        yield HeardRecord(
            time=moment if moment is not None and now - 86_400 <= moment <= now else now,
            level=level,
            logger=fields.pop("logger.name", "") or f"sentry.{project}",
            text=text,
            fields=tuple(fields.items()),
            traceparent=f"00-{trace}-{span}-01" if trace else "",
            user=fields.get("user.id", ""),
        )


def _fields(attributes: dict[str, object]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, given in attributes.items():
        if len(found) >= MAX_FIELDS:
            break
        if not name.startswith(_ABOUT_ITSELF):
            value = given.get("value") if isinstance(given, dict) else given
            found[name[:100]] = values.text(value, 500)
    return found
