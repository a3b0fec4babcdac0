"""What the byte code of a function says about its source: literals of a `raise`, a lambda's body.

The source file is not asked: a release may have been put beside the running one, or there may be
none. What is found is the same for the same source, whatever stands around it.
"""

from __future__ import annotations

import opcode
from collections.abc import Iterator
from types import CodeType

_OPERATIONS = opcode.opmap
_EXTENDED = _OPERATIONS["EXTENDED_ARG"]
_CONSTANT = _OPERATIONS["LOAD_CONST"]
_RAISE = _OPERATIONS["RAISE_VARARGS"]
#: Since Python 3.14.
_SMALL_INT = _OPERATIONS.get("LOAD_SMALL_INT")
_ASSERTION = _OPERATIONS.get("LOAD_ASSERTION_ERROR")
_COMMON_CONSTANT = _OPERATIONS.get("LOAD_COMMON_CONSTANT")
_BINARY = _OPERATIONS["BINARY_OP"]
#: Of `BINARY_OP`, by its argument.
_OPERATORS = {0: "+", 1: "&", 2: "//", 5: "*", 6: "%", 7: "|", 8: "**", 10: "-", 11: "/"}
MAX_BODY_CHARS = 80


def raise_literals(code: CodeType, offset: int) -> tuple[str, ...]:
    """The string literals of the `raise` statement at an offset, f-string parts included; of an
    `assert` those of its message. An empty tuple for any other statement."""
    raw = code.co_code
    if not 0 <= offset < len(raw) or raw[offset] != _RAISE:
        return ()
    instructions = list(_instructions(code))
    here = offset // 2
    begin = _assertion(instructions, here)
    chosen = _statement(code, here) if begin is None else list(range(begin, here))
    constants = code.co_consts
    found: list[str] = []
    for index in chosen:
        operation, argument = instructions[index]
        if operation == _CONSTANT:
            value = constants[argument]
            items = value if type(value) is tuple else (value,)
            found += [item for item in items if type(item) is str and item.strip()]
    return tuple(found)


def lambda_body(code: CodeType) -> str:
    """The names, constants and operators of a lambda in the order of its code."""
    words = list(code.co_names)
    for operation, argument in _instructions(code):
        if operation == _CONSTANT:
            value = code.co_consts[argument]
            if type(value) in (str, int, float, bytes):
                words.append(repr(value)[:30])
        elif operation == _SMALL_INT:
            words.append(str(argument))
        elif operation == _BINARY and argument in _OPERATORS:
            words.append(_OPERATORS[argument])
    return " ".join(words)[:MAX_BODY_CHARS]


def _instructions(code: CodeType) -> Iterator[tuple[int, int]]:
    """Operation and argument of each instruction, one for each two bytes."""
    raw = code.co_code
    extended = 0
    for operation, argument in zip(raw[::2], raw[1::2], strict=True):
        argument |= extended
        extended = argument << 8 if operation == _EXTENDED else 0
        yield operation, argument


def _assertion(instructions: list[tuple[int, int]], here: int) -> int | None:
    """Where the `AssertionError` of an `assert` is loaded; None when it is no `assert`."""
    for index in range(here - 1, max(here - 200, -1), -1):
        operation, argument = instructions[index]
        if operation == _RAISE:
            return None
        if operation == _ASSERTION or (operation == _COMMON_CONSTANT and argument == 0):
            return index
    return None


def _statement(code: CodeType, here: int) -> list[int]:
    """The instructions within the statement that an instruction spans; without columns, those of
    its line."""
    places = list(code.co_positions())
    line, end_line, column, end_column = places[here]
    if line is None:
        return []
    if end_line is None or column is None or end_column is None:
        return [index for index, place in enumerate(places) if place[0] == line]
    begin, end = (line, column), (end_line, end_column)
    return [
        index
        for index, (first, last, left, right) in enumerate(places)
        if first is not None
        and last is not None
        and left is not None
        and right is not None
        and begin <= (first, left)
        and (last, right) <= end
    ]
