"""Spans that the application names, requests carried into threads, and statements in tests."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jinja2 import DictLoader, Environment

from inapp_monitor.testing import statements
from inapp_monitor.traces.spans import CODE, DATABASE, TEMPLATE
from tests.traces.conftest import Traced


def test_blocks_and_functions_of_every_kind(traced: Traced) -> None:
    """Functions, methods, generators, coroutines and async generators; errors pass and show."""
    span = traced.monitor.span

    @span("function")
    def function(n: int) -> int:
        return n

    @span("generator")
    def generator() -> Iterator[int]:
        yield 1

    @span("coroutine")
    async def coroutine() -> int:
        return 2

    @span("async generator")
    async def async_generator() -> AsyncIterator[int]:
        yield 3

    async def collected() -> list[int]:
        return [value async for value in async_generator()]

    def work() -> None:
        assert function(7) == 7
        assert list(generator()) == [1]
        assert asyncio.run(coroutine()) == 2
        assert asyncio.run(collected()) == [3]
        with pytest.raises(ZeroDivisionError), span("block"):
            _ = 1 / 0

    found = traced.tracing.shaped(traced.run(work))
    names = ["function", "generator", "coroutine", "async generator", "block"]
    assert [(each.kind, each.text) for each in found] == [(CODE, name) for name in names]
    assert [each.error for each in found] == [None, None, None, None, "ZeroDivisionError"]


def test_a_request_is_carried_into_threads(traced: Traced) -> None:
    """What the threads of a pool do belongs to the request, each in its own lane."""

    def ask(n: int) -> None:
        sqlite3.connect(":memory:").execute(f"select {n}")

    def work() -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(traced.monitor.carry(ask), range(20)))
            list(pool.map(ask, range(20)))  # not carried

    ended = traced.run(work)
    assert len(ended.spans) == 20
    assert traced.monitor.carry(ask) is ask  # outside of a request


def test_a_template_and_what_it_loads(traced: Traced) -> None:
    """A template is a span around the statements that it makes; its name is shown."""
    loader = Environment(loader=DictLoader({"page.html": "{{ load() }}"}), autoescape=True)

    def load() -> int:
        value: int = sqlite3.connect(":memory:").execute("select 5").fetchone()[0]
        return value

    def work() -> None:
        assert loader.get_template("page.html").render(load=load) == "5"
        assert loader.from_string("S3CR3T").render() == "S3CR3T"

    found = traced.tracing.shaped(traced.run(work))
    assert [(each.kind, each.text) for each in found] == [
        (DATABASE, "select ?"),
        (TEMPLATE, "page.html"),
        (TEMPLATE, "(string)"),
    ]


def three() -> None:
    connection = sqlite3.connect(":memory:")
    for number in range(3):
        connection.execute("select ?", (number,))


def test_statements_of_a_block_are_asserted() -> None:
    """No monitor is needed; the failure names what repeats and its line."""
    with statements(at_most=3) as made:
        three()
    assert made.count == 3
    with pytest.raises(AssertionError) as caught, statements(at_most=2):
        three()
    assert "3 statements, at most 2 expected" in str(caught.value)
    assert "3 × select ?" in str(caught.value)
    line = three.__code__.co_firstlineno + 3
    assert f"test_named_spans.py:{line} in three" in str(caught.value)
    with pytest.raises(KeyError), statements(at_most=0):  # the block's own error comes first
        three()
        raise KeyError


def test_statements_of_requests_within_the_block_count(traced: Traced) -> None:
    """Before, in and after a request, however many."""

    def many() -> None:
        connection = sqlite3.connect(":memory:")
        for number in range(600):
            connection.execute(f"select {number}")

    with statements() as made:
        three()
        traced.run(many)
        three()
    assert made.count == 606
    with statements() as later:
        pass
    assert later.count == 0


def test_statements_of_a_disabled_monitor_count_too(tmp_path: Any) -> None:
    """Tests that switch the monitor off can count all the same."""
    made = Traced(tmp_path / "data", traces=False)
    try:
        made.work = three
        with statements(at_most=3) as found:
            b"".join(made.monitor({"PATH_INFO": "/"}, lambda *_: lambda _: None))  # type: ignore[arg-type]
        assert found.count == 3
    finally:
        made.monitor.close()
