"""An event that was made elsewhere, in the shape and within the limits of our own. No I/O.

A sender can send anything: each part that is missing, of another type or too long
is replaced by its default or cut, so that what is stored, and every page that shows it, can rely on
the shape that `EventBuilder.build` describes. Variables are hidden by their
names; everything else is scrubbed in the flush.

What must not be here: the formats in which others send events.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from inapp_monitor.issues.event import (
    LINES_AROUND,
    LOCALS_CHARS,
    MAX_HEADER_CHARS,
    MAX_HEADERS,
    MAX_LOCALS,
    Event,
    culprit,
)
from inapp_monitor.issues.exception_message import MAX_MESSAGE_CHARS
from inapp_monitor.issues.exception_tree import MAX_EXCEPTIONS
from inapp_monitor.issues.grouping.fingerprint import Grouping
from inapp_monitor.issues.render_values import MAX_VALUE_CHARS
from inapp_monitor.issues.safe_text import HIDDEN
from inapp_monitor.issues.scope import (
    MAX_BREADCRUMBS,
    MAX_CONTEXT_ITEMS,
    MAX_CONTEXT_VALUE,
    MAX_CONTEXTS,
    MAX_TAG_NAME,
    MAX_TAG_VALUE,
    MAX_TAGS,
    MAX_TIME,
    MAX_USER_ITEMS,
)
from inapp_monitor.issues.stack import MAX_FRAMES, MAX_SOURCE_LINE

#: Whether the value under a name is to be hidden.
Hides = Callable[[str, object], bool]
#: Makes parts of an event that only one that is kept needs.
Details = Callable[[], Mapping[str, Any]]

LEVELS = ("debug", "info", "warning", "error", "critical")
#: Older events, and those of the future, get the time at which they came.
MAX_AGE_S = 30 * 86_400
#: Of a function, a file, a class and the like.
MAX_NAME = 200
MAX_URL = 2_000
#: Where an event came from: language or runtime, name of the project, what sent it, the browser it
#: happened in, the trace it belongs to; and which of these issues are filtered by.
ORIGIN = ("platform", "project", "sdk", "browser", "trace_id")
FILTERED = ("platform", "project", "browser")
_RELATIONS = ("cause", "context", "member")
_LARGEST = 2**31
#: Printing a whole number takes quadratic time.
_LARGEST_PRINTED = 2**64


def bounded_event(
    given: Mapping[str, Any], now: float, hides: Hides, *, remote_address: bool = False
) -> Event:
    """An event of exactly our shape.

    Args:
        given: JSON types of any shape.
        now: Seconds since 1970 UTC.
        hides: Whether the variable of a name is to be hidden, see `Scrubber.hides`.
        remote_address: Whether the client's address is kept.
    """
    exceptions = _exceptions(given, hides)
    nothing: Event = {"type": "", "module": "", "message": "", "frames": []}
    raised = exceptions[0] if exceptions else nothing
    route = _text(given, "route", MAX_NAME) or None
    return {
        "id": _identifier(given),
        "time": _time(given, now),
        "level": _one_of(given, "level", LEVELS, "error"),
        "channel": _text(given, "channel", 100, "received"),
        "type": _text(given, "type", MAX_NAME) or raised["type"] or "Message",
        "module": _text(given, "module", MAX_NAME) or raised["module"],
        "message": _text(given, "message", MAX_MESSAGE_CHARS) or raised["message"],
        "culprit": _text(given, "culprit", MAX_NAME) or culprit(raised["frames"], route),
        "exceptions": exceptions,
        "route": route,
        "request": _request(given.get("request"), remote_address=remote_address),
        "cuts": [_cut(item, MAX_NAME) for item in _list(given, "cuts", 50)],
        "worker": _integer(given, "worker"),
        "thread": _text(given, "thread", 100),
        "release": _text(given, "release", MAX_NAME),
        "environment": _text(given, "environment", 100),
        "server": _text(given, "server", 100),
        **bounded_facts(given),
        **{name: _text(given, name, 100) for name in ORIGIN},
    }


def counted_part(given: Mapping[str, Any], now: float) -> Event:
    """Of `bounded_event`, what it is counted by.

    Returns:
        `id`, `level`, `type`, `release`; `occurrence`: arguments of `OccurrenceCounter.count`.
    """
    kinds = [_kind(facts) for facts in _mappings(given, "exceptions")[:1]]
    request = given.get("request")
    origin = {name: _text(given, name, 100) for name in FILTERED}
    occurrence: Event = {
        "at": _time(given, now),
        "method": (_text(request, "method", 20) if isinstance(request, dict) else "") or None,
        "route": _text(given, "route", MAX_NAME) or None,
        "tags": {**_texts(given.get("tags"), MAX_TAGS, MAX_TAG_VALUE), **origin_tags(origin)},
        "user": _texts(given.get("user"), MAX_USER_ITEMS, MAX_TAG_VALUE),
    }
    return {
        "id": _identifier(given),
        "level": _one_of(given, "level", LEVELS, "error"),
        "type": _text(given, "type", MAX_NAME) or next(iter(kinds), "Message"),
        "release": _text(given, "release", MAX_NAME),
        "occurrence": occurrence,
    }


def bounded_facts(given: Mapping[str, Any]) -> Event:
    """What surrounds an event: `user`, `tags`, `contexts` and `breadcrumbs`."""
    return {
        "user": _texts(given.get("user"), MAX_USER_ITEMS, MAX_TAG_VALUE),
        "tags": _texts(given.get("tags"), MAX_TAGS, MAX_TAG_VALUE),
        "contexts": {
            _cut(name, MAX_TAG_NAME): _texts(facts, MAX_CONTEXT_ITEMS, MAX_CONTEXT_VALUE)
            for name, facts in _items(given.get("contexts"), MAX_CONTEXTS)
        },
        "breadcrumbs": [
            _breadcrumb(crumb) for crumb in _mappings(given, "breadcrumbs")[-MAX_BREADCRUMBS:]
        ],
    }


def origin_tags(event: Mapping[str, str]) -> dict[str, str]:
    """Where an event came from, as it is counted and can be filtered by."""
    return {name: event[name] for name in FILTERED if event[name]}


def bounded_grouping(found: Grouping) -> Grouping:
    """A grouping whose reason is not longer than people read; it names what the event names."""
    reason = tuple(line[:1_000] for line in found.reason[:MAX_EXCEPTIONS])
    return Grouping(found.fingerprint[:32], reason, found.version)


def _exceptions(given: Mapping[str, Any], hides: Hides) -> list[Event]:
    found: list[Event] = []
    room = LOCALS_CHARS
    for number, facts in enumerate(_mappings(given, "exceptions")[:MAX_EXCEPTIONS]):
        frames = [_frame(frame, hides) for frame in _mappings(facts, "frames")[-MAX_FRAMES:]]
        for frame in reversed(frames):  # the innermost ones first, while there is room
            size = sum(map(len, frame["locals"].values()))
            if size > room:
                frame["locals"] = {}
            else:
                room -= size
        parent = _integer(facts, "parent")
        if number and (parent is None or parent >= number):
            parent = number - 1  # a parent comes before, so that there is no circle
        made: Event = {
            "type": _kind(facts),
            "module": _text(facts, "module", MAX_NAME),
            "message": _text(facts, "message", MAX_MESSAGE_CHARS),
            "notes": [_cut(note, 2_000) for note in _list(facts, "notes", 20)],
            "relation": _one_of(facts, "relation", _RELATIONS, "cause") if number else "raised",
            "parent": parent if number else None,
            "group": facts.get("group") is True,
            "frames": frames,
            "left_out": _integer(facts, "left_out") or 0,
        }
        found.append(made)
    return found


def _kind(raised: Mapping[str, Any]) -> str:
    """The class of an exception."""
    return _text(raised, "type", MAX_NAME, "Error") or "Error"


def _frame(facts: Mapping[str, Any], hides: Hides) -> Event:
    line = _integer(facts, "line") or 0
    source = facts.get("source")
    source = source if isinstance(source, dict) else {}
    shown = _list(source, "lines", 2 * LINES_AROUND + 1)
    return {
        "function": _text(facts, "function", MAX_NAME),
        "module": _text(facts, "module", MAX_NAME),
        "file": _text(facts, "file", MAX_NAME),
        "line": line,
        "end_line": _integer(facts, "end_line"),
        "column": _integer(facts, "column"),
        "end_column": _integer(facts, "end_column"),
        "in_app": facts.get("in_app") is True,
        "repeated": _integer(facts, "repeated") or 0,
        "minified": facts.get("minified") is True,
        "generated": _text(facts, "generated", MAX_NAME),
        "source": {
            "first": _integer(source, "first") or line,
            "lines": [_cut(text, MAX_SOURCE_LINE) for text in shown],
        },
        "locals": {
            _cut(name, 100): HIDDEN if hides(str(name), value) else _cut(value, MAX_VALUE_CHARS)
            for name, value in _items(facts.get("locals"), MAX_LOCALS)
        },
    }


def _request(given: object, *, remote_address: bool) -> Event | None:
    if not isinstance(given, dict):
        return None
    headers: list[list[str]] = []
    for pair in _list(given, "headers", MAX_HEADERS):
        if isinstance(pair, (list, tuple)) and len(pair) == 2:
            headers.append([_cut(pair[0], 100), _cut(pair[1], MAX_HEADER_CHARS)])
    facts: Event = {
        "method": _text(given, "method", 20),
        "scheme": _text(given, "scheme", 20),
        "host": _text(given, "host", MAX_NAME),
        "path": _text(given, "path", MAX_URL),
        "query": _text(given, "query", MAX_URL),
        "headers": headers,
    }
    if remote_address:
        facts["remote_address"] = _text(given, "remote_address", 100)
    return facts


def _breadcrumb(given: Mapping[str, Any]) -> Event:
    crumb: Event = {
        "time": _number(given, "time"),
        "category": _text(given, "category", 100),
        "level": _text(given, "level", 20, "info"),
        "message": _text(given, "message", MAX_CONTEXT_VALUE),
    }
    if isinstance(given.get("data"), dict):
        crumb["data"] = _texts(given["data"], MAX_CONTEXT_ITEMS, MAX_TAG_VALUE)
    return crumb


def _identifier(given: Mapping[str, Any]) -> str:
    """The event's own id when it is 32 hexadecimal digits, else a new one."""
    found = given.get("id")
    if isinstance(found, str) and len(found) == 32 and not set(found) - set("0123456789abcdef"):
        return found
    return uuid.uuid4().hex


