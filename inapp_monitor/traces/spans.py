"""The spans of a request: what it did, from when to when. The part that runs inside requests.

A span is one tuple, appended when it ends. Which span lies within which is not noted: in one
thread spans nest, so it follows from start and end when somebody looks. The request is found by the
context variable that the request path sets, and its spans lie in a slot of its record, made with
the first span. All else (shapes, counts, routes) is made of them off the request, in `tracing`.

Texts of statements are raw here, with their literals: they live in memory until the next fold and
must never be written or shown. `tracing.Tracing.shaped` makes of them what may be.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from threading import get_ident
from typing import Any, Final, NamedTuple

from inapp_monitor.ground import current_request
from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces import call_site
from inapp_monitor.traces.call_site import Site

#: What a span is about: its first field.
DATABASE: Final = 1
HTTP: Final = 2
CACHE: Final = 3
TEMPLATE: Final = 4
CODE: Final = 5
QUEUE: Final = 6
#: Ends and beginnings of transactions: time of the database, no statement.
TRANSACTION: Final = 7
KIND_NAMES: Final = {
    DATABASE: "database",
    HTTP: "http",
    CACHE: "cache",
    TEMPLATE: "template",
    CODE: "code",
    QUEUE: "queue",
    TRANSACTION: "transaction",
}

#: Spans of one request; those after them are counted by text.
MAX_SPANS = 500
#: Texts of one request that are counted past `MAX_SPANS`.
MAX_COUNTED = 50
#: Name of what is counted when there are more.
OTHER: Final = "(other)"
#: Characters of a text that are kept until the next fold.
MAX_TEXT_LENGTH = 20_000
#: Characters from which on a text counts as long. Bytes of long texts that are kept between two
#: folds, and of one request; of those after them the beginning is kept, then a shorter one.
LONG_TEXT = 500
MAX_LONG_BYTES = 16_000_000
MAX_LONG_BYTES_OF_REQUEST = 2_000_000
BEGINNING = 2_000
#: Spans outside requests that wait for the next fold.
MAX_OUTSIDE = 10_000
#: Texts whose call site has been looked for because they were new.
MAX_TEXTS = 2_000
#: Seconds from which on the call site of a span is looked for.
SLOW_S = 0.001
#: Cache calls of one text that have spans of their own; later ones below these seconds are counted.
MANY = 20
FAST_S = 0.001
#: Occurrence of a text in one request at which its call site is looked for.
REPEATED = 3


class Span(NamedTuple):
    """What each field of a span is. On the way they are plain tuples: `Span._make(raw)`.

    Attributes:
        kind: DATABASE, HTTP, ...
        start, end: Performance counter, seconds.
        text: Statement (raw!), `GET host`, command, template or name.
        thread: Of which thread or greenlet: spans of one nest.
        system: Of a statement: dialect and database (`sqlite shop.db`); of a cache: its software.
        error: Name of the exception's class; None when there was none.
        rows: Of a statement: rows it changed or, where the driver knows, found; of an HTTP call:
            the status; of a cache call: 1 for a hit, 0 for a miss.
        key: What tells the parameters of a statement from others, within one process; None: unknown
            or without parameters.
    """

    kind: int
    start: float
    end: float
    text: str
    thread: int = 0
    system: str | None = None
    error: str | None = None
    rows: int | None = None
    key: int | None = None


#: As `Span`, without its cost.
RawSpan = tuple[int, float, float, str, int, str | None, str | None, int | None, int | None]


class Spans(list[RawSpan]):
    """The spans of one request that is under way.

    Attributes:
        counts: How often each text has come so far.
        inside: The threads in which an outer hook (SQLAlchemy, Django) runs a statement: those of
            the drivers below it are silent there.
        long_bytes: Of its long texts.
        more: Of the texts past `MAX_SPANS`: kind, count, seconds and system.
        sites: Which lines asked for a text that repeats, is slow or was new.
    """

    __slots__ = ("counts", "inside", "long_bytes", "more", "sites")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.inside: set[int] = set()
        self.long_bytes = 0
        self.more: dict[str, list[Any]] | None = None
        self.sites: dict[str, Site] | None = None


#: What stands in a request's record when its spans have been handed over.
HANDED_OVER: Final = Spans()

#: As `Spans.inside`, outside of requests.
in_statement: Final[ContextVar[bool]] = ContextVar("inapp_monitor_in_statement", default=False)
#: While an outer hook (Django) calls a cache, that of its driver is silent.
in_cache_call: Final[ContextVar[bool]] = ContextVar("inapp_monitor_in_cache_call", default=False)


class Outside:
    """Spans outside of any request, of this process, and what went wrong in `note`.

    Attributes:
        spans: What waits for the next fold, with the line that asked for it or None.
        watchers: How many monitors want them.
        dropped: Spans for which there was no room.
        long_bytes: Of long texts, in and outside of requests, since the last fold.
        shortened: Long texts of which only the beginning was kept.
        failures: Failures of the monitor's own while noting.
        on_failure: Called with such a failure.
    """

    __slots__ = (
        *("dropped", "failures", "long_bytes", "on_failure", "shortened", "spans", "watchers"),
    )

    def __init__(self) -> None:
        self.spans: list[tuple[RawSpan, Site | None]] = []
        self.watchers = 0
        self.dropped = 0
        self.long_bytes = 0
        self.shortened = 0
        self.failures = 0
        self.on_failure: Callable[[BaseException], object] | None = None


outside: Final = Outside()
#: Hashes, so that neither long texts nor literals stay.
known_texts: set[int] = set()
#: The record of the request that this thread, greenlet or task answers, or answered last.
entered: Final = current_request.entered
#: What the monitor's own threads have entered.
NOBODY: Final = current_request.NOBODY


def note(
    kind: int,
    start: float,
    text: str,
    system: str | None = None,
    error: str | None = None,
    rows: int | None = None,
    key: int | None = None,
) -> None:
    """A span that began at `start` (performance counter) ends now. Never raises.

    *Cost:* 0.5 us hot; 6-13 us more when the call site is looked for. *Threads:* any.
    """
    end = perf_counter()
    try:
        record = entered()
        span = (kind, start, end, text, get_ident(), system, error, rows, key)
        if record is None or record.environ is None:
            if record is not NOBODY:
                note_outside(span)
            return
        spans = record.spans
        if spans is None:
            spans = record.spans = Spans()
        if kind == CACHE and end - start < FAST_S and spans.counts.get(text, 0) >= MANY:
            count_only(spans, kind, end - start, text, system)
            return
        add(spans, span, text, end - start)
    except Exception as failure:  # noqa: BLE001  # the monitor's own
        failed(failure)


def add(spans: Spans, span: RawSpan, text: str, seconds: float) -> None:
    """Add a span to those of its request.

    Args:
        spans: Of the request.
        span: What is added.
        text, seconds: Its text and how long it took.
    """
    if len(text) > LONG_TEXT:
        text = _bounded(text, spans)
        if text is not span[3]:
            span = (*span[:3], text, *span[4:])
    if len(spans) >= MAX_SPANS:
        count_only(spans, span[0], seconds, text, span[5])
        return
    spans.append(span)
    counts = spans.counts
    n = counts[text] = counts.get(text, 0) + 1
    if (
        n == REPEATED
        or seconds >= SLOW_S
        or (n == 1 and hash(text) not in known_texts and _is_new(text))
    ):
        _note_site(spans, text)


def extend(spans: Spans, last: RawSpan, rows: int) -> None:
    """The statement that ended last went on until now: its rows were fetched. Never raises."""
    try:
        if spans[-1] is last:
            kind, start, _, text, thread, system, error, before, key = last
            end = perf_counter()
            spans[-1] = (kind, start, end, text, thread, system, error, (before or 0) + rows, key)
            if end - start >= SLOW_S:
                _note_site(spans, text)
    except Exception as failure:  # noqa: BLE001  # another thread has added one
        failed(failure)


def _bounded(text: str, spans: Spans | None = None) -> str:
    """A long text as far as there is room for it until the next fold."""
    if len(text) > MAX_TEXT_LENGTH:
        text = text[:MAX_TEXT_LENGTH]
    size = text.__sizeof__()
    room = MAX_LONG_BYTES - outside.long_bytes
    of_request = spans.long_bytes if spans is not None else 0
    if size > room or of_request + size > MAX_LONG_BYTES_OF_REQUEST:
        outside.shortened += 1
        text = text[: BEGINNING if room > -MAX_LONG_BYTES else LONG_TEXT]
        size = text.__sizeof__()
    outside.long_bytes += size
    if spans is not None:
        spans.long_bytes += size
    return text


def note_outside(span: RawSpan) -> None:
    """A span that belongs to no request; kept when a monitor wants it and there is room."""
    if not outside.watchers or span[0] != DATABASE:
        return
    if len(outside.spans) >= MAX_OUTSIDE:
        outside.dropped += 1
        return
    text = span[3]
    if len(text) > LONG_TEXT:
        text = _bounded(text)
        span = (*span[:3], text, *span[4:])
    site = call_site.find() if _is_new(text) or span[2] - span[1] >= SLOW_S else None
    outside.spans.append((span, site))


def count_only(spans: Spans, kind: int, seconds: float, text: str, system: str | None) -> None:
    """Count what is not kept as a span of its own, by text."""
    more = spans.more
    if more is None:
        more = spans.more = {}
    if text not in more and len(more) >= MAX_COUNTED:
        text = OTHER
    entry = more.get(text)
    if entry is None:
        entry = more.setdefault(text, [kind, 0, 0.0, system])
    entry[1] += 1
    entry[2] += seconds


def _note_site(spans: Spans, text: str) -> None:
    sites = spans.sites
    if sites is None:
        sites = spans.sites = {}
    if text not in sites:
        sites[text] = call_site.find()


def _is_new(text: str) -> bool:
    """Whether a text is met for the first time, as far as there is room to remember it."""
    known = hash(text)
    if known in known_texts or len(known_texts) >= MAX_TEXTS:
        return False
    known_texts.add(known)
    return True


def failed(failure: Exception) -> None:
    """Count a failure of the monitor's own."""
    outside.failures += 1
    report = outside.on_failure
    if report is not None:
        report(failure)


def forked() -> None:
    """In a child process: what waits is the parent's."""
    outside.spans.clear()
    outside.dropped = outside.long_bytes = outside.shortened = 0
