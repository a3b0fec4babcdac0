"""Thousands of random statements with marked secrets in them: none on the disk, none on a page."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor import Monitor
from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.testing import FakeClock
from inapp_monitor.traces.spans import DATABASE, note
from inapp_monitor.traces.statement_shape import shape_of
from tests.environ import environ_of

TOKEN = "t" * 20
WORD, NUMBER = "S3CR3T", "48151"
SYSTEMS = (
    "sqlite",
    "sqlite shop.db",
    "postgresql shop",
    "mysql shop",
    "mariadb shop",
    "oracle",
    "mssql shop",
    "bigquery",
    "",
)
SPACES = (" ", "  ", "\n", "\t", " \n  ")


class Writer:
    """Writes statements of one dialect at random."""

    def __init__(self, order: Random, dialect: str) -> None:
        self.order = order
        self.is_mysql = dialect in ("mysql", "mariadb", "bigquery")
        self.is_mssql = dialect == "mssql"
        self.is_sqlite = dialect == "sqlite"

    def text(self) -> str:
        """A secret among what quotes find hard."""
        letters = "ab é;,()-*/#$:?%@[]{}=<>" + ("" if self.is_mysql else "\\")
        around = ["".join(self.order.choices(letters, k=self.order.randrange(6))) for _ in "ab"]
        return f"{around[0]}{WORD}{around[1]}"

    def literal(self) -> str:
        """A secret as the dialect writes one."""
        text, number = self.text(), NUMBER
        kinds = [
            f"'{text}'",
            f"'it''s {text}'",
            f"'{text}''{text}'",
            number,
            f"-{number}",
            f"{number}.{number}",
            f".{number}",
            f"{number}e10",
            f"N'{text}'",
            f"x'{number}'",
            f"0x{number}",
            f"DATE '{text}'",
        ]
        if self.is_mysql:
            kinds += [f'"{text}"', f"'\\'{text}\\''", f'"a""{text}"', f"_utf8'{text}'"]
        elif self.is_mssql:
            kinds += [f"(SELECT [it's]+'{text}' FROM [dbo].[a]]'b])", f"[a -- b]+N'{text}'"]
        elif self.is_sqlite:
            kinds += [f"'{text}' COLLATE NOCASE"]
        else:
            plain = text.replace("$", "").replace("\\", "")
            kinds += [
                f"E'\\'{plain}\\''",
                f"$${plain}$$",
                f"$body${plain} ' $body$",
                f"'{text}'::text",
                f"ARRAY['{text}', {number}]",
                f"U&'{text}'",
                f"CAST('{text}' AS varchar(20))",
                f"0o{NUMBER}",
                f"data #>> '{{a,{plain}}}'",
                f"“{plain}”",
            ]
        return self.order.choice(kinds)

    def value(self) -> str:
        """A literal, or what is made of some."""
        depth = self.order.random()
        if depth < 0.7:
            return self.literal()
        if depth < 0.8:
            return f"lower({self.literal()})"
        if depth < 0.9:
            return f"({self.literal()} || {self.literal()})"
        return f"CASE WHEN a={self.literal()} THEN {self.literal()} ELSE {self.literal()} END"

    def condition(self) -> str:
        column = self.order.choice(("name", "u.name", '"u"."name"', "`name`", "data->>'k'", "n"))
        kind = self.order.randrange(6)
        if kind == 0:
            values = ",".join(self.value() for _ in range(self.order.randrange(1, 5)))
            return f"{column} IN ({values})"
        if kind == 1:
            return f"{column} LIKE {self.literal()}"
        if kind == 2:
            return f"{column} BETWEEN {self.literal()} AND {self.literal()}"
        if kind == 3:
            return f"({column}, n)=({self.value()},{self.value()})"
        if kind == 4:
            return f"{column}={self.value()}"
        return f"{column} <> {self.value()} AND NOT {column} < {self.literal()}"

    def comment(self) -> str:
        if self.order.random() < 0.8:
            return " "
        text = self.text().replace("*", "")
        return self.order.choice((f" /* {text} */ ", f" -- {text}\n"))

    def statement(self) -> str:
        """A statement, now and then cut off in the middle."""
        order, value = self.order, self.value
        rows = ",".join(f"({value()},{value()})" for _ in range(order.randrange(1, 5)))
        text = order.choice(
            (
                f"SELECT * FROM users u{self.comment()}WHERE {self.condition()}",
                f"SELECT {value()}, f({value()}) FROM t LIMIT {NUMBER} OFFSET {NUMBER}",
                f"INSERT INTO users (name,n){self.comment()}VALUES {rows}",
                f"UPDATE users SET name={value()}, n=n+{NUMBER} WHERE {self.condition()}",
                f"DELETE FROM users WHERE {self.condition()} OR {self.condition()}",
                f"WITH c AS (SELECT {value()}) SELECT * FROM c WHERE {self.condition()}",
                f"CALL p({value()}, {value()})",
                f"SET x = {self.literal()}",
            )
        )
        text = order.choice(SPACES).join(text.split(" ")) if "--" not in text else text
        return text[: order.randrange(1, len(text))] if order.random() < 0.1 else text


def leaks(text: str) -> bool:
    """Whether one of the marks is in it."""
    return WORD in text or NUMBER in text


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(SYSTEMS))
def test_no_secret_is_in_a_shape(seed: int, system: str) -> None:
    """However the dialect writes it, and where the text is cut off."""
    dialect = system.partition(" ")[0]
    statement = Writer(Random(seed), dialect).statement()
    shape = shape_of(statement, dialect)
    assert not leaks(shape), (dialect, statement, shape)


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [("", "select E'S3CR3T\\"), ("mysql", "select 'S3CR3T\\"), ("mysql", 'select "S3CR3T\\')],
)
def test_a_text_cut_off_behind_a_backslash(dialect: str, statement: str) -> None:
    """The quote is open, and what would be escaped is missing: all of it is a literal."""
    assert shape_of(statement, dialect) == "select ?"


@pytest.mark.parametrize(
    ("dialect", "statement", "shape"),
    [
        ("mysql", r"insert into t values ('C:\', 'S3', 'D:\', 'S3')", "insert into t values (?)"),
        ("mysql", r"select 'it\'s S3' and x='b'", "select ? and x=?"),
        ("mysql", r"""select "a\" S3", '\'S3' from t""", "select ?, ? from t"),
        ("postgresql", r"select 'it\'s S3', 'don\'t S3' from t", "select ?, ? from t"),
        ("postgresql", r"select 'C:\', E'it\'s S3', 'S3' from t", "select ?, ?, ? from t"),
        ("", r"select '\'S3 ' a'", "select ?"),
        ("mssql", "select [it's], N'S3' from [dbo].[a]]'b]", "select ?, ? from [dbo].?"),
        ("bigquery", 'select "S3" from `a.b`', "select ? from `a.b`"),
        ("", "select “S3”, ‘S3’, „S3“ from t", "select ?, ?, ? from t"),
        ("", 'select "S3', "select ?"),
    ],
)
def test_quotes_that_can_be_read_in_two_ways(dialect: str, statement: str, shape: str) -> None:
    """Read as the dialect does it if that makes sense, else in the other way, else to the end."""
    assert shape_of(statement, dialect) == shape


def application(statements: list[tuple[str, str]], slow: float) -> Any:
    """An application whose only request makes these, some slowly, some past the first 500."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        for number, (statement, system) in enumerate(statements):
            began = perf_counter() - (slow if number % 7 == 0 else 0.0)
            note(
                DATABASE, began, statement, system, "Error" if number % 5 == 0 else None, 3, number
            )
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x"]

    return app


