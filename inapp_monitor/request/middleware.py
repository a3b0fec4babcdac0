"""The request path: WSGI and the clock, nothing else.

Nothing here classifies, aggregates, formats or does I/O. A request is one object, its `Exchange`,
which is among the live ones from its beginning to its end. What is left of it then is usually two
numbers, appended to the list of its kind (method, route, status): single C calls that need no lock,
and no memory but that of the request before. Anything out of the ordinary (a kind not known yet, an
error, a slow one) is recorded whole, and the recorder makes sense of it off the request.

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
from io import BytesIO
from sys import exception
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from inapp_monitor.ground import current_request
from inapp_monitor.ground.clock import thread_time
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.ground.endings import CLIENT_LEFT, is_normal_end, is_of_server
from inapp_monitor.request.bodies import (
    AS_IS,
    COMPLETE,
    COMPLETE_TYPES,
    OLD,
    SIZED,
    WRAP,
    Hooked,
    has_close,
    learn_kind,
)

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


class Tally(Protocol):
    """Requests of one kind: the milliseconds and the size of each, in turn.

    Attributes:
        floor: Milliseconds from which on a request is recorded whole.
    """

    floor: float

    def __iadd__(self, request: tuple[float, object], /) -> Tally: ...


class Tallies(Protocol):
    """Where ordinary requests are noted.

    Attributes:
        known: The tally of each kind: method, route and status line.
        until: Performance counter, seconds, from which on requests are recorded whole.
    """

    known: dict[Any, Any]
    until: float


class Hooks(Protocol):
    """What the request path needs from the rest; `monitor.Monitor` implements it.

    Attributes:
        live: The requests that have begun and not ended.
        tallies: Where ordinary requests are noted.
        shortcut: Key of the environ and what tells the route of the value there, or fails; spares
            most requests a function of ours. None: nothing is as simple as that.
        own_asker: The user's own, if any: what it says goes before what a framework says.
        route_askers: Asked for the route inside start_response, while the framework's request
            context is alive, until one answers.
        body_askers: Asked with what the application returned when the route is still unknown.
    """

    live: set[Any]
    tallies: Any
    shortcut: Shortcut | None
    own_asker: RouteAsker | None
    route_askers: list[RouteAsker]
    body_askers: list[BodyAsker]

    def record(self, exchange: Any, /) -> None:
        """Take the `Exchange` of a request that has ended."""

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


class Notes:
    """What is unusual about a request that is being answered.

    Attributes:
        error: The application's exception, once seen.
        outer: The exchange of a monitor further out, which learns what this one learns.
        sample: Of requests that are looked at closer: thread and its CPU seconds on entry.
    """

    __slots__ = ("error", "outer", "sample")

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.outer: Exchange | None = None
        self.sample: tuple[int, float] | None = None


class Exchange:
    """One request: the start_response that notes the status, the iterable given to the server
    when the body is not a plain list, and the owner of `close`.

    Attributes:
        route: Set by framework hooks inside the application; None until known. A template or any
            object whose `str` or `rule` names it.
        status: Status line such as "200 OK"; None until start_response has been called.
        start: Performance counter, seconds.
        path: PATH_INFO as it was on entry (dispatchers move it); cut off at the end.
        size: Content-Length as the application gave it; None when it did not.
        environ: The request's environ; None once it has ended.
        notes: What is unusual about it; None when nothing is.
        method, end, error: Only of a request that has ended and is recorded whole: REQUEST_METHOD,
            performance counter, and a mark that there was an error, or None.
    """

    __slots__ = (
        "__iter__",
        "_outer_error",
        "_start_response",
        "body",
        "end",
        "environ",
        "error",
        "method",
        "notes",
        "path",
        "route",
        "size",
        "start",
        "status",
    )

    hooks: ClassVar[Hooks]
    sized: ClassVar[type[Exchange]]

    __iter__: Callable[[], Iterator[bytes]]
    _outer_error: BaseException | None
    _start_response: StartResponse
    body: Any
    end: float
    environ: Environ | None
    error: type[BaseException] | None
    method: str
    notes: Notes | None
    path: str
    route: object
    size: str | None
    start: float
    status: str | None

    if TYPE_CHECKING:  # made by `_bound`, because every request calls them

        def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any: ...
        def close(self) -> None: ...

    def finish(self) -> None:
        """The request is over, and there is nothing to close."""
        self.body = _NOTHING
        self.close()

    def noted(self) -> Notes:
        """Its notes, made when there are none yet."""
        notes = self.notes
        if notes is None:
            notes = self.notes = Notes()
        return notes

    def comes_after(self, other: Any, environ: Environ) -> None:
        """Another one is in the environ: of a monitor further out, or its environ is used again."""
        environ[ENVIRON_KEY] = self
        if issubclass(type(other), Exchange) and other.environ is not None:
            self.noted().outer = other

    def failed(self) -> bool:
        """Whether an exception of the application has been seen."""
        return self.notes is not None and self.notes.error is not None

    def refused(self, status: str, exc_info: Any) -> None:
        """The application answers 4xx or 5xx: what is noted of it, and of its path."""
        if status.startswith("404"):
            self.hooks.not_found(self)
        elif status.startswith("5") and exc_info is None and not self.failed():
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
        try:
            if self.environ is None or is_normal_end(error):
                return
        except Exception as failure:  # noqa: BLE001  # a hostile one: an error all the same
            self.hooks.broke(failure)
        notes = self.noted()
        if notes.error is error:
            return
        notes.error = error
        if self.hooks.own_asker is not None:
            self.prefer(self.hooks.own_asker)
        try:
            self.hooks.failed(self, error)
        except Exception as failure:  # noqa: BLE001  # ours
            self.hooks.broke(failure)
        if notes.outer is not None:
            notes.outer.capture(error)

    def raised(self, error: BaseException) -> None:
        """The application raised instead of returning a body."""
        if self.route is None:
            self.ask_for_route(self.hooks.route_askers)
        # A handler that took over the socket ends by StopIteration, without a status.
        took_over = self.status is None and issubclass(type(error), StopIteration)
        if not took_over and type(error) not in CLIENT_LEFT:
            self.capture(error)
        if self.failed():
            self.status = "500"
        self.finish()

    def fails_while_sent(self, error: BaseException, body: Any) -> None:
        """The server closes because of an exception: capture it when it is the body's."""
        try:
            if error is not self._outer_error and not is_of_server(error, body):
                self.capture(error)
        except Exception as failure:  # noqa: BLE001  # ours
            self.hooks.broke(failure)

    def interrupted(self, environ: Environ, end: float | None) -> None:
        """Ctrl-C struck while it ended, or its body failed to: it is counted all the same, once."""
        if self.environ is None:
            return
        if end is None:
            self.finish()
        else:
            self.finish_whole(environ, end)

    def finish_whole(self, environ: Environ, end: float) -> None:
        """The end of a request that is no ordinary one: record it, and let go of all else."""
        self.error = BaseException if self.failed() else None  # a mark that holds no traceback
        try:
            self.method = environ.get("REQUEST_METHOD", "")
        except Exception:  # noqa: BLE001  # no dict: an environ beyond PEP 3333
            self.method = ""
        self.end = end
        self.let_go()
        self.hooks.record(self)

    def let_go(self) -> None:
        """Refer to nothing of the request any more."""
        self.environ = self.notes = self._outer_error = None
        self._start_response = _too_late

    def finish_notes(self) -> bool:
        """The end of a request with notes. Returns whether it is an ordinary one all the same."""
        notes = self.noted()
        if notes.sample is not None:
            self._finish_sample(notes.sample)
        outer = notes.outer
        if outer is not None and outer.environ is not None and outer.route is None:
            outer.route = self.route
        if notes.error is None:
            self.notes = None
        return notes.error is None

    def _finish_sample(self, sample: tuple[int, float]) -> None:
        thread, cpu = sample
        try:
            # Greenlets share a thread and its CPU time; a body may be closed by another thread.
            known = thread == get_ident() and not any(name in sys.modules for name in _GREENLETS)
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

    def prefer(self, own: RouteAsker) -> None:
        """Ask the user's own asker, though a framework may have told the route already."""
        told = self.route
        self.ask_for_route([own])
        if self.route is None:
            self.route = told

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
        iterator = self.__iter__()
        self.__iter__ = lambda: iterator
        return next(iterator)

    def hand_over(self, body: Any, kind: int) -> Any:
        """What the server gets for a body that is neither complete nor an ordinary iterable."""
        self.body = body
        if kind == AS_IS:
            return _hand_back(body, self)
        self._outer_error = exception()
        self.__iter__ = partial(iter, body)
        if kind == SIZED:
            self.__class__ = self.sized
        return self


