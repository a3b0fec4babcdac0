"""From an exception to what grouping compares, and to a key that finds it again fast."""

from __future__ import annotations

from types import CodeType

from inapp_monitor.issues import chain, stack
from inapp_monitor.issues.grouping import Function, Shape

#: Frames of one traceback that the key looks at: the outermost few and the innermost.
MAX_KEY_FRAMES, KEY_OUTERMOST = 120, 20


def key_of(exception: BaseException) -> tuple[tuple[object, ...], tuple[CodeType, ...]]:
    """A key that is the same for exceptions that came the same way.

    Returns:
        The key, of classes and ids of code objects with instruction offsets; and the code objects,
        which whoever keeps the key must keep too. The last one raised the exception.
    """
    links, _ = chain.walk(exception)
    key: list[object] = []
    codes: list[CodeType] = []
    raising: CodeType | None = None
    for link in links:
        key.append(type(link.exception))
        key.append(link.relation)
        traceback = chain.traceback_of(link.exception)
        entries = []
        while traceback is not None:
            entries.append(traceback)
            traceback = traceback.tb_next
        if len(entries) > MAX_KEY_FRAMES:
            entries = entries[:KEY_OUTERMOST] + entries[KEY_OUTERMOST - MAX_KEY_FRAMES :]
        for entry in entries:
            code = entry.tb_frame.f_code
            codes.append(code)
            key.append(id(code))
            key.append(entry.tb_lasti)
        if raising is None and codes:
            raising = codes[-1]
    if raising is not None:
        codes.append(raising)
    return tuple(key), tuple(codes)


def shapes_of(exception: BaseException, places: stack.CodePlaces) -> list[Shape]:
    """What grouping compares: one shape an exception of the tree, the raised one first."""
    links, _ = chain.walk(exception)
    return [_shape(link, places) for link in links]


def _shape(link: chain.Link, places: stack.CodePlaces) -> Shape:
    cls = type(link.exception)
    module = chain.class_module(cls)
    name = chain.class_qualname(cls)
    steps, _ = stack.steps(chain.traceback_of(link.exception))
    functions: list[Function] = []
    literals: tuple[str, ...] = ()
    for step in steps:
        code = step.frame.f_code
        where = stack.module_of(step.frame)
        in_app = places.in_app(code.co_filename, where)
        functions.append(Function(where, stack.qualified_name(code), in_app))
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
        group=chain.is_group(link.exception),
    )
