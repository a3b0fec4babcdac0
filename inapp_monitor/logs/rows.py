"""From a heard record to the row on disk, and back: scrubbed, short, JSON. No I/O.

A row is a JSON object; what is empty is left out:

    time, level, logger, text      always
    place, thread, fields, error   where it was logged, and what came with it
    request, route, method, path   the request's key (see `ground.request_key`), and what it is
    request_id, trace              X-Request-Id, and the trace's id of traceparent
    user, issue, release, pid
    dropped                        instead of a record: so many before it did not fit
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from inapp_monitor.ground import wsgi_text
from inapp_monitor.ground.request_key import request_key, trace_of
from inapp_monitor.ground.route_text import template_of
from inapp_monitor.logs.buffer import HeardRecord
from inapp_monitor.logs.ring_format import MAX_ROW_BYTES

MAX_TEXT: Final = 4_000
_MAX_NAME, _MAX_PLACE, _MAX_PATH = 200, 300, 500
#: The levels of `logging`, highest first.
LEVELS: Final = {"CRITICAL": 50, "ERROR": 40, "WARNING": 30, "INFO": 20, "DEBUG": 10}


class Scrubbing(NamedTuple):
    """What hides secrets: in a text, and in values by their names."""

    text: Callable[[str], str]
    values: Callable[[dict[str, str]], Mapping[str, Any]]


def level_name(level: int) -> str:
    """The name of the standard level that a number reaches; below the lowest, that."""
    return next((name for name, least in LEVELS.items() if level >= least), "DEBUG")


def row_of(record: HeardRecord, scrubbing: Scrubbing, release: str, pid: int) -> bytes:
    """A record as a row that fits into a block."""
    clean = scrubbing.text
    text = record.text
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]} … ({len(text) - MAX_TEXT} more characters)"
    row = {
        "time": round(record.time, 3),
        "level": level_name(record.level),
        "logger": clean(record.logger[:_MAX_NAME]),
        "text": clean(text),
        "place": clean(record.place[:_MAX_PLACE]),
        "thread": clean(record.thread[:_MAX_NAME]),
        "fields": dict(scrubbing.values(dict(record.fields))),
        "error": record.error[:_MAX_NAME],
        **_of_request(record, clean),
        "user": clean(record.user[:_MAX_NAME]),
        "issue": record.issue,
        "release": release,
        "pid": pid,
    }
    return _encoded(row)


def _of_request(record: HeardRecord, clean: Callable[[str], str]) -> dict[str, str]:
    request = record.request
    if request is None:  # an SDK elsewhere may know the trace
        return {"trace": trace_of(record.traceparent)}
    return {
        "request": request_key(request.start),
        "route": (template_of(request.route) or "")[:_MAX_NAME],
        "method": record.method[:20],
        "path": clean(wsgi_text.decode(request.path[:_MAX_PATH])),
        "request_id": clean(record.request_id[:_MAX_NAME]),
        "trace": trace_of(record.traceparent),
    }


def dropped_row(count: int, time: float, pid: int) -> bytes:
    """Stands where records are missing."""
    text = f"{count} log record{'' if count == 1 else 's'} did not fit here and were dropped"
    row = {"time": round(time, 3), "level": "WARNING", "logger": "inapp_monitor", "text": text}
    return _encoded({**row, "dropped": count, "pid": pid})


def _encoded(row: dict[str, Any]) -> bytes:
    given = {name: value for name, value in row.items() if value not in ("", {}, None)}
    data = json.dumps({"text": "", **given}, separators=(",", ":")).encode()
    while len(data) > MAX_ROW_BYTES:  # nothing but escapes
        given.pop("fields", None)
        given["text"] = given.get("text", "")[: len(given.get("text", "")) // 2]
        data = json.dumps(given, separators=(",", ":")).encode()
    return data


def parsed(data: bytes) -> dict[str, Any] | None:
    """A row; None when it is none."""
    try:
        row = json.loads(data)
    except (ValueError, RecursionError):
        return None
    is_row = isinstance(row, dict) and isinstance(row.get("time"), (int, float))
    return row if is_row and isinstance(row.get("text"), str) else None
