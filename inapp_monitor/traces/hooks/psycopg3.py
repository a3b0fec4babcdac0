"""psycopg 3 used bare: its cursors are written in Python, those of its C extension too.

Each class that has an `execute` of its own is replaced; cursors that exist are seen.
"""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import Spans, entered, in_statement
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
            self._replace(name, timed_execute(system_of, _text), _many)
        for name in _ASYNC:
            self._replace(name, _asynchronous(many=False), _asynchronous(many=True))

    def _replace(self, name: str, execute: Any, many: Any) -> None:
        owner = getattr(self._module, name, None)
        for method, make in (("execute", execute), ("executemany", many)):
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


def _many(original: Any) -> Any:
    return timed_execute(system_of, _text, many=True)(original)


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
