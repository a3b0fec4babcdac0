"""The exceptions that belong to one failure: cause, context and the members of groups.

Reads only through the C-level descriptors of `BaseException` and `type`: an exception class of the
application can override `__getattribute__`, `__class__` or properties, and none of that may run
here. Nothing is kept: callers drop the result before they return.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, NamedTuple

#: How an exception came into the tree.
Relation = Literal["raised", "cause", "context", "member"]

#: Exceptions of one failure that are looked at.
MAX_EXCEPTIONS = 30
#: And that are compared: a group may have many members of one kind before one of another.
MAX_COMPARED = 100

_cause = BaseException.__dict__["__cause__"].__get__
_context = BaseException.__dict__["__context__"].__get__
_suppressed = BaseException.__dict__["__suppress_context__"].__get__
_dictionary = BaseException.__dict__["__dict__"].__get__
_set_dictionary = BaseException.__dict__["__dict__"].__set__
_file = OSError.__dict__["filename"].__get__
_second_file = OSError.__dict__["filename2"].__get__
_members = BaseExceptionGroup.__dict__["exceptions"].__get__
_traceback = BaseException.__dict__["__traceback__"].__get__
#: Its constructor's arguments.
arguments_of = BaseException.__dict__["args"].__get__

_qualname = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__
_namespace = type.__dict__["__dict__"].__get__
_lineage = type.__dict__["__mro__"].__get__

#: An exception, and the traceback that it had when it failed; see `seen_with`.
_earlier: ContextVar[tuple[BaseException, TracebackType] | None] = ContextVar(
    "inapp_monitor.earlier_traceback", default=None
)


class Link(NamedTuple):
    """One exception of the tree.

    Attributes:
        exception: The object itself.
        relation: How it came in.
        parent: Position of the exception that it belongs to; None for the raised one.
    """

    exception: BaseException
    relation: Relation
    parent: int | None


def traceback_of(exception: BaseException) -> TracebackType | None:
    """The traceback of an exception; the earlier one inside of `seen_with`."""
    earlier = _earlier.get()
    if earlier is not None and earlier[0] is exception:
        return earlier[1]
    found: TracebackType | None = _traceback(exception)
    return found


@contextmanager
def seen_with(exception: BaseException, traceback: TracebackType) -> Iterator[None]:
    """A block in which an exception has the traceback of an earlier time.

    It is not written to the exception, which the application may be handling in another thread.
    """
    token = _earlier.set((exception, traceback))
    try:
        yield
    finally:
        _earlier.reset(token)


def class_qualname(cls: type) -> str:
    """The qualified name of a class, without asking its metaclass."""
    return str(_qualname(cls))


def class_module(cls: type) -> str:
    """The module of a class, an empty string when it has none."""
    try:
        module = _module(cls)
    except AttributeError:  # made in a namespace without a name
        return ""
    return module if type(module) is str else ""


def class_name(cls: type) -> str:
    """The qualified name of a class after its module, without `builtins`."""
    module = class_module(cls)
    name = class_qualname(cls)
    return f"{module}.{name}" if module not in ("", "builtins") else name


def class_short_name(cls: type) -> str:
    """The qualified name without the functions that a class was made in."""
    return class_qualname(cls).rsplit("<locals>.", 1)[-1]


def class_lineage(cls: type) -> tuple[type, ...]:
    """The method resolution order of a class."""
    return tuple(_lineage(cls))


def class_namespace(cls: type) -> Any:
    """The class's own dictionary."""
    return _namespace(cls)


def is_group(exception: BaseException) -> bool:
    """Whether it is an ExceptionGroup, by its real type."""
    return issubclass(type(exception), BaseExceptionGroup)


def members_of(group: BaseException) -> tuple[BaseException, ...]:
    """The exceptions inside a group."""
    return tuple(_members(group))


def attributes_of(exception: BaseException) -> dict[str, Any]:
    """The instance dictionary itself (not a copy)."""
    attributes: dict[str, Any] = _dictionary(exception)
    return attributes


def replace_attributes(exception: BaseException, attributes: dict[str, Any]) -> None:
    """Make another dictionary the instance's, with the same content."""
    _set_dictionary(exception, attributes)


def notes_of(exception: BaseException) -> list[str]:
    """The notes added with `add_note`, those that are strings."""
    notes = dict.get(attributes_of(exception), "__notes__")
    if type(notes) is not list and type(notes) is not tuple:
        return []
    return [note for note in notes[:20] if type(note) is str]


def files_of(exception: BaseException) -> tuple[object, ...]:
    """The files that an OSError names, which it prints and which are not among its arguments."""
    if not issubclass(type(exception), OSError):
        return ()
    return tuple(name for name in (_file(exception), _second_file(exception)) if name is not None)


def linked(exception: BaseException) -> tuple[BaseException | None, Relation]:
    """What an exception was raised from or during; None when nothing, or when it is suppressed."""
    cause = _cause(exception)
    if cause is not None:
        return cause, "cause"
    if _suppressed(exception):
        return None, "context"
    return _context(exception), "context"


def walk(exception: BaseException, limit: int = MAX_EXCEPTIONS) -> tuple[list[Link], bool]:
    """The tree of a failure, the raised exception first, depth first; each object once.

    Returns:
        The links, and whether there were more than `limit`.
    """
    links: list[Link] = []
    seen: set[int] = set()
    waiting: list[Link] = [Link(exception, "raised", None)]
    while waiting:
        link = waiting.pop()
        if id(link.exception) in seen:
            continue
        if len(links) >= limit:
            return links, True
        seen.add(id(link.exception))
        position = len(links)
        links.append(link)
        other, relation = linked(link.exception)
        if other is not None:
            waiting.append(Link(other, relation, position))
        if is_group(link.exception):
            waiting.extend(
                Link(member, "member", position)
                for member in reversed(members_of(link.exception)[:limit])
            )
    return links, False
