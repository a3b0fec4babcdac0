"""Whose exception it is: the client's connection is no error, any other connection is one."""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.simple_server import ServerHandler

import pytest

from inapp_monitor.ground import client_connection

from .battery import Witness, environ_of, monitored


def broken_connection() -> socket.socket:
    """A connection to a back end that resets it."""
    server = socket.create_server(("127.0.0.1", 0))
    connection = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    accepted.close()
    server.close()
    return connection


def ask_back_end() -> bytes:
    """A call of the application to something else than its client."""
    with broken_connection() as connection:
        return connection.recv(10)


def errors_of(app: Any, start_response: Any = None, **environ: Any) -> list[type]:
    """The kinds of exceptions that a request to `app` is recorded with, by a strict server."""
    witness = Witness()
    wrapped = monitored(app, witness)
    body = None
    try:
        try:
            body = wrapped({**environ_of("/"), **environ}, start_response or (lambda *_: print))
            for _ in body:
                pass
        finally:
            if hasattr(body, "close"):
                body.close()
    except Exception:  # the server's business
        pass
    assert not witness.broken
    return [type(error) for error in witness.errors]


class Gone(io.BytesIO):
    """The body of a request whose client has left."""

    def read(self, *_: Any) -> bytes:
        raise ConnectionResetError(104, "Connection reset by peer")


class LimitedStream(io.RawIOBase):
    """What frameworks put around the body of a request: it fails by itself when it is cut off."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def read(self, size: int = -1) -> bytes:
        if not self.stream.read(size):
            raise OSError("the client disconnected")
        return b""


def test_a_back_end_that_breaks_is_an_error() -> None:
    """Whatever its type, an exception of a connection to somebody else is the application's."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        return [ask_back_end()]

    assert errors_of(app) == [ConnectionResetError]


def test_a_client_that_leaves_while_it_uploads_is_no_error() -> None:
    """Reading what it sends fails: directly, in a stream around it, or as the cause of another."""

    def reads(environ: Any, start_response: Any) -> list[bytes]:
        return [environ["wsgi.input"].read()]

    def reads_around(environ: Any, start_response: Any) -> list[bytes]:
        return [LimitedStream(environ["wsgi.input"]).read()]

    def passes_on(environ: Any, start_response: Any) -> list[bytes]:
        try:
            return [environ["wsgi.input"].read()]
        except OSError as error:
            raise OSError("unreadable") from error

    def streams_back(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield environ["wsgi.input"].read()

    for app in (reads, passes_on, streams_back):
        assert errors_of(app, **{"wsgi.input": Gone()}) == []
    assert errors_of(reads_around, **{"wsgi.input": io.BytesIO()}) == []


def test_a_client_that_left_hides_no_error_of_the_application() -> None:
    """What goes wrong while the application handles it is an error."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        try:
            return [environ["wsgi.input"].read()]
        except OSError:
            return [ask_back_end()]

    def bug(environ: Any, start_response: Any) -> list[bytes]:
        try:
            return [environ["wsgi.input"].read()]
        except OSError as error:
            raise KeyError("upload") from error

    assert errors_of(app, **{"wsgi.input": Gone()}) == [ConnectionResetError]
    assert errors_of(bug, **{"wsgi.input": Gone()}) == [KeyError]


def test_an_upload_is_read_from_the_socket_of_the_server() -> None:
    """`wsgi.input` may be a buffer of C around the connection; another one is somebody else's."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        return [environ["wsgi.input"].read(10)]

    def other(environ: Any, start_response: Any) -> list[bytes]:
        return [broken_connection().makefile("rb").read(10)]

    assert errors_of(app, **{"wsgi.input": broken_connection().makefile("rb")}) == []
    assert errors_of(other) == [ConnectionResetError]


def test_a_client_that_leaves_while_the_application_writes_is_no_error() -> None:
    """The `write` that start_response returns is the server's, behind layers as well."""

    def writes(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])(b"hello")
        return []

    def made_inside(status: str, headers: Any, exc_info: Any = None) -> Callable[..., Any]:
        def write(data: bytes) -> None:
            raise BrokenPipeError

        return write

    def layer(status: str, headers: Any, exc_info: Any = None) -> Any:
        return made_inside(status, headers, exc_info)

    sending = broken_connection().makefile("wb", 0)
    handler = ServerHandler(
        io.BytesIO(),
        sending,
        io.StringIO(),
        {"SERVER_PROTOCOL": "HTTP/0.9"},
    )
    handler.setup_environ()
    for start_response in (made_inside, layer, handler.start_response):
        assert errors_of(writes, start_response) == []


def test_a_layer_that_belongs_to_the_application_stays_the_applications() -> None:
    """An object of the application that `start_response` refers to may fail as any other."""

    class Shop:
        def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
            def noting(status: str, headers: Any, exc_info: Any = None) -> Any:
                self.status = status
                return start_response(status, headers)

            return self.errors(environ, noting)

        def errors(self, environ: Any, start_response: Any) -> Any:
            return errors_of(self.view, start_response)

        def view(self, environ: Any, start_response: Any) -> list[bytes]:
            return [ask_back_end()]

    assert Shop()(environ_of("/"), lambda *_: print) == [ConnectionResetError]


