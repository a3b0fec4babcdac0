"""Exceptions of a Sentry event as the tree of our events: the raised one first. Pure.

SDKs send the oldest cause first and the raised one last; those that number them (`mechanism`'s
`exception_id` and `parent_id`) say how they are linked, of others each is the cause of the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inapp_monitor.ingest.sentry import values
from inapp_monitor.ingest.sentry.frames import frames_of

MAX_EXCEPTIONS = 50
_MAX_MESSAGE = 8_192

#: Makes frames of a stack trace, see `frames_of`.
FramesOf = Callable[[object], tuple[list[dict[str, Any]], int]]


def exceptions_of(given: object, frames: FramesOf = frames_of) -> list[dict[str, Any]]:
    """The exceptions of an event, in the shape that `EventBuilder.build` describes."""
    if isinstance(given, dict) and isinstance(given.get("values"), dict):
        given = given["values"]
    if isinstance(given, dict) and "values" not in given:
        given = [given]  # as very old SDKs send a single one
    sent = values.mappings(given, MAX_EXCEPTIONS)
    sent.reverse()
    ordered = _ordered(sent)
    found: list[dict[str, Any]] = []
    for facts, parent in ordered:
        mechanism = values.mapping(facts.get("mechanism"))
        stack, left_out = frames(facts.get("stacktrace"))
        if not stack:
            stack, left_out = frames(facts.get("raw_stacktrace"))
        found.append(
            {
                "type": values.text(facts.get("type"), 1_000),
                "module": values.text(facts.get("module"), 1_000),
                "message": values.text(facts.get("value"), _MAX_MESSAGE),
                "relation": _relation(mechanism) if parent is not None else "raised",
                "parent": parent,
                "group": mechanism.get("is_exception_group") is True,
                "frames": stack,
                "left_out": left_out,
            }
        )
    return found


def _ordered(
    sent: list[dict[str, object]],
) -> list[tuple[dict[str, object], int | None]]:
    """Each exception behind the one that it is linked to, with that one's place in the list."""
    by_id: dict[int, dict[str, object]] = {}
    children: dict[int, list[int]] = {}
    for facts in sent:
        mechanism = values.mapping(facts.get("mechanism"))
        number, parent = mechanism.get("exception_id"), mechanism.get("parent_id")
        if type(number) is not int or number in by_id:
            return _chain(sent)
        by_id[number] = facts
        if type(parent) is int:
            children.setdefault(parent, []).append(number)
    linked = {number for numbers in children.values() for number in numbers}
    roots = [number for number in by_id if number not in linked]
    if len(roots) != 1:
        return _chain(sent)
    found: list[tuple[dict[str, object], int | None]] = []
    waiting: list[tuple[int, int | None]] = [(roots[0], None)]
    while waiting:
        number, place = waiting.pop(0)
        waiting += [(child, len(found)) for child in sorted(children.get(number, ()))]
        found.append((by_id[number], place))
    return found if len(found) == len(sent) else _chain(sent)


def _chain(sent: list[dict[str, object]]) -> list[tuple[dict[str, object], int | None]]:
    return [(facts, place - 1 if place else None) for place, facts in enumerate(sent)]


def _relation(mechanism: dict[str, object]) -> str:
    source = mechanism.get("source")
    if isinstance(source, str):
        if source.endswith("]"):  # exceptions[0] of Python, errors[0] of JavaScript
            return "member"
        if source == "__context__":
            return "context"
    return "cause"
