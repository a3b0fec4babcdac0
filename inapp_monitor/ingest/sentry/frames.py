"""Frames of a Sentry stack trace as frames of our events. Pure.

Frames stay in their order, outermost first. Equal neighbours, as an endless recursion has them,
become one with a count. Whose code a frame is: what the SDK says, else what its path says.
"""

from __future__ import annotations

import re
from typing import Any

from inapp_monitor.ingest.sentry import values

#: Frames that are looked at: SDKs send no more than 2,000.
MAX_FRAMES = 2_000
#: Of an event: the innermost ones.
KEPT_FRAMES = 100
MAX_LOCALS, MAX_LOCAL_CHARS = 40, 1_000
MAX_LINES = 5
#: What `frame_of` makes the place of, its line first.
_PLACE = ("lineno", "colno", "filename", "abs_path", "function", "raw_function",
          "module", "package", "instruction_addr", "symbol_addr")  # fmt: skip
_LIBRARY_PATH = re.compile(
    r"(^|[/\\])(site-packages|dist-packages|node_modules|vendor[/\\]bundle|lib[/\\]python\d)"
    r"|^(node:|internal[/\\]|<frozen |<asynchronous |native\b|\[native code\])"
)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,16}")
#: More characters than one line of a source that people write has.
_LONG_LINE = 500
#: A column beyond what people write, or the file's own name.
_MINIFIED_COLUMN = 400
_MINIFIED_NAME = re.compile(r"[.\-]min\.[cm]?js(\?|$)")


def frames_of(stacktrace: object) -> tuple[list[dict[str, Any]], int]:
    """The frames of a stack trace, and how many are left out."""
    facts = values.mapping(stacktrace)
    given = facts.get("frames")
    sent = len(given) if isinstance(given, list) else 0
    places = _places(values.mappings(given, MAX_FRAMES))
    left_out = max(sent - MAX_FRAMES, 0) + _omitted(facts.get("frames_omitted"))
    left_out += sum(count for _, count in places[:-KEPT_FRAMES])
    found: list[dict[str, Any]] = []
    for frame, count in places[-KEPT_FRAMES:]:
        made = frame_of(frame)
        if found and _same_place(found[-1], made):
            found[-1]["repeated"] += count
        else:
            made["repeated"] = count - 1
            found.append(made)
    return found, left_out


def _places(given: list[dict[str, object]]) -> list[tuple[dict[str, object], int]]:
    """The first of each run of frames that name the same place, and how many there are.

    An endless recursion has a thousand of them, and most are not even looked at again.
    """
    found: list[tuple[dict[str, object], int]] = []
    before: list[object] = []
    for frame in given:
        place: list[object] = [
            value if isinstance(value, (str, int, float)) else None
            for value in map(frame.get, _PLACE)
        ]
        if place == before and values.whole(place[0]):
            found[-1] = found[-1][0], found[-1][1] + 1
        else:
            found.append((frame, 1))
            before = place
    return found


def frame_of(facts: dict[str, object]) -> dict[str, Any]:
    """One frame in the shape of our events.

    Returns:
        What `EventBuilder.build` describes, and `minified`: whether the code is not what people
        wrote, so that names and lines say little.
    """
    line = values.whole(facts.get("lineno")) or 0
    column = values.whole(facts.get("colno"))
    before = _lines(facts.get("pre_context"))[-MAX_LINES:]
    here = facts.get("context_line")
    after = _lines(facts.get("post_context"))[:MAX_LINES]
    lines = [*before, values.text(here, 2_000), *after] if isinstance(here, str) else []
    path = values.first_text(facts, "filename", "abs_path", limit=2_000)
    whole_path = values.first_text(facts, "abs_path", "filename", limit=2_000)
    in_app = facts.get("in_app")
    return {
        "function": values.first_text(facts, "function", "raw_function", limit=1_000)
        or _address(facts),
        "module": values.first_text(facts, "module", limit=1_000) or _library(facts),
        "file": path,
        "path": whole_path,
        "line": line,
        "column": column,
        "in_app": in_app if isinstance(in_app, bool) else not _LIBRARY_PATH.search(whole_path),
        "repeated": 0,
        "source": {"first": max(line - len(before), 1), "lines": lines},
        "locals": _locals(facts.get("vars")),
        "minified": _is_minified(path, column, here),
    }


def _library(facts: dict[str, object]) -> str:
    """The library of a native frame, without the folder that an installation has it in."""
    package = values.first_text(facts, "package", limit=1_000).replace("\\", "/").rstrip("/")
    is_path = package.startswith("/") or package[1:3] == ":/"
    return package.rpartition("/")[2] if is_path else package


def _address(facts: dict[str, object]) -> str:
    """Where in the memory a native frame without symbols is, `?` without that."""
    found = values.first_text(facts, "instruction_addr", "symbol_addr", limit=20)
    return found if _ADDRESS.fullmatch(found) else "?"


def _is_minified(path: str, column: int | None, here: object) -> bool:
    if not re.search(r"\.[cm]?jsx?(\?|#|$)|^https?:", path):
        return False
    long_line = isinstance(here, str) and len(here) > _LONG_LINE
    far = column is not None and column > _MINIFIED_COLUMN
    return long_line or far or bool(_MINIFIED_NAME.search(path))


def _same_place(one: dict[str, Any], other: dict[str, Any]) -> bool:
    names = ("function", "module", "file", "line", "column")
    return bool(one["line"]) and all(one[name] == other[name] for name in names)


def _omitted(given: object) -> int:
    """Of `[first, behind the last]`, how many."""
    if isinstance(given, list) and len(given) == 2:
        begin, end = values.whole(given[0]), values.whole(given[1])
        if begin is not None and end is not None:
            return max(end - begin, 0)
    return 0


def _lines(given: object) -> list[str]:
    if not isinstance(given, list):
        return []
    return [values.text(line, 2_000) for line in given[:20]]


def _locals(given: object) -> dict[str, str]:
    """Variables; as a list, which some SDKs send, by their number."""
    if isinstance(given, list):
        given = {str(number): value for number, value in enumerate(given[:MAX_LOCALS])}
    found: dict[str, str] = {}
    for name, value in values.mapping(given).items():
        if len(found) >= MAX_LOCALS:
            break
        if len(name) > 4 and name[:2] == name[-2:] == "__":
            continue
        found[name[:100]] = "None" if value is None else values.text(value, MAX_LOCAL_CHARS)
    return found
