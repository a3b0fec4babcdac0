"""Events and issues as text for people: the traceback as Python prints it, Markdown, curl. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from inapp_monitor.ground.utc_text import utc_text
from inapp_monitor.ground.visible_text import visible, visible_line
from inapp_monitor.issues.safe_text import HIDDEN

#: What is printed between two exceptions of a chain, as Python does.
_BETWEEN = {
    "cause": "The above exception was the direct cause of the following exception:",
    "context": "During handling of the above exception, another exception occurred:",
}
#: Local variables that are printed already, so that a long one in many frames is printed once.
Shown = set[tuple[str, str]]
LONG_VALUE = 80
#: Headers that curl makes itself, or that would hold a repeated request back.
_NOT_REPEATED = frozenset({"Host", "Content-Length", "Connection", "Accept-Encoding"})


def traceback_text(event: Mapping[str, Any], *, with_locals: bool = False) -> str:
    """The exceptions of an event as Python prints them, the raised one last."""
    exceptions: Sequence[Mapping[str, Any]] = event.get("exceptions") or []
    if not exceptions:
        return f"{visible_line(event['type'])}: {event['message']}"
    return "\n".join(_tree(exceptions, 0, set() if with_locals else None))


def _tree(exceptions: Sequence[Mapping[str, Any]], position: int, shown: Shown | None) -> list[str]:
    """The lines of one exception: what it came from first, then itself, then its members."""
    lines: list[str] = []
    members: list[int] = []
    for number, other in enumerate(exceptions):
        if other["parent"] != position or number == position:
            continue
        if other["relation"] == "member":
            members.append(number)
        else:
            lines += [*_tree(exceptions, number, shown), "", _BETWEEN[other["relation"]], ""]
    lines += _one(exceptions[position], shown)
    for count, number in enumerate(members, 1):
        inner = _tree(exceptions, number, shown)
        lines += [f"  +-{'+' if count == 1 else '-'}---------------- {count} ----------------"]
        lines += [f"    | {line}".rstrip() for line in inner]
    return lines


def _one(facts: Mapping[str, Any], shown: Shown | None) -> list[str]:
    lines = ["Traceback (most recent call last):"] if facts["frames"] else []
    for frame in facts["frames"]:
        lines += _frame(frame, shown)
    name = facts["type"]
    if facts["module"] not in ("", "builtins"):
        name = f"{facts['module']}.{name}"
    name = visible_line(name)
    lines += (f"{name}: {facts['message']}" if facts["message"] else name).splitlines()
    for note in facts["notes"]:
        lines += note.splitlines()
    return lines


def _frame(frame: Mapping[str, Any], shown: Shown | None) -> list[str]:
    place = f'  File "{frame["file"]}", line {frame["line"]}, in {frame["function"]}'
    lines = [visible_line(place)]
    source = failing_line(frame)
    if source.strip():
        stripped = source.strip()
        lines.append(f"    {stripped}")
        begin, end = caret_columns(frame, source)
        if 0 < end - begin < len(stripped):
            indent = len(source) - len(source.lstrip())
            lines.append(" " * (4 + begin - indent) + "^" * (end - begin))
    if frame["repeated"]:
        lines.append(f"  [Previous line repeated {frame['repeated']} more times]")
    if shown is not None:
        for name, value in (frame.get("locals") or {}).items():
            again = len(value) > LONG_VALUE and (name, value) in shown
            lines.append(visible_line(f"      {name} = {'(as above)' if again else value}"))
            shown.add((name, value))
    return lines


def failing_line(frame: Mapping[str, Any]) -> str:
    """The source line that failed, an empty string when there is none."""
    source = frame["source"]
    at = frame["line"] - source["first"]
    return str(source["lines"][at]) if 0 <= at < len(source["lines"]) else ""


def caret_columns(frame: Mapping[str, Any], line: str) -> tuple[int, int]:
    """Where the failing expression begins and ends in its line, in characters; (0, 0) if unknown.

    Python counts bytes of UTF-8.
    """
    column, end_column = frame.get("column"), frame.get("end_column")
    if not isinstance(column, int) or not isinstance(end_column, int):
        return 0, 0
    data = line.encode("utf-8", "surrogatepass")
    if HIDDEN in line or column > len(data):
        return 0, 0  # the line is not the one that was compiled
    begin = len(data[:column].decode("utf-8", "replace"))
    if frame.get("end_line") != frame["line"]:
        return begin, len(line.rstrip())
    return begin, len(data[:end_column].decode("utf-8", "replace"))


def curl_command(request: Mapping[str, Any]) -> str:
    """The command that repeats a request, without its body and its secrets."""
    url = f"{request['scheme'] or 'http'}://{request['host']}{request['path']}"
    if request["query"]:
        url += f"?{request['query']}"
    parts = ["curl"]
    if request["method"] not in ("GET", ""):
        parts += ["-X", request["method"]]
    for name, value in request["headers"]:
        if name not in _NOT_REPEATED and value != HIDDEN:
            parts += ["-H", f"{name}: {value}"]
    return shlex.join(visible_line(part) for part in (*parts, url))


def event_text(event: Mapping[str, Any]) -> str:
    """One event as plain text, with local variables: to be pasted."""
    lines = [_title(event), ""]
    lines += [f"{name}: {value}" for name, value in _facts(event)]
    if event.get("request"):
        lines += ["", curl_command(event["request"])]
    lines += ["", traceback_text(event, with_locals=True)]
    crumbs = event.get("breadcrumbs") or []
    if crumbs:
        lines += ["", "Before:"]
        for crumb in crumbs:
            text = f"  {crumb['level']:8} {crumb['category']}: {crumb['message']}"
            lines.append(visible_line(text))
    return visible("\n".join(lines)) + "\n"


def event_markdown(event: Mapping[str, Any]) -> str:
    """One event as Markdown, for an issue tracker or a chat."""
    lines = [f"## {_plain_markdown(_title(event))}", ""]
    lines += [
        f"- **{_plain_markdown(name)}**: {_plain_markdown(value)}" for name, value in _facts(event)
    ]
    lines += _fenced("python", traceback_text(event))
    if event.get("request"):
        lines += _fenced("sh", curl_command(event["request"]))
    return "\n".join(lines) + "\n"


def _fenced(language: str, text: str) -> list[str]:
    """A block of code that nothing in it ends."""
    fence = "```"
    while fence in text:
        fence += "`"
    return ["", f"{fence}{language}", visible(text), fence]


def _title(event: Mapping[str, Any]) -> str:
    """Type and first line of the message."""
    return visible_line(f"{event['type']}: {(event['message'].splitlines() or [''])[0]}")


def _facts(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values, each of them one line."""
    request = event.get("request") or {}
    facts = [
        ("when", utc_text(event["time"])),
        ("where", event.get("culprit")),
        ("route", event.get("route")),
        ("request", f"{request.get('method', '')} {request.get('path', '')}".strip()),
        ("release", event.get("release")),
        ("environment", event.get("environment")),
        ("server", event.get("server")),
        *[(f"tag {name}", value) for name, value in (event.get("tags") or {}).items()],
    ]
    return [(visible_line(name), visible_line(str(value))) for name, value in facts if value]


def _plain_markdown(text: str) -> str:
    return re.sub(r"[\\`*_\[\]<>#|~&!$]", r"\\\g<0>", visible_line(text))
