"""What the request path notes of a request, and that it lets go of everything afterwards."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from greenlet import GreenletExit

from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.request import bodies, middleware
from inapp_monitor.request.exchange import MAX_PATH_LENGTH, Exchange
from inapp_monitor.testing import FakeClock
from tests.environ import environ_of

from .battery import Body, SizedBody, Witness, monitored, serve

METHOD, ROUTE, STATUS, START, END, FAILED, PATH, SIZE = range(8)


def app_of(status: str, body: Any) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, [])
        return body

    return app


def one(witness: Witness) -> tuple[Any, ...]:
    (finished,) = witness.finished
    assert witness.broken == []
    return finished


def test_facts_of_a_request() -> None:
    """Method, status line and the time between entry and end."""
    witness, clock = Witness(), FakeClock()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        clock.advance(0.25)
        start_response("201 Created", [])
        return [b"x"]

    serve(monitored(app, witness, clock), environ_of(method="POST"))
    finished = one(witness)
    assert finished[END] - finished[START] == pytest.approx(0.25)
    assert (finished[METHOD], finished[STATUS], finished[FAILED]) == ("POST", "201 Created", False)


@pytest.mark.parametrize("kind", [Body, SizedBody])
def test_streaming_is_timed_to_the_close(kind: Any) -> None:
    """A body that is produced while it is sent counts until the server closes it."""
    witness, clock = Witness(), FakeClock()
    body = kind(b"a", before=lambda: clock.advance(0.5))
    serve(monitored(app_of("200 OK", body), witness, clock))
    assert one(witness)[END] - one(witness)[START] == pytest.approx(0.5)


def test_counted_once_however_often_it_is_closed() -> None:
    """A server that closes twice closes and counts once."""
    witness = Witness()
    body = Body(b"a")
    returned = monitored(app_of("200 OK", body), witness)(environ_of(), lambda *a: None)
    returned.close()
    returned.close()
    assert body.closed == 1
    one(witness)


def test_sized_body_is_a_sized_exchange() -> None:
    """Only a body with a length gets an exchange with a length."""
    app = monitored(app_of("200 OK", SizedBody(b"a", b"b")))
    sized = app(environ_of(), lambda *a: None)
    assert (type(sized).__name__, len(sized), bool(sized)) == ("SizedExchange", 2, True)
    plain = monitored(app_of("200 OK", Body(b"")))(environ_of(), lambda *a: None)
    assert not hasattr(plain, "__len__")


def test_error_page_counts_as_its_last_status() -> None:
    """When an error page replaces the first headers, its status counts."""
    witness = Witness()
    error = ValueError("handled by the framework")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        start_response("500 Oops", [], (ValueError, error, None))
        return [b""]

    serve(monitored(app, witness))
    assert (one(witness)[STATUS], one(witness)[FAILED]) == ("500 Oops", True)
    assert witness.errors == [error]


@pytest.mark.parametrize(
    "error",
    [ValueError(), FileNotFoundError(), TimeoutError(), SystemExit(1), Exception()],
    ids=repr,
)
def test_escaped_exception_is_captured(error: BaseException) -> None:
    """An exception that escapes is captured once and counts as a failed 500."""
    witness = Witness()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        raise error

    serve(monitored(app, witness))
    assert (one(witness)[STATUS], one(witness)[FAILED]) == ("500", True)
    assert witness.errors == [error]


@pytest.mark.parametrize(
    "error",
    [GeneratorExit(), GreenletExit(), KeyboardInterrupt(), SystemExit(), SystemExit(0)],
    ids=repr,
)
def test_normal_ends_are_no_errors(error: BaseException) -> None:
    """A generator that is closed, a server that stops: no error, and no 500."""
    witness = Witness()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        raise error

    serve(monitored(app, witness))
    assert (one(witness)[STATUS], one(witness)[FAILED]) == (None, False)
    assert witness.errors == []


def test_stop_iteration_after_a_status_is_a_bug() -> None:
    """`next()` of an empty iterator in a view that has answered is no socket taken over."""
    witness = Witness()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [next(iter([]))]

    serve(monitored(app, witness))
    assert one(witness)[FAILED]


def test_a_back_end_that_hangs_up_is_a_bug() -> None:
    """Only the client's own leaving is normal: a subclass is about somebody else."""
    from http.client import RemoteDisconnected

    witness = Witness()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        raise RemoteDisconnected("back end")

    serve(monitored(app, witness))
    assert one(witness)[FAILED]


def failing_stream(error: BaseException) -> Iterator[bytes]:
    yield b"a"
    raise error


class Chunked:
    """An iterator class of the application's, as frameworks wrap generators."""

    def __init__(self, iterator: Iterator[bytes]) -> None:
        self._iterator = iterator

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._iterator)


