"""SQLAlchemy: each statement once, also of engines and connections older than the monitor."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import Session, declarative_base, relationship
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from inapp_monitor.traces import spans
from inapp_monitor.traces.hooks import aiosqlite, psycopg3
from inapp_monitor.traces.spans import DATABASE
from tests.traces.conftest import Traced

Base = declarative_base()


class Shelf(Base):  # type: ignore[misc, valid-type]
    """With goods that are loaded when they are asked for."""

    __tablename__ = "shelves"
    id = sa.Column(sa.Integer, primary_key=True)
    goods = relationship("Good")


class Good(Base):  # type: ignore[misc, valid-type]
    """Lies on a shelf."""

    __tablename__ = "goods"
    id = sa.Column(sa.Integer, primary_key=True)
    shelf_id = sa.Column(sa.ForeignKey("shelves.id"))


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    """An engine with a table."""
    made = sa.create_engine(f"sqlite:///{tmp_path}/shop.db")
    with made.begin() as connection:
        connection.execute(sa.text("create table products (id integer primary key, name text)"))
    return made


def test_each_statement_once(engine: sa.Engine, tmp_path: Path) -> None:
    """The driver's own hook is silent below SQLAlchemy's; the connection is older than both."""
    connection = engine.connect()
    traced = Traced(tmp_path / "data")
    try:

        def work() -> None:
            connection.execute(
                sa.text("insert into products values (:id, :name)"),
                [{"id": n, "name": f"S3CR3T{n}"} for n in range(3)],
            )
            connection.execute(sa.text("select name from products where id = :id"), {"id": 1}).all()
            connection.exec_driver_sql("select count(*) from products where name = 'S3CR3T'")
            with pytest.raises(sa.exc.OperationalError):
                connection.execute(sa.text("select nothing"))
            with engine.connect() as another:
                another.execute(sa.text("select 1"))

        found = traced.tracing.shaped(traced.run(work))
        assert [(span.kind, span.text, span.rows, span.error) for span in found] == [
            (DATABASE, "insert into products values (?)", 3, None),
            (DATABASE, "select name from products where id = ?", None, None),
            (DATABASE, "select count(*) from products where name = ?", None, None),
            (DATABASE, "select nothing", None, "OperationalError"),
            (DATABASE, "select ?", None, None),
        ]
        assert {span.system for span in found} == {"sqlite shop.db"}
    finally:
        connection.close()
        traced.monitor.close()


def test_lazy_loads_and_streams(engine: sa.Engine, tmp_path: Path) -> None:
    """A lazy load is a statement a row, which repeats from one line; rows one by one are none."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Shelf(goods=[Good()]) for _ in range(6)])
        session.commit()
    traced = Traced(tmp_path / "data")
    try:

        def work() -> None:
            with Session(engine) as session:
                for shelf in session.scalars(sa.select(Shelf)):
                    assert len(shelf.goods) == 1
            with engine.connect() as connection:
                streaming = connection.execution_options(stream_results=True)
                assert len(list(streaming.execute(sa.text("select id from goods")))) == 6

        request = traced.run(work)
        texts = [span.text for span in traced.tracing.shaped(request)]
        assert texts[0] == "SELECT shelves.id FROM shelves"
        assert len(set(texts[1:7])) == 1
        assert texts[7:] == ["select id from goods"]
        (lines,) = [at for text, at in traced.tracing.sites(request).items() if text == texts[1]]
        assert " in work" in lines[0]
    finally:
        traced.monitor.close()


class AsyncCursor:
    """Of an asynchronous driver."""

    async def execute(self, statement: str, parameters: Any) -> None:
        await asyncio.sleep(0)


class Adapted:
    """The same, as SQLAlchemy uses it."""

    rowcount = 1

    def execute(self, statement: str, parameters: Any) -> None:
        await_only(AsyncCursor().execute(statement, parameters))


def test_tasks_that_take_turns_in_one_thread(tmp_path: Path) -> None:
    """`asyncio.gather` in a view: while one task waits for its statement those of the others count,
    and the driver below stays silent in each."""
    traced, dialect = Traced(tmp_path / "data"), DefaultDialect()
    dialect.is_async = True
    driver = psycopg3.Hook(SimpleNamespace(AsyncCursor=AsyncCursor))
    driver.attach()

    async def ask(name: str) -> None:
        for _ in range(5):
            await greenlet_spawn(dialect.do_execute, Adapted(), f"select {name}", (), None)

    async def view() -> None:
        await asyncio.gather(*map(ask, "abcd"))

    try:
        texts = traced.texts(lambda: asyncio.run(view()))
        assert sorted(texts) == sorted(5 * [f"select {name}" for name in "abcd"])
    finally:
        driver.detach()
        traced.monitor.close()


