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
from threading import get_ident
from typing import Any

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import (
    DATABASE,
    LONG_TEXT,
    MAX_SPANS,
    REPEATED,
    SLOW_S,
    Spans,
    entered,
    in_statement,
    known_texts,
)
from inapp_monitor.traces.statement_calls import (
    UNKNOWN_ROWS,
    counts_rows_of,
    finish,
    rows_of,
)

_SYSTEM = "_inapp_monitor_system"


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
        record = entered()
        if record is None or record.environ is None:
            arguments = (self, cursor, statement, parameters, context)
            return _in_context(original, arguments, None if many else parameters, None)
        spans, thread = record.spans, get_ident()
        if spans is None:
            spans = record.spans = Spans()
        elif thread in spans.inside:
            return original(self, cursor, statement, parameters, context)
        if getattr(self, "is_async", False):  # SQLAlchemy 1.3 has none
            arguments = (self, cursor, statement, parameters, context)
            return _in_context(original, arguments, None if many else parameters, spans)
        spans.inside.add(thread)
        start = perf_counter()
        try:
            original(self, cursor, statement, parameters, context)
        except BaseException as error:
            spans.inside.discard(thread)
            system = getattr(self, _SYSTEM, None) or _system(self, context)
            finish(spans, start, statement, None if many else parameters, cursor, system, error)
            raise
        end = perf_counter()
        spans.inside.discard(thread)
        try:  # what is usual, without one more call; anything else below
            n = spans.counts.get(statement, 0) if type(statement) is str else REPEATED - 1
            if (
                n != REPEATED - 1
                and (n or hash(statement) in known_texts)
                and end - start < SLOW_S
                and len(spans) < MAX_SPANS
                and len(statement) <= LONG_TEXT
            ):
                system = self._inapp_monitor_system
                rows = cursor.rowcount if counts_rows_of[type(cursor)] else None
                if type(rows) is not int or not 0 < rows < UNKNOWN_ROWS:
                    rows = rows_of(cursor, system) if rows == 0 else None
                key = hash(parameters) if parameters and not many else None
                spans.append((DATABASE, start, end, statement, thread, system, None, rows, key))
                spans.counts[statement] = n + 1
                return None
        except Exception:  # noqa: BLE001, S110  # parameters without hash, a stranger's cursor
            pass
        system = getattr(self, _SYSTEM, None) or _system(self, context)
        finish(spans, start, statement, None if many else parameters, cursor, system, None)
        return None

    return do_execute


def _execute_many(original: Any) -> Any:
    return _execute(original, many=True)


def _in_context(
    original: Any, arguments: tuple[Any, ...], parameters: Any, spans: Spans | None
) -> Any:
    """A statement that no request makes, or one of a task: tasks take turns in one thread, so what
    silences the driver's hook is a variable of their context."""
    if in_statement.get():
        return original(*arguments)
    failure = None
    in_statement.set(True)
    start = perf_counter()
    try:
        return original(*arguments)
    except BaseException as error:
        failure = error
        raise
    finally:
        in_statement.set(False)
        dialect, cursor, statement, *_, context = arguments
        system = getattr(dialect, _SYSTEM, None) or _system(dialect, context)
        finish(spans, start, statement, parameters, cursor, system, failure)
        failure = None  # it holds this frame


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
        file = Path(str(known)).name.partition("?")[0] if known else ""
        system = f"{name} {file}" if file and file != ":memory:" else name
        if context is not None:
            setattr(dialect, _SYSTEM, system)
    except Exception:  # noqa: BLE001  # a stranger's dialect
        return ""
    return system
