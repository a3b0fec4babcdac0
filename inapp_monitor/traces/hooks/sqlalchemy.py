"""SQLAlchemy: the dialects' `do_execute` and its relatives, whose names and signatures are the
documented interface of dialects.

One call for before, after and error; engines, pools and connections that exist are seen. (Its
events would cost three times as much: the first listener of any connection event sends every
statement a longer way.) Dialects that override a method are replaced too, also those loaded later.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import in_statement
from inapp_monitor.traces.statement_calls import note_statement

_SYSTEM = "_inapp_monitor_system"
_silent = in_statement.get
_silence = in_statement.set


class Hook:
    """The dialects of SQLAlchemy, as far as they are loaded."""

    def __init__(self, module: Any) -> None:
        self._base = sys.modules[f"{module.__name__}.default"].DefaultDialect
        self._patches = Patches()
        self._seen: set[type] = set()

    def attach(self) -> None:
        """Replace what is not replaced yet; quick when there is nothing."""
        for dialect in _with_subclasses(self._base):
            if dialect in self._seen:
                continue
            self._seen.add(dialect)
            for name, make in _METHODS.items():
                if name in vars(dialect) and not self._patches.has(dialect, name):
                    self._patches.replace(dialect, name, make)

    def detach(self) -> None:
        """Put everything back."""
        self._patches.undo()
        self._seen.clear()


def _with_subclasses(base: Any) -> Iterator[Any]:
    yield base
    for subclass in base.__subclasses__():
        yield from _with_subclasses(subclass)


def _execute(original: Any, *, many: bool = False) -> Any:
    def do_execute(
        self: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None
    ) -> Any:
        if _silent():
            return original(self, cursor, statement, parameters, context)
        failure = None
        _silence(True)
        start = perf_counter()
        try:
            return original(self, cursor, statement, parameters, context)
        except BaseException as error:
            failure = error
            raise
        finally:
            _silence(False)
            system = getattr(self, _SYSTEM, None) or _system(self, context)
            note_statement(start, statement, parameters, cursor, system, failure, many=many)
            failure = None  # it holds this frame

    return do_execute


def _execute_many(original: Any) -> Any:
    return _execute(original, many=True)


def _execute_no_params(original: Any) -> Any:
    def do_execute_no_params(self: Any, cursor: Any, statement: Any, context: Any = None) -> Any:
        def run(self: Any, cursor: Any, statement: Any, _parameters: Any, context: Any) -> Any:
            return original(self, cursor, statement, context)

        return _execute(run)(self, cursor, statement, (), context)

    return do_execute_no_params


_METHODS = {
    "do_execute": _execute,
    "do_executemany": _execute_many,
    "do_execute_no_params": _execute_no_params,
}


def _system(dialect: Any, context: Any) -> str:
    """Dialect and database, remembered in the dialect, of which each engine has its own."""
    try:
        name = dialect.name
        database = getattr(getattr(context, "engine", None), "url", None)
        known = getattr(database, "database", None)
        system = f"{name} {Path(known).name}" if known else name
        if context is not None:
            setattr(dialect, _SYSTEM, system)
    except Exception:  # noqa: BLE001  # a stranger's dialect
        return ""
    return system
