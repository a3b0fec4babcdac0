"""An event of any of Sentry's SDKs in the shape of our events. Pure.

Every part may be missing or of any type: what cannot be read is left out, and the rest stays. What
is kept of it is bounded once more, and scrubbed, when it is recorded (`issues.foreign_event`).

Source: develop.sentry.dev/sdk/data-model/event-payloads, and recorded events of several SDKs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from inapp_monitor.ingest.sentry import values
from inapp_monitor.ingest.sentry.browsers import browser_of
from inapp_monitor.ingest.sentry.envelope import event_id_of
from inapp_monitor.ingest.sentry.exceptions import FramesOf, exceptions_of
from inapp_monitor.ingest.sentry.frames import frames_of
from inapp_monitor.ingest.sentry.messages import message_of

MAX_TAGS, MAX_CRUMBS, MAX_CONTEXTS, MAX_CONTEXT_ITEMS = 50, 50, 20, 50
_LEVELS = {
    "fatal": "critical", "critical": "critical", "emergency": "critical", "alert": "critical",
    "error": "error", "warning": "warning", "warn": "warning", "info": "info", "notice": "info",
    "log": "info", "debug": "debug", "trace": "debug", "sample": "debug",
}  # fmt: skip
_PLATFORM = re.compile(r"[a-z0-9_.+-]{1,40}")
#: Levels of Python's logging, which raven sends.
_NUMBERS = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"))
#: What stands there when the server is to fill in the address.
_AUTO = "{{auto}}"


def event_of(
    given: Mapping[str, object],
    *,
    event_id: str = "",
    project: str = "",
    remote_address: str = "",
    frames: FramesOf = frames_of,
) -> dict[str, Any]:
    """The event as `Tracker.record_event` accepts it, whole.

    Args:
        See `counted_part_of`.
    """
    counted = counted_part_of(
        given,
        event_id=event_id,
        project=project,
        remote_address=remote_address,
        frames=frames,
    )
    return {**counted, **details_of(given, counted)}


def counted_part_of(
    given: Mapping[str, object],
    *,
    event_id: str = "",
    project: str = "",
    remote_address: str = "",
    frames: FramesOf = frames_of,
) -> dict[str, Any]:
    """Of an event, what it is grouped and counted by; in a storm most events need no more.

    Args:
        given: The event's payload, JSON types of any shape.
        event_id: From the envelope's header, which wins.
        project: Name of the project whose key was shown.
        remote_address: Of the sender, for SDKs that leave the address of the user to the server.
        frames: Makes frames of a stack trace.
    """
    exceptions = exceptions_of(_exception(given), frames)
    message = message_of(given)
    raised = exceptions[0] if exceptions else None
    if raised is not None and not raised["frames"]:
        # Very old SDKs send the stack beside the exception, native ones that of the thread.
        raised["frames"], raised["left_out"] = frames(_stack_beside(given))
    if raised is not None and not raised["type"] and len(exceptions) > 1:
        raised["type"] = "Error"
    if raised is None or not raised["type"]:
        exceptions = _as_message(given, message, raised, frames)
        raised = exceptions[0]
    request = _request(given)
    return {
        "id": event_id or event_id_of(given.get("event_id")),
        "time": values.moment(given.get("timestamp")),
        "level": _level(given.get("level")),
        "type": raised["type"],
        "module": raised["module"],
        "message": raised["message"],
        # A message without a stack has nothing to show beside itself.
        "exceptions": exceptions if raised["type"] != "Message" or raised["frames"] else [],
        "route": values.first_text(given, "transaction", limit=1_000),
        "request": request,
        "release": values.text(given.get("release"), 1_000),
        "user": _user(given.get("user") or _legacy(given, "User"), remote_address),
        "tags": values.texts(given.get("tags"), MAX_TAGS, 1_000),
        "platform": platform_of(given),
        "project": project,
        "browser": browser_of(values.mapping(given.get("contexts")), request),
        "trace_id": trace_of(given),
    }


def details_of(given: Mapping[str, object], counted: Mapping[str, Any]) -> dict[str, Any]:
    """What else is shown of an event that is kept.

    Args:
        given: The event's payload.
        counted: What `counted_part_of` made of it.
    """
    message, kind, text = message_of(given), counted["type"], counted["message"]
    if kind != "Message" and message and message not in (text, f"{kind}: {text}"):
        given = {**given, "contexts": {**_contexts_given(given), "log": {"message": message}}}
    raised = next(iter(counted["exceptions"]), None)
    frames = raised["frames"] if raised is not None else []
    return {
        "channel": _channel(given),
        "culprit": values.first_text(given, "culprit") or _culprit(frames),
        "cuts": _cuts(given),
        "thread": _thread(given),
        "environment": values.text(given.get("environment"), 200),
        "server": values.text(given.get("server_name"), 200),
        "contexts": _contexts(given),
        "breadcrumbs": _breadcrumbs(given.get("breadcrumbs") or _legacy(given, "Breadcrumbs")),
        "sdk": _sdk(given),
    }


def platform_of(given: Mapping[str, object]) -> str:
    """The platform as the SDK names it, `other` without one."""
    found = values.text(given.get("platform"), 41).lower()
    return found if _PLATFORM.fullmatch(found) else "other"


def trace_of(given: Mapping[str, object]) -> str:
    """The trace that an event belongs to, 32 hexadecimal digits, "" without one."""
    trace = values.mapping(values.mapping(given.get("contexts")).get("trace"))
    return event_id_of(trace.get("trace_id"))


def _level(given: object) -> str:
    """Names as SDKs and loggers have them, and the numbers of Python's logging."""
    number = values.number(given)
    if number is None:
        return _LEVELS.get(values.text(given, 20).strip().lower(), "error")
    return next((name for least, name in _NUMBERS if number >= least), "debug")


