"""From an exception to what grouping compares, and to a key that finds it again fast."""

from __future__ import annotations

from types import CodeType
from typing import NamedTuple

from inapp_monitor.issues import exception_tree, stack
from inapp_monitor.issues.grouping.v1 import Function, Shape

#: Frames of one traceback that the key looks at: the outermost few and the innermost.
MAX_KEY_FRAMES, KEY_OUTERMOST = 120, 20


class Key(NamedTuple):
    """What finds the fingerprint of an exception again.

    Attributes:
        value: Ids of classes and code objects with instruction offsets; a class itself would run
            the `__hash__` and `__eq__` of its metaclass.
        kept: What the ids stand for, to be kept as long as the value is.
        raising: The code that raised the exception; None without a traceback.
    """

    value: tuple[object, ...]
    kept: tuple[object, ...]
    raising: CodeType | None


def key_of(exception: BaseException) -> Key:
    """A key that is the same for exceptions that came the same way."""
    links, _ = exception_tree.walk(exception)
    key: list[object] = []
    kept: list[object] = []
    raising: CodeType | None = None
    for link in links:
        cls = type(link.exception)
        kept.append(cls)
        key.append(id(cls))
        key.append(link.relation)
        traceback = exception_tree.traceback_of(link.exception)
        entries = []
        while traceback is not None:
            entries.append(traceback)
            traceback = traceback.tb_next
        if len(entries) > MAX_KEY_FRAMES:
            entries = entries[:KEY_OUTERMOST] + entries[KEY_OUTERMOST - MAX_KEY_FRAMES :]
        code = None
        for entry in entries:
            code = entry.tb_frame.f_code
            kept.append(code)
            key.append(id(code))
            key.append(entry.tb_lasti)
        raising = raising or code
    return Key(tuple(key), tuple(kept), raising)


def shapes_of(exception: BaseException, places: stack.CodePlaces) -> list[Shape]:
    """What grouping compares: one shape an exception of the tree, the raised one first."""
    links, _ = exception_tree.walk(exception)
    return [_shape(link, places) for link in links]


def _shape(link: exception_tree.Link, places: stack.CodePlaces) -> Shape:
    cls = type(link.exception)
    module = exception_tree.class_module(cls)
    name = exception_tree.class_qualname(cls)
    steps, _ = stack.steps(exception_tree.traceback_of(link.exception))
    functions: list[Function] = []
    literals: tuple[str, ...] = ()
    for step in steps:
        code = step.frame.f_code
        where = stack.module_of(step.frame)
        in_app = places.in_app(code.co_filename, where)
        functions.append(Function(where, code.co_qualname, in_app))
    if steps and functions[-1].in_app:
        step = steps[-1]
        lines = stack.source_lines(step.frame.f_code.co_filename, step.frame.f_globals)
        place = stack.position(step.frame.f_code, step.instruction, step.line)
        literals = stack.raise_literals(lines, place)
    return Shape(
        type=f"{module}.{name}" if module not in ("", "builtins") else name,
        relation=link.relation,
        functions=functions,
        literals=literals,
        group=exception_tree.is_group(link.exception),
    )
