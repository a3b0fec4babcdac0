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
from typing import Any, ClassVar, NamedTuple, Protocol

#: Where the `Exchange` of a request can be found in its environ, by framework hooks inside.
RECORD_KEY = "inapp_monitor.request"

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

#: Asked for a request's route; None when it does not know.
RouteAsker = Callable[["Exchange"], object]
BodyAsker = Callable[["Exchange", Any], object]

#: Ends of a request that are nobody's bug: the client left, or took over the socket.
_NORMAL_ENDS = (OSError, GeneratorExit, StopIteration, KeyboardInterrupt)


class Finished(NamedTuple):
    """One finished request, as it waits for the fold.

    Attributes:
        method: REQUEST_METHOD.
        route: Template or None; may be any object whose `str` or `rule` names it.
        status: Status line such as "200 OK"; None when start_response was never called.
        start, end: Performance counter, seconds.
        failed: Whether an exception was seen.
    """

    method: str
    route: object
    status: str | None
    start: float
    end: float
    failed: bool


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

    def failed(self, exchange: Exchange, error: BaseException, /) -> None:
        """Capture an exception of the application."""

    def broke(self, error: BaseException, /) -> None:
        """Note a failure of our own."""


class Exchange:
    """One request: the start_response that notes the status, the iterable given to the server
    when the body is not a plain list, and the owner of `close`.

    Attributes:
        route: Set by framework hooks inside the application; None until known.
        error: The application's exception, once seen.
        path, script_name: PATH_INFO and SCRIPT_NAME as they were on entry (dispatchers move them).
        environ: The request's environ; None once finished.
    """

    __slots__ = (
        "_close",
        "_iterator",
        "_outer_error",
        "_start_response",
        "body",
        "environ",
        "error",
        "path",
        "route",
        "script_name",
        "start",
        "status",
    )

    # Bound once per monitor, in a subclass, so that a request reaches them without a lookup chain.
    put: ClassVar[staticmethod[[Any], None]]
    clock: ClassVar[staticmethod[[], float]]
    hooks: ClassVar[Hooks]
    route_askers: ClassVar[list[RouteAsker]]

    _iterator: Iterator[bytes]
    _outer_error: BaseException | None
    _start_response: StartResponse
    body: Any
    environ: Environ | None
    error: BaseException | type[BaseException] | None
    path: str
    route: object
    script_name: str
    start: float
    status: str | None

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        """The application's start_response: note the status, ask for the route, pass on."""
        try:
            self.status = status
            if self.route is None:
                for ask in self.route_askers:
                    self.route = ask(self)
                    if self.route is not None:
                        break
            if status[:3] == "404":
                self.hooks.not_found(self)
            if exc_info is not None and exc_info[1] is not None:
                self.capture(exc_info[1])
        except Exception as error:  # noqa: BLE001  # ours: the application must not see it
            self.hooks.broke(error)
        if exc_info is None:
            return self._start_response(status, headers)
        return self._start_response(status, headers, exc_info)

    def capture(self, error: BaseException) -> None:
        """Take an exception that the application raised or its framework handled, once."""
        if self.error is error or isinstance(error, _NORMAL_ENDS):
            return
        if isinstance(error, SystemExit) and error.code in (None, 0):
            return
        self.error = error
        try:
            self.hooks.failed(self, error)
        except Exception as failure:  # noqa: BLE001  # ours
            self.hooks.broke(failure)

    def raised(self, error: BaseException) -> None:
        """The application raised instead of returning a body."""
        self.capture(error)
        if self.error is not None or self.status is None:
            self.status = "500"
        self.finish()

    def finish(self) -> None:
        """Hand the finished request over and let go of everything of it."""
        environ = self.environ
        if environ is None:
            return
        self.environ = None
        end = self.clock()
        failed = self.error is not None
        self.put(
            (environ.get("REQUEST_METHOD", ""), self.route, self.status, self.start, end, failed)
        )
        if failed:
            self.error = BaseException  # a mark that keeps no traceback alive

    def ask_for_route(self, askers: list[BodyAsker], body: object) -> None:
        """Ask with the returned body; a failure of ours stays here."""
        try:
            for ask in askers:
                self.route = ask(self, body)
                if self.route is not None:
                    return
        except Exception as error:  # noqa: BLE001  # ours
            self.hooks.broke(error)

    def below_prefix(self, template: str) -> str:
        """`template` with the part of the path that dispatchers moved into SCRIPT_NAME."""
        moved = self.environ.get("SCRIPT_NAME", "") if self.environ is not None else ""
        if moved == self.script_name:
            return template
        return f"{moved.removeprefix(self.script_name)}{template}"

    # -- the iterable that the server sees

    def __iter__(self) -> Iterator[bytes]:
        self._outer_error = sys.exception()
        iterator: Iterator[bytes] = iter(self.body)
        return iterator

    def __next__(self) -> bytes:
        try:
            iterator = self._iterator
        except AttributeError:
            iterator = self._iterator = iter(self)
        return next(iterator)

    def close(self) -> None:
        """Called by the server when it is done: the end of the request."""
        body = self.body
        if self.environ is None:
            return
        error = sys.exception()  # servers close in a finally: an error while streaming is here
        if error is not None and not self._is_ours_to_ignore(error, body):
            self.capture(error)
        self.body = ()
        try:
            close = getattr(body, "close", None)
            if close is not None:
                close()
        except BaseException as close_error:
            self.capture(close_error)
            raise
        finally:
            self.finish()

    def _is_ours_to_ignore(self, error: BaseException, body: object) -> bool:
        """Whether `error` was not raised by the body: it is older, or the server's own."""
        if error is getattr(self, "_outer_error", error):
            return True
        # A generator that is still suspended did not raise: the server did, while writing.
        return getattr(body, "gi_frame", None) is not None