def _exception(given: Mapping[str, object]) -> object:
    return given.get("exception") or _legacy(given, "Exception")


def _as_message(
    given: Mapping[str, object],
    message: str,
    raised: dict[str, Any] | None,
    frames: FramesOf,
) -> list[dict[str, Any]]:
    """A message with the stack of where it was sent."""
    stack: list[dict[str, Any]] = raised["frames"] if raised else []
    left_out = raised["left_out"] if raised else 0
    if not stack:
        stack, left_out = frames(_stack_beside(given))
    text = message or (raised["message"] if raised else "") or "(no message)"
    made = {"type": "Message", "module": "", "message": text, "frames": stack}
    return [{**made, "relation": "raised", "parent": None, "group": False, "left_out": left_out}]


def _stack_beside(given: Mapping[str, object]) -> object:
    """The stack of an event that is in neither of its exceptions."""
    found = given.get("stacktrace") or _legacy(given, "Stacktrace")
    return found or (_thread_of(given) or {}).get("stacktrace")


def _thread_of(given: Mapping[str, object]) -> dict[str, object] | None:
    """The thread of the exception, else the one that crashed, that was current, or has a stack."""
    threads = values.mappings(given.get("threads"), 200)
    raised = (values.mappings(_exception(given), 50) or [{}])[-1]
    number = raised.get("thread_id")
    for is_meant in (
        lambda thread: number is not None and thread.get("id") == number,
        lambda thread: thread.get("crashed") is True,
        lambda thread: thread.get("current") is True,
    ):
        for thread in threads:
            if is_meant(thread):
                return thread
    with_stack = (thread for thread in threads if thread.get("stacktrace"))
    return next(with_stack, None) if not raised else None


def _thread(given: Mapping[str, object]) -> str:
    thread = _thread_of(given) or {}
    name = thread.get("name")
    return values.text(name if name not in (None, "") else thread.get("id"), 100)


def _culprit(frames: list[dict[str, Any]]) -> str:
    """Where it happened: the innermost function of the application."""
    for frame in reversed(frames):
        if frame["in_app"]:
            place = frame["module"] or file_name(frame["file"])
            name = str(frame["function"])
            if not frame["module"]:
                return f"{name} ({place})" if place else name
            return name if name.startswith(f"{place}.") else f"{place}.{name}"  # as Elixir's is
    return ""


def file_name(path: str) -> str:
    """The last part of a path or address, without query and fragment."""
    return re.split(r"[?#]", path, maxsplit=1)[0].replace("\\", "/").rstrip("/").rpartition("/")[2]


def _channel(given: Mapping[str, object]) -> str:
    """The SDK, and what in it noticed the error."""
    name = values.text(values.mapping(given.get("sdk")).get("name"), 60) or "sentry"
    for facts in reversed(values.mappings(_exception(given), 50)):
        kind = values.text(values.mapping(facts.get("mechanism")).get("type"), 60)
        return f"{name}: {kind}" if kind else name
    return name


def _sdk(given: Mapping[str, object]) -> str:
    facts = values.mapping(given.get("sdk"))
    found = f"{values.text(facts.get('name'), 60)} {values.text(facts.get('version'), 30)}"
    return found.strip()


def _user(given: object, remote_address: str) -> dict[str, str]:
    found = values.texts(given, 10, 1_000)
    if found.get("ip_address") == _AUTO:
        del found["ip_address"]
        if remote_address:
            found["ip_address"] = remote_address
    return found


