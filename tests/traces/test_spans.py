"""Spans: what a request did, noted at its end and handed over with the request."""

from __future__ import annotations

import http.client
import sqlite3
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jinja2
import pytest

from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.traces import spans
from inapp_monitor.traces.attaching import LIBRARIES, attachments
from inapp_monitor.traces.ended_request import MAX_WAITING_SPANS, Pending
from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import (
    BEGINNING,
    DATABASE,
    HTTP,
    LONG_TEXT,
    MAX_LONG_BYTES_OF_REQUEST,
    MAX_SPANS,
    Spans,
)
from inapp_monitor.traces.statement_calls import timed_execute
from inapp_monitor.traces.timed_calls import timed
from tests.traces.conftest import Traced


@pytest.fixture
def connect(tmp_path: Path, traced: Traced) -> Callable[[], sqlite3.Connection]:
    """Opens the same small database again and again."""
    assert traced

    def open_one() -> sqlite3.Connection:
        return sqlite3.connect(tmp_path / "shop.db", check_same_thread=False)

    with open_one() as connection:
        connection.execute("create table products (id int, name text)")
    return open_one


def test_statements_of_a_request(traced: Traced, connect: Callable[[], sqlite3.Connection]) -> None:
    """Each execute is one span, with its database, rows and error; commit is none."""

    def work() -> None:
        with connect() as connection:
            connection.execute("insert into products values (1, 'a')")
            connection.executemany("insert into products values (?, ?)", [(2, "b"), (3, "c")])
            connection.cursor().execute("select * from products where id = 1").fetchall()
            with pytest.raises(sqlite3.OperationalError):
                connection.execute("select nothing")

    found = traced.tracing.shaped(traced.run(work))
    assert [(span.kind, span.text, span.rows, span.error) for span in found] == [
        (DATABASE, "insert into products values (?)", 1, None),
        (DATABASE, "insert into products values (?)", 2, None),
        (DATABASE, "select * from products where id = ?", 1, None),
        (DATABASE, "select nothing", None, "OperationalError"),
    ]
    assert {span.system for span in found} == {"sqlite shop.db"}
    assert all(span.start < span.end for span in found)


def test_rows_are_computed_while_they_are_fetched(
    traced: Traced, connect: Callable[[], sqlite3.Connection]
) -> None:
    """What SQLite does in `fetchall` belongs to the statement, and the rows are known."""

    def work() -> None:
        many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)"
        rows = connect().execute(f"{many} select i from n").fetchall()
        assert len(rows) == 100_000
        cursor = connect().cursor()
        cursor.execute("select 1 union select 2 union select 3")
        assert len(cursor.fetchmany(2)) + len(cursor.fetchmany(2)) == 3

    first, second = traced.run(work).spans
    assert (first[7], second[7]) == (100_000, 3)
    assert first[2] - first[1] > 0.005


def test_an_application_keeps_its_own_classes(
    traced: Traced, connect: Callable[[], sqlite3.Connection]
) -> None:
    """Factories of connections and cursors are subclassed, not replaced."""

    class Connection(sqlite3.Connection):
        pass

    class Cursor(sqlite3.Cursor):
        pass

    def work() -> None:
        connection = sqlite3.connect(":memory:", factory=Connection)
        assert isinstance(connection, Connection)
        assert isinstance(connection.cursor(Cursor), Cursor)
        connection.cursor(factory=Cursor).execute("select 1")
        connection.executescript("select 2; select 3")

    assert traced.texts(work) == ["select ?", "select ?; select ?"]


def test_the_line_that_asks_again_and_again(
    traced: Traced, connect: Callable[[], sqlite3.Connection]
) -> None:
    """The call site of what repeats is known, innermost frame first."""

    def work() -> None:
        connection = connect()
        for number in range(5):
            connection.execute("select * from products where id = ?", (number,))

    ended = traced.run(work)
    (site,) = traced.tracing.sites(ended).values()
    assert site[0].endswith(f":{work.__code__.co_firstlineno + 3} in work")
    assert len({span[8] for span in ended.spans}) == 5  # the parameters differ


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_an_outgoing_call(traced: Traced) -> None:
    """Method and host with the answer's status; a host that refuses is an error."""
    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.handle_request)
    thread.start()

    def call() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        connection.request("GET", "/secret?token=S3CR3T")
        connection.getresponse().read()
        connection.close()

    (span,) = traced.tracing.shaped(traced.run(call))
    thread.join()
    server.server_close()
    assert (span.kind, span.text, span.rows) == (HTTP, f"GET 127.0.0.1:{server.server_port}", 204)

    def call_in_vain() -> None:
        with pytest.raises(OSError, match="refused"):
            call()

    (span,) = traced.tracing.shaped(traced.run(call_in_vain))
    assert (span.error, span.rows) == ("ConnectionRefusedError", None)


