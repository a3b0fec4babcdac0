"""What the hooks of databases share: timing one call that runs a statement.

An outer hook (SQLAlchemy, Django) silences those of the drivers below it while it runs, so that a
statement counts once: in a request by its thread in `Spans.inside`, outside of one and in tasks of
an event loop by a context variable. Everything here runs inside requests: few functions, few
objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import get_ident
from typing import Any, Final

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.spans import (
    DATABASE,
    LONG_TEXT,
    MAX_SPANS,
    REPEATED,
    SLOW_S,
    Spans,
    add,
    entered,
    failed,
    in_statement,
    known_texts,
    note,
)

#: Parameters of one statement that are looked at.
MAX_PARAMETERS = 100
#: From here on a number of rows means that it is not known: PyMySQL says 2**64 - 1.
UNKNOWN_ROWS = 2**62

#: Whose cursors have a `rowcount` that costs nothing. Another one's may ask the server, and what
#: stands in front of a cursor may count who asks.
_DRIVERS = frozenset(
    {
        *("sqlite3", "aiosqlite", "sqlcipher3", "psycopg", "psycopg2", "pg8000", "asyncpg"),
        *("pymysql", "MySQLdb", "mysql", "aiomysql", "asyncmy", "oracledb", "cx_Oracle"),
        *("pyodbc", "pymssql", "sqlalchemy", "django"),
    }
)
#: Types of cursors that are remembered.
MAX_CURSOR_TYPES = 1_000


class _CountsRows(dict[type, bool]):
    """Whether a type of cursors is one of a known driver's, or inherits from one."""

    def __missing__(self, cursor_type: type) -> bool:
        modules = (str(base.__module__).partition(".")[0] for base in cursor_type.__mro__)
        known = not _DRIVERS.isdisjoint(modules)
        if len(self) >= MAX_CURSOR_TYPES:
            self.clear()
        self[cursor_type] = known
        return known


counts_rows_of: Final = _CountsRows()


def text_of(statement: Any) -> str:
    """A statement as text, whatever the driver accepts; empty when it is none."""
    if isinstance(statement, str):
        return str(statement)
    if isinstance(statement, (bytes, bytearray)):
        return bytes(statement[:20_000]).decode("utf-8", "replace")
    return ""


def key_of(parameters: Any) -> int | None:
    """What tells parameters from others that are no tuple either; None when it is not known."""
    try:
        if len(parameters) > MAX_PARAMETERS:
            return None
        values = parameters.values() if isinstance(parameters, dict) else parameters
        return hash(tuple(values))
    except Exception:  # noqa: BLE001  # not hashable, or a stranger's class
        return None


def rows_of(cursor: Any, system: str | None) -> int | None:
    """Rows that a statement changed or, where the driver knows, found; None when it is not known.

    SQLite's driver counts those of `RETURNING` while they are fetched: until then it says 0.
    """
    try:
        if not counts_rows_of[type(cursor)]:
            return None
        rows = cursor.rowcount
        if rows == 0 and (system or "").startswith("sqlite") and cursor.description is not None:
            return None
    except Exception:  # noqa: BLE001  # a stranger's cursor
        return None
    return rows if type(rows) is int and 0 <= rows < UNKNOWN_ROWS else None


def finish(
    spans: Spans | None,
    start: float,
    statement: Any,
    parameters: Any,
    cursor: Any,
    system: str | None,
    error: BaseException | None,
) -> None:
    """A statement that began at `start` has ended. Never raises. *Cost:* 0.7 us.

    Args:
        spans: Those of the request; None outside of any.
        start: Performance counter, seconds.
        statement: As the driver got it.
        parameters: What identifies the call among others like it; None when they are many.
        cursor: Its `rowcount` is asked; None when that says nothing.
        system: Dialect and database.
        error: What it raised.
    """
    end = perf_counter()
    try:
        text = statement if type(statement) is str else text_of(statement)
        rows = failure = key = None
        if error is not None:
            failure = type(error).__name__
        else:
            rows = rows_of(cursor, system)
        if parameters:
            try:
                key = hash(parameters) if type(parameters) is tuple else key_of(parameters)
            except Exception:  # noqa: BLE001, S110  # something in it has no hash
                pass
        if spans is None:
            note(DATABASE, start, text, system, failure, rows, key)
            return
        span = (DATABASE, start, end, text, get_ident(), system, failure, rows, key)
        if end - start < SLOW_S and len(spans) < MAX_SPANS and len(text) <= LONG_TEXT:
            counts = spans.counts
            n = counts.get(text, 0)
            if n != REPEATED - 1 and (n or hash(text) in known_texts):
                counts[text] = n + 1  # as `add` does it, without the call
                spans.append(span)
                return
        add(spans, span, text, end - start)
    except Exception as mine:  # noqa: BLE001  # the monitor's own
        failed(mine)


def timed_execute(
    system_of: Callable[[Any], str],
    text: Callable[[Any, Any], Any] | None = None,
    *,
    many: bool = False,
    counts_rows: bool = True,
    is_procedure: bool = False,
) -> Callable[[Any], Any]:
    """Makes a cursor's `execute` or `executemany` of the original one.

    Args:
        system_of: Dialect and database of a cursor, such as `postgresql shop`; must be quick.
        text: The statement as text, of cursor and statement, where it is no plain string.
        many: Whether the parameters are a sequence of sets.
        counts_rows: Whether the cursor's `rowcount` is of this call.
        is_procedure: Whether what is called is the name of a procedure.
    """

    def make(original: Any) -> Any:
        def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
            record = entered()
            if record is None or record.environ is None:
                spans, is_silent = None, in_statement.get()
            else:
                spans = record.spans
                if spans is None:
                    spans = record.spans = Spans()
                is_silent = get_ident() in spans.inside or in_statement.get()
            if is_silent:
                return original(self, *args, **kwargs)
            failure = None
            _silence(spans, silent=True)
            start = perf_counter()
            try:
                return original(self, *args, **kwargs)
            except BaseException as error:
                failure = error
                raise
            finally:
                _silence(spans, silent=False)
                query = statement_of(args, kwargs)
                try:
                    shown = query if text is None or type(query) is str else text(self, query)
                    system = system_of(self)
                except Exception:  # noqa: BLE001  # closed, or another version of the library
                    shown, system = text_of(query), ""
                if is_procedure:
                    shown = f"CALL {shown}"
                parameters = args[1] if len(args) > 1 and not many else None
                cursor = self if counts_rows else None
                finish(spans, start, shown, parameters, cursor, system, failure)
                failure = None  # it holds this frame

        return execute

    return make


def statement_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The first argument of a call, whatever the library calls it."""
    return args[0] if args else next(iter(kwargs.values()), "")


def _silence(spans: Spans | None, *, silent: bool) -> None:
    if spans is None:
        in_statement.set(silent)
    elif silent:
        spans.inside.add(get_ident())
    else:
        spans.inside.discard(get_ident())
