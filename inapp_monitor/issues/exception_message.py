"""The text of an exception, with as little of the application's code as possible.

Builtin exception classes print themselves by their own C code. A class with a `__str__` of its own
is asked in a thread that is not waited for longer than `STR_BUDGET_S`.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from types import WrapperDescriptorType
from typing import Any

from inapp_monitor.issues import exception_tree, reentrance
from inapp_monitor.issues.render_values import Renderer
from inapp_monitor.issues.stack import MAX_SOURCE_LINE

#: Longest wait for an exception's own `__str__`.
STR_BUDGET_S = 0.02
MAX_MESSAGE_CHARS = 8_192

_PLAIN_TYPES = (str, int, float, bool, bytes, type(None))
_slow_types: set[str] = set()


def message_of(exception: BaseException, renderer: Renderer) -> str:
    """The text of `str(exception)`, without its notes; bounded in time for a class with its own."""
    cls = type(exception)
    if _has_own_str(cls):
        text = _ask(exception, renderer)
        if text is not None:
            if len(text) > MAX_MESSAGE_CHARS:
                renderer.cuts.add("the message is cut")
            return text[:MAX_MESSAGE_CHARS]
    arguments = (*exception_tree.arguments_of(exception), *exception_tree.files_of(exception))
    if exception_tree.is_group(exception) or all(map(_is_plain, arguments)):
        # Only builtin code runs: each builtin exception class has its own way to print itself.
        try:
            text = _builtin_str(cls)(exception)
        except Exception:  # noqa: BLE001  # odd arguments, such as an int too long to print
            text = None
        if text is not None:
            if len(text) > MAX_MESSAGE_CHARS:
                renderer.cuts.add("the message is cut")
            return text[:MAX_MESSAGE_CHARS]
    return ", ".join(renderer.render(item) for item in arguments[:10])


def _is_plain(argument: object) -> bool:
    """Whether printing it runs no code of the application."""
    items = argument if type(argument) is tuple else (argument,)  # a SyntaxError's place
    # By identity: `in` would ask the metaclass of a class of the application.
    return all(any(type(item) is plain for plain in _PLAIN_TYPES) for item in items)


def _builtin_str(cls: type) -> Callable[[BaseException], str]:
    """The innermost `__str__` of a class that is written in C."""
    for base in exception_tree.class_lineage(cls):
        found = exception_tree.class_namespace(base).get("__str__")
        if type(found) is WrapperDescriptorType:
            return found
    return BaseException.__str__


def _has_own_str(cls: type) -> bool:
    """Whether a class prints itself by code written in Python."""
    for base in exception_tree.class_lineage(cls):
        found = exception_tree.class_namespace(base).get("__str__")
        if found is not None:
            return type(found) is not WrapperDescriptorType
    return False


def _ask(exception: BaseException, renderer: Renderer) -> str | None:
    """Call the exception's own `__str__` in a thread that is left alone when it takes too long."""
    cls = type(exception)
    name = f"{exception_tree.class_module(cls)}.{exception_tree.class_qualname(cls)}"
    if name in _slow_types:
        renderer.cuts.add("the message takes too long to make")
        return None
    answers: list[str] = []
    holder: list[BaseException] = [exception]

    def ask() -> None:
        try:
            # What it logs would be an error again, whose text is asked for again.
            answers.append(str.__str__(reentrance.run(lambda: str(holder.pop()))))
        except BaseException:  # noqa: BLE001, S110  # hostile or broken: the caller notes it
            pass

    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(ask,), name="inapp-monitor-str", daemon=True
    )
    try:
        thread.start()
        thread.join(STR_BUDGET_S)
    except RuntimeError:  # no more threads
        return None
    if thread.is_alive():
        if len(_slow_types) < 100:
            _slow_types.add(name)
        renderer.cuts.add("the message takes too long to make")
        return None
    if not answers:
        renderer.cuts.add("the exception's __str__ failed")
        return None
    return answers[0]


def syntax_place(exception: BaseException, renderer: Renderer) -> dict[str, Any]:
    """The file, line, column and text that a SyntaxError is about."""

    def attribute(name: str) -> object:
        return SyntaxError.__dict__[name].__get__(exception)

    def number(name: str) -> int | None:
        value = attribute(name)
        return value if type(value) is int and -1 <= value < 2**31 else None

    text = attribute("text")
    return {
        "file": renderer.render(attribute("filename")),
        "line": number("lineno"),
        "column": number("offset"),
        "text": text.rstrip()[:MAX_SOURCE_LINE] if type(text) is str else "",
    }
