r"""InfluxDB's line protocol, as Telegraf and InfluxDB's clients send it. Pure.

    cpu,host=web1,region=eu usage_user=1.5,usage_system=2i 1795390642000000000

A field becomes a series of the measurement's and its name, tags stay tags:
`cpu.usage_user;host=web1;region=eu`; a field named `value` has the measurement's name alone. Texts
have no place in a series and are passed over; true is 1. The grammar is that of
https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from inapp_monitor.ground.points import Method
from inapp_monitor.ingest.protocols import numbers
from inapp_monitor.ingest.protocols.framing import LineFraming, Refuse, pieces_of_lines
from inapp_monitor.ingest.protocols.parsed import MAX_LINE_BYTES, Parsed, RejectedError

#: Seconds of one of what a request calls `precision`.
PRECISIONS: Final[Mapping[str, float]] = {
    "n": 1e-9,
    "ns": 1e-9,
    "u": 1e-6,
    "us": 1e-6,
    "µ": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3_600.0,
}
_TRUE = frozenset(("t", "T", "true", "True", "TRUE"))
_FALSE = frozenset(("f", "F", "false", "False", "FALSE"))
#: What is not special, or an escaped character; a quote is special where a value begins.
_PIECE = re.compile(r"(?:[^ ,=\\]|\\.|\\)+|[ ,=]", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
#: Telegraf sends many fields in one point.
_MAX_POINT_BYTES: Final = 16 * MAX_LINE_BYTES
_TIME = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_ESCAPE = re.compile(r"\\([ ,=\"\\])")
#: Without a precision a time's size tells its unit: from here on ms, us, ns.
_SIZES: Final = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
_IN_NAME = re.compile(r"[.;\s]+")
#: Bytes of points that are parsed at a time: about a millisecond of work.
_PIECE_BYTES: Final = 4_096
#: Lines of a text that a stream waits for the end of.
_MAX_WAITING_LINES: Final = 200
#: Bytes of lines that are tried as one and are none: from there on a line is a point.
_MAX_TRIED_BYTES: Final = 2**17


def parse(data: bytes, now: float, precision: str = "") -> Parsed:  # noqa: ARG001
    """The points of whole lines.

    Args:
        precision: Unit of the times; "": by their size.

    Raises:
        RejectedError: `precision`, it is none of PRECISIONS.
    """
    if precision and precision not in PRECISIONS:
        raise RejectedError("precision")
    parsed = Parsed()
    for piece in pieces(data):
        add_lines(piece, precision, parsed)
    return parsed


def add_lines(data: bytes, precision: str, parsed: Parsed) -> None:
    """The points of one piece, see `pieces`."""
    for raw in data.split(b"\n"):
        line = raw.strip(b"\r\t ")
        if not line or line.startswith(b"#"):
            continue
        parsed.lines += 1
        try:
            if len(line) > _MAX_POINT_BYTES:
                raise RejectedError("too_long")
            _add(line.decode(), precision, parsed)
        except UnicodeDecodeError:
            parsed.reject("encoding", line)
        except RejectedError as error:
            parsed.reject(error.reason, line)


def pieces(data: bytes, size_bytes: int = _PIECE_BYTES) -> Iterator[bytes]:
    """The same points, each on one line, some at a time: quoted texts may hold line feeds, which
    become blanks.

    Lines that are none together stay as they are, so that a missing quote costs only its own line.
    """
    if b'="' not in data:
        yield from pieces_of_lines(data, size_bytes)
        return
    lines, at, tried_bytes = data.split(b"\n"), 0, 0
    found: list[bytes] = []
    size = 0
    while at < len(lines):
        end = at
        if tried_bytes < _MAX_TRIED_BYTES and _is_open(lines[at]):
            last = _end_of_text(lines, at)
            whole = b" ".join(lines[at : last + 1])
            if last > at and _is_point(whole):
                end = last
            else:
                tried_bytes += len(whole)
        found.append(b" ".join(lines[at : end + 1]))
        size += len(found[-1])
        at = end + 1
        if size >= size_bytes:
            yield b"\n".join(found) + b"\n"
            found, size = [], 0
    if found:
        yield b"\n".join(found)


class PointFraming(LineFraming):
    """Points of a stream: a text that holds line feeds may end in what is read later.

    It is waited for until it ends, or a line is a point of its own: then a quote was missing.
    """

    def __init__(self) -> None:
        super().__init__(_MAX_POINT_BYTES)
        self._waiting = b""

    def feed(self, data: bytes, refuse: Refuse) -> list[bytes]:
        units = super().feed(data, refuse)
        if not units:
            return units
        whole, self._waiting = self._waiting + units[0], b""
        if b'"' in whole:
            end = _begin_of_open_text(whole)
            whole, self._waiting = whole[:end], whole[end:]
        return [whole] if whole else []

    def end(self, refuse: Refuse) -> None:
        self._begun, self._waiting = self._waiting + self._begun, b""
        super().end(refuse)


def _begin_of_open_text(data: bytes) -> int:
    """Where the point begins whose text goes on behind some whole lines; their end if none does."""
    lines = data.split(b"\n")[:-1]
    at, begin = 0, 0
    while at < len(lines):
        end = at + 1
        if _is_open(lines[at]) and not lines[at].lstrip().startswith(b"#"):
            last = _end_of_text(lines, at)
            if last > at and _is_point(b" ".join(lines[at : last + 1])):
                end = last + 1
            elif last == at and _may_go_on(lines[at:]):
                return begin
        begin += sum(map(len, lines[at:end])) + end - at
        at = end
    return len(data)


def _may_go_on(lines: list[bytes]) -> bool:
    """Whether the first line's text may end behind the last one."""
    if len(lines) > _MAX_WAITING_LINES or sum(map(len, lines)) > _MAX_POINT_BYTES:
        return False
    return not any(map(_is_point, lines[1:]))


