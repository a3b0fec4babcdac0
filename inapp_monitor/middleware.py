"""The request path: WSGI and the clock, nothing else.

Nothing here classifies, aggregates, formats or does I/O. A request is one object, its `Exchange`,
appended to a list when it begins: a single C call that needs no lock. When it has ended it says so
by its `end`; the recorder makes sense of it later, off the request, and whoever wants to know what
is being answered looks for those that have not ended.

What PEP 3333 and real servers force:
- list and tuple bodies, file wrappers and objects with `fileno` go back as they are, so that
  servers keep their Content-Length and sendfile paths;
- any other body is replaced by the `Exchange`, whose `__iter__` is the body's own (nothing of ours
  runs per chunk) and whose `close` is called by the server, once;
- `start_response` is passed on with exactly the arguments it got; exceptions are re-raised
  untouched; a client that went away is no error;
- `environ` is the same object all the way, and nothing refers to it after the request.

What makes it cheap: inside a real application every Python function entered and every attribute
looked up in a class is a cache miss. Hence slots that hold methods (`__iter__`), names in the cells
of a closure, and one flag for everything unusual.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from sys import exception
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from inapp_monitor import current_request
from inapp_monitor.clock import thread_time

#: Where the `Exchange` of a request can be found in its environ, by framework hooks inside.
RECORD_KEY = "inapp_monitor.request"

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

#: Asked for a request's route; None when it does not know.
RouteAsker = Callable[["Exchange"], object]
BodyAsker = Callable[["Exchange", Any], object]
Shortcut = tuple[str, Callable[[Any], object]]

#: Characters kept of a path that leads nowhere.
MAX_PATH_LENGTH = 500
_GREENLETS = ("gevent", "eventlet")
#: What hands a request's context variables on to other threads and greenlets.
_CARRIERS = ("asgiref.sync", "eventlet")
#: Exceptions that mean "the client left" when an application lets them escape. Exactly these: a
#: subclass such as `http.client.RemoteDisconnected` is about a back end, and a bug.
_CLIENT_LEFT = (ConnectionError, BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
#: Packages whose frames are the server's: an error with no other frame was raised while writing.
_SERVERS = frozenset(
    (
        *("cheroot", "cherrypy", "eventlet", "gevent", "gunicorn", "http", "paste", "socket"),
        *("socketserver", "ssl", "twisted", "tornado", "waitress", "werkzeug", "wsgiref"),
    )
)


class Hooks(Protocol):
    """What the request path needs from the rest; `monitor.Monitor` implements it.

    Attributes:
        shortcut: Key of the environ and what tells the route of the value there, or fails; spares
            most requests a function of ours. None: nothing is as simple as that.
        route_askers: Asked for the route inside start_response, while the framework's request
            context is alive, until one answers.
        body_askers: Asked with what the application returned when the route is still unknown.
    """

    shortcut: Shortcut | None
    route_askers: list[RouteAsker]
    body_askers: list[BodyAsker]

    def begin(self, exchange: Any, /) -> None:
        """Take the `Exchange` of a request that begins; its `end` tells when it is complete."""

    def not_found(self, exchange: Exchange, /) -> None:
        """Note a 404."""

    def answered_5xx(self, exchange: Exchange, /) -> None:
        """Note a 5xx for which no exception has been seen."""

    def failed(self, exchange: Exchange, error: BaseException, /) -> None:
        """Capture an exception of the application."""

    def broke(self, error: BaseException, /) -> None:
        """Note a failure of our own."""

    def sampled(self, exchange: Exchange, cpu_s: float | None, /) -> None:
        """Note the facts of a request that are too expensive for each; None: not known."""


class Exchange:
    """One request: the start_response that notes the status, the iterable given to the server
    when the body is not a plain list, and the owner of `close`.

    Attributes:
        method: REQUEST_METHOD at the end; not set before.
        route: Set by framework hooks inside the application; None until known. A template or any
            object whose `str` or `rule` names it.
        status: Status line such as "200 OK"; None until start_response has been called.
        start, end: Performance counter, seconds; `end` is None until the request is complete.
        error: The application's exception, once seen; after the end a mark that there was one.
        path: PATH_INFO as it was on entry (dispatchers move it); cut off at the end.
        size: Content-Length as the application gave it; None when it did not.
        environ: The request's environ; None once finished.
        outer: The exchange of a monitor further out, which learns what this one learns.
        sample: Set on requests that are looked at closer: thread and its CPU seconds on entry.
        unusual: Whether the end needs more than the time: an error, a sample, an outer monitor.
    """

    __slots__ = (
        "__iter__",
        "_iterator",
        "_outer_error",
        "_start_response",
        "body",
        "end",
        "environ",
        "error",
        "method",
        "outer",
        "path",
        "route",
        "sample",
        "size",
        "start",
        "status",
        "unusual",
    )

    hooks: ClassVar[Hooks]
    sized: ClassVar[type[Exchange]]

    __iter__: Callable[[], Iterator[bytes]]
    _iterator: Iterator[bytes]
    _outer_error: BaseException | None
    _start_response: StartResponse
    body: Any
    end: float | None
    environ: Environ | None
    error: BaseException | type[BaseException] | None
    method: str
    outer: Exchange | None
    path: str
    route: object
    sample: tuple[int, float] | None
    size: str | None
    start: float
    status: str | None
    unusual: bool

    if TYPE_CHECKING:  # made by `_bound`, because every request calls them

        def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any: ...
        def close(self) -> None: ...
        def finish(self) -> None: ...

    def refused(self, status: str, exc_info: Any) -> None:
        """The application answers 4xx or 5xx: what is noted of it, and of its path."""
        if status.startswith("404"):
            self.hooks.not_found(self)
        elif status.startswith("5") and exc_info is None and self.error is None:
            self.hooks.answered_5xx(self)
        self.path = self.path[:MAX_PATH_LENGTH]

    def start_again(self, status: str, headers: Any, exc_info: Any) -> Any:
        """`start_response` with an exception that the application answers itself."""
        try:
            error = exc_info[1]
            if isinstance(error, BaseException):
                self.capture(error)
        except Exception as failure:  # noqa: BLE001  # not the triple of PEP 3333
            self.hooks.broke(failure)
        try:
            return self._start_response(status, headers, exc_info)
        finally:  # a server that re-raises puts this frame into the traceback: break the cycle
            exc_info = error = None

    def capture(self, error: BaseException) -> None:
        """Take an exception that the application raised or its framework handled, once."""
        if self.error is error or self.environ is None or _is_normal_end(error):
            return
        self.error = error
        self.unusual = True
        try:
            self.hooks.failed(self, error)
        except Exception as failure:  # noqa: BLE001  # ours
            self.hooks.broke(failure)
        if self.outer is not None:
            self.outer.capture(error)

    def raised(self, error: BaseException) -> None:
        """The application raised instead of returning a body."""
        if self.route is None:
            self.ask_for_route(self.hooks.route_askers)
        # A handler that took over the socket ends by StopIteration, without a status.
        if not (
            type(error) in _CLIENT_LEFT or (isinstance(error, StopIteration) and not self.status)
        ):
            self.capture(error)
        if self.error is not None:
            self.status = "500"
        self.finish()

    def finish_unusual(self) -> None:
        """What the end of some requests needs beside the time."""
        if self.sample is not None:
            self._finish_sample(self.sample)
        if self.error is not None:
            self.error = BaseException  # a mark that keeps no traceback alive
        if self.outer is not None:
            if self.outer.route is None:
                self.outer.route = self.route
            self.outer = None

    def _finish_sample(self, sample: tuple[int, float]) -> None:
        thread, cpu = sample
        try:
            # Greenlets share a thread and its CPU time; a body may be closed by another thread.
            known = thread == get_ident() and not _any_loaded(_GREENLETS)
            self.hooks.sampled(self, thread_time() - cpu if known else None)
        except Exception as error:  # noqa: BLE001  # ours
            self.hooks.broke(error)

    def ask_for_route(self, askers: list[Any], *arguments: object) -> None:
        """Ask until one knows; a failure of ours stays here."""
        try:
            for ask in askers:
                self.route = ask(self, *arguments)
                if self.route is not None:
                    return
        except Exception as error:  # noqa: BLE001  # ours
            self.hooks.broke(error)

    def moved(self) -> str:
        """The part of the path that dispatchers have moved into SCRIPT_NAME since the entry."""
        now = self.environ.get("PATH_INFO", "") if self.environ is not None else self.path
        return self.path[: len(self.path) - len(now)] if self.path.endswith(now) else ""

    def below_prefix(self, template: str) -> str:
        """`template` with the part of the path that dispatchers moved into SCRIPT_NAME."""
        return f"{self.moved().rstrip('/')}{template}"

    def whole_path(self) -> str:
        """The path that the client asked for: what lay in SCRIPT_NAME on entry, and `path`."""
        script_name = self.environ.get("SCRIPT_NAME", "") if self.environ is not None else ""
        return f"{script_name.removesuffix(self.moved())}{self.path}"

    # -- what the server sees of it

    def __next__(self) -> bytes:
        """For servers that take the first chunk without asking for an iterator."""
        try:
            iterator = self._iterator
        except AttributeError:
            iterator = self._iterator = self.__iter__()
        return next(iterator)

    def hand_over(self, body: Any, kind: int) -> Any:
        """What the server gets for a body that is neither complete nor an ordinary iterable."""
        self.body = body
        if kind == _AS_IS:
            return _hand_back(body, self)
        self._outer_error = exception()
        self.__iter__ = partial(iter, body)
        if kind == _SIZED:
            self.__class__ = self.sized
        return self


def _bound(hooks: Hooks, clock: Callable[[], float]) -> type[Exchange]:
    """An exchange with what every request calls, so that it finds what it needs in cells."""
    askers = hooks.route_askers
    key, rule_of = hooks.shortcut or ("", None)

    class Bound(Exchange):
        __slots__ = ()

        def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
            """The application's start_response: note the status, ask for the route, pass on."""
            self.status = status
            try:
                if self.route is None:
                    if rule_of is not None:
                        try:
                            environ: Any = self.environ
                            if environ["PATH_INFO"] is self.path:
                                self.route = rule_of(environ[key])
                        except Exception:  # noqa: BLE001, S110  # the askers look closer
                            pass
                    if self.route is None:
                        for ask in askers:
                            self.route = ask(self)
                            if self.route is not None:
                                break
                if status >= "4":
                    self.refused(status, exc_info)
            except Exception as error:  # noqa: BLE001  # ours: the application must not see it
                if isinstance(status, str):
                    hooks.broke(error)
            try:
                if type(headers) is list:
                    if len(headers) > 1 and headers[1][0] == "Content-Length":  # as Flask has it
                        self.size = headers[1][1]
                    else:
                        for name, value in headers:
                            if name == "Content-Length" or name == "content-length":
                                self.size = value
                                break
            except Exception:  # noqa: BLE001, S110  # no pairs: for the server to say
                pass
            if exc_info is None:
                return self._start_response(status, headers)
            return self.start_again(status, headers, exc_info)

        def close(self) -> None:
            """Called by the server when it is done: the end of the request."""
            if self.environ is None:
                return
            body = self.body
            error = exception()  # servers close in a finally: an error while streaming is here
            if error is not None:
                if error is not self._outer_error and not _is_of_server(error, body):
                    self.capture(error)
                del error
            self.body = ()
            self.__iter__ = _nothing
            try:
                body.close()
            except BaseException as close_error:
                if type(close_error) is not AttributeError or _has_close(body):
                    self.capture(close_error)
                    self.finish()
                    raise
            self.finish()

        def finish(self) -> None:
            """The request is over: note when, and let go of everything of it."""
            environ = self.environ
            if environ is None:
                return
            end = clock()
            if self.unusual:
                self.finish_unusual()
            self.method = environ.get("REQUEST_METHOD", "")
            self._start_response = _too_late
            self.environ = None
            self.end = end

    Bound.hooks = hooks
    Bound.sized = type("SizedExchange", (Bound,), {"__slots__": (), "__len__": _length})
    current_request.answered_by(Bound.close, "self")
    return Bound