class OwnThread:
    """A connection as aiosqlite's: a thread of its own runs what tasks send it."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.connection = self._thread.submit(
            lambda: sqlite3.connect(path, check_same_thread=False)
        ).result()

    async def _execute(self, function: Callable[..., object], *args: object) -> object:
        return await asyncio.wrap_future(self._thread.submit(function, *args))

    def call(self, function: Callable[..., object], *args: object) -> Any:
        return self._execute(function, *args)

    def ask(self, statement: str) -> Any:
        return self._execute(self.connection.execute, statement)

    def execute(self, statement: str, _parameters: object) -> None:
        await_only(self.ask(statement))


def test_a_driver_with_a_thread_of_its_own(tmp_path: Path) -> None:
    """Statements that its thread runs belong to the request that sent them, and count once also
    below SQLAlchemy; what a script ran says nothing about rows."""
    traced, dialect = Traced(tmp_path / "data"), DefaultDialect()
    dialect.is_async = True
    driver = aiosqlite.Hook(SimpleNamespace(Connection=OwnThread))
    driver.attach()
    spans.outside.spans.clear()

    async def view() -> None:
        connection = OwnThread(tmp_path / "app.db")
        await connection.ask("create table t (a)")
        await connection.ask("insert into t values (1), (2)")
        cursor = connection.connection.cursor()
        await connection.call(cursor.execute, "delete from t")
        await connection.call(cursor.executescript, "select 1; select 2")
        await greenlet_spawn(dialect.do_execute, connection, "select a from t", (), None)

    try:
        found = traced.tracing.shaped(traced.run(lambda: asyncio.run(view())))
        assert [(span.text, span.rows) for span in found] == [
            ("create table t (a)", None),
            ("insert into t values (?)", 2),
            ("delete from t", 2),
            ("select ?; select ?", None),
            ("select a from t", None),
        ]
        assert not spans.outside.spans
    finally:
        driver.detach()
        traced.monitor.close()


def test_a_request_within_a_statement_of_another_one(tmp_path: Path) -> None:
    """Hooks are silent below an outer one of the same request only: each has its own statement."""
    traced, dialect = Traced(tmp_path / "data"), DefaultDialect()

    class Quick:
        rowcount = 1

        def execute(self, statement: str, parameters: Any) -> None: ...

    class Visiting(Quick):
        def execute(self, statement: str, parameters: Any) -> None:
            traced.texts(lambda: dialect.do_execute(Quick(), "select inner_request", (), None))

    try:
        traced.run(lambda: dialect.do_execute(Visiting(), "select outer_request", (), None))
        texts = [[span.text for span in traced.tracing.shaped(one)] for one in traced.ended]
        assert texts == [["select inner_request"], ["select outer_request"]]
    finally:
        traced.monitor.close()


def test_a_cursor_that_knows_no_rows(tmp_path: Path) -> None:
    """Its `rowcount` raises, is no number, or may be costly: the statement counts all the same."""
    traced, dialect = Traced(tmp_path / "data"), DefaultDialect()
    asked = []

    class Raising:
        __module__ = "psycopg"

        @property
        def rowcount(self) -> int:
            raise RuntimeError("not executed")

        def execute(self, statement: str, parameters: Any) -> None: ...

    class Strange(Raising):
        rowcount = property(lambda _: "many")

    class Stranger:
        rowcount = property(asked.append)
        execute = Raising.execute

    def work() -> None:
        dialect.do_execute(Raising(), "select a", ())
        dialect.do_execute(Strange(), "select b", ())
        dialect.do_execute(Stranger(), "select c", ())
        dialect.do_execute(Stranger(), "select c", ())

    try:
        found = traced.tracing.shaped(traced.run(work))
        assert [(span.text, span.rows) for span in found] == [
            ("select a", None),
            ("select b", None),
            ("select c", None),
            ("select c", None),
        ]
        assert not asked
    finally:
        traced.monitor.close()
