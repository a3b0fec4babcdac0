"""From an exception to what the present rule of grouping compares."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType

from inapp_monitor.issues import code_text, exception_tree, stack
from inapp_monitor.issues.code_places import CodePlaces
from inapp_monitor.issues.grouping import messages, names
from inapp_monitor.issues.grouping.v2 import Function, Shape

#: Of the message of an exception without a traceback.
MAX_MESSAGE_CHARS = 500
#: Frames of an endless recursion that are counted: what called itself a few times on the way to it
#: is a small part of them.
MAX_RECURSION = 2_000
#: Flags of code that takes any arguments, or any keyword arguments.
_ARGUMENTS, _KEYWORDS = 0x04, 0x08
_PLAIN_TYPES = (str, int, float, bool)


def shapes_of(exception: BaseException, places: CodePlaces) -> list[Shape]:
    """One shape an exception of the tree, the raised one first."""
    links, _ = exception_tree.walk(exception, exception_tree.MAX_COMPARED)
    return [_shape(link, places) for link in links]


def plain_message(exception: BaseException) -> str:
    """What an exception says, parameterized and without any code of the application: its
    arguments that are plain values."""
    arguments = exception_tree.arguments_of(exception)
    plain = [item for item in arguments[:10] if any(type(item) is kind for kind in _PLAIN_TYPES)]
    text = ", ".join(str(item)[:MAX_MESSAGE_CHARS] for item in plain)
    return messages.parameterize(text)[:MAX_MESSAGE_CHARS]


def _shape(link: exception_tree.Link, places: CodePlaces) -> Shape:
    cls = type(link.exception)
    endless = issubclass(cls, RecursionError)
    traceback = exception_tree.traceback_of(link.exception)
    steps, _ = stack.steps(traceback, MAX_RECURSION if endless else stack.MAX_FRAMES)
    functions = [_function(step, places) for step in steps]
    literals: tuple[str, ...] = ()
    if steps and functions[-1].in_app:
        literals = code_text.raise_literals(steps[-1].frame.f_code, steps[-1].instruction)
    return Shape(
        type=names.without_numbers(exception_tree.class_name(cls)),
        relation=link.relation,
        functions=functions,
        literals=literals,
        group=exception_tree.is_group(link.exception),
        message="" if steps else plain_message(link.exception),
        endless=endless,
    )


def _function(step: stack.Step, places: CodePlaces) -> Function:
    code = step.frame.f_code
    module, name = stack.module_of(step.frame), stack.function_of(code)
    file = code.co_filename
    return Function(
        module=_module_name(module, file, _main_name(step.frame)),
        name=names.plain_function(name, generated=file.startswith("<")),
        in_app=places.in_app(file, module, name),
        body=_body(code),
        times=step.repeated + 1,
        passes_on=_passes_on(code),
    )


@lru_cache(maxsize=4_096)
def _module_name(module: str, file: str, main: str) -> str:
    return names.plain_module(module, file, main, _roots())


def _body(code: CodeType) -> str:
    return code_text.lambda_body(code) if code.co_name == "<lambda>" else ""


def _passes_on(code: CodeType) -> bool:
    """Whether it is a function in a function that hands on whatever arguments it gets."""
    takes_all = code.co_flags & (_ARGUMENTS | _KEYWORDS)
    return bool(takes_all and code.co_freevars and "<locals>" in code.co_qualname)


def _main_name(frame: FrameType) -> str:
    """What the module that runs as `__main__` is called when it is imported (`python -m`)."""
    if frame.f_globals.get("__name__") != "__main__":
        return ""
    name = getattr(frame.f_globals.get("__spec__"), "name", "")
    return name if type(name) is str else ""


def _roots() -> tuple[str, ...]:
    """Folders that modules are imported from, and the working directory."""
    found = [path for path in sys.path if type(path) is str]
    try:
        found.append(str(Path.cwd()))
    except OSError:  # it was removed
        pass
    folders = {path.replace("\\", "/").rstrip("/") + "/" for path in found}
    return tuple(folder for folder in folders if folder != "/")
