"""A kept event as an envelope of Sentry's protocol. Pure.

Format: develop.sentry.dev/sdk/data-model/envelopes and …/event-payloads. Events are scrubbed before
they are kept, so nothing is added here that was not kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

_CLIENT: Final = "inapp-monitor/1"
#: Levels of Sentry's; others are errors.
_LEVELS: Final = ("debug", "info", "warning", "error", "fatal")
#: Values longer than this are cut by the peer, or make it refuse the event.
_MAX_TAG_CHARS: Final = 200
_Json = dict[str, Any]


def envelope(event: Mapping[str, Any], fingerprint: str, now: float) -> bytes:
    """The bytes to post.

    Args:
        event: As it is stored, see `issues.event.EventBuilder.build`.
        fingerprint: Of its issue: the peer groups as we do.
        now: Wall time.
    """
    body = json.dumps(payload(event, fingerprint), separators=(",", ":")).encode()
    head = {"event_id": str(event["id"]), "sent_at": _time(now), "sdk": {"name": _CLIENT}}
    item = {"type": "event", "content_type": "application/json", "length": len(body)}
    return b"\n".join((json.dumps(head).encode(), json.dumps(item).encode(), body, b""))


def authorization(key: str) -> str:
    """The header `X-Sentry-Auth`."""
    return f"Sentry sentry_version=7, sentry_client={_CLIENT}, sentry_key={key}"


def payload(event: Mapping[str, Any], fingerprint: str) -> _Json:
    """The event as the peer's interfaces have it."""
    exceptions = [_exception(each) for each in event.get("exceptions") or ()]
    level = str(event.get("level", "error"))
    facts: _Json = {
        "event_id": str(event["id"]),
        "timestamp": _time(float(event["time"])),
        "platform": "python",
        "level": level if level in _LEVELS else "error",
        "logger": str(event.get("channel") or "inapp_monitor"),
        "transaction": event.get("route") or event.get("culprit") or "",
        "server_name": event.get("server") or "",
        "environment": event.get("environment") or "production",
        "fingerprint": [fingerprint],
        "tags": _tags(event),
        "extra": {"why together": event.get("why") or [], "cuts": event.get("cuts") or []},
        "sdk": {"name": "inapp-monitor", "version": "1"},
        "contexts": {"runtime": {"name": "CPython"}, **(event.get("contexts") or {})},
        "breadcrumbs": {"values": [_breadcrumb(each) for each in event.get("breadcrumbs") or ()]},
    }
    if event.get("release"):
        facts["release"] = event["release"]
    if event.get("user"):
        facts["user"] = dict(event["user"])
    if event.get("request"):
        facts["request"] = _request(event["request"])
    is_message = not event.get("module") and len(exceptions) <= 1
    if exceptions and not is_message:
        exceptions.reverse()  # theirs end with the raised one
        exceptions[-1]["mechanism"] = {"type": str(event.get("channel", "wsgi")), "handled": False}
        facts["exception"] = {"values": exceptions}
    else:
        facts["logentry"] = {"formatted": str(event.get("message", ""))}
        stack = exceptions[0]["stacktrace"] if exceptions else None
        facts["threads"] = {"values": [_thread(event, stack)]}
    if "threads" not in facts and event.get("thread"):
        facts["threads"] = {"values": [_thread(event, None)]}
    return facts


def _thread(event: Mapping[str, Any], stack: object) -> _Json:
    known: _Json = {"id": 0, "name": str(event.get("thread") or ""), "current": True}
    known["crashed"] = stack is None
    return known if stack is None else {**known, "stacktrace": stack}


def _exception(exception: Mapping[str, Any]) -> _Json:
    notes = exception.get("notes") or ()
    return {
        "type": exception.get("type") or "",
        "module": exception.get("module") or "",
        "value": "\n".join((str(exception.get("message") or ""), *map(str, notes))),
        "stacktrace": {"frames": [_frame(each) for each in exception.get("frames") or ()]},
    }


def _frame(frame: Mapping[str, Any]) -> _Json:
    source = frame.get("source") or {}
    lines, line = source.get("lines") or [], frame.get("line") or 0
    at = line - int(source.get("first") or 0)
    facts: _Json = {
        "function": frame.get("function") or "",
        "module": frame.get("module") or "",
        "filename": frame.get("file") or "",
        "abs_path": frame.get("file") or "",
        "lineno": line,
        "in_app": bool(frame.get("in_app")),
    }
    if 0 <= at < len(lines):
        facts["pre_context"] = lines[:at]
        facts["context_line"] = lines[at]
        facts["post_context"] = lines[at + 1 :]
    if frame.get("locals"):
        facts["vars"] = dict(frame["locals"])
    return facts


def _request(request: Mapping[str, Any]) -> _Json:
    host, path = request.get("host") or "", request.get("path") or ""
    facts: _Json = {
        "url": f"{request.get('scheme') or 'http'}://{host}{path}",
        "method": request.get("method") or "",
        "query_string": request.get("query") or "",
        "headers": [list(pair) for pair in request.get("headers") or ()],
    }
    if request.get("remote_address"):
        facts["env"] = {"REMOTE_ADDR": request["remote_address"]}
    return facts


def _tags(event: Mapping[str, Any]) -> dict[str, str]:
    own = {"route": event.get("route"), "channel": event.get("channel")}
    named = {**own, **(event.get("tags") or {})}
    return {str(name): str(text)[:_MAX_TAG_CHARS] for name, text in named.items() if text}


def _breadcrumb(crumb: Mapping[str, Any]) -> _Json:
    facts: _Json = {
        "type": "default",
        "category": crumb.get("category") or "",
        "level": crumb.get("level") or "info",
        "message": crumb.get("message") or "",
    }
    if crumb.get("time"):
        facts["timestamp"] = _time(float(crumb["time"]))
    if crumb.get("data"):
        facts["data"] = crumb["data"]
    return facts


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
