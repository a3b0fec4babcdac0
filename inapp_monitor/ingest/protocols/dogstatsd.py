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
    if data[title : title + 1] == b"|" and data[title + text + 1 : title + text + 2] in (b"", b"|"):
        try:
            return (
                data[:title].decode(),
                data[title + 1 : title + text + 1].decode(),
                data[title + text + 2 :].decode(),
            )
        except UnicodeDecodeError:
            pass
    if body[title : title + 1] == "|" and body[title + text + 1 : title + text + 2] in ("", "|"):
        return body[:title], body[title + 1 : title + text + 1], body[title + text + 2 :]
    raise RejectedError("event")


def _unescaped(text: str) -> str:
    return text.replace("\\n", "\n")


def check(line: str) -> Check:
    """A service check.

    Raises:
        RejectedError: `check`.
    """
    _, name, *sections = line.split("|")
    if not name or not sections or sections[0] not in _STATUSES:
        raise RejectedError("check")
    tags: list[tuple[str, str]] = []
    message = ""
    for section in sections[1:]:
        key, _, value = section.partition(":")
        if section.startswith("#"):
            pairs = [tag.partition(":") for tag in section[1:].split(",") if tag]
            tags += [(tag, text or "true") for tag, _, text in pairs]
        elif key == "h" and value:
            tags.append(("host", value))
        elif key == "m":
            message = _unescaped(value)
    return Check(name, int(sections[0]), tuple(tags), message)
