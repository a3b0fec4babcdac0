"""Series names made of the names that others send. Pure.

What cannot be a name is refused: control characters, more than 250 characters, a bad tag, a first
node that is the monitor's own. What is only unusual is changed, so that it can be stored and asked
for: `/` and runs of dots separate nodes as they do in Carbon's file tree, and other characters that
a query or a page would trip over become `_`. Tags are sorted, as Carbon does before it stores.
"""

from __future__ import annotations

import re

from inapp_monitor.ground.names import RESERVED_NODES
from inapp_monitor.ground.visible_text import visible_line
from inapp_monitor.ingest.protocols.parsed import RejectedError

#: Longest name: what a file name of Carbon's could have, and what fits an entry of a group file.
MAX_NAME_LENGTH = 250
_MAX_NAME_BYTES = 800
_PLAIN = re.compile(r"[A-Za-z0-9_\-:#%+@]+(?:\.[A-Za-z0-9_\-:#%+@]+)*", re.ASCII)
_ILLEGAL = re.compile(r"[^\w\-:#%+@=.]+")
_ILLEGAL_IN_TAG = re.compile(r"[^\w\-:#%+@~=./]+")
_DOTS = re.compile(r"[./]+")
_SEVERAL_DOTS = re.compile(r"\.\.+")
_NOT_IN_TAG_KEY = frozenset("!^")
#: `name{key="value",...}`, as OpenMetrics writes tags.
_OPENMETRICS = re.compile(r'([^{}]+)\{((?:[A-Za-z_]\w*="[^"{}]*",?)*)\}', re.ASCII)
_OPENMETRICS_TAG = re.compile(r'([A-Za-z_]\w*)="([^"{}]*)"', re.ASCII)


def series_name(name: str) -> str:
    """The legal and canonical series name of a name.

    Raises:
        RejectedError: `name`, `name_control_char`, `name_too_long`, `name_reserved` or `tag`.
    """
    if _PLAIN.fullmatch(name) is not None and len(name) <= MAX_NAME_LENGTH:
        metric, tags = name, ""
    else:
        metric, tags = _cleaned(name)
    if metric.partition(".")[0] in RESERVED_NODES:
        raise RejectedError("name_reserved")
    return metric + tags


def _cleaned(name: str) -> tuple[str, str]:
    if visible_line(name) != name:
        raise RejectedError("name_control_char")
    name = _with_graphite_tags(name)
    if len(name) > MAX_NAME_LENGTH or len(name.encode()) > _MAX_NAME_BYTES:
        raise RejectedError("name_too_long")
    metric, *segments = name.split(";")
    metric = _ILLEGAL.sub("_", _DOTS.sub(".", metric.lstrip("~"))).strip(".")
    if not metric.strip("_=."):
        raise RejectedError("name")
    tags: dict[str, str] = {}
    for segment in segments:
        key, _, value = segment.partition("=")
        if not key or not value or value[0] == "~" or _NOT_IN_TAG_KEY & set(key):
            raise RejectedError("tag")
        tags[_tag_text(key)] = _tag_text(value)
    tags.pop("name", None)  # the name itself has that tag
    return metric, "".join(sorted(f";{key}={value}" for key, value in tags.items()))


def _tag_text(text: str) -> str:
    text = _SEVERAL_DOTS.sub(".", _ILLEGAL_IN_TAG.sub("_", text)).rstrip(".")
    return text or "_"


def _with_graphite_tags(name: str) -> str:
    match = _OPENMETRICS.fullmatch(name) if name.endswith("}") else None
    if match is None:
        return name
    tags = _OPENMETRICS_TAG.findall(match[2])
    return match[1] + "".join(f";{key}={value}" for key, value in tags)
