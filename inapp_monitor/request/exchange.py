"""One request from its beginning to its end, and what the request path needs from the rest.

What every request calls is not here but in the closures of `middleware`; here is what is rare: an
error, a 404, a body of an unusual kind, a request within another one. Nothing here classifies,
aggregates, formats or does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from sys import exception
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from weakref import ReferenceType

from inapp_monitor.ground import client_connection
from inapp_monitor.ground.clock import thread_time
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.ground.endings import is_normal_end
from inapp_monitor.ground.wsgi_text import decode
from inapp_monitor.recorder.request_cells import Record
from inapp_monitor.recorder.tallies import Tallies
from inapp_monitor.request.bodies import AS_IS, CLOSED_BODY, SIZED, HookedBody, has_close
from inapp_monitor.request.late_start import refuse_late_start
from inapp_monitor.request.notes import Notes
from inapp_monitor.request.samples import Sample, cpu_s
from inapp_monitor.request.server_timing import ServerTiming
from inapp_monitor.request.traced_requests import hand_over
from inapp_monitor.request.wsgi_types import Environ, StartResponse
from inapp_monitor.traces.ended_request import Pending
from inapp_monitor.traces.profiling import Profiling
from inapp_monitor.traces.spans import HANDED_OVER, Spans

#: Asked for a request's route; None when it is not known.
RouteAsker = Callable[["Exchange"], object]
BodyAsker = Callable[["Exchange", Any], object]
Shortcut = tuple[str, Callable[[Any], object]]

#: Characters kept of a path that leads nowhere.
MAX_PATH_LENGTH = 500


class Hooks(Protocol):
    """What the request path needs from the rest; `monitor.Monitor` implements it.

    Attributes:
        live: The requests that have begun and not ended.
        tallies: Where ordinary requests are noted.
        shortcut: Key of the environ and what reads the route of the value there, or fails; spares
            most requests a Python function. None: nothing is as simple as that.
        own_asker: The user's own, if any: its answer precedes that of a framework.
        route_askers: Asked for the route inside start_response, while the framework's request
            context is alive, until one answers.
        body_askers: Asked with what the application returned when the route is still unknown.
        profiling: Decides who is profiled; None: nobody is.
        server_timing: Who writes that header; None: nobody does.
        traced: Where what is wanted for traces waits for the fold; None: traces are off.
    """

    live: set[Record]
    tallies: Tallies
    shortcut: Shortcut | None
    own_asker: RouteAsker | None
    route_askers: list[RouteAsker]
    body_askers: list[BodyAsker]
    traced: Pending | None
    profiling: Profiling | None
    server_timing: ServerTiming | None

    def record(self, exchange: Exchange, /) -> None:
        """Keep a request that has ended, whole."""

    def not_found(self, exchange: Exchange, /) -> None:
        """Note a 404."""

    def answered_5xx(self, exchange: Exchange, /) -> None:
        """Note a 5xx for which no exception has been seen; at the end of the request."""

    def failed(self, exchange: Exchange, error: BaseException, /) -> None:
        """Capture an exception of the application."""

    def broke(self, error: BaseException, /) -> None:
        """Note a failure of the monitor itself."""

    def sampled(self, exchange: Exchange, cpu_s: float | None, /) -> None:
        """Note the facts of a request that are too expensive for each; None: not known."""


class Exchange:
    """One request: the start_response that notes the status, the iterable given to the server
    when the body is not a plain list, and the owner of `close`.

    Attributes:
        route: Set by framework hooks inside the application; None until known. A template, or an
            object whose `rule` is one (see `ground.route_text`).
        status: Status line such as "200 OK"; None until start_response has been called.
        start: Performance counter, seconds.
        path: PATH_INFO as it was on entry (dispatchers move it); cut off at the end.
        size: Content-Length as the application gave it; None when it did not.
        environ: The request's environ; None once it has ended.
        notes: What is unusual about it; None when nothing is.
        spans: What it spent its time on; None until the first span, and without traces.
        method, end, error: Only of a request that has ended and is recorded whole: REQUEST_METHOD,
            performance counter, and a mark that there was an error, or None.
    """

    __slots__ = (
        "__iter__",
        "_outer",
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
        "spans",
        "start",
        "status",
    )

    hooks_reference: ClassVar[ReferenceType[Hooks]]
    sized_type: ClassVar[type[Exchange]]

    __iter__: Callable[[], Iterator[bytes]]
    #: While the body is sent: the exception that was handled outside when the server got it, and
    #: the hooks, which a monitor that was dropped meanwhile would else take along.
    _outer: tuple[BaseException | None, Hooks] | None
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
    spans: Spans | None
    start: float
    status: str | None

    if TYPE_CHECKING:  # made by `middleware`, because every request calls them

        def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any: ...
        def close(self) -> None: ...

    @property
    def hooks(self) -> Hooks:
        """The monitor's. Only of a request under way: a thread's context keeps the last one that
        is over, and must not keep the monitor alive by it."""
        hooks = self.hooks_reference()
        if hooks is None:
            raise ReferenceError("the monitor of a request that is over is gone")
        return hooks

    def finish(self) -> None:
        """The request is over, and there is nothing to close."""
        self.body = CLOSED_BODY
        self.close()

    def begin_sample(self, own_type: type[Exchange]) -> type[Exchange]:
        """Look closer at this request: it has just begun. Returns the type of those to come."""
        notes, hooks = self.ensure_notes(), self.hooks
        if hooks.profiling is not None:
            notes.profile = hooks.profiling.begin(self)
        notes.sample = get_ident(), thread_time()
        self.spans = None if hooks.traced is None else Spans()  # handed over without any, too
        if hooks.server_timing is None or self.environ is None:
            return own_type
        return hooks.server_timing.type_for(own_type, self.environ)

    def ensure_notes(self) -> Notes:
        """Its notes, made when there are none yet."""
        if self.notes is None:
            self.notes = Notes()
        return self.notes

    def nest_within(self, other: Any, environ: Environ) -> None:
        """Replace the one that is in the environ: of a monitor further out, or of an earlier
        request whose environ is used again."""
        environ[ENVIRON_KEY] = self
        if issubclass(type(other), Exchange) and other.environ is not None:
            self.ensure_notes().outer = other

    def failed(self) -> bool:
        """Whether an exception of the application has been seen."""
        return self.notes is not None and self.notes.error is not None

    def note_error_status(self, status: str, exc_info: object) -> None:
        """The application answers 4xx or 5xx: report it, and shorten the path that is kept. A 5xx
        is reported at the end: what is logged about it may come before it or after it."""
        if status.startswith("404"):
            self.hooks.not_found(self)
        elif status.startswith("5") and exc_info is None:
            notes = self.ensure_notes()
            notes.answered_5xx = True
            if notes.announced is not None:
                self.capture(notes.announced)
        self.path = self.path[:MAX_PATH_LENGTH]

    def start_error_response(self, status: str, headers: Any, exc_info: Any) -> Any:
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

    def announce(self, error: BaseException) -> None:
        """Note an exception that somebody announces before it is answered: it is an error when the
        answer is 5xx, or when it is raised."""
        if self.environ is not None:
            self.ensure_notes().announced = error

    def capture(self, error: BaseException) -> None:
        """Report an exception that the application raised or its framework handled, once."""
        try:
            if self.environ is None or is_normal_end(error) or self.is_of_client(error):
                return
        except Exception as failure:  # noqa: BLE001  # a hostile one: it is an error all the same
            self.hooks.broke(failure)
        notes = self.ensure_notes()
        if notes.error is error:
            return
        notes.error = error
        if self.hooks.own_asker is not None:
            self.ask_own_asker(self.hooks.own_asker)
        try:
            self.hooks.failed(self, error)
        except Exception as failure:  # noqa: BLE001  # the monitor's own
            self.hooks.broke(failure)
        if notes.outer is not None:
            notes.outer.capture(error)

    def is_of_client(self, error: BaseException) -> bool:
        """Whether an exception is about the connection to the client, which is no error."""
        if self.environ is None or not client_connection.is_of_client(
            error, self.environ, self._start_responses()
        ):
            return False
        for exchange in self._with_outer():
            exchange.ensure_notes().client_left = True
        return True

    def _with_outer(self) -> list[Exchange]:
        """This one and those of the monitors further out, as far as they have not ended."""
        exchanges = [self]
        while (notes := exchanges[-1].notes) is not None and notes.outer is not None:
            exchanges.append(notes.outer)
        return [exchange for exchange in exchanges if exchange.environ is not None]

    def _start_responses(self) -> list[object]:
        """The server's, and those of layers between it and this monitor, as far as is known."""
        return [exchange._start_response for exchange in self._with_outer()]

    def note_recorded(self, by: object) -> None:
        """Somebody has recorded an error of this request, so that a 5xx is not one more."""
        for exchange in self._with_outer():
            exchange.ensure_notes().recorded_by += (by,)

    def is_watched_by(self, hooks: object) -> bool:
        """Whether this is a request of the monitor that has these hooks."""
        return any(exchange.hooks is hooks for exchange in self._with_outer())

    def application_raised(self, error: BaseException) -> None:
        """The application raised instead of returning a body."""
        if self.route is None:
            self.ask_for_route(self.hooks.route_askers)
        try:
            handed_over = self.status is None and client_connection.handed_over_socket(
                error, self.environ
            )
        except Exception as failure:  # noqa: BLE001  # the monitor's own
            handed_over = False
            self.hooks.broke(failure)
        if not handed_over:
            self.capture(error)
        if self.failed():
            self.status = "500"
        self.finish()

    def failed_while_sent(self, error: BaseException, body: Any) -> None:
        """The server closes because of an exception: capture it when it is the body's."""
        try:
            produced = self, body, body.body if type(body) is HookedBody else body
            outer_error = None if self._outer is None else self._outer[0]
            if error is not outer_error and not client_connection.is_of_server(
                error, produced, self.environ, self._start_responses()
            ):
                self.capture(error)
        except Exception as failure:  # noqa: BLE001  # the monitor's own
            self.hooks.broke(failure)

    def finish_interrupted(self, environ: Environ, end: float | None) -> None:
        """Ctrl-C struck while it ended, or its body failed to: it is counted all the same, once."""
        if self.environ is None:
            return
        if end is None:
            self.finish()
        else:
            self.finish_whole(environ, end)

    def finish_unclosed(self, end: float) -> None:
        """It was answered and its body dropped without being closed: count it, and leave the body
        alone, which is the application's."""
        environ = self.environ
        if environ is not None and self in self.hooks.live:
            self.hooks.live.discard(self)
            if self.notes is not None:
                self.finish_notes()
            self.finish_whole(environ, end)

    def finish_whole(self, environ: Environ, end: float) -> None:
        """The end of a request that is no ordinary one: record it, and release all else."""
        self.error = BaseException if self.failed() else None  # a mark that holds no traceback
        try:
            self.method = environ.get("REQUEST_METHOD", "")
        except Exception:  # noqa: BLE001  # no dict: an environ beyond PEP 3333
            self.method = ""
        self.end = end
        if self.status is None and self.route is None:  # a WebSocket, past the server
            self.ask_for_route(self.hooks.route_askers)
        if self.hooks.traced is not None and self.spans is not HANDED_OVER:
            hand_over(self, environ, end)
        hooks = self.hooks
        self.release()
        hooks.record(self)

    def release(self) -> None:
        """Refer to nothing of the request any more."""
        self.environ = self.notes = self._outer = None
        self._start_response = refuse_late_start

    def finish_notes(self) -> bool:
        """The end of a request with notes. Returns whether it is an ordinary one all the same."""
        notes = self.ensure_notes()
        if notes.sample is not None:
            self._finish_sample(notes.sample)
        outer = notes.outer
        if outer is not None and outer.environ is not None and outer.route is None:
            outer.route = self.route
        if notes.error is None:
            if notes.answered_5xx and not notes.client_left:
                for exchange in self._with_outer():  # while what was said of it is at hand
                    exchange._report_5xx()
            self.notes = None
        return notes.error is None

    def _report_5xx(self) -> None:
        """Report an answer of 5xx for which there is no exception, once."""
        notes = self.ensure_notes()
        try:
            if notes.answered_5xx and notes.error is None:
                notes.answered_5xx = False
                self.hooks.answered_5xx(self)
        except Exception as failure:  # noqa: BLE001  # the monitor's own
            self.hooks.broke(failure)

    def _finish_sample(self, sample: Sample) -> None:
        profile, profiling = self.ensure_notes().profile, self.hooks.profiling
        try:
            if profile is not None and profiling is not None:
                profiling.end(self, profile)
            self.hooks.sampled(self, cpu_s(sample) if profile is None else None)
        except Exception as error:  # noqa: BLE001  # the monitor's own
            self.hooks.broke(error)

    def ask_for_route(self, askers: Iterable[Callable[..., object]], *arguments: object) -> None:
        """Ask until one knows; a failure of an asker stays here."""
        try:
            for ask in askers:
                self.route = ask(self, *arguments)
                if self.route is not None:
                    return
        except Exception as error:  # noqa: BLE001  # the monitor's own
            self.hooks.broke(error)

    def ask_own_asker(self, own: RouteAsker) -> None:
        """Ask the user's own asker first, though a framework may have set the route already."""
        by_framework = self.route
        self.ask_for_route([own])
        if self.route is None:
            self.route = by_framework

    def moved_prefix(self, environ: Environ | None = None) -> str:
        """The part of the path that dispatchers have moved into SCRIPT_NAME since the entry, in the
        request's environ or in a copy of it."""
        environ = environ or self.environ
        now = environ.get("PATH_INFO", "") if environ is not None else self.path
        return self.path[: len(self.path) - len(now)] if self.path.endswith(now) else ""

    def below_prefix(self, template: str, environ: Environ | None = None) -> str:
        """`template` with the part of the path that dispatchers moved into SCRIPT_NAME."""
        prefix = self.moved_prefix(environ)
        return f"{decode(prefix).rstrip('/')}{template}" if prefix else template

    def whole_path(self) -> str:
        """The path that the client asked for: what lay in SCRIPT_NAME on entry, and `path`."""
        script_name = self.environ.get("SCRIPT_NAME", "") if self.environ is not None else ""
        return f"{script_name.removesuffix(self.moved_prefix())}{self.path}"

    # -- what the server sees of it

    def __next__(self) -> bytes:
        """For servers that take the first chunk without asking for an iterator."""
        iterator = self.__iter__()
        self.__iter__ = lambda: iterator
        return next(iterator)

    def body_for_server(self, body: Any, kind: int) -> Any:
        """What the server gets for a body that is neither complete nor an ordinary iterable."""
        self.body = body
        if kind == AS_IS:
            return self._hook_close_of(body)
        self._outer = exception(), self.hooks
        self.__iter__ = partial(iter, body)
        if kind == SIZED:
            self.__class__ = self.sized_type
        return self

    def _hook_close_of(self, body: Any) -> Any:
        """Give the server the body itself and hook its close, where that can be done."""
        try:
            self.body = HookedBody(body, getattr(body, "close", None))
            body.close = self.close
        except Exception:  # noqa: BLE001  # an object of C: time until here is all there is
            self.finish()
        else:
            self._outer = exception(), self.hooks
        return body

    def failed_to_close(self, error: BaseException, body: object) -> bool:
        """Whether closing the body has failed, and not only that it has no `close`."""
        if type(error) is AttributeError and not has_close(body):
            return False
        self.capture(error)
        return True