def _breadcrumbs(given: object) -> list[dict[str, Any]]:
    found = []
    for crumb in values.mappings(given, MAX_CRUMBS):
        made: dict[str, Any] = {
            "time": values.moment(crumb.get("timestamp")),
            "category": values.first_text(crumb, "category", "type", limit=200),
            "level": values.text(crumb.get("level"), 20) or "info",
            "message": values.text(crumb.get("message"), 2_000),
        }
        data = values.texts(crumb.get("data"), 50, 1_000)
        if data:
            made["data"] = data
        found.append(made)
    return found


def _contexts_given(given: Mapping[str, object]) -> dict[str, object]:
    return dict(values.mapping(given.get("contexts")))


def _contexts(given: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """Contexts, further data, the request's body and what noticed the error, one level deep."""
    found: dict[str, dict[str, str]] = {}

    def add(name: str, facts: object) -> None:
        made = values.texts(facts, MAX_CONTEXT_ITEMS, 2_000)
        made.pop("type", None)
        if made and len(found) < MAX_CONTEXTS:
            found[name] = made

    given_contexts = _contexts_given(given)
    for name in ("trace", "log"):
        add(name, given_contexts.pop(name, None))
    add("extra", given.get("extra"))
    body = values.mapping(given.get("request")).get("data")
    add("request body", body if isinstance(body, dict) else {"body": body} if body else None)
    for facts in reversed(values.mappings(_exception(given), 50)):
        mechanism = values.mapping(facts.get("mechanism"))
        shown = {name: mechanism.get(name) for name in ("handled", "synthetic")}
        noticed = {name: value for name, value in shown.items() if isinstance(value, bool)}
        add("mechanism", {"by": mechanism.get("type"), **noticed} if noticed else None)
        signal = values.mapping(values.mapping(mechanism.get("meta")).get("signal"))
        add("signal", signal)
        break
    images = values.mapping(given.get("debug_meta")).get("images")
    add("debug images", _images(images))
    for name, context in list(given_contexts.items())[:MAX_CONTEXTS]:
        add(str(name)[:100], context)
    for name in ("logger", "dist"):
        if isinstance(given.get(name), str) and given[name]:
            add(name, {name: given[name]})
    return found


def _images(given: object) -> dict[str, str]:
    """Libraries of a native program, each with the id of its debug information."""
    found = {}
    for image in values.mappings(given, MAX_CONTEXT_ITEMS):
        path = values.first_text(image, "code_file", "debug_file", "name", limit=1_000)
        number = values.first_text(image, "debug_id", "uuid", "code_id", limit=100)
        if path or number:
            found[file_name(path) or "?"] = number
    return found


def _request(given: Mapping[str, object]) -> dict[str, Any] | None:
    facts = values.mapping(given.get("request") or _legacy(given, "Http"))
    if not facts:
        return None
    try:
        url = urlsplit(values.text(facts.get("url"), 4_000))
        scheme, host, path, query = url.scheme, url.netloc.rpartition("@")[2], url.path, url.query
    except ValueError:
        scheme, host, path, query = "", "", values.text(facts.get("url"), 2_000), ""
    environment = values.mapping(facts.get("env"))
    return {
        "method": values.text(facts.get("method"), 20),
        "scheme": scheme,
        "host": host,
        "path": path or "/",
        "query": _query(facts.get("query_string")) or query,
        "headers": _headers(facts),
        "remote_address": values.text(environment.get("REMOTE_ADDR"), 100),
    }


def _headers(facts: Mapping[str, object]) -> list[list[str]]:
    found = [list(pair) for pair in values.texts(facts.get("headers"), 50, 1_000).items()]
    cookies = facts.get("cookies")
    if cookies and not any(name.lower() == "cookie" for name, _ in found):
        found.append(["Cookie", values.text(cookies, 1_000)])
    return found


def _query(given: object) -> str:
    if isinstance(given, str):
        return given[:4_000]
    pairs = values.texts(given, 100, 1_000)
    return urlencode(list(pairs.items()))


def _cuts(given: Mapping[str, object]) -> list[str]:
    """What a limit took away before it was recorded."""
    found = []
    for name, limit in (("tags", MAX_TAGS), ("breadcrumbs", MAX_CRUMBS)):
        sent = given.get(name)
        if isinstance(sent, dict) and isinstance(sent.get("values"), list):
            sent = sent["values"]
        if isinstance(sent, (dict, list)) and len(sent) > limit:
            found.append(f"{len(sent) - limit} of {len(sent)} {name} left out")
    return found


def _legacy(given: Mapping[str, object], name: str) -> object:
    """A part under the name that old SDKs give it."""
    return given.get(f"sentry.interfaces.{name}")
