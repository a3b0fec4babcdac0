"""psycopg2 used bare: connections of a subclass, made by `psycopg2.connect`.

Connections and cursors are types of C: a true subclass passes everything that checks types, such as
`register_type`. Connections that were opened before are out of reach. Factories of the application,
and cursors that it asks for by class, are subclassed in their turn.
"""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import DATABASE, note
from inapp_monitor.traces.statement_calls import text_of, timed_execute

#: Subclasses made at most; an application uses one or two factories.
MAX_FACTORIES = 100
_SYSTEM = "_inapp_monitor_system"


class Hook:
    """`psycopg2._connect`, which `connect` calls, however an application has imported that."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._name = "_connect" if hasattr(module, "_connect") else "connect"
        self._extensions = module.extensions
        self._patches = Patches()
        self._connections: dict[type, type] = {}
        self._cursors: dict[type, type] = {}

    def attach(self) -> None:
        """Replace it once."""
        if not self._patches.has(self._module, self._name):
            self._patches.replace(self._module, self._name, self._connect)

    def detach(self) -> None:
        """Put it back."""
        self._patches.undo()

    def _connect(self, original: Any) -> Any:
        def connect(*args: Any, **kwargs: Any) -> Any:
            place = args[1] if len(args) > 1 else kwargs.get("connection_factory")
            given = self._extensions.connection if place is None else place
            watched = self._connection_class(given)
            if watched is not given:
                if len(args) > 1:
                    args = (args[0], watched, *args[2:])
                else:
                    kwargs["connection_factory"] = watched
            return original(*args, **kwargs)

        return connect

    def _connection_class(self, given: Any) -> Any:
        base = self._extensions.connection
        if not isinstance(given, type) or not issubclass(given, base):
            return given
        if getattr(given, "cursor", None) is not base.cursor:
            return given  # such as `extras.RealDictConnection`: it decides about its cursors
        made = self._connections.get(given)
        if made is None and len(self._connections) < MAX_FACTORIES:
            made = self._connections[given] = self._watched_connection(given)
        return given if made is None else made

    def _watched_connection(self, given: Any) -> type:
        cursor_class, default = self._cursor_class, self._extensions.cursor

        def cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
            place = args[1] if len(args) > 1 else kwargs.get("cursor_factory")
            wanted = place or getattr(self, "cursor_factory", None) or default
            if len(args) > 1:
                args = (args[0], cursor_class(wanted), *args[2:])
            else:
                kwargs["cursor_factory"] = cursor_class(wanted)
            return given.cursor(self, *args, **kwargs)

        return _subclass(given, {"cursor": cursor})

    def _cursor_class(self, given: Any) -> Any:
        if not isinstance(given, type) or not issubclass(given, self._extensions.cursor):
            return given
        base: Any = given
        made = self._cursors.get(given)
        if made is None and len(self._cursors) < MAX_FACTORIES:
            methods = {
                "execute": timed_execute(_system_of, _text)(base.execute),
                "executemany": timed_execute(_system_of, _text, many=True)(base.executemany),
                "callproc": timed_execute(_system_of, is_procedure=True)(base.callproc),
                "copy_expert": timed_execute(_system_of, _text)(base.copy_expert),
                "copy_from": _copy(base.copy_from, "FROM STDIN"),
                "copy_to": _copy(base.copy_to, "TO STDOUT"),
            }
            made = self._cursors[given] = _subclass(given, methods)
        return given if made is None else made


def _subclass(given: Any, methods: dict[str, Any]) -> type:
    made = type(given.__name__, (given,), methods)
    made.__module__, made.__qualname__ = given.__module__, given.__qualname__
    return made


def _system_of(cursor: Any) -> str:
    connection = cursor.connection
    known = connection.__dict__.get(_SYSTEM)
    if known is None:
        known = f"postgresql {connection.info.dbname}"
        setattr(connection, _SYSTEM, known)
    return str(known)


def _text(cursor: Any, statement: Any) -> str:
    compose = getattr(statement, "as_string", None)
    return str(compose(cursor)) if compose is not None else text_of(statement)


def _copy(original: Any, direction: str) -> Any:
    def copy(self: Any, file: Any, table: Any, *args: Any, **kwargs: Any) -> Any:
        start, failure = perf_counter(), None
        try:
            return original(self, file, table, *args, **kwargs)
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            try:
                note(DATABASE, start, f"COPY {table} {direction}", _system_of(self), failure)
            except Exception:  # noqa: BLE001, S110  # closed
                pass

    return copy
