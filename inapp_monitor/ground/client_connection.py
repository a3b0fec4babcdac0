"""Whether an exception is about the connection to the client: it left, or sent what is no request.

Decided by where the exception was raised and on which connection, not by its type: a back end that
resets its connection raises the same, and that is an error of the application. The connection is
what the server handed over: `wsgi.input`, the socket in the environ, and what belongs to
`start_response`, such as the `write` that it returns.

Asked about failures only, so it may look at frames. Nothing is kept here, and nothing of the
application runs: attributes are read out of dictionaries.
"""

from __future__ import annotations

import _socket
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from io import BufferedReader
from opcode import opmap
from types import (
    BuiltinMethodType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any

from inapp_monitor.ground.frame_variables import first_argument, local_variables

#: Packages of servers, and of what they send with: exceptions defined there may be about a
#: connection though they are no OSError, and their frames may follow those of the server.
_SERVERS = frozenset(
    (
        *("cheroot", "cherrypy", "eventlet", "gevent", "gunicorn", "http", "paste", "socket"),
        *("socketserver", "ssl", "twisted", "tornado", "waitress", "werkzeug", "wsgiref"),
    )
)
#: Where servers leave the socket for those who take it over.
_SOCKET_KEYS = ("werkzeug.socket", "gunicorn.socket", "eventlet.input")
#: How servers whose `wsgi.input` is written in C, without a frame, describe its failures.
_INPUT_PHRASES = ("wsgi.input", "Apache/mod_wsgi")
_FOR_ITER, _RAISE = opmap["FOR_ITER"], opmap["RAISE_VARARGS"]
#: Flag of the code of generators.
_GENERATOR = 0x20
#: Causes that are followed, and steps from a `start_response` to what it belongs to.
_MAX_CAUSES, _MAX_STEPS = 5, 50

#: Read by these, an attribute is the true one, whatever a subclass or its metaclass overrides.
_cause_of = BaseException.__dict__["__cause__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_arguments_of = BaseException.__dict__["args"].__get__
_module_of = type.__dict__["__module__"].__get__
_lineage_of = type.__dict__["__mro__"].__get__
_namespace_of = type.__dict__["__dict__"].__get__


def is_of_client(
    error: BaseException, environ: Any, start_responses: Iterable[object] = ()
) -> bool:
    """Whether an exception that the application raised or handled came from the client's
    connection, directly or as the cause of one that only passes it on.

    Args:
        error: With its traceback.
        environ: Of the request.
        start_responses: The server's, and those of layers in between, as far as they are known.
    """
    connection: _Connection | None = None
    link: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if link is None or not _may_be_of_connection(link):
            return False
        connection = connection or _Connection(environ, start_responses)
        if connection.failed_in(link):
            return True
        link = _cause_of(link)
    return False


def is_of_server(
    error: BaseException,
    produced: Sequence[object],
    environ: Any,
    start_responses: Iterable[object],
) -> bool:
    """Whether an exception that was under way when the server closed a body is the server's own,
    or the client's: the body did not raise it.

    Args:
        error: With its traceback, which begins where the body is iterated.
        produced: The body, in all forms in which the server may hold it.
        environ: Of the request.
        start_responses: See `is_of_client`.
    """
    if any(type(body) is GeneratorType and body.gi_frame is not None for body in produced):
        return True  # a generator that is still suspended did not raise
    if not _may_be_of_connection(error):
        return False
    if is_of_client(error, environ, start_responses):
        return True
    entries = _entries_of(_traceback_of(error))
    if not entries:
        return True
    if any(map(_iterates, entries)):
        return False  # it came out of the body
    if _instruction(entries[0]) == _RAISE:
        return True
    own = _objects_of_server(local_variables(entries[0].tb_frame), produced)
    if len(entries) == 1:  # a function of C failed: one that sends, or the body's
        return any(issubclass(type(part), _socket.socket) for part in own)
    return _calls_one_of(entries[1], own, any_name=True)


def handed_over_socket(error: BaseException, environ: Any) -> bool:
    """Whether a StopIteration says that the application has taken over the socket, for a WebSocket,
    and there is no response. Servers agree on that; `next` of nothing raises one as well, and that
    is an error."""
    if not issubclass(type(error), StopIteration):
        return False
    upgrade = environ.get("HTTP_UPGRADE")
    if type(upgrade) is not str or upgrade.lower() != "websocket":
        return False
    last = _traceback_of(error)
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and _instruction(last) == _RAISE


def _may_be_of_connection(error: BaseException) -> bool:
    kind = type(error)
    if issubclass(kind, OSError):
        return True
    try:
        return _first_part(_module_of(kind)) in _SERVERS
    except AttributeError:  # made in a namespace without a name
        return False


class _Connection:
    """What belongs to the connection of one request."""

    def __init__(self, environ: Any, start_responses: Iterable[object]) -> None:
        body = environ.get("wsgi.input")
        raw = body.raw if type(body) is BufferedReader else None
        sockets = [environ.get(key) for key in _SOCKET_KEYS]
        self._readers = [part for part in (body, raw, *sockets) if part is not None]
        self._sockets = [part for part in sockets if part is not None]
        self._writers = list(_belonging_to(start_responses))

    def failed_in(self, error: BaseException) -> bool:
        """Whether it was raised while the connection was used."""
        entries = _entries_of(_traceback_of(error))
        for position, entry in enumerate(entries):
            first = first_argument(entry.tb_frame)
            if _is_one_of(first, self._readers):
                return True
            if _calls_one_of(entry, self._writers, any_name=False):
                return _stays_in_server(entries[position:])
        if not entries:
            return False
        return self._is_read_by(entries[-1].tb_frame) or any(
            phrase in argument
            for argument in _arguments_of(error)
            if type(argument) is str
            for phrase in _INPUT_PHRASES
        )

    def _is_read_by(self, frame: FrameType) -> bool:
        """Whether the function that raised is a reader around the connection, or talks to the
        socket that it took over and to no other."""
        if any(_is_one_of(part, self._readers) for part in _attributes_of(first_argument(frame))):
            return True
        sockets = [
            value
            for value in local_variables(frame).values()
            if issubclass(type(value), _socket.socket) or _is_one_of(value, self._sockets)
        ]
        return bool(sockets) and all(_is_one_of(each, self._sockets) for each in sockets)


def _entries_of(traceback: TracebackType | None) -> list[TracebackType]:
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    return entries


def _iterates(entry: TracebackType) -> bool:
    """Whether it is part of an iteration: a loop over what raised, or an iterator that did."""
    code = entry.tb_frame.f_code
    iterator = code.co_flags & _GENERATOR or code.co_name == "__next__"
    return bool(iterator) or _instruction(entry) == _FOR_ITER


def _instruction(entry: TracebackType) -> int:
    """The kind of instruction that raised, or called what did; -1 when it is not in the code, as
    in tracebacks that a program has made."""
    code, instruction = entry.tb_frame.f_code.co_code, entry.tb_lasti
    return code[instruction] if 0 <= instruction < len(code) else -1


def _belonging_to(start_responses: Iterable[object]) -> Iterator[object]:
    """What some `start_response` is a method of or refers to: the server's response, its `write`,
    and those of layers in between."""
    waiting: list[object] = list(start_responses)
    for _ in range(_MAX_STEPS):
        if not waiting:
            return
        part = waiting.pop(0)
        if _identifies(part):
            yield part
        if type(part) is FunctionType:
            for cell in part.__closure__ or ():
                try:
                    waiting.append(cell.cell_contents)
                except ValueError:  # not filled yet
                    continue
        elif type(part) is MethodType or type(part) is BuiltinMethodType:
            waiting.append(part.__self__)
        elif type(part) is partial:
            waiting += [part.func, *part.args]


def _objects_of_server(variables: dict[str, object], produced: Sequence[object]) -> list[object]:
    """What the function that iterates a body works with, and the attributes of that; not the body
    itself."""
    values = [each for each in variables.values() if not _is_one_of(each, produced)]
    for value in list(values):
        if type(value) is MethodType:
            values += [value.__self__, value.__func__]
        else:
            values += _attributes_of(value)
    return [each for each in values if _identifies(each) and not _is_one_of(each, produced)]


def _calls_one_of(entry: TracebackType, objects: Sequence[object], *, any_name: bool) -> bool:
    """Whether this frame is one of some functions, or a method of one of the objects. A generator
    is neither: it is a body.

    Args:
        entry: Of a traceback.
        objects: Functions and others.
        any_name: Whether a method is one of the server's whatever its name, unless the object may
            be an iterator of the body. Else it has to write, or to be defined in the function:
            what `start_response` refers to may be the application's.
    """
    frame = entry.tb_frame
    code, first = frame.f_code, first_argument(frame)
    if code.co_flags & _GENERATOR:
        return False
    writes = "write" in code.co_name or "send" in code.co_name
    if any_name:
        writes = writes or not _is_iterator(first)
    for each in objects:
        if type(each) is FunctionType:
            defined = () if any_name else each.__code__.co_consts
            if each.__code__ is code or any(code is part for part in defined):
                return True
        elif writes and first is each:
            return True
    return False


def _is_iterator(value: object) -> bool:
    return any("__next__" in _namespace_of(cls) for cls in _lineage_of(type(value)))


def _stays_in_server(entries: Sequence[TracebackType]) -> bool:
    """Whether what a function of the server called is of servers too: it did not call back."""
    packages = {_package_of(entry.tb_frame) for entry in entries}
    return packages <= {_package_of(entries[0].tb_frame), *_SERVERS}


def _package_of(frame: FrameType) -> str:
    return _first_part(dict.get(frame.f_globals, "__name__"))


def _first_part(module: object) -> str:
    """The package of a module's name; an application can set it to what is no text."""
    return module.partition(".")[0] if type(module) is str else ""


def _attributes_of(value: object) -> list[object]:
    """The values in an object's dictionary, without asking the object."""
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except Exception:  # noqa: BLE001  # none, or a property that fails
        return []
    return list(attributes.values()) if type(attributes) is dict else []


def _identifies(value: object) -> bool:
    """Whether a value can be told from others by its identity, and is the server's own."""
    kind = type(value)
    if kind is bytes:
        return len(value) > 1  # type: ignore[arg-type]  # shorter ones are shared
    return not issubclass(kind, (type(None), int, float, str, tuple, list, dict, type, ModuleType))


def _is_one_of(value: object, objects: Iterable[object]) -> bool:
    return value is not None and any(value is each for each in objects)