def test_spans_past_five_hundred_are_counted(
    traced: Traced, connect: Callable[[], sqlite3.Connection]
) -> None:
    """By text, up to fifty texts; nothing is lost of the numbers."""

    def work() -> None:
        connection = connect()
        for number in range(2_000):
            connection.execute(f"select {number % 80} from products")

    ended = traced.run(work)
    assert len(ended.spans) == MAX_SPANS
    assert ended.counted_only == 1_500
    assert len(ended.spans.more or {}) == 51


def test_nothing_is_noted_when_traces_are_off(tmp_path: Path) -> None:
    """Libraries stay as they are, and the request path enters nothing."""
    before = sqlite3.connect
    made = Traced(tmp_path / "data", traces=False)
    try:
        assert sqlite3.connect is before
        made.work = lambda: sqlite3.connect(":memory:").execute("select 1")
        made.monitor.refresh()
        assert not made.ended
    finally:
        made.monitor.close()


def test_libraries_are_put_back(tmp_path: Path) -> None:
    """After the last monitor has closed."""
    before = sqlite3.connect, http.client.HTTPConnection.getresponse
    first, second = Traced(tmp_path / "a"), Traced(tmp_path / "b")
    first.monitor.refresh()
    second.monitor.refresh()
    assert sqlite3.connect is not before[0]
    first.monitor.close()
    assert sqlite3.connect is not before[0]
    second.monitor.close()
    assert (sqlite3.connect, http.client.HTTPConnection.getresponse) == before


def test_one_library_can_be_left_alone(tmp_path: Path) -> None:
    """By name; the others are watched, and the state of each is known."""
    before = sqlite3.connect
    made = Traced(tmp_path / "data", traces_off="sqlite3")
    try:
        assert sqlite3.connect is before
        states = {state.name: state.state for state in attachments.states()}
        assert states["sqlite3"] == "off"
        assert states["http"] == "attached"
        assert set(states) == {library.name for library in LIBRARIES}
    finally:
        made.monitor.close()


def test_a_library_that_is_not_known_is_refused(tmp_path: Path) -> None:
    """With what the names are."""
    with pytest.raises(ConfigError, match="'sqlit' must be one of sqlalchemy, django, psycopg"):
        Traced(tmp_path / "data", traces_off="sqlit, redis")


def test_what_no_request_did_is_counted_by_statement(
    traced: Traced, connect: Callable[[], sqlite3.Connection]
) -> None:
    """Statements outside of requests have no trace, but figures."""
    traced.monitor.refresh()
    connect().execute("select count(*) from products")
    traced.monitor.refresh()
    found = traced.tracing.tables.statements().values()
    (row,) = (row for row in found if "count(*)" in row.shape)
    assert row.routes == {"(outside requests)": 1}