def _time(given: Mapping[str, Any], now: float) -> float:
    found = _number(given, "time")
    return found if found is not None and now - MAX_AGE_S <= found <= now else now


# -- parts of any type


def _number(given: Mapping[str, Any], key: str) -> float | None:
    found = given.get(key)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return float(found) if 0 <= found < MAX_TIME else None


def _integer(given: Mapping[str, Any], key: str) -> int | None:
    found = given.get(key)
    if isinstance(found, bool) or not isinstance(found, int):
        return None
    return found if 0 <= found < _LARGEST else None


def _text(given: Mapping[str, Any], key: str, limit: int, default: str = "") -> str:
    found = given.get(key)
    return found[:limit] if isinstance(found, str) else default


def _one_of(given: Mapping[str, Any], key: str, known: tuple[str, ...], default: str) -> str:
    found = given.get(key)
    return found if isinstance(found, str) and found in known else default


def _list(given: Mapping[str, Any], key: str, limit: int) -> list[Any]:
    found = given.get(key)
    return list(found[:limit]) if isinstance(found, (list, tuple)) else []


def _mappings(given: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = given.get(key)
    if not isinstance(found, (list, tuple)):
        return []
    return [item for item in found if isinstance(item, dict)]


def _items(given: object, limit: int) -> list[tuple[object, object]]:
    return list(islice(given.items(), limit)) if isinstance(given, dict) else []


def _texts(given: object, items: int, limit: int) -> dict[str, str]:
    """Names and texts; numbers as text, what is nested as an empty one."""
    return {_cut(name, MAX_TAG_NAME): _cut(value, limit) for name, value in _items(given, items)}


def _cut(value: object, limit: int) -> str:
    """A text of at most so many characters; of what is neither text nor number, an empty one."""
    if isinstance(value, str):
        return value[:limit]
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < _LARGEST_PRINTED):
        return str(value)[:limit]
    return ""