_nothing = ().__iter__


def _length(exchange: Exchange) -> int:
    """Servers ask bodies that have a length for it, and make a Content-Length of it."""
    return len(exchange.body)


def _has_close(body: object) -> bool:
    try:
        return hasattr(body, "close")
    except Exception:  # noqa: BLE001  # a property that fails is one
        return True


def _contexts_are_carried() -> bool:
    """Whether views may run in other threads or greenlets with a copy of the context."""
    patched = getattr(sys.modules.get("gevent.monkey"), "is_module_patched", None)
    return _any_loaded(_CARRIERS) or (patched is not None and patched("socket"))


def _any_loaded(packages: Iterable[str]) -> bool:
    return any(package in sys.modules for package in packages)


def _is_normal_end(error: BaseException) -> bool:
    """Ends of a request that are nobody's bug."""
    if isinstance(error, SystemExit):
        return error.code in (None, 0)  # else the server's timeout stopped the slow line
    return isinstance(error, (GeneratorExit, KeyboardInterrupt))


def _is_of_server(error: BaseException, body: object) -> bool:
    """Whether an exception seen by `close` is the server's own, such as a client that left.

    Told by the traceback, whose first frame is the one that iterates: a body that raised left
    frames of the application's there.
    """
    if getattr(body, "gi_frame", None) is not None:
        return True  # a generator that is still suspended did not raise
    package = type(error).__module__.partition(".")[0]
    if not (isinstance(error, OSError) or package in _SERVERS):
        return False
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
        name = traceback.tb_frame.f_globals.get("__name__") or ""
        if name.partition(".")[0] not in _SERVERS:
            return False
    return True