class SizedExchange(Exchange):
    """An exchange whose body has a length, which servers use for Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.body)


class _FileClose:
    """Stands for a file wrapper inside the exchange: just its original close."""

    __slots__ = ("close",)

    def __init__(self, close: Callable[[], None] | None) -> None:
        self.close = close


_WRAP, _SIZED, _AS_IS = 1, 2, 3
#: Body types remembered at most; applications use a handful.
_MAX_KINDS = 256


def _kind_of(body: object, environ: Environ) -> int:
    kind = type(body)
    if environ.get("wsgi.file_wrapper") is kind or hasattr(body, "fileno"):
        return _AS_IS
    return _SIZED if hasattr(kind, "__len__") else _WRAP


def _hand_back(body: Any, exchange: Exchange) -> Any:
    """Give the server the body itself and hook its close, where that can be done."""
    close = getattr(body, "close", None)
    try:
        body.close = exchange.close
    except (AttributeError, TypeError):  # an object of C: time until here is all there is
        exchange.finish()
    else:
        exchange.body = _FileClose(close)
        exchange._outer_error = sys.exception()
    return body


def build(
    app: WSGIApp,
    hooks: Hooks,
    clock: Callable[[], float],
    tick: Callable[[float], float],
    mount: str,
    serve: WSGIApp,
) -> WSGIApp:
    """The wrapped application.

    Args:
        app: The application.
        hooks: Where everything seen goes.
        clock: Performance counter, seconds.
        tick: Called with the time when due; returns when it wants to be called next. It must not
            raise.
        mount: Path whose requests go to `serve` and are not recorded.
        serve: The dashboard.

    *Threads:* any number at once; `due` may be read stale, which costs an extra tick.
    """
    bound = {
        "__slots__": (),
        "put": staticmethod(hooks.put),
        "clock": staticmethod(clock),
        "hooks": hooks,
        "route_askers": hooks.route_askers,
    }
    exchange_type: type[Exchange] = type("Exchange", (Exchange,), bound)
    sized_type: type[SizedExchange] = type("SizedExchange", (SizedExchange,), bound)
    kinds: dict[type, int] = {}
    due = float("-inf")

    below_mount = mount + "/"
    body_askers = hooks.body_askers

    def handle(environ: Environ, start_response: StartResponse) -> Any:
        nonlocal due
        path = environ.get("PATH_INFO", "")
        if path == mount or path.startswith(below_mount):
            return serve(environ, start_response)
        start = clock()
        if start > due:
            due = tick(start)
        exchange = exchange_type()
        exchange._start_response = start_response
        exchange.environ = environ
        exchange.start = start
        exchange.status = exchange.route = exchange.error = None
        exchange.path = path
        exchange.script_name = environ.get("SCRIPT_NAME", "")
        environ[RECORD_KEY] = exchange
        try:
            body = app(environ, exchange.start_response)
        except BaseException as error:
            exchange.raised(error)
            raise
        if body_askers and exchange.route is None:
            exchange.ask_for_route(body_askers, body)
        kind = type(body)
        if kind is list or kind is tuple:
            exchange.finish()
            return body
        exchange.body = body
        number = kinds.get(kind)
        if number is None:
            number = _kind_of(body, environ)
            if len(kinds) < _MAX_KINDS:
                kinds[kind] = number
        if number == _WRAP:
            return exchange
        if number == _AS_IS:
            return _hand_back(body, exchange)
        exchange.__class__ = sized_type
        return exchange

    return handle
