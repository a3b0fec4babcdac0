"""The monitored application answers exactly as the bare one: a battery over all wrappings.

Each case states what a server sees; it holds for the bare application too, so that the case itself
is checked by the same run.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tests.each import each
from tests.environ import environ_of

from .battery import (
    LENIENT,
    WRAPPINGS,
    App,
    Body,
    SelfIterator,
    SizedBody,
    Witness,
    monitored,
    serve,
)

PLAIN = [("Content-Type", "text/plain")]


@pytest.fixture(params=list(WRAPPINGS))
def wrap(request: pytest.FixtureRequest) -> Any:
    """A way to wrap an application that obeys PEP 3333 to the letter."""
    return WRAPPINGS[request.param]


@pytest.fixture(params=LENIENT)
def wrap_lenient(request: pytest.FixtureRequest) -> Any:
    """A way to wrap an application that does what servers allow all the same."""
    return WRAPPINGS[request.param]


def returns(body: Any, status: str = "200 OK") -> App:
    """An application that answers with `body`."""

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response(status, list(PLAIN))
        return body

    return app


# -- bodies


def test_list_body(wrap: Any) -> None:
    """A list arrives chunk by chunk."""
    assert serve(wrap(returns([b"a", b"b"]))).chunks == [b"a", b"b"]


@each("body", [[b"x"], (b"x",), b"x", [], (), b""], ids=repr)
def test_complete_body_is_the_same_object(wrap_lenient: Any, body: Any) -> None:
    """A complete body goes back as it is: servers look at its type and length."""
    answer = serve(wrap_lenient(returns(body)))
    assert answer.body is body
    assert answer.length == len(body)


def test_none_body_stays_none(wrap_lenient: Any) -> None:
    """None, by which some servers know a socket that was taken over, stays None."""
    answer = serve(wrap_lenient(returns(None)))
    assert answer.body is None
    assert isinstance(answer.error, TypeError)


def test_list_subclass_keeps_its_length(wrap_lenient: Any) -> None:
    """A subclass of list may have a close of its own; its length stays visible."""

    class Chunks(list[bytes]):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    body = Chunks([b"a", b"b"])
    answer = serve(wrap_lenient(returns(body)))
    assert (answer.length, answer.content, body.closed) == (2, b"ab", 1)


def test_generator_body(wrap: Any) -> None:
    """A generator runs to its end."""
    assert serve(wrap(returns(chunk for chunk in (b"a", b"", b"b")))).content == b"ab"


def test_generator_runs_its_finally(wrap: Any) -> None:
    """A generator whose client left is closed, so that its finally runs."""
    ended = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append(True)

    serve(wrap(app), leave_after=1)
    assert ended == [True]


def test_lazy_start_response(wrap_lenient: Any) -> None:
    """start_response may be called as late as the first chunk."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("201 Created", list(PLAIN))
        yield b"late"

    answer = serve(wrap_lenient(app))
    assert (answer.status, answer.content) == ("201 Created", b"late")


def test_iterable_that_is_not_its_own_iterator(wrap: Any) -> None:
    """The iterable is closed once, not the iterator that it made."""
    body = Body(b"a", b"b")
    answer = serve(wrap(returns(body)))
    assert (answer.content, body.closed, body.iterated) == (b"ab", 1, 1)


def test_iterator_that_is_its_own_iterator(wrap: Any) -> None:
    """A body with `__next__` is iterated and closed once."""
    body = SelfIterator(b"a", b"b")
    assert (serve(wrap(returns(body))).content, body.closed) == (b"ab", 1)


def test_body_without_close(wrap: Any) -> None:
    """A body that has no close needs none."""
    assert serve(wrap(returns(map(bytes, [b"a", b"b"])))).content == b"ab"


def test_body_with_getitem_only(wrap_lenient: Any) -> None:
    """The old sequence protocol makes a body too."""

    class Old:
        def __getitem__(self, index: int) -> bytes:
            return [b"a", b"b"][index]

    assert serve(wrap_lenient(returns(Old()))).content == b"ab"


def test_sized_body_keeps_its_length(wrap_lenient: Any) -> None:
    """Servers derive Content-Length from the length of a body of one chunk."""
    body = SizedBody(b"abc")
    answer = serve(wrap_lenient(returns(body)))
    assert (answer.length, answer.content, body.closed) == (1, b"abc", 1)


