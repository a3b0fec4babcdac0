"""Source files, and whether what stands in one now is what runs.

A new release is often put in the place of the running one: then the lines of the file belong to
other code, and showing one of them would be a lie. So each line is compared with the names and
strings that the byte code has at that place.
"""

from __future__ import annotations

import linecache
import opcode
import re
from collections.abc import Sequence
from pathlib import Path
from types import CodeType

#: Flag of the code of functions.
_OPTIMIZED = 0x1
#: Source files above this are not read.
MAX_SOURCE_BYTES = 2 * 2**20
#: Places whose lines were compared.
MAX_CHECKED = 2_000

_CONSTANT = opcode.opmap["LOAD_CONST"]
#: Instructions whose place in the source is, or ends with, a name.
_NAMED = frozenset(
    number
    for name, number in opcode.opmap.items()
    if name
    in (
        "LOAD_NAME",
        "LOAD_GLOBAL",
        "LOAD_FAST",
        "LOAD_FAST_CHECK",
        "LOAD_FAST_BORROW",
        "LOAD_DEREF",
        "LOAD_ATTR",
        "LOAD_METHOD",
    )
)
_NAME = re.compile(r"[^\W\d]\w*$")
#: By file, function, its first line and the line: the lines of the file and whether they are right.
_checked: dict[tuple[str, str, int, int], tuple[list[str], bool]] = {}


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


def lines_of(
    code: CodeType, line: int, module_globals: dict[str, object] | None = None
) -> list[str]:
    """The lines of a function's source file, an empty list when they are of other code by now.

    Args:
        code: Of the function.
        line: The one that is to be shown.
        module_globals: Of the function, for its loader.
    """
    filename = code.co_filename
    lines = source_lines(filename, module_globals)
    key = (filename, code.co_name, code.co_firstlineno, line)
    checked = _checked.get(key)
    if not lines or (checked is not None and checked[0] is lines):
        return lines if checked is None or checked[1] else []
    right = not _is_python(code) or _is_source(code, line, lines)
    if not right:
        try:  # it may have been read before the code was loaded anew
            linecache.checkcache(filename)
        except Exception:  # noqa: BLE001  # as in source_lines
            return []
        fresh = source_lines(filename, module_globals)
        if fresh is not lines:
            lines, right = fresh, _is_source(code, line, fresh)
    if len(_checked) >= MAX_CHECKED:
        _checked.clear()
    _checked[key] = (lines, right)
    return lines if right else []


def _is_python(code: CodeType) -> bool:
    """Whether the code was made from the text of the file itself: not from a template, and not
    from a syntax tree that was rewritten, as pytest does."""
    if not code.co_filename.endswith((".py", ".pyw")):
        return False
    names = (*code.co_varnames, *code.co_names)
    return not any(name.startswith("@") or name == "__jinja_exception__" for name in names)


def _is_source(code: CodeType, line: int, lines: Sequence[str]) -> bool:
    """Whether the lines are what the code was made from, as far as the one line shows it; where it
    names nothing, the whole function (a class has instructions that stand nowhere)."""
    if not code.co_code:  # of an extension module that makes its own frames
        return True
    found = _compare(code, lines, line)
    if found is None and code.co_flags & _OPTIMIZED:
        found = _compare(code, lines, None)
    return found is not False


def _compare(code: CodeType, lines: Sequence[str], only: int | None) -> bool | None:
    """Whether most names, and all strings, stand where the code has them; None if that is open."""
    names = {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
    # The body of a class begins with instructions that its heading does not name.
    heading = None if code.co_flags & _OPTIMIZED else code.co_firstlineno
    encoded: dict[int, bytes] = {}
    right = wrong = 0
    raw = code.co_code
    for index, (line, end_line, column, end_column) in enumerate(code.co_positions()):
        if line is None or (only is not None and line != only) or line == heading:
            continue
        operation = raw[2 * index]
        if operation not in _NAMED and operation != _CONSTANT:
            continue
        if line != end_line or column is None or end_column is None:
            continue
        if line not in encoded:
            encoded[line] = lines[line - 1].encode() if 0 < line <= len(lines) else b""
        text = encoded[line][column:end_column].decode("utf-8", "replace")
        if operation == _CONSTANT:
            if _differs(text, code.co_consts[_argument(raw, index)]):
                return False
            continue
        if text.endswith("super()") or text.startswith("lambda"):
            continue  # loads names that do not stand there
        name = _NAME.search(text)
        if name is not None and (name[0] in names or _is_mangled(name[0], names)):
            right += 1
        else:
            wrong += 1
    if ".0" in names:  # the iterable of a comprehension, which has no name there
        wrong = max(wrong - 1, 0)
    if right == wrong:
        return None
    return right > wrong


def _argument(raw: bytes, index: int) -> int:
    """The argument of an instruction, with what the ones before extend it by."""
    argument, shift = raw[2 * index + 1], 8
    while index and raw[2 * index - 2] == opcode.EXTENDED_ARG:
        index -= 1
        argument |= raw[2 * index + 1] << shift
        shift += 8
    return argument


def _is_mangled(name: str, names: set[str]) -> bool:
    """Whether a private name of a class, `__name`, is among the names as `_Class__name`."""
    return name.startswith("__") and any(known.endswith(name) for known in names)


def _differs(text: str, value: object) -> bool:
    """Whether a text is a plain string literal of another value."""
    if type(value) is not str or len(text) < 2 or text[0] not in "\"'" or text[0] != text[-1]:
        return False
    inside = text[1:-1]
    if text[0] in inside or "\\" in inside or "%" in inside:  # taken apart where it is formatted
        return False
    return inside != value
