"""What the time of a request went to: database, calls, cache, templates, all else. No I/O."""

from __future__ import annotations

from typing import Final

from inapp_monitor.traces.ended_request import EndedRequest
from inapp_monitor.traces.spans import CACHE, DATABASE, HTTP, QUEUE, TEMPLATE, TRANSACTION

#: Names of the parts that spans show, by kind. Code that the application named is its own.
PART_OF: Final = {
    DATABASE: "database",
    TRANSACTION: "database",
    HTTP: "http",
    QUEUE: "http",
    CACHE: "cache",
    TEMPLATE: "templates",
}
#: All parts, in the order in which they are stacked: from spans, of the rest, and before it began.
PARTS: Final = ("database", "http", "cache", "templates", "computing", "waiting", "queue")


def breakdown(request: EndedRequest) -> dict[str, float]:
    """Seconds by part, of what spans show: each without the spans within it.

    Spans of threads that ran side by side share what the request took.
    """
    parts: dict[str, float] = {}
    inner: dict[int, list[tuple[float, float]]] = {}  # by thread: ended spans nobody encloses yet
    for kind, start, end, _, thread, _, _, _, _ in request.spans:
        own = end - start
        waiting = inner.get(thread)
        if waiting is None:
            waiting = inner[thread] = []
        while waiting and waiting[-1][0] >= start:
            own -= waiting.pop()[1]
        waiting.append((start, end - start))
        part = PART_OF.get(kind)
        if part is not None and own > 0.0:
            parts[part] = parts.get(part, 0.0) + own
    for kind, _, seconds, _ in (request.spans.more or {}).values():
        part = PART_OF.get(kind)
        if part is not None:
            parts[part] = parts.get(part, 0.0) + seconds
    total, known = max(request.end - request.start, 0.0), sum(parts.values())
    if known > total:
        parts = {part: seconds * total / known for part, seconds in parts.items()}
    return parts