def test_sized_body_of_different_lengths(wrap_lenient: Any) -> None:
    """Two bodies of one type, each with its length."""
    bodies = [SizedBody(), SizedBody(b"a", b"b", b"c")]
    app = wrap_lenient(lambda environ, start: returns(bodies.pop())(environ, start))
    assert [serve(app).length, serve(app).length] == [3, 0]


def test_body_without_length_gets_none(wrap_lenient: Any) -> None:
    """A body without a length does not get one."""
    assert serve(wrap_lenient(returns(Body(b"a")))).length is None


def test_body_is_not_iterated_early(wrap: Any) -> None:
    """Nobody but the server asks a body for its iterator."""
    body = Body(b"a")
    serve(wrap(returns(body)))
    assert body.iterated == 1


def test_first_chunk_by_next(wrap_lenient: Any) -> None:
    """A server may take chunks by `next` without asking for an iterator."""
    body = wrap_lenient(returns(SelfIterator(b"a", b"b")))(environ_of(), lambda *a: None)
    assert [next(body), next(body), next(body, None)] == [b"a", b"b", None]
    body.close()


def test_body_that_cannot_be_iterated(wrap_lenient: Any) -> None:
    """The server gets the TypeError that the bare body raises."""
    answer = serve(wrap_lenient(returns(7)))
    assert isinstance(answer.error, TypeError)
    assert "not iterable" in str(answer.error)


# -- files


@each("own_close", [True, False])
def test_file_wrapper_is_the_same_object(wrap_lenient: Any, own_close: bool) -> None:
    """The server's own wrapper goes back as it is: that is how it finds its way to sendfile."""
    file = io.BytesIO(b"contents")
    if not own_close:
        file = type("NoClose", (), {"read": file.read})()  # type: ignore[assignment]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return environ["wsgi.file_wrapper"](file)

    answer = serve(wrap_lenient(app), environ_of(**{"wsgi.file_wrapper": FileWrapper}))
    assert type(answer.body) is FileWrapper
    assert answer.body.filelike is file
    assert answer.content == b"contents"
    assert not own_close or file.closed


def test_object_with_fileno_is_the_same_object(wrap_lenient: Any) -> None:
    """An object with a descriptor goes back as it is (uWSGI sends it by its number)."""
    body: Any = type("File", (Body,), {"fileno": lambda self: 3})(b"x")
    answer = serve(wrap_lenient(returns(body)))
    assert (answer.body is body, body.closed) == (True, 1)


def test_object_with_fileno_can_be_sent_again(wrap_lenient: Any) -> None:
    """Each request closes it once, and leaves it as it was."""
    body: Any = type("File", (Body,), {"fileno": lambda self: 3})(b"x")
    before = dict(vars(body))
    app = wrap_lenient(returns(body))
    assert [serve(app).content, serve(app).content] == [b"x", b"x"]
    assert body.closed == 2
    assert vars(body).keys() == before.keys()


def test_object_whose_close_cannot_be_replaced(wrap_lenient: Any) -> None:
    """An object that refuses attributes is sent and closed all the same."""

    class Slots(Body):
        def fileno(self) -> int:
            return 3

        def __setattr__(self, name: str, value: object) -> None:
            if name == "close":
                raise AttributeError(name)
            super().__setattr__(name, value)

    body = Slots(b"x")
    answer = serve(wrap_lenient(returns(body)))
    assert (answer.body is body, answer.content, body.closed) == (True, b"x", 1)


@each("close", ["property", "no deletion", "only once"])
def test_object_whose_close_cannot_be_given_back(wrap_lenient: Any, close: str) -> None:
    """An object that takes another close and does not let it go is closed all the same."""

    class Keeps(Body):
        def fileno(self) -> int:
            return 3

        def __setattr__(self, name: str, value: object) -> None:
            if name == "close" and close == "only once" and "close" in vars(self):
                raise AttributeError(name)
            super().__setattr__(name, value)

        def __delattr__(self, name: str) -> None:
            raise AttributeError(name)

    if close == "property":
        closing = vars(Body)["close"]
        Keeps.close = property(  # type: ignore[assignment]
            lambda self: getattr(self, "_own", closing.__get__(self)),
            lambda self, value: self.__dict__.update(_own=value),
        )
    body = Keeps(b"x")
    answer = serve(wrap_lenient(returns(body)))
    assert (answer.error, answer.body is body, body.closed) == (None, True, 1)


