"""collectd's plain text protocol, as write_http sends it with `Format "Command"`. Pure.

    PUTVAL web1/cpu-0/cpu-idle interval=10.000 1795390642.000:42:43

Values are taken as they come: with `StoreRates true` counters are rates.
"""

from __future__ import annotations

import re

from inapp_monitor.ingest.protocols import numbers
from inapp_monitor.ingest.protocols.collectd_names import identifier_of, name_of, sources_of
from inapp_monitor.ingest.protocols.parsed import MAX_LINE_BYTES, Parsed, RejectedError

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_OPTION = re.compile(r"[a-z_]+=.*", re.ASCII)


def is_putval(text: str) -> bool:
    """Whether a text begins as this protocol does."""
    return text[:7].upper() == "PUTVAL "


def parse(data: bytes, now: float) -> Parsed:  # noqa: ARG001  # as all protocols
    """The points of whole lines."""
    parsed = Parsed()
    for line in data.split(b"\n"):
        if line.strip():
            parsed.lines += 1
            _add(line, parsed)
    return parsed


def _add(raw: bytes, parsed: Parsed) -> None:
    try:
        if len(raw) > MAX_LINE_BYTES:
            raise RejectedError("too_long")
        _add_line(raw.decode(), parsed)
    except UnicodeDecodeError:
        parsed.reject("encoding", raw)
    except RejectedError as error:
        parsed.reject(error.reason, raw)


def _add_line(line: str, parsed: Parsed) -> None:
    words = [_unescaped(quoted) or plain for quoted, plain in _WORD.findall(line)]
    if len(words) < 3 or words[0].upper() != "PUTVAL":
        raise RejectedError("fields")
    identifier = identifier_of(words[1])
    if identifier is None:
        raise RejectedError("name")
    given = [word for word in words[2:] if not _OPTION.fullmatch(word)]
    if not given:
        raise RejectedError("fields")
    for word in given:
        moment, *values = word.split(":")
        if not values:
            raise RejectedError("fields")
        timestamp = numbers.timestamp(moment, parsed)
        for source, text in zip(sources_of(identifier.type, len(values)), values, strict=True):
            if text == "U" or numbers.is_nan(text):
                parsed.note("nan")
                continue
            name = name_of(identifier, source)
            parsed.points.append((name, numbers.number(text), timestamp, None))


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