def _is_open(line: bytes) -> bool:
    """Whether its quotes are odd in number, but for escaped ones."""
    if b"\\" not in line:
        return line.count(b'"') % 2 == 1
    return _ESCAPED.sub(b"", line).count(b'"') % 2 == 1


def _end_of_text(lines: list[bytes], first: int) -> int:
    """The line in which a text may end that is open at the end of the first one."""
    size = len(lines[first])
    for at in range(first + 1, len(lines)):
        size += len(lines[at]) + 1
        if size > _MAX_POINT_BYTES:
            break
        if _is_open(lines[at]):
            return at
    return first


def _is_point(line: bytes) -> bool:
    line = line.strip(b"\r\t ")
    if not line or line.startswith(b"#"):
        return False
    try:
        _add(line.decode(), "", Parsed())
    except (UnicodeDecodeError, RejectedError):
        return False
    return True


def _add(line: str, precision: str, parsed: Parsed) -> None:
    sections = _sections(line)
    if not 2 <= len(sections) <= 3:
        raise RejectedError("fields")
    head, fields = sections[0], sections[1]
    timestamp = _timestamp(sections[2], precision) if len(sections) == 3 else None
    measurement, *pairs = head
    if len(measurement) != 1 or not measurement[0]:
        raise RejectedError("name")
    tags = _tags(pairs)
    found = [(name, _value(text, parsed)) for name, text in _pairs(fields)]
    base = _unescaped(measurement[0])
    for name, value in found:
        if value is not None:
            path = series_of(base, _unescaped(name))
            parsed.points.append((path + tags, value, timestamp, Method.AVERAGE))


def series_of(measurement: str, field: str) -> str:
    """The series of a measurement's field, without tags."""
    base = _IN_NAME.sub("_", measurement)
    return base if field == "value" else f"{base}.{_IN_NAME.sub('_', field)}"


def _sections(line: str) -> list[list[list[str]]]:
    """The parts between blanks, of these the parts between commas, of these those around `=`."""
    if "\\" not in line and '"' not in line:
        plain = [[part.split("=") for part in text.split(",")] for text in line.split(" ") if text]
        if len(plain[0][0]) > 1:  # the measurement may have one
            plain[0][0] = ["=".join(plain[0][0])]
        return plain
    sections: list[list[list[str]]] = [[[""]]]
    position, is_field = 0, False
    while position < len(line):
        quoted = _QUOTED.match(line, position) if is_field and line[position - 1] == "=" else None
        found = quoted or _PIECE.match(line, position)
        assert found is not None  # one of them matches every character
        piece, position = found[0], found.end()
        if piece == " ":
            is_field = bool(sections[0][0][0])
            sections.append([[""]])
        elif piece == ",":
            sections[-1].append([""])
        elif piece == "=" and not (len(sections) == 1 and len(sections[0]) == 1):
            sections[-1][-1].append("")
        else:
            sections[-1][-1][-1] += piece
    return [section for section in sections if section != [[""]]]


def _pairs(parts: list[list[str]]) -> list[tuple[str, str]]:
    pairs = []
    for part in parts:
        if len(part) != 2 or not all(part):
            raise RejectedError("fields")
        pairs.append((part[0], part[1]))
    return pairs


def _tags(parts: list[list[str]]) -> str:
    tags = ""
    for part in parts:
        if len(part) != 2 or not all(part):
            raise RejectedError("tag")
        key, value = (re.sub(r"[;\s]+", "_", _unescaped(text)) for text in part)
        tags += f";{key}={value.lstrip('~') or '_'}"
    return tags


def _value(text: str, parsed: Parsed) -> float | None:
    """A field's value; None for a text."""
    if text.startswith('"'):
        if len(text) < 2 or not text.endswith('"'):
            raise RejectedError("value")
        parsed.note("text")
        return None
    if text in _TRUE:
        return 1.0
    if text in _FALSE:
        return 0.0
    if numbers.is_nan(text):
        parsed.note("nan")
        return None
    whole = text[:-1] if text[-1] in "iu" else text
    if whole is not text and not re.fullmatch(r"-?[0-9]+", whole, re.ASCII):
        raise RejectedError("value")
    return numbers.number(whole)


def _timestamp(section: list[list[str]], precision: str) -> float:
    text = section[0][0] if len(section) == 1 and len(section[0]) == 1 else ""
    if _TIME.fullmatch(text) is None:
        raise RejectedError("timestamp")
    time = float(text)
    if precision:
        return time * PRECISIONS[precision]
    return time * next((unit for least, unit in _SIZES if abs(time) >= least), 1.0)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)