def test_an_upstream_that_breaks_in_a_stream_is_an_error() -> None:
    """The body may be an object of the standard library, without a frame of the application."""

    def hands_on(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return map(bytes, broken_connection().makefile("rb"))

    def calls(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return iter(broken_connection().makefile("rb").readline, b"")

    def without_frames(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        connection = broken_connection()
        return iter(lambda: connection.recv(10), b"")

    for app in (hands_on, calls, without_frames):
        assert errors_of(app) == [ConnectionResetError]


def joins(body: Any, send: Any) -> None:
    send(b"".join(body))


def steps(body: Any, send: Any) -> None:
    iterator = iter(body)
    while chunk := next(iterator, b""):
        send(chunk)


def loops(body: Any, send: Any) -> None:
    for chunk in body:
        send(chunk)


@pytest.mark.parametrize("sends", [joins, steps, loops])
@pytest.mark.parametrize("fails", ["body", "send"])
def test_who_failed_is_seen_however_a_server_iterates(sends: Any, fails: str) -> None:
    """The body's exception is an error, the one of sending it is not."""
    witness = Witness()

    def send(chunk: bytes) -> None:
        if fails == "send":
            raise ConnectionResetError

    def body() -> Iterator[bytes]:
        yield b"first"
        if fails == "body":
            ask_back_end()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body()

    answer = monitored(app, witness)(environ_of("/"), lambda *_: None)
    with pytest.raises(ConnectionResetError):
        try:
            sends(answer, send)
        finally:
            answer.close()
    assert bool(witness.errors) == (fails == "body")


def test_only_a_websocket_takes_over_its_socket() -> None:
    """A handler of a WebSocket raises StopIteration in the place of a response. `next` of nothing
    is a bug, for a WebSocket as well."""

    def takes_over(environ: Any, start_response: Any) -> list[bytes]:
        raise StopIteration

    def bug(environ: Any, start_response: Any) -> list[bytes]:
        return [next(iter([]))]

    def late(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        raise StopIteration

    upgrade = {"HTTP_UPGRADE": "WebSocket"}
    assert errors_of(takes_over, **upgrade) == []
    for app, environ in ((takes_over, {}), (bug, {}), (bug, upgrade), (late, upgrade)):
        assert errors_of(app, **environ) == [StopIteration]


def test_a_client_that_leaves_its_websocket_is_no_error() -> None:
    """The socket that the server left in the environment is the client's, others are not."""

    def talks(environ: Any, start_response: Any) -> list[bytes]:
        sock = environ["werkzeug.socket"]
        return [sock.recv(10)]

    def asks(environ: Any, start_response: Any) -> list[bytes]:
        sock = broken_connection()
        return [sock.recv(10)]

    environ = {"werkzeug.socket": broken_connection(), "HTTP_UPGRADE": "websocket"}
    assert errors_of(talks, **environ) == []
    assert errors_of(asks, **environ) == [ConnectionResetError]


class Meta(type):
    """Of classes that answer for what they do not have."""

    asked = 0

    def __getattribute__(cls, name: str) -> Any:
        Meta.asked += 1
        return super().__getattribute__(name)


class Strange:
    """No text, though it stands where one should."""

    asked = 0

    def __format__(self, _: str) -> str:
        Strange.asked += 1
        return "werkzeug"


def test_a_proxy_of_a_generator_is_no_suspended_body() -> None:
    """It has every attribute of what it stands for; that generator raised nothing, the body did."""

    class Proxy:
        def __init__(self) -> None:
            self.lines = (line for line in [b"one", b"two"])
            self.sent = False

        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(self.lines, name)

        def __iter__(self) -> Proxy:
            return self

        def __next__(self) -> bytes:
            if self.sent:
                raise KeyError("line")
            self.sent = True
            return next(self.lines)

    def app(_: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return Proxy()

    asked: list[str] = []
    assert errors_of(app) == [KeyError]
    assert "gi_frame" not in asked


def test_names_and_classes_of_the_application_are_not_asked() -> None:
    """A module's name that is no text names no server, and a metaclass is not run."""
    failing: Any = Meta("Failing", (Exception,), {})
    failing.__module__ = Strange()
    part: Any = Meta("Part", (), {})()

    def pass_on(_: object) -> None:
        raise ConnectionResetError

    broken = None
    try:
        pass_on(part)
    except ConnectionResetError as error:
        broken = error
    assert broken is not None
    Meta.asked = 0
    upgrade = environ_of("/") | {"HTTP_UPGRADE": Strange()}
    assert not client_connection.handed_over_socket(StopIteration(), upgrade)
    assert not client_connection.is_of_client(failing("no"), environ_of("/"))
    assert client_connection.is_of_server(broken, [], environ_of("/"), [])
    assert Meta.asked == Strange.asked == 0


def test_an_error_whose_class_has_no_module() -> None:
    """As `exec` makes it in a namespace without a name: an error as any other."""
    nameless = eval("type('Nameless', (Exception,), {})", {"__builtins__": __builtins__})
    assert not hasattr(nameless, "__module__")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        raise nameless("in the application")

    assert errors_of(app) == [nameless]
