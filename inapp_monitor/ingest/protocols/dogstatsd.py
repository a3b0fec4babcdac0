"""Events and service checks, as DogStatsD's clients send them among StatsD's lines. Pure.

_e{<bytes of title>,<bytes of text>}:<title>|<text>|d:<time>|h:<host>|p:<priority>|t:<type>|#<tags>
_sc|<name>|<status>|d:<time>|h:<host>|#<tags>|m:<message>
"""

from __future__ import annotations

import re

from inapp_monitor.ingest.protocols import numbers
from inapp_monitor.ingest.protocols.parsed import Check, Event, Parsed, RejectedError

_EVENT_HEAD = re.compile(r"_e\{([0-9]{1,6}),([0-9]{1,6})\}:", re.ASCII)
_STATUSES = ("0", "1", "2", "3")
#: What a tag's name and value cannot have.
_NOT_IN_TAG = re.compile(r"[;\s!^]+")
#: What clients add behind the message: container and the like.
_AFTER_MESSAGE = ("c:", "e:", "card:")
#: Of what is said beside a title: what a tag is made of.
_EVENT_TAGS = {"h": "host", "t": "alert", "p": "priority", "s": "source"}


def event(line: str, parsed: Parsed) -> Event:
    """An event; its tags are words.

    Raises:
        RejectedError: `event`, or `timestamp`.
    """
    head = _EVENT_HEAD.match(line)
    if head is None:
        raise RejectedError("event")
    title, text, rest = _cut(line[head.end() :], int(head[1]), int(head[2]))
    if not title.strip():
        raise RejectedError("event")
    tags: list[str] = []
    timestamp: float | None = None
    for section in rest.split("|"):
        key, _, value = section.partition(":")
        if section.startswith("#"):
            tags += [tag for tag in section[1:].split(",") if tag]
        elif key == "d" and value:
            timestamp = numbers.timestamp(value, parsed)
        elif key in _EVENT_TAGS and value:
            tags.append(f"{_EVENT_TAGS[key]}:{value}")
    return Event(_unescaped(title), _unescaped(text), tuple(tags), timestamp)


def _cut(body: str, title: int, text: int) -> tuple[str, str, str]:
    """Title, text and what follows; lengths are bytes, of some clients characters."""
    data = body.encode()
    end = title + text + 1
    if data[title : title + 1] == b"|" and len(data) >= end and data[end : end + 1] in (b"", b"|"):
        try:
            return (
                data[:title].decode(),
                data[title + 1 : end].decode(),
                data[end + 1 :].decode(),
            )
        except UnicodeDecodeError:
            pass
    if body[title : title + 1] == "|" and len(body) >= end and body[end : end + 1] in ("", "|"):
        return body[:title], body[title + 1 : end], body[end + 1 :]
    raise RejectedError("event")


def _unescaped(text: str) -> str:
    return text.replace("\\n", "\n")


def check(line: str, parsed: Parsed) -> Check:
    """A service check.

    Raises:
        RejectedError: `check`, or `timestamp`.
    """
    _, name, *sections = line.split("|")
    if not name.strip() or not sections or sections[0] not in _STATUSES:
        raise RejectedError("check")
    tags: list[tuple[str, str]] = []
    message, has_message = "", False
    timestamp: float | None = None
    for section in sections[1:]:
        key, _, value = section.partition(":")
        if section.startswith("#"):
            tags += _check_tags(section[1:])
        elif key == "h" and value:
            tags.append(("host", _NOT_IN_TAG.sub("_", value).lstrip("~") or "_"))
        elif key == "d" and value:
            timestamp = numbers.timestamp(value, parsed)
        elif key == "m":
            message, has_message = value, True
        elif has_message and not section.startswith(_AFTER_MESSAGE):
            message += f"|{section}"  # it comes last, and nobody escapes its bars
    message = _unescaped(message).replace("m\\:", "m:")
    return Check(name, int(sections[0]), tuple(tags), message, timestamp)


def _check_tags(text: str) -> list[tuple[str, str]]:
    """Tags as they can be stored; a bare one is `true`."""
    pairs = [tag.strip().partition(":") for tag in text.split(",")]
    return [
        (_NOT_IN_TAG.sub("_", key), _NOT_IN_TAG.sub("_", value).lstrip("~") or "true")
        for key, _, value in pairs
        if key
    ]