def test_what_waits_is_bounded_and_counted() -> None:
    """Spans that nobody folds are dropped from a number on."""
    pending = Pending()
    many = Spans()
    many.extend([(DATABASE, 0.0, 1.0, "select 1", 0, None, None, None, None)] * 500)
    for _ in range(MAX_WAITING_SPANS // 500 + 3):
        pending.add((0.0, 1.0, "GET", None, "200 OK", "/", False, (), many, None))
    assert pending.dropped == {"traced requests": 3, "spans": 1_500}
    assert len(pending.cut(10**6)) == MAX_WAITING_SPANS // 500
    pending.add((0.0, 1.0, "GET", None, "200 OK", "/", False, (), many, None))
    assert len(pending.cut(10)) == 1


def test_noting_never_raises(traced: Traced) -> None:
    """A hook that hands over nonsense is a failure of the monitor, counted."""
    before = spans.outside.failures
    traced.run(lambda: spans.note(DATABASE, 0.0, None))  # type: ignore[arg-type]
    assert spans.outside.failures == before + 1


def texts_of(request: Any) -> list[str]:
    return [span[3] for span in request.spans]


def test_long_texts_are_bounded_by_their_bytes(traced: Traced, monkeypatch: Any) -> None:
    """Until the next fold some are kept whole, of those after them the beginning: counted."""
    texts = [f"insert into t values ('{number}{'x' * 19_000}')" for number in range(400)]
    before = spans.outside.shortened
    kept = texts_of(traced.run(lambda: [spans.note(DATABASE, 0.0, text) for text in texts]))
    whole = [text for text in kept if len(text) > BEGINNING]
    assert len(kept) == 400
    assert 0 < sum(map(len, whole)) <= MAX_LONG_BYTES_OF_REQUEST
    assert {len(text) for text in kept} - set(map(len, texts)) == {BEGINNING}
    assert spans.outside.shortened - before == 400 - len(whole)

    monkeypatch.setattr(spans, "MAX_LONG_BYTES", 100_000)
    traced.monitor.refresh()
    for text in texts:
        spans.note(DATABASE, 0.0, text)
    waiting = [span[3] for span, _ in spans.outside.spans]
    assert len(waiting) == 400
    assert sum(map(len, waiting)) < 2 * 100_000 + 400 * (LONG_TEXT + 100)
    traced.monitor.refresh()
    spans.note(DATABASE, 0.0, texts[0])
    assert spans.outside.spans[-1][0][3] == texts[0]
    drops = [part.drops() for part in traced.monitor.life.services.parts]
    assert any(each.get("ends of long texts of spans", 0) > 400 for each in drops)


def test_a_statement_that_is_cut_has_the_shape_of_the_whole(traced: Traced) -> None:
    """As long as it is cut within a literal."""
    text = f"insert into t values (1, '{'x' * 19_000}')"
    of = traced.tracing.statements.of
    assert of(text[:BEGINNING], "sqlite").shape == of(text, "sqlite").shape


def test_two_threads_of_a_request_run_statements(traced: Traced) -> None:
    """The driver's hooks are silent below an outer hook in either, so each counts once."""

    class Outer:
        def __init__(self, before: Callable[[], object]) -> None:
            self.before = before

        def execute(self, statement: str) -> None:
            self.before()
            inner(self, statement)

    def driver(cursor: object, statement: str) -> None:
        """Runs a statement."""

    inner = timed_execute(lambda _: "driver")(driver)
    outer = timed_execute(lambda _: "outer")(Outer.execute)
    both, one = threading.Barrier(2, timeout=30), threading.Event()

    def work() -> None:
        other = threading.Thread(
            target=traced.monitor.carry(lambda: outer(Outer(meet_and_end), "select 2"))
        )
        other.start()
        outer(Outer(meet_and_wait), "select 1")
        other.join(30)

    def meet_and_end() -> None:
        both.wait()

    def meet_and_wait() -> None:
        both.wait()
        one.wait(0.05)

    assert sorted(traced.texts(work)) == ["select ?", "select ?"]


def test_replaced_methods_of_every_kind_are_put_back() -> None:
    """A static or class method stays one, and comes back as it was."""

    class Library:
        @staticmethod
        def static(value: int) -> int:
            return value

        @classmethod
        def of_class(cls, value: int) -> tuple[str, int]:
            return cls.__name__, value

    before = dict(vars(Library))
    patches = Patches()
    for name in ("static", "of_class"):
        patches.replace(Library, name, timed(HTTP, lambda *_: "GET host"))
    assert Library.static(1) == Library().static(1) == 1
    assert Library.of_class(2) == Library().of_class(2) == ("Library", 2)
    patches.undo()
    assert dict(vars(Library)) == before


def test_a_template_that_is_given_a_template(traced: Traced) -> None:
    """Names of variables are the application's."""
    template = jinja2.Environment(
        autoescape=True, loader=jinja2.DictLoader({"a.html": "{{ template }} {{ text }}"})
    ).get_template("a.html")
    traced.run(lambda: None)  # it is attached to what is loaded
    shown: list[str] = []
    texts = traced.texts(lambda: shown.append(template.render(template="b", text="c", args=1)))
    assert (shown, texts) == (["b c"], ["a.html"])