def _bound(hooks: Hooks, clock: Callable[[], float]) -> type[Exchange]:
    """An exchange with what every request calls, so that it finds what it needs in cells."""
    askers, own = hooks.route_askers, hooks.own_asker
    key, rule_of = hooks.shortcut or ("", None)
    tallies, known, leave = hooks.tallies, hooks.tallies.known, hooks.live.remove

    class Bound(Exchange):
        __slots__ = ()

        def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
            """The application's start_response: note the status, ask for the route, pass on."""
            self.status = status
            try:
                environ: Any = self.environ
                if rule_of is not None and environ["PATH_INFO"] is self.path:
                    try:
                        self.route = rule_of(environ[key])
                    except Exception:  # noqa: BLE001  # the askers look closer
                        if self.route is None:  # else it is an error page for a known one
                            self.ask_for_route(askers)
                elif self.route is None:
                    for ask in askers:
                        self.route = ask(self)
                        if self.route is not None:
                            break
                elif own is not None:
                    self.prefer(own)
                if status >= "4":
                    self.refused(status, exc_info)
            except Exception as error:  # noqa: BLE001  # ours: the application must not see it
                if issubclass(type(status), str):
                    hooks.broke(error)
            try:
                if len(headers) > 1 and headers[1][0] == "Content-Length":  # as Flask has it
                    self.size = headers[1][1]
                elif type(headers) is list:
                    for name, value in headers:
                        if name == "Content-Length" or name == "content-length":
                            self.size = value
                            break
            except Exception:  # noqa: BLE001, S110  # no pairs: for the server to say
                pass
            if exc_info is None:
                pass_on = self._start_response
                return pass_on(status, headers)
            return self.start_again(status, headers, exc_info)

        def close(self) -> None:
            """Called by the server when it is done: note how long it took, let go of everything."""
            environ = self.environ
            if environ is None:
                return
            end = None
            try:
                body = self.body
                self.body = _NOTHING  # closed once, also when that closes this again
                self.__iter__ = _nothing
                error = exception()  # servers close in a finally: an error while streaming is here
                if error is not None and body is not _NOTHING:
                    self.fails_while_sent(error, body)
                    del error
                try:
                    body.close()
                except BaseException as close_error:
                    if type(close_error) is not AttributeError or has_close(body):
                        self.capture(close_error)
                        raise
                end = clock()
                try:
                    leave(self)
                except KeyError:  # ended meanwhile, forgotten, or begun in the parent process
                    self.let_go()
                    return
                if self.notes is None or self.finish_notes():
                    try:
                        tally = known[environ["REQUEST_METHOD"], self.route, self.status]
                        ms = (end - self.start) * 1000.0
                        if ms < tally.floor and end < tallies.until:
                            tally += (ms, self.size)
                            self.environ = self._outer_error = None
                            self._start_response = _too_late
                            return
                    except Exception:  # noqa: BLE001, S110  # not known, or no honest strings
                        pass
                self.finish_whole(environ, end)
            except BaseException:
                self.interrupted(environ, end)
                raise

    Bound.hooks = hooks
    Bound.sized = type("SizedExchange", (Bound,), {"__slots__": (), "__len__": _length})
    current_request.answered_by(Bound.close, "self")
    return Bound


