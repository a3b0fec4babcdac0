"""The request path: WSGI and the clock, nothing else.

Nothing here classifies, aggregates, formats or does I/O. A finished request is two clock reads and
one `list.append` of a tuple, a single C call that needs no lock; the recorder makes sense of it
later, off the request.

What PEP 3333 and real servers force:
- list and tuple bodies, file wrappers and objects with `fileno` go back as they are, so that
  servers keep their Content-Length and sendfile paths;
- any other body is replaced by the `Exchange`, whose `__iter__` hands out the body's own iterator
  (nothing of ours runs per chunk) and whose `close` is called by the server, once;
- `start_response` is passed on with exactly the arguments it got; exceptions are re-raised
  untouched; a client that went away is no error;
- `environ` is the same object all the way, and nothing refers to it after the request.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from sys import exception
from threading import get_ident
from typing import Any, ClassVar, NamedTuple, Protocol

from inapp_monitor.clock import thread_time
from inapp_monitor.current_request import enter

#: Where the `Exchange` of a request can be found in its environ, by framework hooks inside.
RECORD_KEY = "inapp_monitor.request"

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

#: Asked for a request's route; None when it does not know.
RouteAsker = Callable[["Exchange"], object]
BodyAsker = Callable[["Exchange", Any], object]

#: Characters kept of a path.
MAX_PATH_LENGTH = 200
_GREENLETS = frozenset(("gevent", "eventlet"))
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


class Finished(NamedTuple):
    """One finished request, as it waits for the fold.

    Attributes:
        method: REQUEST_METHOD.
        route: Template or None; may be any object whose `str` or `rule` names it.
        status: Status line such as "200 OK"; None when start_response was never called.
        start, end: Performance counter, seconds.
        failed: Whether an exception was seen.
        path: The path on entry, below SCRIPT_NAME, cut off.
        size: Content-Length as the application gave it, else None.
    """

    method: str
    route: object
    status: str | None
    start: float
    end: float
    failed: bool
    path: str
    size: str | None


class Hooks(Protocol):
    """What the request path needs from the rest; `monitor.Monitor` implements it.

    Attributes:
        route_askers: Asked for the route inside start_response, while the framework's request
            context is alive, until one answers.
        body_askers: Asked with what the application returned when the route is still unknown.
    """

    route_askers: list[RouteAsker]
    body_askers: list[BodyAsker]

    def put(self, finished: Any, /) -> None:
        """Take one `Finished` (a plain tuple will do)."""

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
        route: Set by framework hooks inside the application; None until known.
        error: The application's exception, once seen.
        path, script_name: PATH_INFO and SCRIPT_NAME as they were on entry (dispatchers move them).
        environ: The request's environ; None once finished.
        outer: The exchange of a monitor further out, which learns what this one learns.
        size: Content-Length as given; None until known.
        sample: Set on requests that are looked at closer: thread and its CPU seconds on entry.
    """

    __slots__ = (
        "_iterator",
        "_outer_error",
        "_start_response",
        "body",
        "environ",
        "error",
        "outer",
        "path",
        "route",
        "sample",
        "script_name",
        "size",
        "start",
        "status",
    )

    # Bound once per monitor, in a subclass, so that a request reaches them without a lookup chain.
    put: ClassVar[staticmethod[[Any], None]]
    clock: ClassVar[staticmethod[[], float]]
    hooks: ClassVar[Hooks]
    route_askers: ClassVar[list[RouteAsker]]
    live: ClassVar[set[Exchange]]

    _iterator: Iterator[bytes] | None
    _outer_error: BaseException | None
    _start_response: StartResponse
    body: Any
    environ: Environ | None
    error: BaseException | type[BaseException] | None
    outer: Exchange | None
    path: str
    route: object
    sample: tuple[int, float] | None
    script_name: str
    size: str | None
    start: float
    status: str | None

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """The application's start_response: note the status, ask for the route, pass on."""
        self.status = status
        try:
            if self.route is None:
                for ask in self.route_askers:
                    self.route = ask(self)
                    if self.route is not None:
                        break
            if status >= "4":
                if status.startswith("404"):
                    self.hooks.not_found(self)
                elif status.startswith("5") and exc_info is None and self.error is None:
                    self.hooks.answered_5xx(self)
        except Exception as error:  # noqa: BLE001  # ours: the application must not see it
            if isinstance(status, str):
                self.hooks.broke(error)
        try:
            if type(headers) is list:
                for name, value in headers:
                    if name == "Content-Length" or name == "content-length":
                        self.size = value
                        break
        except Exception:  # noqa: BLE001, S110  # no pairs: for the server to say
            pass
        if exc_info is None:
            return self._start_response(status, headers)
        return self._start_again(status, headers, exc_info)

    def _start_again(self, status: str, headers: Any, exc_info: Any) -> Any:
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
        try:
            self.hooks.failed(self, error)
        except Exception as failure:  # noqa: BLE001  # ours
            self.hooks.broke(failure)
        if self.outer is not None:
            self.outer.capture(error)

    def raised(self, error: BaseException) -> None:
        """The application raised instead of returning a body."""
        if self.route is None:
            self._ask(self.route_askers)
        # A handler that took over the socket ends by StopIteration, without a status.
        if not (
            type(error) in _CLIENT_LEFT or (isinstance(error, StopIteration) and not self.status)
        ):
            self.capture(error)
        if self.error is not None:
            self.status = "500"
        self.finish()

    def finish(self) -> None:
        """Hand the finished request over and let go of everything of it."""
        environ = self.environ
        if environ is None:
            return
        end = self.clock()
        if self.sample is not None:
            self._finish_sample(self.sample)
        self.environ = None
        self.live.discard(self)
        failed = self.error is not None
        method, path = environ.get("REQUEST_METHOD", ""), self.path[:MAX_PATH_LENGTH]
        self.put((method, self.route, self.status, self.start, end, failed, path, self.size))
        self._start_response = _too_late
        if failed:
            self.error = BaseException  # a mark that keeps no traceback alive
        if self.outer is not None:
            if self.outer.route is None:
                self.outer.route = self.route
            self.outer = None

    def _finish_sample(self, sample: tuple[int, float]) -> None:
        thread, cpu = sample
        try:
            # Greenlets share a thread and its CPU time; a body may be closed by another thread.
            known = thread == get_ident() and not _GREENLETS.intersection(sys.modules)
            self.hooks.sampled(self, thread_time() - cpu if known else None)
        except Exception as error:  # noqa: BLE001  # ours
            self.hooks.broke(error)

    def ask_for_route(self, askers: list[BodyAsker], body: object) -> None:
        """Ask with the returned body; a failure of ours stays here."""
        self._ask(askers, body)

    def _ask(self, askers: list[Any], *arguments: object) -> None:
        try:
            for ask in askers:
                self.route = ask(self, *arguments)
                if self.route is not None:
                    return
        except Exception as error:  # noqa: BLE001  # ours
            self.hooks.broke(error)

    def below_prefix(self, template: str) -> str:
        """`template` with the part of the path that dispatchers moved into SCRIPT_NAME."""
        moved = self.environ.get("SCRIPT_NAME", "") if self.environ is not None else ""
        if moved == self.script_name:
            return template
        prefix = moved.removeprefix(self.script_name).rstrip("/")
        return f"{prefix}{template}"

    # -- the iterable that the server sees

    def __iter__(self) -> Iterator[bytes]:
        self._outer_error = exception()
        iterator: Iterator[bytes] = iter(self.body)
        return iterator

    def __next__(self) -> bytes:
        """For servers that take the first chunk without asking for an iterator."""
        iterator = self._iterator
        if iterator is None:
            iterator = self._iterator = iter(self)
        return next(iterator)

    def close(self) -> None:
        """Called by the server when it is done: the end of the request."""
        environ = self.environ
        if environ is None:
            return
        body = self.body
        error = exception()  # servers close in a finally: an error while streaming is here
        if error is not None:
            if error is not self._outer_error and not _is_of_server(error, body):
                self.capture(error)
            del error
        self.body = ()
        self._iterator = self._outer_error = None
        try:
            close = getattr(body, "close", None)
            if close is not None:
                close()
        except BaseException as close_error:
            self.capture(close_error)
            self.finish()
            raise
        if self.sample is None and self.error is None and self.outer is None:
            end = self.clock()  # `finish`, of which only this is needed as a rule: a call less
            self.environ = None
            self.live.discard(self)
            method, path = environ.get("REQUEST_METHOD", ""), self.path[:MAX_PATH_LENGTH]
            self.put((method, self.route, self.status, self.start, end, False, path, self.size))
            self._start_response = _too_late
        else:
            self.finish()


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


