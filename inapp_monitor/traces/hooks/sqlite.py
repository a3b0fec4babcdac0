"""sqlite3 used bare: connections of a subclass, made by `sqlite3.connect`.

Connections, cursors and rows are types of C, so a factory is the only way in that the module
documents; connections that were opened before are out of reach. Factories of the application are
subclassed in their turn, unless they have methods of their own in place of those that are timed:
those are left alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from threading import get_ident
from typing import Any

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import DATABASE, entered, extend
from inapp_monitor.traces.statement_calls import timed_execute

#: Subclasses made at most; an application uses one or two factories.
MAX_FACTORIES = 100
#: Position of `factory` among the arguments of `connect`.
_FACTORY = 5
#: Seconds after a statement in which a fetch still belongs to it; later, time was spent otherwise.
_AT_ONCE_S = 0.001
_EXECUTE = ("execute", "executemany", "executescript")
_FETCH = ("fetchall", "fetchmany")


class Hook:
    """`connect`, in both modules that offer it."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._patches = Patches()
        self._connections: dict[type, type] = {}
        self._cursors: dict[type, type] = {}

    def attach(self) -> None:
        """Replace `connect` once."""
        dbapi2 = sys.modules.get("sqlite3.dbapi2")
        for owner in (self._module, dbapi2):
            if owner is not None and not self._patches.has(owner, "connect"):
                self._patches.replace(owner, "connect", self._connect)

    def detach(self) -> None:
        """Put it back; connections that are open go on being seen, by nobody."""
        self._patches.undo()

    def _connect(self, original: Any) -> Any:
        default = self._module.Connection

        def connect(*args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if str(caller).startswith("inapp_monitor."):  # the monitor's own file
                return original(*args, **kwargs)
            given = args[_FACTORY] if len(args) > _FACTORY else kwargs.get("factory", default)
            watched = self._connection_class(given)
            if watched is given:
                return original(*args, **kwargs)
            if len(args) > _FACTORY:
                args = (*args[:_FACTORY], watched, *args[_FACTORY + 1 :])
            else:
                kwargs["factory"] = watched
            connection = original(*args, **kwargs)
            database = args[0] if args else kwargs.get("database")
            try:
                object.__setattr__(connection, "_inapp_monitor_system", _system(database))
            except Exception:  # noqa: BLE001, S110  # a class of the application's: it has a default
                pass
            return connection

        return connect

    def _connection_class(self, given: Any) -> Any:
        made = self._connections.get(given) if isinstance(given, type) else None
        if made is not None:
            return made
        if not isinstance(given, type) or not issubclass(given, self._module.Connection):
            return given  # a function that makes connections: what it makes is its business
        if len(self._connections) >= MAX_FACTORIES:
            return given
        if _has_own(given, self._module.Connection, ("cursor", *_EXECUTE)):
            return given
        cursor_class = self._cursor_class

        def cursor(self: Any, factory: Any = None) -> Any:
            return given.cursor(self, cursor_class(factory))  # type: ignore[attr-defined]

        methods: dict[str, Any] = {"cursor": cursor, "_inapp_monitor_system": "sqlite"}
        methods |= {name: _by_cursor(name) for name in _EXECUTE}
        made = self._connections[given] = _subclass(given, methods)
        return made

    def _cursor_class(self, given: Any) -> Any:
        wanted = self._module.Cursor if given is None else given
        made = self._cursors.get(wanted) if isinstance(wanted, type) else None
        if made is not None:
            return made
        if not isinstance(wanted, type) or not issubclass(wanted, self._module.Cursor):
            return wanted
        if len(self._cursors) >= MAX_FACTORIES:
            return wanted
        if _has_own(wanted, self._module.Cursor, (*_EXECUTE, *_FETCH)):
            return wanted
        methods = {name: _timed(name, _system_of)(getattr(wanted, name)) for name in _EXECUTE}
        methods |= {name: _timed_fetch(getattr(wanted, name)) for name in _FETCH}
        made = self._cursors[wanted] = _subclass(wanted, methods)
        return made


def _has_own(given: type, base: type, names: tuple[str, ...]) -> bool:
    """Whether a class has methods of its own in place of some of its base's."""
    try:
        return any(getattr(given, name) is not getattr(base, name) for name in names)
    except Exception:  # noqa: BLE001  # a class of the application's
        return True


def _subclass(given: type, methods: dict[str, Any]) -> type:
    """A class with these methods that looks like the given one; that itself where it refuses."""
    try:
        made = type(given.__name__, (given,), methods)
        made.__module__, made.__qualname__ = given.__module__, given.__qualname__
    except Exception:  # noqa: BLE001  # such as an `__init_subclass__` that wants arguments
        return given
    return made


def _timed(name: str, system_of: Callable[[Any], str]) -> Callable[[Any], Any]:
    counts_rows = name != "executescript"  # it leaves the number of what was before
    return timed_execute(system_of, many=name != "execute", counts_rows=counts_rows)


def _by_cursor(name: str) -> Any:
    """As the module itself defines these methods of a connection: by a cursor made for it."""

    def execute(self: Any, *args: Any) -> Any:
        return getattr(self.cursor(), name)(*args)

    execute.__name__ = name
    return execute


def _timed_fetch(original: Any) -> Any:
    """SQLite computes rows while they are fetched: that belongs to the statement, too, when nothing
    has come between. (Rows one by one are not timed: that would cost more than they do.)"""

    def fetch(self: Any, *args: Any, **kwargs: Any) -> Any:
        record = entered()
        spans = None if record is None or record.environ is None else record.spans
        if not spans or spans[-1][0] != DATABASE or spans[-1][4] != get_ident():
            return original(self, *args, **kwargs)
        last = spans[-1]
        if perf_counter() - last[2] > _AT_ONCE_S:
            return original(self, *args, **kwargs)
        rows = original(self, *args, **kwargs)
        extend(spans, last, len(rows))
        return rows

    fetch.__name__ = original.__name__
    return fetch


def _system_of(cursor: Any) -> str:
    return str(cursor.connection._inapp_monitor_system)


def _system(database: Any) -> str:
    """`sqlite` and the file's name, without its folder and without the options of a URI."""
    try:
        name = Path(os.fsdecode(database)).name.partition("?")[0]
    except (TypeError, ValueError):
        return "sqlite"
    return f"sqlite {name}" if name and name != ":memory:" else "sqlite"