def _too_late(*_: object) -> Any:
    """Stands for the server's start_response after the end, so that nothing of it stays alive."""
    raise AssertionError("start_response called after the request has ended")


class _Hooked:
    """Stands for a body that the server got as it is: gives it its own close back, and calls it."""

    __slots__ = ("_body", "_own")

    def __init__(self, body: Any, own: Callable[[], None] | None) -> None:
        self._body = body
        self._own = own

    def close(self) -> None:
        body, own = self._body, self._own
        del body.close
        if own is not None:
            if getattr(body, "close", None) != own:
                body.close = own
            own()


_WRAP, _SIZED, _AS_IS, _COMPLETE, _OLD = 1, 2, 3, 4, 5
#: Body types remembered at most; applications use a handful.
_MAX_KINDS = 256
#: Complete when returned, so that the request ends there. Servers look at some of them by type.
_COMPLETE_TYPES = (list, tuple, bytes, str, bytearray, type(None))


def _kind_of(body: object, environ: Environ) -> int:
    kind = type(body)
    if environ.get("wsgi.file_wrapper") is kind or hasattr(body, "fileno"):
        return _AS_IS
    if hasattr(kind, "__len__"):
        return _SIZED
    return _WRAP if hasattr(kind, "__iter__") else _OLD


def _learn_kind(kinds: dict[type, int], body: object, environ: Environ) -> int:
    """What to do with bodies of this type, found at its first sight."""
    try:
        kind = _kind_of(body, environ)
    except Exception:  # noqa: BLE001  # a `fileno` property that raises
        kind = _OLD
    if len(kinds) < _MAX_KINDS:
        kinds[type(body)] = kind
    return kind


