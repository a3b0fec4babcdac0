"""Which events of SDKs are the same issue, by the platform. Pure.

The rule is that of our own exceptions (`issues.grouping.v2`): for each exception of the chain its
type and the two innermost functions of the application; no line numbers and no values. A function
is named with

- JavaScript and Node: its file, without origin, query, fragment and the hash that a bundler puts
  into the name (`/static/app.3f9a1c2e.js?v=7` is `/static/app.js`); of files on a machine, what
  stands behind `node_modules/`, or the last two parts of the path;
- every other platform: its module, or without one its file's name.

Functions without a name (`?`, `<anonymous>`) and minified ones, whose names change with each build,
say too little: where both are of that kind, the message without its values is compared as well.
A fingerprint that the SDK sends stands before all this. Issues of two projects are two issues.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from inapp_monitor.ingest.sentry import values
from inapp_monitor.issues.grouping import messages, v2
from inapp_monitor.issues.grouping.fingerprint import DEFAULT, Grouping, group_by, grouping_of
from inapp_monitor.issues.grouping.names import plain_function

JAVASCRIPT = ("javascript", "node")
MAX_PARTS = 20
_HASH = re.compile(
    r"[.\-_](?=[0-9a-zA-Z_-]*\d)[0-9a-zA-Z_-]{6,40}(?=(\.min|\.bundle|\.chunk)?\.[cm]?jsx?$)"
)
_UNNAMED = re.compile(r"|\?|<anonymous>|anonymous|Object\.<anonymous>|<unknown>|0x[0-9a-fA-F]+")
#: As minifiers give them.
_SHORT = re.compile(r"(new )?[\w$]{1,2}(\.[\w$]{1,2})?")
_WRAPPED = re.compile(r"^(async |new |get |set )|\[as \w+\]| \[as .*\]$")


def grouping_of_event(
    event: Mapping[str, Any],
    fingerprint: object = None,
    template: str = "",
    logger: str = "",
) -> Grouping:
    """The fingerprint of an event.

    Args:
        event: As `event.event_of` made it.
        fingerprint: What the SDK groups by, JSON types of any shape.
        template: Of a message, before its parameters were filled in.
        logger: Name of the logger that a message came from.
    """
    exceptions = event["exceptions"]
    if event["type"] == "Message":
        found = messages.group_message(
            template or event["message"], place=logger, text=event["message"]
        )
    else:
        found = v2.group([shape_of(facts, event["platform"]) for facts in exceptions])
    parts = _parts(fingerprint)
    if parts and parts != [DEFAULT]:
        found = group_by(parts, found)
    if event["project"]:
        lines = [f"project: {event['project']}", *found.reason]
        found = grouping_of(lines, found.version)
    return found


def shape_of(facts: Mapping[str, Any], platform: str) -> v2.Shape:
    """What is compared of one exception."""
    frames = facts["frames"]
    functions = [function_of(frame, platform) for frame in frames]
    # An assembly of .NET stands with its version: `System.Private.CoreLib, Version=8.0.0.0, ...`.
    module = facts["module"].partition(",")[0]
    kind = f"{module}.{facts['type']}" if _names_module(facts, platform) else facts["type"]
    return v2.Shape(
        type=kind,
        relation=facts["relation"],
        functions=functions,
        group=facts["group"],
        message=messages.parameterize(facts["message"]) if _says_little(frames, platform) else "",
        endless=facts["type"] in ("RecursionError", "StackOverflowError"),
    )


def function_of(frame: Mapping[str, Any], platform: str) -> v2.Function:
    """A frame as it is compared."""
    name = str(frame["function"])
    if platform in JAVASCRIPT:
        place = file_without_hash(frame["file"])
        name = _WRAPPED.sub("", name).strip()
    else:
        place = frame["module"] or frame["file"].replace("\\", "/").rpartition("/")[2]
    return v2.Function(
        place, plain_function(name) or "?", frame["in_app"], times=1 + frame["repeated"]
    )


def file_without_hash(path: str) -> str:
    """A file's name as it is in every build and on every machine."""
    path = re.split(r"[?#]", path, maxsplit=1)[0].replace("\\", "/")
    is_address = re.match(r"[a-z][a-z0-9+.-]*://", path)
    if is_address:
        path = "/" + path[is_address.end() :].partition("/")[2]
    elif "node_modules/" in path:
        path = path.rpartition("node_modules/")[2]
    else:
        path = "/".join(path.split("/")[-2:])
    return _HASH.sub("", path)


def _names_module(facts: Mapping[str, Any], platform: str) -> bool:
    return platform not in JAVASCRIPT and facts["module"] not in ("", "builtins", "__builtin__")


def _says_little(frames: Sequence[Mapping[str, Any]], platform: str) -> bool:
    """Whether the functions that are compared have no names that last."""
    own = [frame for frame in frames if frame["in_app"]] or list(frames[-1:])
    for frame in own[-v2.FUNCTIONS_COMPARED :]:
        name = frame["function"]
        is_short = platform in JAVASCRIPT and _SHORT.fullmatch(name)
        if not (frame["minified"] or is_short or _UNNAMED.fullmatch(name)):
            return False
    return True


def _parts(given: object) -> list[str]:
    if not isinstance(given, list):
        return []
    return [values.text(part, 200) for part in given[:MAX_PARTS] if part is not None]