def test_file_wrapper_of_a_subclass_is_the_same_object(wrap_lenient: Any) -> None:
    """Servers look for their wrapper by `isinstance`."""

    class Own(FileWrapper):
        """An application's."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))
        return Own(io.BytesIO(b"contents"))

    answer = serve(wrap_lenient(app), environ_of(**{"wsgi.file_wrapper": FileWrapper}))
    assert (type(answer.body), answer.content) == (Own, b"contents")


class _Unhashable(type):
    def __eq__(cls, other: object) -> bool:
        return cls is other


class _OfUnhashableType(SelfIterator, metaclass=_Unhashable):
    pass


class _HidesItsIterator(Body):
    def __getattribute__(self, name: str) -> Any:
        if name == "__iter__":
            raise RuntimeError(name)
        return super().__getattribute__(name)


@each("kind", [_OfUnhashableType, _HidesItsIterator])
def test_oddly_made_types(wrap_lenient: Any, kind: Any) -> None:
    """Servers only ask for an iterator: that nothing else can be asked breaks no answer."""
    body = kind(b"x", b"y")
    assert serve(wrap_lenient(returns(body))).content == b"xy"
    assert body.closed == 1


def test_real_file(wrap_lenient: Any, tmp_path: Any) -> None:
    """An open file may be a body; it is closed."""
    (tmp_path / "f").write_bytes(b"one\ntwo\n")
    file = (tmp_path / "f").open("rb")
    answer = serve(wrap_lenient(returns(file)))
    assert (answer.body is file, answer.content, file.closed) == (True, b"one\ntwo\n", True)


# -- start_response


def test_arguments_are_passed_on(wrap_lenient: Any) -> None:
    """Status and headers are the application's own objects, and two arguments stay two."""
    headers = list(PLAIN)
    status = "299 Odd"
    seen: list[tuple[Any, ...]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, headers)
        return [b""]

    wrap_lenient(app)(environ_of(), lambda *given: seen.append(given))
    assert len(seen) == 1
    assert seen[0][0] is status
    assert seen[0][1] is headers
    assert len(seen[0]) == 2


def test_write_callable(wrap: Any) -> None:
    """What start_response returns is the server's own `write`."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", list(PLAIN))
        write(b"written ")
        return [b"returned"]

    assert serve(wrap(app)).content == b"written returned"


def test_start_response_twice_with_exc_info(wrap: Any) -> None:
    """An error page may replace the headers as long as nothing was sent."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", list(PLAIN))
        try:
            raise ValueError("caught")
        except ValueError:
            start_response("500 Oops", list(PLAIN), sys.exc_info())
        return [b"sorry"]

    answer = serve(wrap(app))
    assert answer.status == "500 Oops"
    assert isinstance(answer.starts[-1][2], ValueError)


def test_start_response_with_exc_info_after_sending(wrap: Any) -> None:
    """Once something was sent the server raises the exception again; it gets through."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(PLAIN))
        yield b"sent"
        try:
            raise ValueError("too late")
        except ValueError:
            start_response("500 Oops", list(PLAIN), sys.exc_info())

    def started(environ: Any, start_response: Any) -> Any:
        return Started(app(environ, start_response))

    answer = serve(wrap(started))
    assert isinstance(answer.error, ValueError)
    assert answer.status == "200 OK"


class Started:
    """A generator that has run to its first chunk."""

    def __init__(self, generator: Iterator[bytes]) -> None:
        self._first = next(generator)
        self._rest = generator

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        yield from self._rest


def test_start_response_twice_without_exc_info(wrap_lenient: Any) -> None:
    """The server's objection reaches the application."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", list(PLAIN))
        with pytest.raises(AssertionError, match="already set"):
            start_response("200 OK", list(PLAIN))
        return [b""]

    assert serve(wrap_lenient(app)).error is None


def test_start_response_never_called(wrap_lenient: Any) -> None:
    """An application that forgets it is the server's to judge."""
    answer = serve(wrap_lenient(lambda environ, start_response: [b"x"]))
    assert (answer.starts, answer.content) == ([], b"x")


@each("status", [None, 200, b"200 OK", "", "999", "OK", "404"], ids=repr)
def test_odd_status(wrap_lenient: Any, status: Any) -> None:
    """Whatever the status is, the server gets it."""
    assert serve(wrap_lenient(returns([b""], status))).starts == [(status, PLAIN)]


