"""OpenTSDB's lines, as collectd's write_tsdb sends them. Pure.

    put sys.cpu.user 1795390668 42.5 host=web1 cpu=0

A line becomes a point of `sys.cpu.user;host=web1;cpu=0`. The format is that of
http://opentsdb.net/docs/build/html/api_telnet/put.html; other commands are not
answered, so that tcollector, which waits for an answer to `version`, sends nothing.
"""

from __future__ import annotations

import re

from inapp_monitor.ingest.protocols import numbers
from inapp_monitor.ingest.protocols.parsed import MAX_LINE_BYTES, Parsed, RejectedError

_WORD = re.compile(r'"([^"]*)"|(\S+)')
_LEAST = 4


def parse(data: bytes, now: float) -> Parsed:  # noqa: ARG001  # as all protocols
    """The points of whole lines."""
    parsed = Parsed()
    for raw in data.split(b"\n"):
        line = raw.strip(b"\r\t ")
        if not line:
            continue
        parsed.lines += 1
        try:
            if len(line) > MAX_LINE_BYTES:
                raise RejectedError("too_long")
            _add(line.decode(), parsed)
        except UnicodeDecodeError:
            parsed.reject("encoding", line)
        except RejectedError as error:
            parsed.reject(error.reason, line)
    return parsed


def _add(line: str, parsed: Parsed) -> None:
    words = [quoted or plain for quoted, plain in _WORD.findall(line)]
    if len(words) < _LEAST or words[0] != "put":
        raise RejectedError("fields")
    name, time, value, *tags = words[1:]
    if numbers.is_nan(value):
        parsed.note("nan")
        return
    if not all("=" in tag for tag in tags):
        raise RejectedError("tag")
    path = ";".join([re.sub(r"[\s;]", "_", name), *tags])
    timestamp = numbers.timestamp(time, parsed)
    parsed.points.append((path, numbers.number(value), timestamp, None))
