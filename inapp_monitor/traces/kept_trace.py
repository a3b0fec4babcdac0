"""One kept trace as plain data: built of an ended request, packed for the database, and back.

    id, started, ms           key of the request, epoch seconds, duration
    method, route, status     as the monitor counts it; `status` is the line or None
    path                      with the query, scrubbed
    failed, issue             whether an exception was seen, and which issue it became
    request_id, trace         X-Request-Id, and the trace's id of traceparent
    release, pid, why         which code, which process, and why it is kept (`WHY`)
    texts                     each text of a span once: statements as shapes
    systems                   each database or cache once
    sites                     by number of a text: [line that asked for it, its source], innermost
                              first
    spans                     [kind, start us, duration us, text, lane, system, rows, error, same]
    counted                   past 500 spans: [kind, text, count, ms]
    functions                 of a profiled request: [function, place, owner, own ms]
    stacks                    where it was found while it ran: [ms, [line, ...]]

Kinds are the names of `spans.KIND_NAMES`; `lane` numbers threads by their first span; `same` is a
number that equal parameters of one text share within the trace, -1 when they are not known.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from inapp_monitor.traces.ended_request import EndedRequest
from inapp_monitor.traces.spans import KIND_NAMES, Span

#: Reasons to keep a trace, as people read them.
WHY: Final = {
    "slow": "among the slowest of its route",
    "failed": "it failed",
    "random": "drawn at random",
    "asked": "it asked for it",
    "recent": "one of the latest",
}
#: Bytes of a packed trace that are unpacked again, at most.
MAX_UNPACKED = 4 * 2**20

Trace = dict[str, Any]


class _Numbers:
    """Texts by number, in the order in which they come first."""

    def __init__(self) -> None:
        self.of: dict[Any, int] = {}

    def __call__(self, value: Any) -> int:
        return self.of.setdefault(value, len(self.of))

    def all(self) -> list[Any]:
        return list(self.of)


def build(
    request: EndedRequest,
    spans: Sequence[Span],
    counted: Sequence[tuple[int, str, int, float]],
    sites: Mapping[str, Sequence[tuple[str, str]]],
    clean: Callable[[str], str],
    about: Mapping[str, Any],
) -> Trace:
    """The trace of a request.

    Args:
        request: What the request path handed over.
        spans: Its spans, statements as shapes.
        counted: Kind, text, count and seconds of what is beyond them; statements as shapes.
        sites: Lines that asked for a text, each with its source.
        clean: Takes secrets out of a text.
        about: Fields that are known elsewhere: id, started, route, path and so on.
    """
    texts, systems, lanes, keys = _Numbers(), _Numbers(), _Numbers(), _Numbers()
    rows = []
    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        number = texts(span.text)
        same = -1 if span.key is None else keys((number, span.key))
        system = -1 if span.system is None else systems(span.system)
        start_us, took_us = _us(span.start - request.start), _us(span.end - span.start)
        kind = KIND_NAMES.get(span.kind, "code")
        row = [kind, start_us, took_us, number, lanes(span.thread), system]
        rows.append([*row, span.rows, span.error, same])
    return {
        **about,
        "ms": round((request.end - request.start) * 1000.0, 3),
        "method": request.method,
        "status": request.status,
        "failed": request.failed,
        "texts": [clean(text) for text in texts.all()],
        "systems": [clean(system) for system in systems.all()],
        "sites": {str(texts.of[text]): list(at) for text, at in sites.items() if text in texts.of},
        "spans": rows,
        "counted": [
            [KIND_NAMES.get(kind, "code"), clean(text), count, round(seconds * 1000.0, 3)]
            for kind, text, count, seconds in counted
        ],
    }


def _us(seconds: float) -> int:
    return max(round(seconds * 1e6), 0)


def pack(trace: Trace) -> bytes:
    """For the database. *Cost:* 0.1 to 0.4 ms."""
    return zlib.compress(json.dumps(trace, separators=(",", ":")).encode(), 6)


def unpack(data: bytes) -> Trace | None:
    """A packed trace; None when it is damaged."""
    try:
        unpacking = zlib.decompressobj()
        trace = json.loads(unpacking.decompress(data, MAX_UNPACKED))
    except (zlib.error, ValueError, RecursionError):
        return None
    needed = ("id", "ms", "spans", "texts")
    return trace if isinstance(trace, dict) and all(name in trace for name in needed) else None
