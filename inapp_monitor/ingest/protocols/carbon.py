"""Carbon's plaintext protocol: lines `name value timestamp`. Pure.

A bad line costs only itself. As in Carbon, `nan` is no value and is ignored; a missing time, `-1`
and `N` are now. Unlike Carbon's receiver, a line may break off, be too long or no UTF-8 without the
rest being lost.
"""

from __future__ import annotations

import re

from inapp_monitor.ingest.protocols import numbers
from inapp_monitor.ingest.protocols.parsed import MAX_LINE_BYTES, Parsed, RejectedError

#: The lines of ordinary clients; whatever else there is on a line is the last group.
_LINE = re.compile(
    r"^([A-Za-z0-9_\-.:#%+@=;]{1,250}) (-?[0-9]{1,17}(?:\.[0-9]{1,17})?)"
    r" ([0-9]{9,10}(?:\.[0-9]{1,9})?)\r?$|^(.+)$",
    re.ASCII | re.MULTILINE,
)
_MAX_FIELDS = 3


def parse(data: bytes, now: float) -> Parsed:
    """The points of some whole lines; the last one need not end.

    Args:
        now: Seconds since the epoch: tells a value from a time that lacks its value.
    """
    parsed = Parsed()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        for line in data.split(b"\n"):
            _parse_undecoded(line, now, parsed)
        return parsed
    if len(text) != len(data):  # in such text other characters than line feeds end a line
        for each in text.split("\n"):
            parse_line(each, now, parsed)
        return parsed
    add = parsed.points.append
    for name, value, timestamp, odd in _LINE.findall(text):
        if odd:
            parse_line(odd, now, parsed)
        else:
            parsed.lines += 1
            add((name, float(value), float(timestamp), None))
    return parsed


def _parse_undecoded(line: bytes, now: float, parsed: Parsed) -> None:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        parsed.lines += 1
        parsed.reject("encoding", line)
    else:
        parse_line(text, now, parsed)


def parse_line(line: str, now: float, parsed: Parsed) -> None:
    """One line without its end."""
    line = line.rstrip("\r")
    if not line or line.isspace():
        return
    if line.startswith("#"):
        parsed.note("comment")
        return
    parsed.lines += 1
    try:
        if len(line) > MAX_LINE_BYTES:
            raise RejectedError("too_long")
        _add_point(line, now, parsed)
    except RejectedError as error:
        parsed.reject(error.reason, line)


def _add_point(line: str, now: float, parsed: Parsed) -> None:
    fields = line.split()
    if not 2 <= len(fields) <= _MAX_FIELDS:
        raise RejectedError("fields")
    name, value_text = fields[:2]
    if numbers.is_nan(value_text):
        parsed.note("nan")
        return
    value = numbers.number(value_text)
    if len(fields) == _MAX_FIELDS:
        timestamp = numbers.timestamp(fields[2], parsed)
    elif numbers.looks_like_a_time(value, now):
        raise RejectedError("missing_value")
    else:
        timestamp = None
    parsed.points.append((name, value, timestamp, None))
