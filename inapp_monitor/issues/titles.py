"""What an issue is called: its identity, from the fingerprint and from its first event. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from inapp_monitor.issues.counts import Identity
from inapp_monitor.issues.event import Event
from inapp_monitor.issues.grouping.fingerprint import Grouping
from inapp_monitor.issues.safe_text import clean_text

#: Of the text that a search looks at.
MAX_SEARCH_CHARS = 4_000


def identity_of(
    found: Grouping, kind: str, level: str, scrub: Callable[[str], str], earlier: str = ""
) -> Identity:
    """The identity of a fingerprint before its first event is there."""
    return Identity(
        fingerprint=found.fingerprint,
        issue=found.fingerprint[:12],
        type=clean_text(kind)[:200],
        title=clean_text(kind)[:200],
        culprit="",
        level=level,
        reason=tuple(clean_text(scrub(line)) for line in found.reason),
        version=found.version,
        earlier=earlier,
    )


def complete(identity: Identity, event: Event) -> None:
    """Complete what names an issue from its first event, which is scrubbed by now."""
    first_line = event["message"].strip().split("\n", 1)[0]
    identity.title = f"{event['type']}: {first_line}"[:200] if first_line else event["type"]
    if not event["exceptions"] and first_line:
        identity.title = first_line[:200]
    identity.culprit = event["culprit"]
    words = [identity.title, event["message"], identity.culprit, event["route"] or ""]
    for facts in event["exceptions"]:
        words += [facts["module"], facts["type"], facts["message"]]
        words += [f"{frame['file']} {frame['function']}" for frame in facts["frames"][-20:]]
    identity.search = "\n".join(dict.fromkeys(words)).lower()[:MAX_SEARCH_CHARS]


def skeleton(event: Event) -> Event:
    """An event without anything that came from data: types, functions and lines only."""
    exceptions = [
        {
            **facts,
            "message": "",
            "notes": [],
            "frames": [{**frame, "locals": {}} for frame in facts["frames"]],
        }
        for facts in event["exceptions"]
    ]
    cuts = [*event["cuts"], "before_send failed: only the stack is kept"]
    kept = {
        key: event[key] for key in ("id", "time", "level", "type", "module", "culprit", "route")
    }
    return {
        **kept,
        "message": "",
        "request": None,
        "exceptions": exceptions,
        "cuts": cuts,
    }
