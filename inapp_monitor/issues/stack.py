"""Tracebacks as plain data: which frames, whose code, and where in the source.

Keeps code objects and file names, never a frame. Source is read in `source_files`; whose code it is
is decided in `code_places`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import NamedTuple

from inapp_monitor.ground.frame_variables import local_variables

#: Frames of one traceback that are shown: the outermost and the innermost half of them.
MAX_FRAMES = 100
#: Characters of a source line that are kept.
MAX_SOURCE_LINE = 300
#: Not imported by name, which would load what it shows: it is loaded before any module in it.
_PACKAGE = Path(str(sys.modules[__name__.partition(".")[0]].__file__)).parent
#: Code names its file as it was imported, which may be through a symbolic link.
_OWN_DIRECTORIES = (f"{_PACKAGE}{os.sep}", f"{_PACKAGE.resolve()}{os.sep}")
#: Where functions of libraries are replaced by some that time them.
_STAND_INS = tuple(f"{directory}traces{os.sep}" for directory in _OWN_DIRECTORIES)


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


def is_own(filename: str) -> bool:
    """Whether a file belongs to this package."""
    return filename.startswith(_OWN_DIRECTORIES)


def is_stand_in(filename: str) -> bool:
    """Whether a file of this package has functions that run a library's in their place: what they
    raise is the library's, though no frame below them says so where that is written in C."""
    return filename.startswith(_STAND_INS)


def module_of(frame: FrameType) -> str:
    """The module name of a frame, an empty string when it has none."""
    name = frame.f_globals.get("__name__", "")
    return name if type(name) is str else ""


def function_of(code: CodeType) -> str:
    """The qualified name of a function; of a template's block the name that its engine gave."""
    name = code.co_qualname
    return code.co_name if name == "<module>" else name


def is_hidden(frame: FrameType) -> bool:
    """Whether the code asks to be left out of tracebacks (`__tracebackhide__ = True`)."""
    if not {"__tracebackhide__", "__traceback_hide__"}.intersection(frame.f_code.co_varnames):
        return False
    names = local_variables(frame)
    return names.get("__tracebackhide__") is True or names.get("__traceback_hide__") is True


def steps(traceback: TracebackType | None, most: int = MAX_FRAMES) -> tuple[list[Step], int]:
    """The frames of a traceback, outermost first, without our own and hidden ones.

    Recursion (the same line of the same code again and again) is collapsed into the first frame.

    Returns:
        At most `most` steps and how many were left out in the middle.
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
    left_out = max(0, len(found) - most)
    if left_out:
        half = most // 2
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
