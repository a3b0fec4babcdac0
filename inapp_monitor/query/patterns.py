"""Regular expressions that a client sends: the only place where they are compiled and run.

The standard library's `re` holds the interpreter lock while it backtracks, so that one hostile
pattern freezes every thread of the app for minutes. With the `regex` module installed (extra
`regex`) each search has a time limit and lets other threads run. Without it only patterns that
cannot backtrack badly are accepted: repetitions of one character (or class) only, at most two of
them, no back-reference, and short texts. Either way a pattern is at most 256 characters long.
"""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from inapp_monitor.ground.exceptions import QueryError

MAX_PATTERN = 256
MAX_TEXT = 4096
TIMEOUT_S = 0.2
#: Repetitions that the standard library may run: it tries at most this many nested positions.
_MAX_REPEATS = 2
_MAX_TEXT_WITHOUT_TIMEOUT = 512
_REPEATS = {codes.MAX_REPEAT, codes.MIN_REPEAT, getattr(codes, "POSSESSIVE_REPEAT", None)}


def _load_engine() -> Any:
    try:
        return importlib.import_module("regex")
    except ImportError:
        return None


#: The engine with a time limit; None where the extra is not installed.
ENGINE: Any = _load_engine()


class Pattern:
    """A compiled pattern of a client.

    Raises:
        QueryError: it is too long, malformed, or (without the `regex` module) too risky to run;
            when used: it took longer than `TIMEOUT_S`.
    """

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN:
            raise QueryError(f"pattern has {len(text)} characters, at most {MAX_PATTERN} allowed")
        self.text = text
        _check(text)
        try:
            self._compiled = (ENGINE or re).compile(text)
        except Exception as error:  # noqa: BLE001 - regex raises an error class of its own
            raise QueryError(f"invalid pattern {text[:60]!r}: {error}") from None

    def search(self, text: str) -> bool:
        """Whether the pattern occurs in `text`."""
        return self._run("search", text) is not None

    def sub(self, replacement: str, text: str) -> str:
        """`text` with every occurrence replaced; `\\1` stands for a group."""
        try:
            return str(self._run("sub", text, replacement))
        except (re.error, IndexError, getattr(ENGINE, "error", re.error)) as error:
            raise QueryError(f"invalid replacement {replacement[:60]!r}: {error}") from None

    def _run(self, method: str, text: str, *before: str) -> Any:
        if len(text) > MAX_TEXT:
            raise QueryError("a name is too long to be matched by a pattern")
        run = getattr(self._compiled, method)
        if ENGINE is None:
            if len(text) > _MAX_TEXT_WITHOUT_TIMEOUT:
                raise QueryError("a name is too long to be matched; install the extra 'regex'")
            return run(*before, text)
        try:
            return run(*before, text, timeout=TIMEOUT_S, concurrent=True)
        except TimeoutError:
            raise QueryError(f"pattern {self.text[:60]!r} took longer than {TIMEOUT_S} s") from None


def _check(text: str) -> None:
    """Refuse what does not parse, compile bombs, and without a time limit what may backtrack."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = parser.parse(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise QueryError(f"invalid pattern {text[:60]!r}: {error}") from None
    size, repeats, nested, reference = _measure(tree, 0)
    if size > 100_000 or sys.maxsize < size:
        raise QueryError(f"pattern {text[:60]!r} repeats too much")
    if ENGINE is None and (nested or reference or repeats > _MAX_REPEATS):
        raise QueryError(
            f"pattern {text[:60]!r} could take very long; install the extra 'regex' to run it"
        )


def _measure(tree: Any, depth: int) -> tuple[int, int, bool, bool]:
    """Size unrolled, variable repetitions, whether one is of more than a character, references."""
    size, repeats, nested, reference = 1, 0, False, False
    for code, argument in tree:
        if code in _REPEATS:
            low, high, inner = argument
            s, r, n, ref = _measure(inner, depth + 1)
            bounded = high is not codes.MAXREPEAT
            size += s * min(max(low, high if bounded else low, 1), 10_000_000)
            variable = high != low
            nested |= n or (variable and not _is_one_character(inner))
            repeats += r + variable
            reference |= ref
            continue
        reference |= code in (codes.GROUPREF, codes.GROUPREF_EXISTS)
        for inner in _children(argument):
            s, r, n, ref = _measure(inner, depth + 1)
            size, repeats = size + s, repeats + r
            nested, reference = nested or n, reference or ref
    return size, repeats, nested, reference


def _is_one_character(tree: Any) -> bool:
    """Whether a pattern matches exactly one character: only such repetitions are harmless."""
    single = (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN)
    if len(tree) != 1:
        return False
    code, argument = tree[0]
    return code in single or (code is codes.SUBPATTERN and _is_one_character(argument[-1]))


def _children(argument: Any) -> list[Any]:
    if isinstance(argument, parser.SubPattern):
        return [argument]
    if isinstance(argument, (tuple, list)):
        return [child for part in argument for child in _children(part)]
    return []
