"""An event as it may be stored and shown: scrubbed, cleaned, cut to its size. No I/O.

For the flush, not for the failing request: this takes milliseconds an event.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from typing import Any

from inapp_monitor.issues import bound_values
from inapp_monitor.issues.event import Event
from inapp_monitor.issues.safe_text import HIDDEN, clean_text
from inapp_monitor.issues.scrub import Scrubber

MAX_EVENT_BYTES = 64 * 2**10


def finish(event: Event, scrubber: Scrubber) -> Event:
    """The event as it may be stored and shown: secrets replaced, unsafe characters visible."""
    event = _without_values(event)
    done: Event = {}
    text = functools.cache(scrubber.text)  # many frames have the same variables
    for key, value in event.items():
        if key == "exceptions":
            done[key] = [_finish_exception(item, scrubber, text) for item in value]
        elif key == "request" and value is not None:
            done[key] = _finish_request(value, scrubber)
        elif key == "contexts" and value:
            done[key] = _finish_contexts(value, scrubber, text)
        else:
            done[key] = scrubber.tree(value, text)
    cleaned: Event = _clean(done)
    return cleaned


def _without_values(event: Event) -> Event:
    """The event without the values that the application calls sensitive, wherever they stand."""
    secrets = event.get("sensitive")
    if not secrets:
        return event
    texts = {text for secret in secrets for text in (secret, repr(secret)[1:-1])}
    longest_first = sorted(texts, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
    rest = {key: value for key, value in event.items() if key != "sensitive"}
    changed = {key: _hide(event[key], pattern) for key in _MAY_REPEAT if key in event}
    return {**rest, **changed}


#: Parts of an event that may repeat the value of a variable.
_MAY_REPEAT = ("message", "exceptions", "breadcrumbs", "why")


def _hide(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {key: _hide(item, pattern) for key, item in value.items()}
    return [_hide(item, pattern) for item in value] if isinstance(value, list) else value


def encode(event: Event) -> bytes:
    """The event as JSON of at most `MAX_EVENT_BYTES`; what had to go is named in `cuts`."""
    for give_up in _GIVE_UP:
        text = json.dumps(event, separators=(",", ":"), default=str).encode("ascii")
        if len(text) <= MAX_EVENT_BYTES:
            return text
        event = give_up(event)
    return json.dumps(event, separators=(",", ":"), default=str).encode("ascii")


def _finish_exception(facts: Event, scrubber: Scrubber, text: Callable[[str], str]) -> Event:
    frames = []
    for frame in facts["frames"]:
        source = frame["source"]
        bound = bound_values.hide_in_variables(
            frame.get("locals", {}), scrubber.hides, scrubber.may_name_secrets
        )
        hidden = {key: text(shown) for key, shown in bound.items()}
        lines = scrubber.source(source["lines"]) if source["lines"] else []
        frames.append({**frame, "source": {**source, "lines": lines}, "locals": hidden})
    rest = {key: scrubber.tree(value, text) for key, value in facts.items() if key != "frames"}
    return {**rest, "frames": frames}


def _finish_contexts(contexts: Event, scrubber: Scrubber, text: Callable[[str], str]) -> Event:
    """Groups stay groups: one whose name is that of a secret keeps the names of its values."""
    return {
        name: facts if isinstance(facts, dict) else dict.fromkeys(contexts[name], HIDDEN)
        for name, facts in scrubber.tree(contexts, text).items()
    }


def _finish_request(request: Event, scrubber: Scrubber) -> Event:
    headers = []
    for name, value in request["headers"]:
        if scrubber.hides(name, value):
            headers.append([name, HIDDEN])
        elif "?" in value and name in ("Referer", "Origin"):
            place, _, query = value.partition("?")
            headers.append([name, f"{scrubber.text(place)}?{scrubber.query(query)}"])
        else:
            headers.append([name, scrubber.text(value)])
    return {
        **{key: scrubber.tree(value) for key, value in request.items() if key != "headers"},
        "query": scrubber.query(request["query"]),
        "headers": headers,
    }


def _clean(value: Any) -> Any:
    if type(value) is str:
        return clean_text(value)
    if type(value) is dict:
        return {clean_text(key): _clean(item) for key, item in value.items()}
    if type(value) is list:
        return [_clean(item) for item in value]
    return value


def _without(event: Event, what: str, change: Callable[[Event], Event]) -> Event:
    exceptions = [
        {**facts, "frames": [change(frame) for frame in facts["frames"]]}
        for facts in event["exceptions"]
    ]
    cuts = [*event["cuts"], f"event above {MAX_EVENT_BYTES} bytes: {what} left out"]
    return {**event, "exceptions": exceptions, "cuts": cuts}


def _drop_library_locals(event: Event) -> Event:
    return _without(
        event,
        "variables of library frames",
        lambda frame: frame if frame["in_app"] else {**frame, "locals": {}},
    )


def _drop_locals_and_source(event: Event) -> Event:
    return _without(
        event,
        "all variables and library source",
        lambda frame: {
            **frame,
            "locals": {},
            **({} if frame["in_app"] else {"source": {"first": frame["line"], "lines": []}}),
        },
    )


def _drop_breadcrumbs(event: Event) -> Event:
    cuts = [*event["cuts"], f"event above {MAX_EVENT_BYTES} bytes: breadcrumbs left out"]
    return {**event, "breadcrumbs": [], "contexts": {}, "cuts": cuts}


def _drop_linked(event: Event) -> Event:
    kept = [
        {**facts, "message": facts["message"][:1_000], "frames": facts["frames"][-10:]}
        for facts in event["exceptions"][:5]
    ]
    cuts = [*event["cuts"], f"event above {MAX_EVENT_BYTES} bytes: linked exceptions left out"]
    return {**event, "message": event["message"][:1_000], "exceptions": kept, "cuts": cuts}


def _drop_details(event: Event) -> Event:
    kept = [
        {
            **facts,
            "notes": [],
            "frames": [
                {**frame, "locals": {}, "source": {"first": frame["line"], "lines": []}}
                for frame in facts["frames"][-5:]
            ],
        }
        for facts in event["exceptions"][:2]
    ]
    cuts = [f"event above {MAX_EVENT_BYTES} bytes: only the innermost frames are kept"]
    empty: Event = {"user": {}, "tags": {}, "contexts": {}, "request": None}
    return {**event, **empty, "exceptions": kept, "cuts": cuts}


#: One after the other, until the event fits.
_GIVE_UP = (
    _drop_library_locals,
    _drop_breadcrumbs,
    _drop_locals_and_source,
    _drop_linked,
    _drop_details,
)