def check(data_dir: Path, count: int, seed: int) -> None:
    """Make so many statements, then look at all that is left of them."""
    order = Random(seed)
    made = [
        (Writer(order, s.partition(" ")[0]).statement(), s) for s in order.choices(SYSTEMS, k=count)
    ]
    clock = FakeClock(1_800_000_000)
    app = application(made, slow=0.02)
    monitor = Monitor(app, data_dir=data_dir, token=TOKEN, flush_interval_s=10, clock=clock)
    assert any(leaks(text) for text, _ in made)
    try:
        visit(monitor, "/orders")
        clock.advance(11)
        monitor.refresh()
        pages = ["/statements", "/statements.json", "/traces", "/traces.json", "/", "/logs"]
        traces = monitor.life.services.trace_table.rows(0, 1e12)
        assert traces
        for row in traces:
            pages += [f"/traces/{row['id']}{end}" for end in ("", ".json", ".md", ".html")]
        for path in pages:
            assert WORD not in visit(monitor, f"/_metrics{path}").decode(), path
        shapes = [each.shape for each in monitor.life.services.tracing.statements.shown()]
        assert not any(map(leaks, shapes))  # on a page the digits may be a time's, too
    finally:
        monitor.close()
    for file in data_dir.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert WORD.encode() not in data, file


def visit(monitor: Monitor, path: str) -> bytes:
    """One request, closed as servers do."""
    given = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "HTTP_HOST": "127.0.0.1"}
    answered: list[str] = []
    body = monitor(
        environ_of(path, **given),
        lambda status, headers, exc_info=None: answered.append(status) or (lambda data: None),
    )
    try:
        return b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
        assert answered[0].startswith("200"), (path, answered)


def test_none_is_left_of_a_request(tmp_path: Path) -> None:
    """Neither in the files nor on a page, whatever became of its spans."""
    check(tmp_path / "data", 560, seed=1)


@pytest.mark.compat
@pytest.mark.peer
def test_none_is_left_of_ten_thousand(tmp_path: Path) -> None:
    """The same for many more."""
    for seed in range(15):
        check(tmp_path / f"data{seed}", 700, seed=100 + seed)
