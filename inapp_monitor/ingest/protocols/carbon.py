"""Carbon's plaintext protocol: lines `name value timestamp`. Pure.

A bad line costs only itself. As in Carbon, `nan` is no value and is ignored; a missing time, `-1`
and `N` are now. Unlike Carbon's receiver, a line may break off, be too long or no UTF-8 without the
rest being lost. Lines of Carbon 2.0 among them are known by their pairs.
"""

from __future__ import annotations

from itertools import repeat
from math import isfinite

from inapp_monitor.ingest.protocols import carbon2, numbers
from inapp_monitor.ingest.protocols.parsed import MAX_LINE_BYTES, Columns, Parsed, RejectedError

#: Of what names and numbers of ordinary clients consist; what is left of a line says its structure.
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:%+@=;"
_STRUCTURE = b"  \n"
#: Times of ordinary clients: from 1973 to 5138.
_FIRST_TIME, _LAST_TIME = 1e8, 1e11
_MAX_NAME = 250
_MAX_FIELDS = 3


def parse(data: bytes, now: float) -> Parsed:
    """The points of some whole lines; the last one need not end.

    Args:
        now: Seconds since the epoch: tells a value from a time that lacks its value.
    """
    parsed = parse_columns(data, now)
    columns, parsed.columns = parsed.columns, None
    if columns is not None:
        rows = zip(columns.names, columns.values, columns.times, repeat(None), strict=False)
        parsed.points = list(rows)
    return parsed


def parse_columns(data: bytes, now: float) -> Parsed:
    """As `parse`; points of lines that are all ordinary are columns."""
    parsed = Parsed()
    if _parse_plain(data, parsed):
        return parsed
    try:
        text = data.decode()
    except UnicodeDecodeError:
        for line in data.split(b"\n"):
            _parse_undecoded(line, now, parsed)
    else:
        for each in text.split("\n"):
            parse_line(each, now, parsed)
    return parsed


def _parse_plain(data: bytes, parsed: Parsed) -> bool:
    """Lines that are all ordinary, a field at a time and not a line; False when they are not."""
    if data[-1:] != b"\n":
        data += b"\n"
    rest = data.translate(None, _PLAIN)
    lines, odd = divmod(len(rest), len(_STRUCTURE))
    if odd or rest != _STRUCTURE * lines:
        return False
    fields = data.decode("ascii").split()
    if len(fields) != _MAX_FIELDS * lines or not lines:
        return False
    names, values, times = fields[0::3], fields[1::3], fields[2::3]
    try:
        numbers_found = list(map(float, values))
        if times.count(times[0]) == lines:  # as a rule: a client sends what it has at one time
            times_found = [float(times[0])] * lines
            earliest = latest = times_found[0]
        else:
            times_found = list(map(float, times))
            earliest, latest = min(times_found), max(times_found)
    except ValueError:
        return False
    total = sum(numbers_found) + sum(times_found)
    if (
        not isfinite(total)  # not a number among them, or infinite
        or earliest < _FIRST_TIME
        or not latest < _LAST_TIME
        or "_" in "".join(values)
        or "_" in "".join(times)
        or (len(data) > MAX_LINE_BYTES and max(map(len, names)) > _MAX_NAME)
    ):
        return False
    parsed.lines = lines
    parsed.columns = Columns(names, numbers_found, times_found, earliest, latest)
    return True


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
    if carbon2.is_carbon2(line):
        carbon2.add_point(line, parsed)
        return
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
