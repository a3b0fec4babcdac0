"""Work that SDKs measured, as kept traces beside those of the application's own requests.

Kept are the slowest, some failed and some at random of each name, as of routes. Spans that are sent
alone wait until the whole has come, so that they are one trace. All of them together have a bound
of their own in the table: who has the public key of a browser drives out no trace of the
application.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from random import random

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ingest.sentry.transactions import SdkSpan, Segment
from inapp_monitor.traces import kept_trace
from inapp_monitor.traces.reservoirs import Reservoirs
from inapp_monitor.traces.spans import MAX_COUNTED, MAX_SPANS
from inapp_monitor.traces.statement_shape import shape_of
from inapp_monitor.traces.trace_table import SDK_PREFIX, KeptRow, TraceTable

#: Seconds that the spans of a whole that has come are waited for, and those of one that has not.
JOINS_S, WAITS_S = 2.0, 60.0
MAX_WAITING, MAX_WAITING_SPANS = 200, 20_000
#: Older ones, and those of the future, are moved to the time at which they came.
_OLDEST_S = 3_600.0
_MAX_BUILT = 200


@dataclass(slots=True)
class _Waiting:
    segment: Segment
    since: float
    dropped: int = 0


@dataclass(slots=True)
class KeptSegments:
    """What one process was sent. *Threads:* `add` any, the rest for the one that ticks.

    Args:
        table: Where traces are kept.
        clean: Takes secrets out of a text.

    Attributes:
        dropped: Traces and spans that could not be kept.
    """

    clock: Clock
    table: TraceTable
    clean: Callable[[str], str]
    dropped: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: dict[tuple[str, str, str], _Waiting] = field(default_factory=dict)
    _spans: int = 0
    _reservoirs: Reservoirs = field(default_factory=lambda: Reservoirs(random))

    def add(self, segment: Segment, project: str) -> None:
        """Something of a segment has come."""
        key = (project, segment.trace_id, segment.id)
        with self._lock:
            known = self._waiting.get(key)
            if known is None:
                if len(self._waiting) >= MAX_WAITING:
                    self.dropped += 1
                    return
                room = max(MAX_WAITING_SPANS - self._spans, 0)
                self.dropped += max(len(segment.spans) - room, 0)
                del segment.spans[room:]
                self._waiting[key] = _Waiting(segment, self.clock.wall())
                self._spans += len(segment.spans)
                return
            self._join(known, segment)

    def _join(self, known: _Waiting, segment: Segment) -> None:
        spans = known.segment.spans
        room = max(min(2 * MAX_SPANS - len(spans), MAX_WAITING_SPANS - self._spans), 0)
        added = segment.spans[:room]
        self.dropped += len(segment.spans) - len(added)
        self._spans += len(added)
        if segment.start is not None:
            segment.spans = [*spans, *added]
            known.segment, known.since = segment, self.clock.wall()
        else:
            spans += added

    def write(self, *, at_once: bool = False) -> None:
        """Hand those that are complete to the database."""
        now = self.clock.wall()
        rows = []
        for project, segment in self._complete(now, at_once):
            row = self._row(segment, project, now)
            if row is not None:
                rows.append(row)
        if rows and not self.table.add_of_sdks(rows):
            self.dropped += len(rows)

    def _complete(self, now: float, at_once: bool) -> list[tuple[str, Segment]]:
        with self._lock:
            found = []
            for key, waiting in list(self._waiting.items()):
                waits_s = JOINS_S if waiting.segment.start is not None else WAITS_S
                if at_once or not 0 <= now - waiting.since < waits_s:
                    found.append((key[0], waiting.segment))
                    del self._waiting[key]
                    self._spans -= len(waiting.segment.spans)
                if len(found) >= _MAX_BUILT:
                    break
            return found

    def _row(self, segment: Segment, project: str, now: float) -> KeptRow | None:
        """The row of a segment that is worth it; one without spans and times is none."""
        if segment.start is None or segment.end is None:
            if not segment.spans:
                return None
            segment.start = min(span.start for span in segment.spans)
            segment.end = max(span.end for span in segment.spans)
        name = self.clean(segment.name[:300]) or "(no name)"
        method = self.clean(segment.method)[:60]
        slug = f"{SDK_PREFIX}{project}:{name}"
        ms = (segment.end - segment.start) * 1000.0
        reasons, draw = self._reservoirs.reasons((slug, method), ms, segment.failed, now)
        if not reasons:
            return None
        started = segment.start
        if not now - _OLDEST_S <= started <= now:
            started = now - min(ms / 1000.0, _OLDEST_S)
        trace = {
            "id": f"sdk-{segment.id}",
            "started": round(started, 6),
            "route": name,
            "slug": slug,
            "path": self.clean(segment.path[:500]) or name,
            "request_id": "",
            "trace": segment.trace_id,
            "why": reasons,
            "release": self.clean(segment.release),
            "pid": 0,
            "project": project,
            "sdk": self.clean(segment.sdk),
            "ms": round(ms, 3),
            "method": method,
            "status": self.clean(segment.status) or None,
            "failed": segment.failed,
            "sites": {},
            **_packed(segment.spans, segment.start, self.clean),
        }
        return KeptRow(
            id=str(trace["id"]),
            slug=slug,
            method=method,
            status=segment.status[:60],
            path=str(trace["path"]),
            started=started,
            ms=round(ms, 3),
            failed=segment.failed,
            asked=False,
            draw=draw if "random" in reasons else 1.0 + draw,
            spans=len(segment.spans),
            request_id="",
            trace=segment.trace_id,
            why=" ".join(reasons),
            data=kept_trace.pack(trace),
        )

    def forked(self) -> None:
        """In a child process: what was sent is the parent's."""
        self._lock = threading.Lock()
        self._waiting.clear()
        self._spans = self.dropped = 0
        self._reservoirs.clear()


def _packed(spans: list[SdkSpan], start: float, clean: Callable[[str], str]) -> dict[str, object]:
    """Spans as kept traces have them: texts by number, the first ones each, the rest counted."""
    texts: dict[str, int] = {}
    systems: dict[str, int] = {}
    lanes: dict[str, int] = {}
    shown: dict[tuple[str, str, str], str] = {}
    rows: list[list[object]] = []
    counted: dict[tuple[str, str], tuple[int, float]] = {}
    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        key = (span.kind, span.text, span.system)
        text = shown.get(key)
        if text is None:
            plain = span.text
            if span.kind == "database":
                plain = shape_of(plain, span.system.partition(" ")[0].lower()) or "(empty)"
            text = shown[key] = clean(plain)
        if len(rows) >= MAX_SPANS:
            name = (span.kind, text)
            if name not in counted and len(counted) >= MAX_COUNTED:
                name = (span.kind, "(other)")
            count, seconds = counted.get(name, (0, 0.0))
            counted[name] = count + 1, seconds + span.end - span.start
            continue
        system = systems.setdefault(clean(span.system), len(systems)) if span.system else -1
        place = [max(round((span.start - start) * 1e6), 0), round((span.end - span.start) * 1e6)]
        number = texts.setdefault(text, len(texts))
        lane = lanes.setdefault(span.lane, len(lanes))
        error = clean(span.error) or None
        rows.append([span.kind, *place, number, lane, system, span.status, error, -1])
    return {
        "texts": list(texts),
        "systems": list(systems),
        "spans": rows,
        "counted": [
            [kind, text, count, round(seconds * 1000.0, 3)]
            for (kind, text), (count, seconds) in counted.items()
        ],
    }
