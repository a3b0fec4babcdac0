"""From an exception to what rule 1 of grouping compares, so that its issues go on."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence

from inapp_monitor.issues import exception_tree, source_files, stack
from inapp_monitor.issues.code_places import CodePlaces
from inapp_monitor.issues.grouping.v1 import Function, Shape


def shapes_of(exception: BaseException, places: CodePlaces) -> list[Shape]:
    """One shape an exception of the tree, the raised one first."""
    links, _ = exception_tree.walk(exception)
    return [_shape(link, places) for link in links]


def _shape(link: exception_tree.Link, places: CodePlaces) -> Shape:
    steps, _ = stack.steps(exception_tree.traceback_of(link.exception))
    functions: list[Function] = []
    literals: tuple[str, ...] = ()
    for step in steps:
        code = step.frame.f_code
        where = stack.module_of(step.frame)
        in_app = places.in_app_by_path(code.co_filename, where)
        functions.append(Function(where, code.co_qualname, in_app))
    if steps and functions[-1].in_app:
        step = steps[-1]
        lines = source_files.source_lines(step.frame.f_code.co_filename, step.frame.f_globals)
        place = stack.position(step.frame.f_code, step.instruction, step.line)
        literals = raise_literals(lines, place)
    return Shape(
        type=exception_tree.class_name(type(link.exception)),
        relation=link.relation,
        functions=functions,
        literals=literals,
        group=exception_tree.is_group(link.exception),
    )


def raise_literals(lines: Sequence[str], where: stack.Position) -> tuple[str, ...]:
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