@each("exc_info", [(None, None, None), (), 7, "x"], ids=repr)
def test_odd_exc_info(wrap_lenient: Any, exc_info: Any) -> None:
    """A third argument that is no triple of an exception is passed on."""
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [], exc_info)
        return [b""]

    wrap_lenient(app)(environ_of(), lambda *given: seen.append(given))
    assert seen == [("200 OK", [], exc_info)]


def test_server_refuses_headers(wrap_lenient: Any) -> None:
    """What the server's start_response raises reaches the application."""

    def refuse(*_: Any) -> None:
        raise ValueError("bad header")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        with pytest.raises(ValueError, match="bad header"):
            start_response("200 OK", [("X", "a\nb")])
        return [b"handled"]

    assert wrap_lenient(app)(environ_of(), refuse) == [b"handled"]


# -- exceptions


class Own(BaseException):
    """An exception of nobody's family."""


RAISED = [ValueError("x"), OSError("x"), BrokenPipeError(), SystemExit(1), SystemExit(0)]
RAISED += [KeyboardInterrupt(), GeneratorExit(), StopIteration(), Own(), ConnectionError()]


@each("error", RAISED, ids=lambda error: f"{type(error).__name__}{error.args}")
@each("started", [False, True])
def test_exception_before_the_body(wrap: Any, error: BaseException, started: bool) -> None:
    """The same exception object gets through, without a cause or context of ours."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if started:
            start_response("200 OK", list(PLAIN))
        raise error

    assert serve(wrap(app)).error is error
    assert error.__cause__ is None
    assert error.__context__ is None


@each("error", RAISED, ids=lambda error: f"{type(error).__name__}{error.args}")
@each("position", [0, 1, 2])
def test_exception_while_streaming(wrap_lenient: Any, error: BaseException, position: int) -> None:
    """An exception out of the body gets through, at any point, and close is called once."""
    if isinstance(error, StopIteration):
        error = RuntimeError("what a generator makes of it")
    body = Body(b"a", b"b", fail_at=position, error=error)
    answer = serve(wrap_lenient(returns(body)))
    assert answer.error is error
    assert len(answer.chunks) == position
    assert body.closed == 1


@each("error", [ValueError("x"), Own(), SystemExit(3)], ids=repr)
def test_exception_out_of_close(wrap_lenient: Any, error: BaseException) -> None:
    """An exception out of close gets through."""
    body = Body(b"a", fail_close=error)
    assert serve(wrap_lenient(returns(body))).error is error
    assert body.closed == 1


def test_close_is_called_when_never_iterated(wrap_lenient: Any) -> None:
    """A server that answers HEAD or 304 by itself closes without iterating."""
    body = Body(b"a")
    wrap_lenient(returns(body))(environ_of(), lambda *a: None).close()
    assert (body.iterated, body.closed) == (0, 1)


@each("chunks_sent", [0, 1, 2])
def test_client_gone(wrap: Any, chunks_sent: int) -> None:
    """Whenever the client leaves, the body is closed once and nothing else happens."""
    body = Body(b"a", b"b", b"c")
    answer = serve(wrap(returns(body)), leave_after=chunks_sent)
    assert type(answer.error).__name__ == "ClientLeftError"
    assert body.closed == 1


def test_nobody_but_the_server_closes(wrap_lenient: Any) -> None:
    """A server that does not close leaves the body open."""
    body = Body(b"a")
    serve(wrap_lenient(returns(body)), close=False)
    assert body.closed == 0


def test_context_manager_bodies(wrap: Any) -> None:
    """Resources held by a streaming body are released when the client leaves."""
    released = []

    @contextmanager
    def resource() -> Iterator[None]:
        try:
            yield
        finally:
            released.append(1)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(PLAIN))

        def stream() -> Iterator[bytes]:
            with resource():
                yield b"a"
                yield b"b"

        return stream()

    serve(wrap(app), leave_after=1)
    assert released == [1]


# -- kinds of requests


@each("method", ["HEAD", "GET", "OPTIONS", "BREW", ""])
def test_methods(wrap_lenient: Any, method: str) -> None:
    """Any method reaches the application."""
    seen = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ["REQUEST_METHOD"])
        start_response("200 OK", list(PLAIN))
        return []

    serve(wrap_lenient(app), environ_of(method=method))
    assert seen == [method]


@each("status", ["304 Not Modified", "204 No Content"])
def test_answers_without_a_body(wrap: Any, status: str) -> None:
    """No content stays no content."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [])
        return []

    answer = serve(wrap(app))
    assert (answer.status, answer.content, answer.starts[0][1]) == (status, b"", [])