@pytest.mark.parametrize("wrap", [iter, Chunked, lambda it: map(bytes, it), lambda it: Body_(it)])
@pytest.mark.parametrize(
    "error", [ValueError("x"), FileNotFoundError("x"), BrokenPipeError("back end")], ids=repr
)
def test_error_while_streaming_is_captured(wrap: Any, error: BaseException) -> None:
    """Whatever the body raises is its own error, whichever kind of iterator it is."""
    witness = Witness()
    answer = serve(monitored(app_of("200 OK", wrap(failing_stream(error))), witness))
    assert answer.error is error
    assert witness.errors == [error]
    assert (one(witness)[STATUS], one(witness)[FAILED]) == ("200 OK", True)


class Body_:  # noqa: N801  # a body whose iterator is another object
    def __init__(self, iterator: Iterator[bytes]) -> None:
        self._iterator = iterator

    def __iter__(self) -> Iterator[bytes]:
        return self._iterator


@pytest.mark.parametrize("wrap", [iter, Chunked, lambda it: map(bytes, it), lambda it: Body_(it)])
@pytest.mark.parametrize("leave_after", [0, 1])
def test_client_that_leaves_is_no_error(wrap: Any, leave_after: int) -> None:
    """What the server's own writing raises is not the application's, nor is it counted so."""
    witness = Witness()
    body = wrap(iter([b"a", b"b"]))
    serve(monitored(app_of("200 OK", body), witness), leave_after=leave_after)
    assert witness.errors == []
    assert one(witness)[FAILED] is False


def test_a_server_that_fails_while_a_generator_waits() -> None:
    """Whatever the server raises, a generator that is suspended has not raised it."""
    witness = Witness()
    body = monitored(app_of("200 OK", (chunk for chunk in (b"a", b"b"))), witness)(
        environ_of(), lambda *_: None
    )
    with pytest.raises(ValueError, match="the server's"):
        try:
            for _ in body:
                raise ValueError("the server's")
        finally:
            body.close()  # type: ignore[attr-defined]
    assert (witness.errors, one(witness)[FAILED]) == ([], False)


def test_error_in_c_iterator_is_captured() -> None:
    """Of a body that fails without a frame of its own, the type of the error shows whose it is."""
    witness = Witness()
    serve(monitored(app_of("200 OK", map(int, ["x"])), witness))
    assert len(witness.errors) == 1


def test_error_out_of_close_is_captured() -> None:
    """Cleaning up may fail too."""
    witness = Witness()
    error = ValueError("x")
    serve(monitored(app_of("200 OK", Body(b"a", fail_close=error)), witness))
    assert witness.errors == [error]


class Unfit:
    """A body whose iterator cannot be asked for as an attribute."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__iter__":
            raise KeyError(name)
        return object.__getattribute__(self, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"x"])


def test_older_exception_is_not_blamed() -> None:
    """A server that handles a request while it handles an exception of its own."""
    witness = Witness()
    try:
        raise ValueError("the server's")
    except ValueError:
        serve(monitored(app_of("200 OK", Body(b"a")), witness))
        serve(monitored(app_of("200 OK", Unfit()), witness))
        file = type("File", (Body,), {"fileno": lambda self: 3})(b"a")
        serve(monitored(app_of("200 OK", file), witness))
    assert witness.errors == []


def test_handled_then_escaped_is_one_error() -> None:
    """What a framework announces and then lets escape is captured once."""
    witness = Witness()
    error = ValueError("x")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ[ENVIRON_KEY].capture(error)
        raise error

    serve(monitored(app, witness))
    assert witness.errors == [error]


def test_route_is_asked_inside_start_response() -> None:
    """Askers are tried in turn until one knows, while the application is running."""
    witness = Witness()
    asked: list[str] = []

    def first(exchange: Exchange) -> None:
        asked.append("first")

    def second(exchange: Exchange) -> str:
        asked.append(f"second sees {exchange.status}")
        return "/route"

    witness.route_askers += [first, second, lambda exchange: pytest.fail("asked too many")]
    serve(monitored(app_of("200 OK", [b""]), witness))
    assert one(witness)[ROUTE] == "/route"
    assert asked == ["first", "second sees 200 OK"]


def test_route_of_an_escaped_exception_is_asked() -> None:
    """An application that fails before start_response has a route all the same."""
    witness = Witness()
    witness.route_askers.append(lambda exchange: "/route")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        raise ValueError

    serve(monitored(app, witness))
    assert one(witness)[ROUTE] == "/route"


@pytest.mark.parametrize("shortcut", [None, ("shortcut", lambda value: value["route"])])
def test_a_route_that_is_known_is_not_asked_again(shortcut: Any) -> None:
    """An error page that takes the place of the answer does not change whose it is."""
    witness = Witness()
    routes = ["/first", "/second", "/third"]
    witness.route_askers.append(lambda exchange: routes.pop(0))
    witness.shortcut = shortcut

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        environ.pop("shortcut", None)
        start_response("500 Oops", [], (ValueError, ValueError(), None))
        return [b""]

    serve(monitored(app, witness))
    serve(monitored(app, witness), environ_of(shortcut={"route": "/known"}))
    second = "/known" if shortcut else "/second"
    assert [finished[ROUTE] for finished in witness.finished] == ["/first", second]


def test_a_5xx_whose_exception_was_seen_is_no_other_error() -> None:
    """A framework that announces an exception and then answers 500 has explained that."""
    witness = Witness()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/seen":
            environ[ENVIRON_KEY].capture(ValueError())
        start_response("503 Oops", [])
        return [b""]

    for path in ("/seen", "/unseen"):
        serve(monitored(app, witness), environ_of(path))
    assert (len(witness.errors), witness.unexplained) == (1, ["503 Oops"])


def test_paths_that_are_refused_are_cut() -> None:
    """What waits of a scanner's requests is small, however long the paths are."""
    witness = Witness()
    path = "/" + "x" * 100_000
    serve(monitored(app_of("404 Not Found", [b""]), witness), environ_of(path))
    assert one(witness)[PATH] == path[:MAX_PATH_LENGTH]
    assert witness.missing == [path]


