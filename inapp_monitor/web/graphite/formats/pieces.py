"""Answers as pieces of bytes: a large one is never one block of memory.

A block of some megabytes, made for each answer and freed, is what the C library's allocator keeps
for good in each thread of the server. Pieces stay below what it treats as large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps

from inapp_monitor.query.series import Series
from inapp_monitor.web.graphite.formats.options import Options

#: Characters from which on a piece is complete. One text more, and it is still below 128 KB.
PIECE_CHARS = 48 * 1024
#: Points that are written at once: some 80 KB of text at most.
POINTS_AT_ONCE = 1_500

TextWriter = Callable[[Sequence[Series], Options], Iterable[str]]
Writer = Callable[[Sequence[Series], Options], Iterator[bytes]]


def in_pieces(write: TextWriter) -> Writer:
    """A writer of texts, none of them large, as a writer of pieces that are worth sending."""

    @wraps(write)
    def pieces(series_list: Sequence[Series], options: Options) -> Iterator[bytes]:
        waiting: list[str] = []
        size = 0
        for text in write(series_list, options):
            waiting.append(text)
            size += len(text)
            if size >= PIECE_CHARS:
                yield "".join(waiting).encode()
                waiting.clear()
                size = 0
        if waiting:
            yield "".join(waiting).encode()

    return pieces


def spans(count: int, options: Options, at_once: int = POINTS_AT_ONCE) -> Iterator[slice]:
    """The points of a series, as many as are written at once; the time limit is asked for each.

    Of a series without points, one empty span.
    """
    for start in range(0, max(count, 1), at_once):
        options.check_time()
        yield slice(start, min(start + at_once, count))