def _hand_back(body: Any, exchange: Exchange) -> Any:
    """Give the server the body itself and hook its close, where that can be done."""
    try:
        exchange.body = _Hooked(body, getattr(body, "close", None))
        body.close = exchange.close
    except Exception:  # noqa: BLE001  # an object of C: time until here is all there is
        exchange.body = ()
        exchange.finish()
    else:
        exchange._outer_error = exception()
    return body


def build(
    app: WSGIApp,
    hooks: Hooks,
    clock: Callable[[], float],
    tick: Callable[[float, Environ], float],
    mount: str,
    serve: WSGIApp,
) -> WSGIApp:
    """The wrapped application.

    Args:
        app: The application.
        hooks: Where everything seen goes.
        clock: Performance counter, seconds.
        tick: Called with the time and the environ when due; returns when it wants to be called
            next. It must not raise.
        mount: Path whose requests go to `serve` and are not recorded.
        serve: The dashboard.

    *Threads:* any number at once; `due` may be read stale, which costs an extra tick.
    """
    new = _bound(hooks, clock)
    begin, enter = hooks.begin, current_request.enter
    kinds: dict[type, int] = dict.fromkeys(_COMPLETE_TYPES, _COMPLETE)
    due, carried = float("-inf"), False
    below_mount, beyond_mount = mount + "/", mount + "0"  # "0" is the character after "/"
    body_askers = hooks.body_askers

    def handle(environ: Environ, start_response: StartResponse) -> Any:
        nonlocal due, carried
        exchange: Exchange | None = None
        try:
            try:
                path = environ["PATH_INFO"]
            except KeyError:  # may be left out when it is empty
                path = ""
            if not (mount <= path < beyond_mount) or not (
                path == mount or path.startswith(below_mount)
            ):
                exchange = new()
                exchange._start_response = start_response
                exchange.environ = environ
                exchange.path = path
                exchange.status = exchange.route = exchange.error = exchange.size = None
                exchange.sample = exchange.outer = exchange.end = None
                exchange.unusual = False
                outer = environ.setdefault(RECORD_KEY, exchange)
                if outer is not exchange:  # a monitor further out, or an environ used again
                    exchange.outer, exchange.unusual = outer, True
                    environ[RECORD_KEY] = exchange
                exchange.start = start = clock()
                if start > due:
                    due, carried = tick(start, environ), _contexts_are_carried()
                    exchange.sample, exchange.unusual = (get_ident(), thread_time()), True
                    exchange.start = clock()
                if carried:
                    enter(exchange)
                begin(exchange)
        except Exception as error:  # noqa: BLE001  # an environ beyond PEP 3333: only the app knows
            hooks.broke(error)
            return app(environ, start_response)
        if exchange is None:
            return serve(environ, start_response)
        try:
            body = app(environ, exchange.start_response)
        except BaseException as error:
            exchange.raised(error)
            raise
        if body_askers and exchange.route is None:
            exchange.ask_for_route(body_askers, body)
        try:
            kind = kinds.get(type(body)) or _learn_kind(kinds, body, environ)
            if kind == _COMPLETE:
                exchange.finish()
                return body
            if kind == _WRAP:
                exchange.__iter__ = body.__iter__
        except Exception:  # noqa: BLE001  # a type without hash, an attribute that raises
            kind = _OLD
        if kind != _WRAP:
            return exchange.hand_over(body, kind)
        if exchange.size is None and not carried:  # it may well run while it is sent
            enter(exchange)
        exchange.body = body
        exchange._outer_error = exception()
        return exchange

    current_request.answered_by(handle, "exchange")
    return handle
