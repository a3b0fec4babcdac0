"""Carbon 2.0's lines, as Telegraf's `carbon2` output writes them. Pure.

    metric=cpu field=usage_idle host=web1  98.5 1795390642

A metric's field becomes a series of both names, further pairs are tags: `cpu.usage_idle;host=web1`.
The format is that of http://metrics20.org/implementations/.
"""

from __future__ import annotations

import re
from typing import Final

from inapp_monitor.ground.points import Method
from inapp_monitor.ingest.protocols import influx, numbers
from inapp_monitor.ingest.protocols.parsed import Parsed, RejectedError

_BEGIN: Final = "metric="
#: Two blanks end the pairs that identify a series.
_END_OF_PAIRS: Final = "  "
_NOT_IN_TAG = re.compile(r"[;!^]+")


def is_carbon2(line: str) -> bool:
    """Whether it is such a line, and none of Carbon's first format."""
    return line.startswith(_BEGIN) and _END_OF_PAIRS in line


def add_point(line: str, parsed: Parsed) -> None:
    """Add a line's point.

    Raises:
        RejectedError: `fields`, `value`, `nonfinite`, `timestamp` or `tag`.
    """
    *pairs, value, time = line.split()
    if len(pairs) < 1:
        raise RejectedError("fields")
    if numbers.is_nan(value):
        parsed.note("nan")
        return
    tags: dict[str, str] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        if not key or not text:
            raise RejectedError("tag")
        tags[_NOT_IN_TAG.sub("_", key)] = _NOT_IN_TAG.sub("_", text).lstrip("~") or "_"
    name = influx.series_of(tags.pop("metric"), tags.pop("field", "value"))
    path = name + "".join(f";{key}={text}" for key, text in tags.items())
    at = numbers.timestamp(time, parsed)
    parsed.points.append((path, numbers.number(value), at, Method.AVERAGE))
