"""Which exceptions have been recorded already, so that each failure is recorded once.

An exception is seen at several places on its way: logged, raised again, announced by a framework.
That is one failure, however far it has come. An exception object that is raised anew, as libraries
do that make their error once, is another failure each time. The traceback shows which it is, and
its tail stays as it is while the head grows.

What is remembered dies with the exception. Of one that allows weak references, as those of the
application's own classes do, it is kept here. Those of the language do not: there the exception's
own dictionary, equal to what it was, holds it. The application finds no attribute that it has not
set, and no copy, pickle or update of that dictionary carries it on to another exception. A
dictionary that somebody else holds too, or that is of a class of the application, stays as it is.
"""

from __future__ import annotations

import dis
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from opcode import opmap
from types import CodeType, TracebackType
from typing import Any, NamedTuple

from inapp_monitor.ground.current_job import is_marked, mark
from inapp_monitor.issues import exception_tree

#: Trackers of one exception that are remembered; exceptions that live long may see many.
_MAX_TRACKERS = 8
#: Exceptions that are remembered here and still exist.
_MAX_BESIDE = 4_096
_RAISE = opmap["RAISE_VARARGS"]


class Raising(NamedTuple):
    """Where an exception was last raised by a statement.

    Attributes:
        depth: Entries of the traceback from there to its end; it differs for each time.
        call: Identifies the function's call; None when it is not known, as under a debugger.
        instruction: Offset of the statement.
    """

    depth: int
    call: weakref.ref[Any] | None
    instruction: int


class Recorded(NamedTuple):
    """How a tracker recorded an exception.

    Attributes:
        issue, event_id: What it became; the latter is "" without an event.
        request: Identifies the request; None outside of any.
        raising: See `Raising`; None when no statement raised it.
        owner: Identifies the exception, as dictionaries can be shared.
    """

    issue: str
    event_id: str
    request: object
    raising: Raising | None
    owner: int


class _Attributes(dict[str, Any]):
    """An exception's dictionary with what trackers remember beside it.

    Attributes:
        by_tracker: What they remember, by the tracker's identity.
    """

    __slots__ = ("by_tracker",)

    by_tracker: dict[object, Recorded]

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        # The items apart from the dictionary: it may contain itself.
        return dict, (), None, None, iter(list(self.items()))


class _Beside(NamedTuple):
    """What trackers remember of an exception that allows a weak reference."""

    exception: weakref.ref[BaseException]
    by_tracker: dict[object, Recorded]


#: By the identity of the exception, the oldest first.
_beside: dict[int, _Beside] = {}


def find(exception: BaseException, tracker: object, request: object) -> Recorded | None:
    """How this failure has been recorded; None when it has not.

    Args:
        exception: With its traceback.
        tracker: Who asks.
        request: Identifies the request; None outside of any.
    """
    by_tracker = _remembered_of(exception)
    recorded = None if by_tracker is None else by_tracker.get(tracker)
    if recorded is None or recorded.owner != id(exception):
        return None
    if recorded.request is not None and request is not None and recorded.request != request:
        return None
    return None if _is_raised_anew(exception, recorded.raising) else recorded


def remember(
    exception: BaseException, tracker: object, issue: str, event_id: str, request: object
) -> None:
    """Note that a tracker has recorded an exception. Where that cannot be noted, it is recorded
    again at the next place that it comes to."""
    try:
        by_tracker = _remembered_of(exception)
        if by_tracker is None:
            by_tracker = _begin(exception)
        _make_room(by_tracker, _MAX_TRACKERS)
        raising = _last_raising(exception)
        by_tracker[tracker] = Recorded(issue, event_id, request, raising, id(exception))
    except Exception:  # noqa: BLE001  # no weak reference to it, or threads got into each other's way
        return


@contextmanager
def seen_without_former(exception: BaseException, tracker: object) -> Iterator[None]:
    """A block in which an exception that is raised anew has the traceback of this time alone: its
    own one goes on with those of all times before, which lead to other failures."""
    by_tracker = _remembered_of(exception)
    recorded = None if by_tracker is None else by_tracker.get(tracker)
    latest = None
    if recorded is not None and recorded.owner == id(exception):
        latest = _latest(exception, recorded.raising)
    if latest is None:
        yield
    else:
        with exception_tree.seen_with(exception, latest):
            yield


def _latest(exception: BaseException, before: Raising | None) -> TracebackType | None:
    """The part of a traceback that this time added; None when it is all of it."""
    if not _is_raised_anew(exception, before):
        return None
    entries = _entries(exception)
    frames: set[int] = set()
    places: set[tuple[int, int]] = set()
    for position, (entry, following) in enumerate(pairwise(entries)):
        frames.add(id(entry.tb_frame))
        places.add((id(entry.tb_frame), entry.tb_lasti))
        follows = id(following.tb_frame)
        # What was caught in one of these calls came through it by another instruction.
        is_former = follows not in frames or (follows, following.tb_lasti) in places
        if is_former and _raises(entry):
            return _linked(entries[: position + 1])
    return None


