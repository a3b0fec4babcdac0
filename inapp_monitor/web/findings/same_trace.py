"""What else belongs to an event: the request of its trace, other issues of it, what came with it.

So an error in the browser leads to the request that rendered the page and to what failed there, and
an error of a request to the errors that followed in the browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inapp_monitor.ground.request_key import trace_of
from inapp_monitor.ingest.sentry import tables
from inapp_monitor.traces import kept_trace
from inapp_monitor.traces.trace_table import SDK_PREFIX
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import issue_list
from inapp_monitor.web.frame.records import as_dict

_MOST = 10
#: Of an attachment that the page shows.
_MAX_TEXT = 20_000
_SHOWN = ("id", "method", "path", "status", "ms")
_HEADERS = ("traceparent", "sentry-trace")


def gather(backend: Backend, event: Mapping[str, Any] | None, issue_id: str) -> dict[str, Any]:
    """`trace` and `attachments` of an event; what there is none of is left out."""
    if event is None or backend.database is None:
        return {}
    found: dict[str, Any] = {}
    trace = trace_id(event)
    if trace:
        request = _request(backend, trace)
        issues = _issues(backend, trace, request, issue_id)
        if request or issues:
            kept = _kept(backend, trace, request["id"]) if request else []
            found["trace"] = {"id": trace, "request": request, "issues": issues, "traces": kept}
    if event.get("project"):
        attachments = [
            {"name": row["name"], "text": bytes(row["body"]).decode("utf-8", "replace")[:_MAX_TEXT]}
            for row in tables.attachments_of(backend.database.read, str(event.get("id")))
        ]
        if attachments:
            found["attachments"] = attachments
    return found


def trace_id(event: Mapping[str, Any]) -> str:
    """The trace of an event: what the SDK said, else what the headers of its request say."""
    if event.get("trace_id"):
        return str(event["trace_id"])
    for name, value in (event.get("request") or {}).get("headers") or ():
        if str(name).lower() in _HEADERS and trace_of(str(value)):
            return trace_of(str(value))
    return ""


def _request(backend: Backend, trace: str) -> dict[str, Any] | None:
    row = backend.traces.get(trace) if backend.traces is not None else None
    if row is None:
        return None
    known = kept_trace.unpack(row.pop("data")) or {}
    facts = {name: row[name] for name in _SHOWN}
    return {**facts, "issue": known.get("issue") or "", "project": known.get("project") or ""}


def beside(backend: Backend, trace: Mapping[str, Any]) -> dict[str, Any]:
    """What else belongs to the trace of a kept request: `traces` and `issues`."""
    name = str(trace.get("trace") or "")
    if not name or backend.traces is None or backend.database is None:
        return {"traces": [], "issues": []}
    return {
        "traces": _kept(backend, name, str(trace["id"])),
        "issues": _issues(backend, name, None, str(trace.get("issue") or "")),
    }


def _kept(backend: Backend, trace: str, but: str) -> list[dict[str, Any]]:
    assert backend.traces is not None
    found = []
    for row in backend.traces.of_trace(trace):
        if row["id"] != but:
            is_of_sdk = row["slug"].startswith(SDK_PREFIX)
            project = row["slug"].split(":", 2)[1] if is_of_sdk else ""
            found.append({**{name: row[name] for name in _SHOWN}, "project": project})
    return found


def _issues(
    backend: Backend, trace: str, request: Mapping[str, Any] | None, but: str
) -> list[dict[str, Any]]:
    assert backend.database is not None
    rows = tables.events_of_trace(backend.database.read, trace)
    names = dict.fromkeys([*(row["issue"] for row in rows), request["issue"] if request else ""])
    found = []
    for name in [name for name in names if name and name != but][:_MOST]:
        detail = backend.triage.get_issue(name)
        if detail is not None:
            issue = as_dict(detail.summary)
            facts = {key: issue.get(key, "") for key in ("id", "type", "platform", "project")}
            found.append({**facts, "message": issue_list.message(issue)})
    return found
