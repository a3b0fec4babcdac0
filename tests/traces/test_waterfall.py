"""A kept trace as rows: nested, repeats folded, gaps named, every microsecond counted once."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.web.findings import waterfall
from inapp_monitor.web.findings.trace_text import markdown


def trace_of(ms: float, *spans: tuple[str, int, int, str], **more: Any) -> dict[str, Any]:
    """A trace of (kind, start us, duration us, text) in one thread."""
    texts = list(dict.fromkeys(span[3] for span in spans))
    rows = [[k, start, took, texts.index(t), 0, -1, None, None, -1] for k, start, took, t in spans]
    base: dict[str, Any] = {"texts": texts, "systems": [], "sites": {}, "counted": []}
    facts = {"id": "a1", "method": "GET", "path": "/", "route": "/", "status": "200 OK"}
    rows.sort(key=lambda row: (row[1], -row[2]))
    return {**base, **facts, "started": 0.0, "ms": ms, "spans": rows, **more}


def shown(trace: dict[str, Any]) -> list[tuple[int, str, int]]:
    """Depth, text and count of each row."""
    return [(row["depth"], row["text"], row["count"]) for row in waterfall.rows(trace)]


def test_spans_nest_and_gaps_have_a_name() -> None:
    """By their intervals; short gaps are left out."""
    trace = trace_of(
        100.0,
        ("template", 10_000, 60_000, "page"),
        ("database", 20_000, 5_000, "SELECT 1"),
        ("database", 72_000, 1_000, "SELECT 2"),
    )
    assert shown(trace) == [
        (0, waterfall.REST, 1),
        (0, "page", 1),
        (1, "SELECT 1", 1),
        (0, "SELECT 2", 1),
        (0, waterfall.REST, 1),
    ]
    parts = {part["kind"]: part["ms"] for part in waterfall.breakdown(trace)}
    assert parts == {"template": 55.0, "database": 6.0, waterfall.REST: 39.0}


def test_repeats_are_one_row_with_a_name() -> None:
    """Also when others come in between; two are no repeat, and what is fast has no name."""
    pairs = [
        span
        for n in range(20)
        for span in (
            ("database", n * 4_000, 1_000, "SELECT a"),
            ("database", n * 4_000 + 2_000, 10, "SELECT b"),
        )
    ]
    trace = trace_of(100.0, *pairs, ("database", 90_000, 5, "SELECT c"))
    rows = {row["text"]: row for row in waterfall.rows(trace)}
    assert (rows["SELECT a"]["count"], rows["SELECT a"]["ms"]) == (20, 20.0)
    assert len(rows["SELECT a"]["bars"]) == 20
    assert [rows[text]["repeat"] for text in ("SELECT a", "SELECT b", "SELECT c")] == [
        "N+1",
        "",
        "",
    ]


def test_equal_parameters_and_writes_have_their_own_names() -> None:
    """What can be cached, and what can be one statement, is no N+1."""
    spans = [("database", n * 3_000, 2_000, "SELECT a") for n in range(6)]
    same = trace_of(20.0, *spans)
    for span in same["spans"]:
        span[8] = 0
    assert waterfall.rows(same)[0]["repeat"] == "same again"
    writes = trace_of(20.0, *[(k, s, t, "INSERT INTO a") for k, s, t, _ in spans])
    assert waterfall.rows(writes)[0]["repeat"] == "writes in a loop"


def test_other_threads_are_lanes_and_not_the_requests_time() -> None:
    """What another thread does at the same time is shown, and not added to the sum."""
    trace = trace_of(10.0, ("database", 0, 8_000, "SELECT a"), ("http", 1_000, 9_000, "GET h"))
    trace["spans"][1][4] = 1
    assert shown(trace)[:2] == [(0, "SELECT a", 1), (0, "GET h", 1)]
    assert [part["kind"] for part in waterfall.breakdown(trace)] == ["database", waterfall.REST]


def test_what_differs_from_a_usual_one_comes_first() -> None:
    """By time; statements that only one of them has are in it."""
    slow = trace_of(500.0, ("database", 0, 450_000, "SELECT a"), ("cache", 460_000, 10, "get"))
    usual = trace_of(20.0, ("database", 0, 2_000, "SELECT a"), ("database", 3_000, 10, "SELECT b"))
    found = waterfall.difference(slow, usual)
    assert (found[0]["text"], found[0]["ms"], found[0]["usual_ms"]) == ("SELECT a", 450.0, 2.0)
    assert {each["text"] for each in found} == {"SELECT a", "SELECT b", "get", waterfall.REST}


def test_as_markdown_nothing_recorded_is_markup() -> None:
    """Bars of tables, backquotes and line ends in recorded text stay text."""
    trace = trace_of(5.0, ("http", 0, 1_000, "GET `a`|b\n# c"), path="/<b>\n# x")
    rows, parts = waterfall.rows(trace), waterfall.breakdown(trace)
    data = {"trace": trace, "rows": rows, "breakdown": parts, "difference": [], "records": []}
    text = markdown(data)
    assert "`GET 'a'\\|b\\n# c`" in text
    assert not any(line.startswith(("# x", "# c")) for line in text.splitlines())
    assert "\\<b\\>" in text


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["database", "http", "template", "transaction"]),
            st.integers(0, 90_000),
            st.integers(0, 60_000),
            st.sampled_from(["a", "b", "c"]),
            st.integers(0, 2),
        ),
        max_size=60,
    )
)
def test_whatever_the_spans_nothing_is_lost(spans: list[tuple[str, int, int, str, int]]) -> None:
    """Every span is in exactly one row, bars stay within the picture."""
    trace = trace_of(100.0, *[span[:4] for span in spans])
    for row, span in zip(trace["spans"], spans, strict=True):
        row[4] = span[4]
    rows = waterfall.rows(trace)
    assert sum(row["count"] for row in rows if row["kind"] != "rest") == len(spans)
    for row in rows:
        for x, width in row["bars"]:
            assert 0 <= x <= 1000
            assert 0 < width <= 1001
    assert all(part["ms"] >= 0 for part in waterfall.breakdown(trace))