def test_what_a_tick_takes_is_not_the_requests() -> None:
    """A request that has to tick itself counts from when that is done."""
    witness, clock = Witness(), FakeClock()

    def tick(now: float, environ: Any) -> float:
        clock.advance(5.0)
        return now

    app = middleware.build(
        app_of("200 OK", [b""]), witness, clock.perf, tick, "/_metrics", app_of("200 OK", [])
    )
    serve(app)
    assert one(witness)[END] == one(witness)[START]


def test_cpu_time_is_told_where_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of a body that another thread closes, nor where greenlets share a thread's."""
    for package in ("gevent", "eventlet"):  # another test may have loaded them
        monkeypatch.delitem(sys.modules, package, raising=False)
    witness = Witness()
    app = monitored(app_of("200 OK", Body(b"a")), witness, tick_s=-1.0)
    serve(app)
    body: Any = app(environ_of(), lambda *_: None)
    thread = threading.Thread(target=body.close)
    thread.start()
    thread.join()
    monkeypatch.setitem(sys.modules, "gevent", sys)
    serve(app)
    assert [cpu_s is not None for cpu_s in witness.samples] == [True, False, False]


def test_types_of_bodies_are_remembered_in_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that makes a class for each answer gets rid of them."""
    monkeypatch.setattr(bodies, "MAX_KINDS", len(bodies.COMPLETE_TYPES) + 3)
    made: list[weakref.ref[type]] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        kind = type("Made", (Body,), {})
        made.append(weakref.ref(kind))
        return kind(b"x")

    wrapped = monitored(app)
    for _ in range(10):
        assert serve(wrapped).content == b"x"
    gc.collect()
    assert sum(kind() is not None for kind in made) == 3


def test_body_askers_come_last() -> None:
    """They are asked only for a route that is not known yet."""
    witness = Witness()
    witness.body_askers.append(lambda exchange, body: f"/{len(body)}")
    serve(monitored(app_of("200 OK", [b"a", b"b"]), witness))
    assert one(witness)[ROUTE] == "/2"


def test_nested_monitors_both_learn() -> None:
    """A hook inside reports to the inner monitor, which passes it on to the outer one."""
    inner, outer = Witness(), Witness()
    error = ValueError("handled")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ[ENVIRON_KEY].route = "/route"
        environ[ENVIRON_KEY].capture(error)
        start_response("500 Oops", [])
        return [b""]

    serve(monitored(monitored(app, inner), outer))
    for witness in (inner, outer):
        assert one(witness)[ROUTE] == "/route"
        assert one(witness)[FAILED] is True
        assert witness.errors == [error]


def test_environ_used_again_is_a_new_request() -> None:
    """A server may keep one environ for all requests of a connection."""
    witness = Witness()
    environ = environ_of()
    app = monitored(app_of("200 OK", Body(b"a")), witness)
    serve(app, environ)
    serve(app, environ)
    assert len(witness.finished) == 2


@pytest.mark.parametrize("path", ["/_metrics", "/_metrics/", "/_metrics/render"])
def test_dashboard_is_not_recorded(path: str) -> None:
    """Requests below the mount go to the dashboard and leave no trace."""
    witness = Witness()
    environ = environ_of(path)
    assert serve(monitored(app_of("200 OK", [b"app"]), witness), environ).content == b"dashboard"
    assert witness.finished == []
    assert ENVIRON_KEY not in environ


@pytest.mark.parametrize("path", ["/_metricsx", "/x/_metrics", "/", "", "/_metric"])
def test_beside_the_dashboard_is_the_application(path: str) -> None:
    """Only the mount itself and what is below it belong to the monitor."""
    app = monitored(app_of("200 OK", [b"app"]))
    assert serve(app, environ_of(path)).content == b"app"


def test_not_found_is_noted_with_the_path_on_entry() -> None:
    """A 404 is noted by the path that the client asked for, wherever dispatchers moved it."""
    witness = Witness()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/a", "/b"
        start_response("404 Not Found", [])
        return [b""]

    serve(monitored(app, witness), environ_of("/a/b"))
    assert witness.missing == ["/a/b"]


class Marker:
    """Something that a weak reference can watch."""


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only reference counts free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("kind", ["list", "body", "sized", "file", "raises", "exc_info", "left"])
def test_nothing_is_referenced_afterwards(kind: str) -> None:
    """When the server lets go of a request it is gone: no cycle waits for the collector."""
    witness = Witness()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        if kind == "raises":
            raise ValueError
        if kind == "exc_info":
            try:
                raise ValueError
            except ValueError:
                start_response("500 Oops", [], sys.exc_info())
        bodies: dict[str, Any] = {"list": [b""], "sized": SizedBody(b"a")}
        bodies["file"] = type("File", (Body,), {"fileno": lambda self: 3})(b"x")
        body = bodies.get(kind, Body(b"a", b"b"))
        if kind != "list":
            body.marker = environ["marker"]
        return body

    class Server:
        """Holds the environ, and is held by its own start_response, as servers do."""

        def __init__(self) -> None:
            self.environ = environ_of(marker=Marker())

        def start_response(self, *_: Any) -> None:
            pass

        def run(self, application: Any) -> None:
            try:
                body = application(self.environ, self.start_response)
                try:
                    for _ in body:
                        if kind == "left":
                            raise OSError
                finally:
                    if hasattr(body, "close"):
                        body.close()
            except (ValueError, OSError):
                pass

    server = Server()
    alive = weakref.ref(server.environ["marker"])
    server.run(monitored(app, witness))
    del server
    witness.errors.clear()
    assert alive() is None
    assert len(witness.finished) == 1


def test_exchange_holds_no_traceback() -> None:
    """After the end an exchange that somebody kept does not keep the exception."""
    kept: list[Exchange] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        kept.append(environ[ENVIRON_KEY])
        raise ValueError

    serve(monitored(app))
    assert kept[0].error is BaseException
    assert kept[0].environ is None


@pytest.mark.parametrize("path", ["/", "/_metrics", "/_metrics/x", 7], ids=repr)
def test_no_exception_of_ours_is_under_way(path: Any) -> None:
    """Neither the application nor the dashboard is called while an exception is handled: it would
    be the context of each of theirs."""
    seen: list[Any] = []

    def look(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(sys.exception())
        return []

    wrapped = middleware.build(
        look, Witness(), FakeClock().perf, lambda now, _: now, "/_metrics", look
    )
    wrapped({"PATH_INFO": path, "REQUEST_METHOD": "GET"}, lambda *_: None)
    assert seen == [None]


class Interrupts:
    """Ctrl-C strikes where this is called for the given time, which has happened then."""

    def __init__(self, function: Any, at: int) -> None:
        self.function = function
        self.left = at

    def __call__(self, *arguments: Any) -> Any:
        result = self.function(*arguments)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return result


class Environment(dict[str, Any]):
    """An environ some of whose methods are replaced."""

    get: Any
    setdefault: Any


@pytest.mark.parametrize("where", ["closing", "clock", "leaving", "recording"])
def test_an_interrupt_at_the_end_loses_no_request(where: str) -> None:
    """Ctrl-C passes, and the request whose end it interrupts is counted, once."""
    witness, clock, body = Witness(), FakeClock(), Body(b"x")
    environ = Environment(environ_of())
    perf = Interrupts(clock.perf, 3 if where == "clock" else 0)
    if where == "closing":
        body.close = Interrupts(body.close, 1)  # type: ignore[method-assign]

    class Live(set[Any]):
        remove = Interrupts(lambda exchange: set.remove(witness.live, exchange), 1)

    if where == "leaving":
        witness.live = Live()
    app = middleware.build(
        app_of("200 OK", body), witness, perf, lambda now, environ: now, "/_metrics", app_of("", [])
    )
    exchange: Any = app(environ, lambda *_: None)
    if where == "recording":
        environ.get = Interrupts(environ.get, 1)
    with pytest.raises(KeyboardInterrupt):
        exchange.close()
    exchange.close()
    assert one(witness)[STATUS] == "200 OK"
    assert (witness.live, witness.errors, body.closed) == (set(), [], 1)
