"""psycopg 3 used bare: its cursors are written in Python, those of its C extension too.

Each class that has an `execute` of its own is replaced; cursors that exist are seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from typing import Any, Final

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import DATABASE, Spans, entered, in_statement, note
from inapp_monitor.traces.statement_calls import finish, statement_of, text_of, timed_execute

_CURSORS = ("Cursor", "ServerCursor", "ClientCursor", "RawCursor", "RawServerCursor")
_ASYNC = ("AsyncCursor", "AsyncServerCursor", "AsyncClientCursor", "AsyncRawCursor")

_SYSTEM = "_inapp_monitor_system"


class Hook:
    """All classes of cursors that the module offers."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._patches = Patches()

    def attach(self) -> None:
        """Replace what is not replaced yet."""
        for name in _CURSORS:
            self._replace(name, _METHODS)
        for name in _ASYNC:
            self._replace(name, _ASYNC_METHODS)

    def _replace(self, name: str, methods: Mapping[str, Any]) -> None:
        owner = getattr(self._module, name, None)
        for method, make in methods.items():
            own = owner is not None and method in vars(owner)
            if own and not self._patches.has(owner, method):
                self._patches.replace(owner, method, make)

    def detach(self) -> None:
        """Put everything back."""
        self._patches.undo()


def system_of(cursor: Any) -> str:
    """`postgresql` and the database's name."""
    connection = cursor.connection
    known = connection.__dict__.get(_SYSTEM)
    if known is None:
        known = f"postgresql {connection.info.dbname}"
        setattr(connection, _SYSTEM, known)
    return str(known)


def _text(cursor: Any, statement: Any) -> str:
    """Also of what is composed, and of a template string."""
    compose = getattr(statement, "as_string", None)
    return str(compose(cursor)) if compose is not None else text_of(statement)


def _asynchronous(*, many: bool) -> Any:
    def make(original: Any) -> Any:
        async def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
            record = entered()
            spans = None
            if record is not None and record.environ is not None:
                spans = record.spans
                if spans is None:
                    spans = record.spans = Spans()
            if in_statement.get():
                return await original(self, *args, **kwargs)
            in_statement.set(True)
            failure = None
            start = perf_counter()
            try:
                return await original(self, *args, **kwargs)
            except BaseException as error:
                failure = error
                raise
            finally:
                in_statement.set(False)
                query = statement_of(args, kwargs)
                try:
                    shown, system = _text(self, query), system_of(self)
                except Exception:  # noqa: BLE001  # closed, or another version of the library
                    shown, system = text_of(query), "postgresql"
                parameters = args[1] if len(args) > 1 and not many else None
                finish(spans, start, shown, parameters, self, system, failure)
                failure = None  # it holds this frame

        return execute

    return make


def _note(cursor: Any, start: float, query: Any, failure: str | None = None) -> None:
    """A statement of a cursor that began at `start` has ended. Never raises."""
    try:
        shown, system = _text(cursor, query), system_of(cursor)
    except Exception:  # noqa: BLE001  # closed, or another version of the library
        shown, system = text_of(query), "postgresql"
    note(DATABASE, start, shown, system, failure)


def _copy(original: Any) -> Any:
    """The statement lasts until the application has read or written all rows."""

    @contextmanager
    def copy(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        start, failure = perf_counter(), None
        try:
            with original(self, *args, **kwargs) as rows:
                yield rows
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            _note(self, start, statement_of(args, kwargs), failure)

    return copy


def _copy_in_task(original: Any) -> Any:
    @asynccontextmanager
    async def copy(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        start, failure = perf_counter(), None
        try:
            async with original(self, *args, **kwargs) as rows:
                yield rows
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            _note(self, start, statement_of(args, kwargs), failure)

    return copy


def _stream(original: Any) -> Any:
    """Timed until the first row is there: what comes then waits for the application, too."""

    def stream(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        rows = original(self, *args, **kwargs)
        query, start = statement_of(args, kwargs), perf_counter()
        try:
            first = next(rows, _END)
        except BaseException as error:
            _note(self, start, query, type(error).__name__)
            raise
        _note(self, start, query)
        if first is not _END:
            with closing(rows):
                yield first
                yield from rows

    return stream


def _stream_in_task(original: Any) -> Any:
    async def stream(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        rows = original(self, *args, **kwargs)
        query, start = statement_of(args, kwargs), perf_counter()
        try:
            first = await anext(rows, _END)
        except BaseException as error:
            _note(self, start, query, type(error).__name__)
            raise
        _note(self, start, query)
        if first is not _END:
            async with aclosing(rows):
                yield first
                async for row in rows:
                    yield row

    return stream


_END: Final = object()
_METHODS: Final = {
    "execute": timed_execute(system_of, _text),
    "executemany": timed_execute(system_of, _text, many=True),
    "copy": _copy,
    "stream": _stream,
}
_ASYNC_METHODS: Final = {
    "execute": _asynchronous(many=False),
    "executemany": _asynchronous(many=True),
    "copy": _copy_in_task,
    "stream": _stream_in_task,
}
