"""Regular expressions that a client sends: the only place where they are compiled and run.

The standard library's `re` holds the interpreter lock while it backtracks, so that one hostile
pattern freezes every thread of the app for minutes. They are run by `regex` instead, which stops at
a time limit and lets other threads run meanwhile. It is loaded with the first pattern.

What a pattern means is the standard library's: its parser decides what is valid, and what `regex`
would read otherwise is escaped. How often a pattern repeats is bounded before it is compiled:
compiling knows no time limit.
"""

from __future__ import annotations

import re
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.process import late_imports

#: Characters of a pattern.
MAX_PATTERN: Final = 4_096
#: Seconds that a pattern may run on one text, and on all texts of its use together.
TIMEOUT_S: Final = 0.2
TOTAL_TIMEOUT_S: Final = 1.0
#: Characters that a pattern may unroll to.
MAX_UNROLLED: Final = 100_000
#: Characters that a replacement may make of a name, and what it may add to a longer one.
MAX_REPLACED: Final = 65_536
MAX_ADDED: Final = 4_096
#: Characters that a replacement could make of a name if the pattern matched everywhere.
_MAX_MADE: Final = 2**24
_REPEATS = {codes.MAX_REPEAT, codes.MIN_REPEAT, getattr(codes, "POSSESSIVE_REPEAT", None)}
#: A brace that is no repetition is itself, where `regex` would begin a fuzzy match.
_PLAIN_BRACE = re.compile(r"(\\N\{[^}]*\}|\\.)|\{(?!\d*,?\d*\})", re.DOTALL)


def load_engine() -> Any:
    """The module `regex`."""
    with late_imports.loading():
        import regex

    return regex


class RunningTime:
    """Seconds that some patterns may still run, all together."""

    __slots__ = ("left_s",)

    def __init__(self) -> None:
        self.left_s = TOTAL_TIMEOUT_S


class Pattern:
    """A compiled pattern of a client.

    Args:
        text: As it was sent.
        at_start: Only where a text begins, whatever the pattern says.
        time: Shared with other patterns of the same use.

    Raises:
        QueryError: it is too long, malformed or repeats too much; when used: it took longer than
            `TIMEOUT_S` for a text or `TOTAL_TIMEOUT_S` for all of them.
    """

    __slots__ = ("_compiled", "_error", "_time", "text")

    def __init__(
        self, text: str, *, at_start: bool = False, time: RunningTime | None = None
    ) -> None:
        if len(text) > MAX_PATTERN:
            raise QueryError(f"pattern has {len(text)} characters, at most {MAX_PATTERN} allowed")
        self._time = time or RunningTime()
        if at_start and not text.startswith("^"):
            text = f"^({text})"
        self.text = text
        engine = load_engine()
        self._error: type[Exception] = engine.error
        begin = SYSTEM.perf()
        if self._time.left_s <= 0:
            raise self._too_slow(TOTAL_TIMEOUT_S)
        _check(text)
        try:
            escaped = _PLAIN_BRACE.sub(lambda found: found[1] or r"\{", text)
            self._compiled = engine.compile(escaped, cache_pattern=False)
        except Exception as error:  # noqa: BLE001 - RecursionError, MemoryError and its own
            raise QueryError(f"invalid pattern {text[:60]!r}: {error}") from None
        self._time.left_s -= SYSTEM.perf() - begin

    def search(self, text: str) -> bool:
        """Whether the pattern occurs in `text`."""
        return self._run(self._compiled.search, text) is not None

    def sub(self, replacement: str, text: str) -> str:
        """`text` with every occurrence replaced; `\\1` stands for a group."""
        groups = replacement.count("\\")
        if (len(text) + 1) * len(replacement) + groups * len(text) > _MAX_MADE:
            raise QueryError(f"replacement {replacement[:60]!r} makes a name too long")
        try:
            made = str(self._run(self._compiled.sub, replacement, text))
        except (re.error, IndexError, self._error) as error:
            raise QueryError(f"invalid replacement {replacement[:60]!r}: {error}") from None
        if len(made) > max(MAX_REPLACED, len(text) + MAX_ADDED):
            raise QueryError(f"replacement {replacement[:60]!r} makes a name too long")
        return made

    def _run(self, run: Any, *arguments: str) -> Any:
        begin = SYSTEM.perf()
        limit_s = min(TIMEOUT_S, self._time.left_s)
        try:
            if limit_s <= 0:
                raise TimeoutError
            return run(*arguments, timeout=limit_s, concurrent=True)
        except TimeoutError:
            spent_s = TIMEOUT_S if limit_s == TIMEOUT_S else TOTAL_TIMEOUT_S
            raise self._too_slow(spent_s) from None
        finally:
            self._time.left_s -= SYSTEM.perf() - begin

    def _too_slow(self, spent_s: float) -> QueryError:
        return QueryError(f"pattern {self.text[:60]!r} took longer than {spent_s:g} s")


def _check(text: str) -> None:
    """Refuse what does not parse, and what would take long to compile.

    A warning of the parser's is left to the app's filters: these belong to the whole process, and
    setting them aside for a moment is not safe beside other threads.
    """
    try:
        tree = parser.parse(text)
    except (re.error, RecursionError, OverflowError, FutureWarning) as error:
        raise QueryError(f"invalid pattern {text[:60]!r}: {error}") from None
    if _unrolled(tree) > MAX_UNROLLED:
        raise QueryError(f"pattern {text[:60]!r} repeats too much")


def _unrolled(tree: Any) -> int:
    """How many elements a pattern has when its repetitions are written out."""
    size = 1
    for code, argument in tree:
        if code in _REPEATS:
            low, high, inner = argument
            bounded = high is not codes.MAXREPEAT
            size += _unrolled(inner) * min(max(low, high if bounded else low, 1), 10_000_000)
        else:
            size += sum(_unrolled(inner) for inner in _children(argument))
    return size


def _children(argument: Any) -> list[Any]:
    if isinstance(argument, parser.SubPattern):
        return [argument]
    if isinstance(argument, (tuple, list)):
        return [child for part in argument for child in _children(part)]
    return []