def _linked(entries: list[TracebackType]) -> TracebackType | None:
    traceback = None
    for entry in reversed(entries):
        frame, instruction, line = entry.tb_frame, entry.tb_lasti, entry.tb_lineno
        traceback = TracebackType(traceback, frame, instruction, line)
    return traceback


def _remembered_of(exception: BaseException) -> dict[object, Recorded] | None:
    attributes = exception_tree.attributes_of(exception)
    if type(attributes) is _Attributes:
        return attributes.by_tracker
    beside = _beside.get(id(exception))
    return None if beside is None or beside.exception() is not exception else beside.by_tracker


def _begin(exception: BaseException) -> dict[object, Recorded]:
    """Where to remember something of an exception of which nothing is remembered.

    Raises:
        TypeError: Nowhere, because the class allows no weak reference either.
    """
    by_tracker: dict[object, Recorded] = {}
    try:
        key = id(exception)
        beside = _Beside(weakref.ref(exception, partial(_forget, key)), by_tracker)
    except TypeError:
        if not _is_replaceable(exception):
            raise
        marked = _Attributes(exception_tree.attributes_of(exception))
        marked.by_tracker = by_tracker
        exception_tree.replace_attributes(exception, marked)
    else:
        _beside.pop(key, None)  # of one that is gone
        _make_room(_beside, _MAX_BESIDE)
        _beside[key] = beside
    return by_tracker


def _forget(key: int, reference: weakref.ref[BaseException]) -> None:
    """The exception is gone; its identity may be another one's already."""
    beside = _beside.get(key)
    if beside is not None and beside.exception is reference:
        _beside.pop(key, None)


def _is_replaceable(exception: BaseException) -> bool:
    """Whether the dictionary is a plain one that nobody else holds, and would write to in vain."""
    plain = type(exception_tree.attributes_of(exception)) is dict
    return plain and _references(exception) <= _OWN_REFERENCES


def _references(exception: BaseException) -> int:
    return sys.getrefcount(exception_tree.attributes_of(exception))


#: To a dictionary that only its exception holds.
_OWN_REFERENCES = _references(Exception())


def _make_room(remembered: dict[Any, Any], size: int) -> None:
    while len(remembered) >= size:
        remembered.pop(next(iter(remembered)), None)


def _last_raising(exception: BaseException) -> Raising | None:
    entries = _entries(exception)
    for position, entry in enumerate(entries):
        if _raises(entry):
            return Raising(len(entries) - position, mark(entry.tb_frame), entry.tb_lasti)
    return None


def _is_raised_anew(exception: BaseException, before: Raising | None) -> bool:
    """Whether an exception has been raised anew since, and not only on its way.

    It is when the same statement has raised it before, or when the statement raises something that
    has a name outside of the function. `raise error` of a variable passes on what was caught. One
    call that raises it by one statement, each time without its former traceback, as a loop of
    attempts may do, has failed once.
    """
    entries = _entries(exception)
    for position, entry in enumerate(entries):
        if not _raises(entry):
            continue
        code, instruction = entry.tb_frame.f_code, entry.tb_lasti
        if before is not None and (len(entries) - position, instruction) == (
            before.depth,
            before.instruction,
        ):
            return before.call is not None and not is_marked(entry.tb_frame, before.call)
        again = any(
            older.tb_lasti == instruction and older.tb_frame.f_code is code
            for older in entries[position + 1 :]
        )
        return again or not _raises_variable(code, instruction)
    return False


def _entries(exception: BaseException) -> list[TracebackType]:
    entries = []
    traceback = exception_tree.traceback_of(exception)
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    return entries


def _raises(entry: TracebackType) -> bool:
    code, instruction = entry.tb_frame.f_code.co_code, entry.tb_lasti
    return 0 <= instruction < len(code) and code[instruction] == _RAISE


def _raises_variable(code: CodeType, instruction: int) -> bool:
    """Whether a `raise` takes its exception from a variable of the function, or from an attribute
    of one: it was caught there, or came from another thread or task."""
    loads: list[tuple[object, str]] = []
    for each in dis.get_instructions(code):
        if each.opname.startswith("LOAD_"):
            loads.append((each.positions, each.opname))
        if each.offset == instruction:
            statement = each.positions
            break
    else:
        return True
    inside = [name for positions, name in loads if _is_within(positions, statement)]
    return not inside or inside[0].startswith(("LOAD_FAST", "LOAD_DEREF"))


def _is_within(positions: Any, statement: Any) -> bool:
    """Whether a piece of source lies within a statement; unknown ones do not."""
    if None in (*(positions or (None,)), *(statement or (None,))):
        return False
    begin = statement.lineno, statement.col_offset
    end = statement.end_lineno, statement.end_col_offset
    first = positions.lineno, positions.col_offset
    return bool(begin <= first and (positions.end_lineno, positions.end_col_offset) <= end)