class SizedExchange(Exchange):
    """An exchange whose body has a length, which servers use for Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.body)


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


_WRAP, _SIZED, _AS_IS, _COMPLETE = 1, 2, 3, 4
#: Body types remembered at most; applications use a handful.
_MAX_KINDS = 256
#: Complete when returned, so that the request ends there. Servers look at some of them by type.
_COMPLETE_TYPES = (list, tuple, bytes, str, bytearray, type(None))


def _kind_of(body: object, environ: Environ) -> int:
    kind = type(body)
    if environ.get("wsgi.file_wrapper") is kind or hasattr(body, "fileno"):
        return _AS_IS
    return _SIZED if hasattr(kind, "__len__") else _WRAP


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
    live: set[Exchange] | None = None,
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
        live: Holds the exchanges of requests that are being answered.

    *Threads:* any number at once; `due` may be read stale, which costs an extra tick.
    """
    bound = {
        "__slots__": (),
        "put": staticmethod(hooks.put),
        "clock": staticmethod(clock),
        "hooks": hooks,
        "route_askers": hooks.route_askers,
        "live": set() if live is None else live,
    }
    exchange_type: type[Exchange] = type("Exchange", (Exchange,), bound)
    sized_type: type[SizedExchange] = type("SizedExchange", (SizedExchange,), bound)
    kinds: dict[type, int] = dict.fromkeys(_COMPLETE_TYPES, _COMPLETE)
    due = float("-inf")

    begin: Callable[[Exchange], None] = bound["live"].add  # type: ignore[attr-defined]
    below_mount = mount + "/"
    body_askers = hooks.body_askers

    def handle(environ: Environ, start_response: StartResponse) -> Any:
        nonlocal due
        exchange: Exchange | None
        try:
            path = environ.get("PATH_INFO", "")
            if path.startswith(mount) and (path == mount or path.startswith(below_mount)):
                exchange = None
            else:
                start = clock()
                exchange = exchange_type()
                if start > due:
                    due = tick(start, environ)
                    exchange.sample = (get_ident(), thread_time())
                    start = clock()
                else:
                    exchange.sample = None
                exchange._start_response = start_response
                exchange.environ = environ
                exchange.start = start
                exchange.status = exchange.route = exchange.error = None
                exchange.size = exchange._iterator = None
                exchange.path = path
                exchange.script_name = environ.get("SCRIPT_NAME", "")
                exchange.outer = None
                outer = environ.setdefault(RECORD_KEY, exchange)
                if outer is not exchange:  # a monitor further out, or an environ used again
                    exchange.outer = outer
                    environ[RECORD_KEY] = exchange
                begin(exchange)
                enter(exchange)
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
        kind = kinds.get(type(body))
        if kind is None:
            kind = _learn_kind(kinds, body, environ)
        if kind == _COMPLETE:
            exchange.finish()
            return body
        exchange.body = body
        exchange._outer_error = None
        if kind == _WRAP:
            return exchange
        if kind == _AS_IS:
            return _hand_back(body, exchange)
        exchange.__class__ = sized_type
        return exchange

    return handle


def _learn_kind(kinds: dict[type, int], body: object, environ: Environ) -> int:
    """What to do with bodies of this type, found at its first sight."""
    try:
        kind = _kind_of(body, environ)
    except Exception:  # noqa: BLE001  # a `fileno` property that raises
        kind = _WRAP
    if len(kinds) < _MAX_KINDS:
        kinds[type(body)] = kind
    return kind
