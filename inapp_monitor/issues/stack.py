"""Tracebacks as plain data: which frames, whose code, and where in the source.

Reads source files through `linecache`. Keeps code objects and file names, never a frame.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import NamedTuple

from inapp_monitor.ground.frame_variables import local_variables

#: Frames of one traceback that are shown: the outermost and the innermost half of them.
MAX_FRAMES = 100
#: Source files above this are not read.
MAX_SOURCE_BYTES = 2 * 2**20
#: Characters of a source line that are kept.
MAX_SOURCE_LINE = 300
#: Not imported by name, which would load what it shows: it is loaded before any module in it.
_PACKAGE = Path(str(sys.modules[__name__.partition(".")[0]].__file__)).parent
#: Code names its file as it was imported, which may be through a symbolic link.
_OWN_DIRECTORIES = (f"{_PACKAGE}{os.sep}", f"{_PACKAGE.resolve()}{os.sep}")


class Position(NamedTuple):
    """Where an instruction stands in the source: lines from 1, columns from 0, None if unknown."""

    line: int
    end_line: int | None
    column: int | None
    end_column: int | None


class Step(NamedTuple):
    """One frame of a traceback.

    Attributes:
        frame: The frame; callers drop it before they return.
        line: The line that was executed.
        instruction: Offset into the byte code, in bytes.
        repeated: How many more times the same call followed (collapsed recursion).
    """

    frame: FrameType
    line: int
    instruction: int
    repeated: int


class CodePlaces:
    """Decides which code is the application's own ("in-app") by file and module name.

    Args:
        include: Module prefixes that are in-app wherever they are installed.
        exclude: Module prefixes that are not.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._by_file: dict[tuple[str, str], bool] = {}
        paths = sysconfig.get_paths()
        kept = {paths[name] for name in ("stdlib", "platstdlib") if name in paths}
        kept |= {os.path.realpath(path) for path in kept}
        self._libraries = tuple(path + os.sep for path in kept)
        scripts = sysconfig.get_path("scripts")
        self._commands = {scripts, os.path.realpath(scripts)}

    def in_app(self, filename: str, module: str) -> bool:
        """Whether a frame of this file and module is the application's own."""
        key = (filename, module)
        known = self._by_file.get(key)
        if known is None:
            if len(self._by_file) > 5_000:
                self._by_file.clear()
            known = self._by_file[key] = self._decide(filename, module)
        return known

    def _decide(self, filename: str, module: str) -> bool:
        if _has_prefix(module, self._include):
            return True
        if _has_prefix(module, self._exclude) or is_own(filename):
            return False
        if filename.startswith("<"):
            return not filename.startswith("<frozen ")
        if "site-packages" in filename or "dist-packages" in filename:
            return False
        if filename.rpartition(os.sep)[0] in self._commands:  # what pip made to start gunicorn
            return False
        return not filename.startswith(self._libraries)


def _has_prefix(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)


def is_own(filename: str) -> bool:
    """Whether a file belongs to this package."""
    return filename.startswith(_OWN_DIRECTORIES)


def module_of(frame: FrameType) -> str:
    """The module name of a frame, an empty string when it has none."""
    name = frame.f_globals.get("__name__", "")
    return name if type(name) is str else ""


def is_hidden(frame: FrameType) -> bool:
    """Whether the code asks to be left out of tracebacks (`__tracebackhide__ = True`)."""
    if not {"__tracebackhide__", "__traceback_hide__"}.intersection(frame.f_code.co_varnames):
        return False
    names = local_variables(frame)
    return names.get("__tracebackhide__") is True or names.get("__traceback_hide__") is True


def steps(traceback: TracebackType | None) -> tuple[list[Step], int]:
    """The frames of a traceback, outermost first, without our own and hidden ones.

    Recursion (the same line of the same code again and again) is collapsed into the first frame.

    Returns:
        At most `MAX_FRAMES` steps and how many were left out in the middle.
    """
    entries: list[TracebackType] = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    found: list[Step] = []
    code, instruction, repeated = None, -1, 0
    for entry in entries:
        frame = entry.tb_frame
        if frame.f_code is code and entry.tb_lasti == instruction:
            repeated += 1
            continue
        if repeated:
            found[-1] = found[-1]._replace(repeated=repeated)
            repeated = 0
        if is_own(frame.f_code.co_filename) or is_hidden(frame):
            code = None
            continue
        code, instruction = frame.f_code, entry.tb_lasti
        found.append(Step(frame, entry.tb_lineno, instruction, 0))
    if repeated:
        found[-1] = found[-1]._replace(repeated=repeated)
    left_out = max(0, len(found) - MAX_FRAMES)
    if left_out:
        half = MAX_FRAMES // 2
        found = found[:half] + found[-half:]
    return found, left_out


def calling_steps(frame: FrameType | None) -> list[Step]:
    """The frames that are running now, outermost first: for messages without an exception."""
    return running_steps(_and_callers(frame))


def running_steps(frames: Iterable[FrameType]) -> list[Step]:
    """The innermost of frames that are running now (innermost first), outermost first, without our
    own and hidden ones."""
    shown = (f for f in frames if not is_own(f.f_code.co_filename) and not is_hidden(f))
    found = [Step(f, f.f_lineno or 0, f.f_lasti, 0) for f in islice(shown, MAX_FRAMES)]
    found.reverse()
    return found


def _and_callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def position(code: CodeType, instruction: int, line: int) -> Position:
    """Where an instruction stands; only the line without debug ranges."""
    try:
        found = next(islice(code.co_positions(), instruction // 2, None))
    except (StopIteration, ValueError):
        return Position(line, None, None, None)
    start, end, column, end_column = found
    if start is None:
        return Position(line, None, None, None)
    return Position(start, end, column, end_column)


def source_lines(filename: str, module_globals: dict[str, object] | None = None) -> list[str]:
    """All lines of a source file with their line ends, an empty list when there is none."""
    cached = linecache.cache.get(filename)
    if cached is not None and len(cached) == 4:
        return cached[2]
    try:
        if not filename.startswith("<") and Path(filename).stat().st_size > MAX_SOURCE_BYTES:
            return []
    except OSError:
        pass  # in a zip archive, perhaps: linecache asks the loader
    try:
        return linecache.getlines(filename, module_globals)
    except Exception:  # noqa: BLE001  # a loader of the application's
        return []


def raise_literals(lines: Sequence[str], where: Position) -> tuple[str, ...]:
    """The string literals of a `raise` statement, f-string parts included.

    Args:
        lines: Of the source file.
        where: The raising instruction; with columns it spans the whole statement.

    Returns:
        An empty tuple when the place is not a `raise`.
    """
    first = where.line - 1
    if first < 0 or first >= len(lines):
        return ()
    last = where.end_line or where.line
    text = textwrap.dedent("".join(lines[first:last]))
    if where.column is not None and where.end_column is not None:
        picked = [line.encode() for line in lines[first:last]]
        picked[-1] = picked[-1][: where.end_column]
        picked[0] = picked[0][where.column :]
        text = b"".join(picked).decode("utf-8", "replace")
    if not text.lstrip().startswith("raise"):
        return ()
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip()
    )
