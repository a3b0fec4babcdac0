"""A span processor for an application's own OpenTelemetry provider: what its instrumentation spans
is shown in the traces of requests. Nothing of OpenTelemetry is imported.

What the monitor's own hooks see already is left out, so that nothing counts twice; so are spans of
servers, which are the requests themselves. Attributes are read by the semantic conventions, old
names and new; no others are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.attaching import attachments
from inapp_monitor.traces.spans import CODE, DATABASE, HTTP, note

#: Which of the monitor's hooks sees what an instrumentation package spans, by the package's name.
_SEEN_BY: Final = {
    **dict.fromkeys(("requests", "urllib", "urllib3", "botocore"), "http"),
    **{name: name for name in ("sqlalchemy", "psycopg", "psycopg2", "pymysql", "mysqlclient")},
    **{name: name for name in ("sqlite3", "pymongo", "httpx", "redis", "jinja2", "celery")},
}
_SERVER = "SERVER"
#: Characters of a name.
_MAX_NAME_LENGTH = 200


class SpanProcessor:
    """For `TracerProvider.add_span_processor`, at any time.

    *Threads:* any. Never raises.
    """

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Nothing: what a span is about is known at its end."""

    def on_end(self, span: Any) -> None:
        """Note a span that has ended in this thread. *Cost:* 2 us."""
        try:
            if getattr(span.kind, "name", "") == _SERVER or _is_seen(span):
                return
            seconds = (span.end_time - span.start_time) / 1e9
            kind, text, system = _about(span.name, span.attributes or {})
            failed = getattr(getattr(span.status, "status_code", None), "name", "") == "ERROR"
            error = "ERROR" if failed else None
            note(kind, perf_counter() - max(seconds, 0.0), text, system, error)
        except Exception:  # noqa: BLE001, S110  # another version of the SDK: no span is better
            pass

    def shutdown(self) -> None:
        """Nothing is kept here."""

    def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002
        """Nothing waits here."""
        return True

    def _on_ending(self, span: Any) -> None:
        """The SDK calls it before a span ends."""


def _is_seen(span: Any) -> bool:
    scope = str(getattr(getattr(span, "instrumentation_scope", None), "name", ""))
    hook = _SEEN_BY.get(scope.rpartition(".")[2]) if "instrumentation" in scope else None
    return hook is not None and hook in attachments.attached


def _about(name: str, attributes: Mapping[str, Any]) -> tuple[int, str, str | None]:
    """Kind, text and system of a span."""
    get = attributes.get
    system = get("db.system.name") or get("db.system")
    statement = get("db.query.text") or get("db.statement")
    if system or statement:
        database = get("db.namespace") or get("db.name")
        return (
            DATABASE,
            str(statement or name),
            " ".join(map(str, filter(None, (system, database)))),
        )
    method = get("http.request.method") or get("http.method")
    if method:
        url = urlsplit(str(get("url.full") or get("http.url") or ""))
        host = get("server.address") or url.hostname or "(unknown host)"
        return HTTP, f"{str(method)[:20]} {host}", None
    return CODE, str(name)[:_MAX_NAME_LENGTH], None
