"""What the hooks of databases share: timing one call that runs a statement.

An outer hook (SQLAlchemy, Django) silences those of the drivers below it while it runs, so that a
statement counts once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.spans import DATABASE, in_statement, key_of, note

_silent = in_statement.get
_silence = in_statement.set


def text_of(statement: Any) -> str:
    """A statement as text, whatever the driver accepts."""
    if type(statement) is str:
        return statement
    if isinstance(statement, (bytes, bytearray)):
        return bytes(statement[:20_000]).decode("utf-8", "replace")
    return str(statement) if isinstance(statement, str) else ""


def rows_of(cursor: Any) -> int | None:
    """What the driver knows of the rows changed or found; None when it does not."""
    rows = getattr(cursor, "rowcount", None)
    return rows if type(rows) is int and rows >= 0 else None


def note_statement(
    start: float,
    statement: Any,
    parameters: Any,
    cursor: Any,
    system: str,
    error: BaseException | None,
    *,
    many: bool = False,
) -> None:
    """A statement has ended. Never raises."""
    try:
        text = statement if type(statement) is str else text_of(statement)
        failed = None if error is None else type(error).__name__
        rows = rows_of(cursor) if error is None else None
        key = None if many else key_of(parameters)
    except Exception:  # noqa: BLE001  # a stranger's cursor or statement
        text, failed, rows, key = "(unreadable)", None, None, None
    note(DATABASE, start, text, system, failed, rows, key)


def timed_execute(
    system_of: Callable[[Any], str],
    text: Callable[[Any, Any], Any] | None = None,
    *,
    many: bool = False,
) -> Callable[[Any], Any]:
    """Makes a cursor's `execute` or `executemany` of the original one.

    Args:
        system_of: Dialect and database of a cursor, such as `postgresql shop`; must be quick.
        text: The statement as text, of cursor and statement, where it is no plain string.
        many: Whether the parameters are a sequence of sets.
    """

    def make(original: Any) -> Any:
        def execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            if _silent():
                return original(self, query, *args, **kwargs)
            failure = None
            _silence(True)
            start = perf_counter()
            try:
                return original(self, query, *args, **kwargs)
            except BaseException as error:
                failure = error
                raise
            finally:
                _silence(False)
                try:
                    shown = query if text is None or type(query) is str else text(self, query)
                    system = system_of(self)
                except Exception:  # noqa: BLE001  # closed, or another version of the library
                    shown, system = text_of(query), ""
                parameters = args[0] if args else None
                note_statement(start, shown, parameters, self, system, failure, many=many)
                failure = None  # it holds this frame

        return execute

    return make
