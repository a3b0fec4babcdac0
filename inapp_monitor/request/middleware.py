"""The request path: WSGI and the clock, nothing else.

Nothing here classifies, aggregates, formats or does I/O. A request is one object, its `Exchange`,
which is among the live ones from its beginning to its end. What is left of it then is usually two
numbers, appended to the list of its kind (method, route, status): single C calls that need no lock,
and no memory but that of the request before. Anything out of the ordinary (a kind not known yet, an
error, a slow one) is recorded whole, and the recorder makes sense of it off the request.

What PEP 3333 and real servers force:
- list and tuple bodies, file wrappers and objects with `fileno` go back as they are, so that
  servers keep their Content-Length and sendfile paths;
- any other body is replaced by the `Exchange`, whose `__iter__` is the body's own (nothing of
  the monitor runs per chunk) and whose `close` is called by the server, once;
- `start_response` is passed on with exactly the arguments it got; exceptions are re-raised
  untouched; a client that went away is no error;
- `environ` is the same object all the way, and nothing refers to it after the request.

What makes it cheap: inside a real application every Python function entered and every attribute
looked up in a class is a cache miss. Hence slots that hold methods (`__iter__`), names in the cells
of a closure, and one flag for everything unusual.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import exception
from typing import Any
from weakref import ref

from inapp_monitor.ground import current_request
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.recorder.tallies import Tally
from inapp_monitor.request.bodies import (
    CLOSED_BODY,
    COMPLETE,
    COMPLETE_TYPES,
    NO_ITER,
    WRAP,
    learn_kind,
    length_of_body,
    no_chunks,
)
from inapp_monitor.request.exchange import Exchange, Hooks
from inapp_monitor.request.late_start import refuse_late_start
from inapp_monitor.request.traced_requests import cookie_asks, hand_over
from inapp_monitor.request.wsgi_types import Environ, StartResponse, WSGIApp


def _bound(hooks: Hooks, clock: Callable[[], float]) -> type[Exchange]:
    """An exchange with what every request calls, so that it finds what it needs in cells."""
    askers, own = hooks.route_askers, hooks.own_asker
    key, rule_of = hooks.shortcut or ("", None)
    tallies, leave, is_traced = hooks.tallies, hooks.live.remove, hooks.traced is not None
    known: dict[Any, Tally] = tallies.known  # asked for whatever an application may set

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
                    self.ask_own_asker(own)
                if status >= "4":
                    self.note_error_status(status, exc_info)
            except Exception as error:  # noqa: BLE001  # the application must not see it
                if issubclass(type(status), str):
                    self.hooks.broke(error)
            try:
                if len(headers) > 1 and headers[1][0] == "Content-Length":  # as Flask has it
                    self.size = headers[1][1]
                elif type(headers) is list:
                    for name, value in headers:
                        if name == "Content-Length" or name == "content-length":
                            self.size = value
                            break
            except Exception:  # noqa: BLE001, S110  # no pairs: the server reports it
                pass
            if exc_info is None:
                pass_on = self._start_response
                return pass_on(status, headers)
            return self.start_error_response(status, headers, exc_info)

        def close(self) -> None:
            """Called by the server when it is done: close the body, note the time, release all."""
            environ = self.environ
            if environ is None:
                return
            end = None
            try:
                body = self.body
                self.body = CLOSED_BODY  # closed once, also when that closes this again
                self.__iter__ = no_chunks
                error = exception()  # servers close in a finally: an error while streaming is here
                if error is not None and body is not CLOSED_BODY:
                    self.failed_while_sent(error, body)
                    del error
                try:
                    body.close()
                except BaseException as close_error:
                    if self.failed_to_close(close_error, body):
                        raise
                end = clock()
                try:
                    leave(self)
                except KeyError:  # ended meanwhile, forgotten, or begun in the parent process
                    self.release()
                    return
                if self.spans is not None or (
                    is_traced
                    and (
                        "HTTP_X_INAPP_TRACE" in environ
                        or ("HTTP_COOKIE" in environ and cookie_asks(environ))
                    )
                ):
                    hand_over(self, environ, end)
                if self.notes is None or self.finish_notes():
                    try:
                        tally = known[environ["REQUEST_METHOD"], self.route, self.status]
                        ms = (end - self.start) * 1000.0
                        if ms < tally.floor and end < tallies.until:
                            tally += (ms, self.size)
                            self.environ = self._outer = None
                            self._start_response = refuse_late_start
                            return
                    except Exception:  # noqa: BLE001, S110  # not known, or no honest strings
                        pass
                self.finish_whole(environ, end)
            except BaseException:
                self.finish_interrupted(environ, end)
                raise

    Bound.hooks_reference = ref(hooks)  # the type outlives the monitor, in contexts of threads
    Bound.sized_type = type("SizedExchange", (Bound,), {"__slots__": (), "__len__": length_of_body})
    current_request.register(Bound.start_response, "self")
    current_request.register(Bound.close, "self")
    return Bound


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
    due, traced = float("-inf"), hooks.traced is not None
    context_copied = traced
    below_mount, beyond_mount = mount + "/", mount + "0"  # "0" is the character after "/"
    body_askers = hooks.body_askers

    def handle(environ: Environ, start_response: StartResponse) -> Any:
        nonlocal due, context_copied, new
        exchange: Exchange | None
        try:
            try:
                path = environ["PATH_INFO"]
            except KeyError:  # may be left out when it is empty
                path = ""
            if path < beyond_mount and (path == mount or path.startswith(below_mount)):
                exchange, unrecorded = None, serve
            else:
                exchange = new()
                exchange._start_response = start_response
                exchange.environ = environ
                exchange.path = path
                exchange.status = exchange.route = exchange.size = exchange.notes = None
                exchange.spans = None
                if (outer := environ.setdefault(ENVIRON_KEY, exchange)) is not exchange:
                    exchange.nest_within(outer, environ)
                exchange.start = start = clock()
                if start > due:
                    due = tick(start, environ)
                    context_copied = traced or current_request.context_is_copied()
                    new = exchange.begin_sample(new)
                    exchange.start = clock()
                if context_copied:
                    enter(exchange)
                begin(exchange)
        except Exception as error:  # noqa: BLE001  # an environ beyond PEP 3333: only the app knows
            hooks.broke(error)
            exchange, unrecorded = None, app
        if exchange is None:  # called here, where no exception is being handled
            return unrecorded(environ, start_response)
        try:
            body = app(environ, exchange.start_response)
        except BaseException as error:
            exchange.application_raised(error)
            raise
        if body_askers and exchange.route is None:
            exchange.ask_for_route(body_askers, body)
        try:
            if type(body) not in wrapped:
                kind = kinds.get(type(body)) or learn_kind(kinds, wrapped, body, environ)
                if kind == COMPLETE:
                    exchange.body = CLOSED_BODY
                    exchange.close()
                    return body
                if kind != WRAP:
                    return exchange.body_for_server(body, kind)
            exchange.__iter__ = body.__iter__
        except Exception:  # noqa: BLE001, S110  # a type without hash, an attribute that raises
            pass
        else:
            exchange.body = body
            exchange._outer = exception(), hooks
            # It may well run while it is sent. (The application has set the size.)
            if exchange.size is None and not context_copied:
                enter(exchange)
            return exchange
        return exchange.body_for_server(body, NO_ITER)

    current_request.register(handle, "exchange")
    return handle
