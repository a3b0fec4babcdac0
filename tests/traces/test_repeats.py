"""Statements that one request makes again and again, and what each pattern is called."""

from __future__ import annotations

from inapp_monitor.traces import repeats
from inapp_monitor.traces.repeats import N_PLUS_ONE, SAME_AGAIN, WRITES, Repeat
from inapp_monitor.traces.spans import DATABASE, HTTP, RawSpan
from inapp_monitor.traces.statements import StatementTable

TABLE = StatementTable()
TABLE.begin_fold(1.0)
SELECT, INSERT = "select * from t where id = ?", "insert into t values (?)"


def found(
    texts: list[tuple[str, int | None]], *, each_ms: float = 1.0, gap_ms: float = 0.0,
    request_ms: float = 50.0, kind: int = DATABASE,
) -> list[Repeat]:  # fmt: skip
    """What is found of statements (text, key of the parameters) one after the other."""
    now, spans = 0.0, []
    for text, key in texts:
        start = now + gap_ms / 1000
        now = start + each_ms / 1000
        raw: RawSpan = (kind, start, now, text, 1, "sqlite", None, None, key)
        spans.append((raw, TABLE.of(text, "sqlite") if kind == DATABASE else None))
    return repeats.find(spans, request_ms)


def test_other_parameters_each_time() -> None:
    """N+1, with how often and how long."""
    (one,) = found([(SELECT, n) for n in range(20)])
    assert (one.kind, one.times, round(one.ms)) == (N_PLUS_ONE, 20, 20)


def test_the_same_parameters_each_time() -> None:
    """Once would do."""
    (one,) = found([(SELECT, 7)] * 20)
    assert one.kind == SAME_AGAIN


def test_a_row_at_a_time() -> None:
    """Writes in a loop, whatever their parameters."""
    (one,) = found([(INSERT, n) for n in range(20)])
    assert one.kind == WRITES


def test_literals_are_parameters_too() -> None:
    """Statements put together as text differ in text, not in shape."""
    (one,) = found([(f"select * from t where id = {n}", None) for n in range(20)])
    assert (one.kind, one.times) == (N_PLUS_ONE, 20)


def test_statements_that_take_turns() -> None:
    """Three lazy loads a row are three findings."""
    texts = [(f"select * from t{number} where id = ?", n) for n in range(10) for number in "abc"]
    assert [one.times for one in found(texts)] == [10, 10, 10]


def test_loops_of_three_are_none() -> None:
    """Nor of four."""
    assert not found([(SELECT, n) for n in range(4)], each_ms=10)


def test_what_costs_nothing_is_none() -> None:
    """Twenty statements of 10 us in a request of 50 ms."""
    assert not found([(SELECT, n) for n in range(20)], each_ms=0.01)


def test_the_work_between_the_statements_counts() -> None:
    """Twenty fast statements whose rows are made objects, which is most of a lazy load."""
    (one,) = found([(SELECT, n) for n in range(20)], each_ms=0.01, gap_ms=0.5)
    assert round(one.ms, 3) == 0.2
    assert round(one.loop_ms) == 10


def test_other_spans_are_not_the_statements() -> None:
    """Time of calls between them is theirs."""
    assert not found([("GET host", None)] * 20, kind=HTTP)


def test_what_frameworks_send_around_statements_is_none() -> None:
    """A savepoint for each of twenty blocks is not a loop to mend."""
    assert not found([(f"SAVEPOINT s{n}_x1", None) for n in range(20)])
