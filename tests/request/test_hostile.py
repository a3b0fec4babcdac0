"""Applications and servers at their worst: exceptions, environs and values that fail when asked."""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.testing import FakeClock
from tests.each import each
from tests.environ import environ_of
from tests.recorder.test_fold import counts, fold, new_recorder

from .battery import Body, SelfIterator, Witness, monitored, serve


def fails(*_: Any) -> Any:
    """What hostile things do."""
    raise ZeroDivisionError


class FakedError(Exception):
    """An exception whose class cannot be asked for."""

    __class__ = property(fails)  # type: ignore[assignment]


class Leaving(SystemExit):
    """An exit that is no clean one, and whose code cannot be asked for."""

    def __init__(self) -> None:
        super().__init__(1)

    code = property(fails)  # type: ignore[assignment]


#: `exec` with bare globals makes such classes.
Homeless = type("Homeless", (OSError,), {"__module__": None})


@each("kind", [FakedError, Leaving, Homeless])
@each("where", ["call", "iteration", "close"])
def test_an_exception_that_cannot_be_looked_at_passes(
    kind: type[BaseException], where: str
) -> None:
    """It reaches the server as it is, the body is closed, and it counts as an error."""
    error, witness = kind(), Witness()

    class Failing(SelfIterator):
        """A body without a frame of a generator's."""

        def __next__(self) -> bytes:
            if where == "iteration":
                raise error
            return super().__next__()

        def close(self) -> None:
            super().close()
            if where == "close":
                raise error

    body = Failing(b"x")

    def app(environ: Any, start_response: Any) -> Any:
        if where == "call":
            raise error
        start_response("200 OK", [])
        return body

    assert serve(monitored(app, witness)).error is error
    assert body.closed == (where != "call")
    assert witness.errors == [error]
    assert len(witness.finished) == 1


@each("body", [[b"x"], Body(b"x")], ids=["list", "iterable"])
@each("strange", ["text", 7, object()], ids=type)
def test_a_foreign_value_under_our_key(strange: object, body: Any) -> None:
    """What is no exchange is overwritten, and the request is recorded."""
    witness = Witness()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return body

    answer = serve(monitored(app, witness), environ_of(**{ENVIRON_KEY: strange}))
    assert (answer.error, answer.content, len(witness.finished)) == (None, b"x", 1)
    assert answer.body is body or not isinstance(body, list)


def test_an_environ_used_again_leaves_the_first_request_alone() -> None:
    """The route of the second is not written into the record of the first."""
    witness = Witness()
    witness.route_askers.append(lambda exchange: exchange.environ["route"])

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x"]

    wrapped, environ = monitored(app, witness), environ_of(route=None)
    serve(wrapped, environ)
    environ["route"] = "/second"
    serve(wrapped, environ)
    assert [route for _, route, *_ in witness.finished] == [None, "/second"]


def test_an_environ_that_answers_only_at_first() -> None:
    """A request whose environ fails at the end is counted all the same."""

    class Forgetful(dict[str, Any]):
        """No dict any more once the application has it."""

        get = fails

    witness = Witness()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x"]

    assert serve(monitored(app, witness), Forgetful(environ_of())).error is None
    assert [method for method, *_ in witness.finished] == [""]


def no_key(*_: Any) -> Any:
    """The error that distinguishes a new group from a known one."""
    raise KeyError


HOSTILE = {
    "no hash": type("NoHash", (), {"__hash__": None}),
    "hash without key": type("HashWithoutKey", (), {"__hash__": no_key}),
    "no class": type("NoClass", (), {"__class__": property(fails)}),
    "rule without class": type(
        "Rule", (), {"rule": type("NoClass", (), {"__class__": property(fails)})()}
    ),
    "text without hash": type("Text", (str,), {"__hash__": no_key}),
    "text that cannot be compared": type("Text", (str,), {"__eq__": fails, "__hash__": no_key}),
    "text that cannot be cut": type("Text", (str,), {"__getitem__": fails}),
}


@each("where", ["route", "status", "path", "size", "method"])
@each("kind", HOSTILE)
def test_hostile_values_lose_no_request(kind: str, where: str) -> None:
    """Whatever the application and the server put there, the fold counts all that was recorded."""
    clock, witness = FakeClock(), Witness()
    recorder = new_recorder(clock)
    witness.record = recorder.pending.append  # type: ignore[assignment]
    value = HOSTILE[kind]()
    given = {"route": None, "status": "200 OK", "path": "/", "size": "3", "method": "GET"}
    given[where] = value
    witness.route_askers.append(lambda _: given["route"])

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(given["status"], [("Content-Length", given["size"])])
        return [b"x"]

    wrapped = monitored(app, witness, clock)
    for _ in range(2):
        environ: Any = environ_of(given["path"], given["method"])
        assert serve(wrapped, environ).error is None
    waiting = len(recorder.pending)
    assert waiting == 2 or (where == "path" and witness.broken)
    assert counts(fold(recorder)).get("requests.time", 0) == waiting
