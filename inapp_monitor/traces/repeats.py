"""Statements that one request makes again and again from one place, and what to call that. No I/O.

The rule: the same shape from the same line, at least five times in one request, and together at
least 10 ms or a tenth of the request. To a statement belongs the application's own work since the
span before it, such as building the objects of the last row: what a loop costs is not only the
database. Three names:

- `N+1`: with other parameters each time. One statement could fetch them all.
- `same again`: with the same parameters. Once would do.
- `writes in a loop`: one statement a row. `executemany` writes them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from inapp_monitor.traces.spans import DATABASE, RawSpan
from inapp_monitor.traces.statements import Statement

N_PLUS_ONE = "N+1"
SAME_AGAIN = "same again"
WRITES = "writes in a loop"

#: Times in one request, milliseconds and share of it from which on it is a finding.
MIN_TIMES = 5
MIN_MS = 10.0
MIN_SHARE = 0.1
#: What frameworks send around statements is nobody's loop.
_NOT_COUNTED = (
    *("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT", "START", "SET", "SHOW", "PRAGMA"),
    *("DEALLOCATE", "DISCARD", "LISTEN", "UNLISTEN", "FETCH", "CLOSE", "DECLARE", "RESET"),
)


@dataclass(slots=True)
class Repeat:
    """One statement that was made again and again in one request.

    Attributes:
        statement: Which.
        text: One of its raw texts, to look up the line that asked for it.
        times: How often.
        ms: Milliseconds of the statements themselves.
        loop_ms: The same, with the application's work between them.
        distinct: What tells one call from the other: text and parameters.
    """

    statement: Statement
    text: str
    times: int
    ms: float
    loop_ms: float
    distinct: set[tuple[str, int | None]]

    @property
    def kind(self) -> str:
        """What it is called."""
        if self.statement.is_write:
            return WRITES
        return SAME_AGAIN if len(self.distinct) == 1 else N_PLUS_ONE


def find(spans: list[tuple[RawSpan, Statement | None]], request_ms: float) -> list[Repeat]:
    """What repeats among the spans of one request.

    Args:
        spans: In the order of their ends, each with its statement if it is one.
        request_ms: How long the request took.
    """
    found: dict[Statement, Repeat] = {}
    ended: dict[int, float] = {}  # the last span of each thread
    for (kind, start, end, text, thread, _, _, _, key), statement in spans:
        before = ended.get(thread, start)
        ended[thread] = end
        if kind != DATABASE or statement is None:
            continue
        repeat = found.get(statement)
        if repeat is None:
            repeat = found[statement] = Repeat(statement, text, 0, 0.0, 0.0, set())
        elif before <= start:
            repeat.loop_ms += (start - before) * 1000.0
        repeat.times += 1
        repeat.ms += (end - start) * 1000.0
        repeat.loop_ms += (end - start) * 1000.0
        if len(repeat.distinct) < 2:
            repeat.distinct.add((text, key))
    limit = min(MIN_MS, MIN_SHARE * request_ms)
    return [
        repeat
        for repeat in found.values()
        if repeat.times >= MIN_TIMES
        and repeat.loop_ms >= limit
        and not repeat.statement.shape.upper().startswith(_NOT_COUNTED)
    ]