_nothing = ().__iter__
#: A body that is closed: its `close` is a function of C.
_NOTHING: Any = BytesIO()


def _length(exchange: Exchange) -> int:
    """Servers ask bodies that have a length for it, and make a Content-Length of it."""
    return 0 if exchange.body is _NOTHING else len(exchange.body)


def _too_late(*_: object) -> Any:
    """Stands for the server's start_response after the end, so that nothing of it stays alive."""
    raise AssertionError("start_response called after the request has ended")


class _BelowMountError(Exception):
    """The request is for the dashboard."""


def _hand_back(body: Any, exchange: Exchange) -> Any:
    """Give the server the body itself and hook its close, where that can be done."""
    try:
        exchange.body = Hooked(body, getattr(body, "close", None))
        body.close = exchange.close
    except Exception:  # noqa: BLE001  # an object of C: time until here is all there is
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
    begin, enter = hooks.live.add, current_request.enter
    wrapped: set[type] = set()
    kinds: dict[type, int] = dict.fromkeys(COMPLETE_TYPES, COMPLETE)
    due, carried = float("-inf"), False
    below_mount, beyond_mount = mount + "/", mount + "0"  # "0" is the character after "/"
    body_askers = hooks.body_askers

    def handle(environ: Environ, start_response: StartResponse) -> Any:
        nonlocal due, carried
        try:
            try:
                path = environ["PATH_INFO"]
            except KeyError:  # may be left out when it is empty
                path = ""
            if path < beyond_mount and (path == mount or path.startswith(below_mount)):
                raise _BelowMountError
            exchange = new()
            exchange._start_response = start_response
            exchange.environ = environ
            exchange.path = path
            exchange.status = exchange.route = exchange.size = exchange.notes = None
            outer = environ.setdefault(ENVIRON_KEY, exchange)
            if outer is not exchange:
                exchange.comes_after(outer, environ)
            exchange.start = start = clock()
            if start > due:
                due, carried = tick(start, environ), current_request.is_carried_on()
                exchange.noted().sample = get_ident(), thread_time()
                exchange.start = clock()
            if carried:
                enter(exchange)
            begin(exchange)
        except _BelowMountError:
            instead = serve
        except Exception as error:  # noqa: BLE001  # an environ beyond PEP 3333: only the app knows
            hooks.broke(error)
            instead = app
        else:
            try:
                body = app(environ, exchange.start_response)
            except BaseException as error:
                exchange.raised(error)
                raise
            if body_askers and exchange.route is None:
                exchange.ask_for_route(body_askers, body)
            try:
                if type(body) not in wrapped:
                    kind = kinds.get(type(body)) or learn_kind(kinds, wrapped, body, environ)
                    if kind == COMPLETE:
                        exchange.body = _NOTHING
                        exchange.close()
                        return body
                    if kind != WRAP:
                        return exchange.hand_over(body, kind)
                exchange.__iter__ = body.__iter__
            except Exception:  # noqa: BLE001, S110  # a type without hash, an attribute that raises
                pass
            else:
                exchange.body = body
                exchange._outer_error = exception()
                # It may well run while it is sent. (The application has set the size.)
                if exchange.size is None and not carried:  # type: ignore[redundant-expr]
                    enter(exchange)
                return exchange
            return exchange.hand_over(body, OLD)
        return instead(environ, start_response)

    current_request.answered_by(handle, "exchange")
    return handle