def test_socket_taken_over(wrap_lenient: Any) -> None:
    """A WebSocket handler takes the socket and ends by StopIteration, without any response."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["gunicorn.socket"].append("taken")
        raise StopIteration

    socket: list[str] = []
    answer = serve(wrap_lenient(app), environ_of(**{"gunicorn.socket": socket}))
    assert (socket, type(answer.error)) == (["taken"], StopIteration)


def test_environ_is_the_same_object(wrap_lenient: Any) -> None:
    """Application and server share one environ, so that what one puts in the other sees."""
    environ = environ_of()

    def app(given: Any, start_response: Any) -> list[bytes]:
        assert given is environ
        given["app.key"] = 1
        start_response("200 OK", [])
        return []

    serve(wrap_lenient(app), environ)
    assert environ["app.key"] == 1


def test_input_and_errors_are_the_same_objects(wrap_lenient: Any) -> None:
    """The streams in environ are not replaced."""
    environ = environ_of()
    streams = environ["wsgi.input"], environ["wsgi.errors"]

    def app(given: Any, start_response: Any) -> list[bytes]:
        assert (given["wsgi.input"], given["wsgi.errors"]) == streams
        start_response("200 OK", [])
        return [given["wsgi.input"].read()]

    assert serve(wrap_lenient(app), environ).content == b"sent"


@each("missing", ["PATH_INFO", "SCRIPT_NAME", "REQUEST_METHOD", "SERVER_PORT"])
def test_incomplete_environ(wrap_lenient: Any, missing: str) -> None:
    """A key that is not there is no reason to fail."""
    environ = environ_of()
    del environ[missing]
    assert serve(wrap_lenient(returns([b"ok"])), environ).content == b"ok"


@each("value", [None, 7, b"/path", "\ud800", "/\x00", "/" * 100_000], ids=type)
@each("key", ["PATH_INFO", "SCRIPT_NAME", "REQUEST_METHOD", "HTTP_REFERER"])
def test_hostile_environ(wrap_lenient: Any, key: str, value: Any) -> None:
    """Values beyond the standard reach the application."""
    seen = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ[key])
        start_response("404 Not Found", [])
        return [b"ok"]

    assert serve(wrap_lenient(app), environ_of(**{key: value})).content == b"ok"
    assert seen == [value]


def test_mounted_twice(wrap_lenient: Any) -> None:
    """One wrapped application at two mount points answers at both."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["SCRIPT_NAME"].encode()]

    wrapped = wrap_lenient(app)
    root = DispatcherMiddleware(returns([b"root"]), {"/a": wrapped, "/b": wrapped})
    contents = [serve(root, environ_of(path)).content for path in ("/a/x", "/b", "/")]
    assert contents == [b"/a", b"/b", b"root"]


def test_request_within_a_request(wrap_lenient: Any) -> None:
    """An application may call itself, with an environ of its own."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/inner":
            return returns([b"inner"])(environ, start_response)  # type: ignore[return-value]
        inner = serve(wrapped, environ_of("/inner"))
        return returns([b"outer+", *inner.chunks])(environ, start_response)  # type: ignore[return-value]

    wrapped = wrap_lenient(app)
    assert serve(wrapped, environ_of("/outer")).content == b"outer+inner"


def test_forwarded_within_a_request(wrap_lenient: Any) -> None:
    """An application may forward to itself, with the same environ."""

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/old":
            environ["PATH_INFO"] = "/new"
            return wrapped(environ, start_response)
        return returns(Body(environ["PATH_INFO"].encode()))(environ, start_response)

    wrapped = wrap_lenient(app)
    assert serve(wrapped, environ_of("/old")).content == b"/new"


def test_a_failing_hook_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks inside the monitor, the application answers as before."""

    class Broken(Witness):
        def not_found(self, exchange: Any, /) -> None:
            raise RuntimeError("ours")

        def failed(self, exchange: Any, error: BaseException, /) -> None:
            raise RuntimeError("ours")

    witness = Broken()

    def ask(*_: Any) -> None:
        raise RuntimeError("ours")

    witness.route_askers.append(ask)
    witness.body_askers.append(ask)
    app = monitored(returns([b"x"], "404 Not Found"), witness)
    assert serve(app).content == b"x"
    error = ValueError("the app's")
    assert serve(monitored(returns(Body(fail_at=0, error=error)), witness)).error is error
    assert {str(error) for error in witness.broken} == {"ours"}
